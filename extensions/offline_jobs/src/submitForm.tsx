/**
 * The body of the dialog: what runs, where, how, and what will happen.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { ChoiceField, Problem, SwitchField, TextField } from './fields';
import {
  ceiling,
  chosenClass,
  classOptions,
  fieldOf,
  groupOptions,
  imageOptions,
  kernelOptions,
  kernelValue,
  parameterField
} from './form';
import { inputKind, parameterText } from './parameters';
import type { Submission } from './submission';
import type { ICatalogue, IInstanceClass, IParameter, IProblem } from './types';
import { figures, price } from './words';

const ID = 'jp-OfflineJobs-submit';

interface IProps {
  submission: Submission;
  trans: TranslationBundle;
  /** Show the job that this dialog has already made. */
  onShow: (job: string) => void;
}

export function SubmitForm(
  props: IProps & { children?: React.ReactNode }
): JSX.Element {
  const { submission, trans } = props;
  const { catalogue, parameters } = submission;
  const problems = new Map<string | null, IProblem[]>();
  for (const problem of submission.problems) {
    const field = fieldOf(problem, parameters);
    problems.set(field, [...(problems.get(field) ?? []), problem]);
  }
  const problemOf = (field: string) =>
    problems
      .get(field)
      ?.map(problem => problem.message)
      .join(' ');
  return (
    <div
      className="jp-OfflineJobs-form"
      aria-busy={submission.isLoading}
      tabIndex={-1}
    >
      <Notice {...props} />
      <WhatRuns {...props} problemOf={problemOf} />
      {catalogue && (
        <Where {...props} catalogue={catalogue} problemOf={problemOf} />
      )}
      <How {...props} problemOf={problemOf} />
      {props.children}
      {problems.get(null)?.map(problem => (
        <Problem
          key={`${problem.field} ${problem.code}`}
          message={problem.message}
        />
      ))}
      <p className="jp-OfflineJobs-sentence" role="status">
        {submission.isLoading
          ? trans.__('Looking at the notebook…')
          : (submission.check?.sentence ?? '')}
      </p>
    </div>
  );
}

type IPartProps = IProps & { problemOf: (field: string) => string | undefined };

/** Something that concerns the whole form, with a way on. */
function Notice({ submission, trans, onShow }: IProps): JSX.Element | null {
  const notice = submission.notice;
  if (!notice) {
    return null;
  }
  const job = notice.job;
  return (
    <div className="jp-OfflineJobs-notice" role="alert">
      <p>{notice.message}</p>
      {notice.retry && (
        <button
          className="jp-mod-styled jp-mod-minimal"
          onClick={() => void submission.load()}
        >
          {trans.__('Retry')}
        </button>
      )}
      {job && (
        <button
          className="jp-mod-styled jp-mod-minimal"
          onClick={() => onShow(job)}
        >
          {trans.__('Show that job')}
        </button>
      )}
    </div>
  );
}

function WhatRuns(props: IPartProps): JSX.Element {
  const { submission, trans, problemOf } = props;
  const { catalogue, check, form, parameters } = submission;
  const kernels = catalogue
    ? kernelOptions(catalogue, form, submission.session)
    : [];
  const named = form.kernel ? null : (check?.kernel ?? null);
  const own = kernels.find(one => named && one.value === kernelValue(named));
  return (
    <fieldset>
      <legend>{trans.__('What runs')}</legend>
      {submission.versions.length > 1 && (
        <ChoiceField
          id={`${ID}-version`}
          label={trans.__('Version')}
          value={String(submission.versions.indexOf(submission.version))}
          options={submission.versions.map(({ label }, index) => ({
            value: String(index),
            label,
            disabled: false
          }))}
          onChange={index =>
            submission.choose(submission.versions[Number(index)])
          }
        />
      )}
      <div className="jp-OfflineJobs-field">
        <span>{trans.__('Notebook')}</span>
        <div className="jp-OfflineJobs-text">
          {submission.path}
          {check !== null && check.cells > 0 && (
            <span className="jp-OfflineJobs-quiet">
              {' '}
              · {trans._n('%1 code cell', '%1 code cells', check.cells)}
            </span>
          )}
        </div>
      </div>
      {kernels.length > 0 && (
        <ChoiceField
          id={`${ID}-kernel`}
          label={trans.__('Kernel')}
          problem={problemOf('kernel')}
          value={form.kernel}
          options={[
            {
              value: '',
              label: named
                ? trans.__('%1 (as in the notebook)', own?.label ?? named.name)
                : trans.__('As in the notebook'),
              disabled: false
            },
            ...kernels.filter(kernel => kernel !== own)
          ]}
          onChange={kernel => submission.update({ kernel })}
        />
      )}
      {parameters.map(parameter => (
        <ParameterField
          key={parameter.name}
          parameter={parameter}
          problem={problemOf(parameterField(parameter.name))}
          {...props}
        />
      ))}
      {check !== null && parameters.length === 0 && (
        <p className="jp-OfflineJobs-help">
          {trans.__(
            'No parameters: tag a cell “parameters” to be able to change its values here.'
          )}
        </p>
      )}
    </fieldset>
  );
}

function ParameterField(
  props: IProps & { parameter: IParameter; problem?: string }
): JSX.Element {
  const { submission, trans, parameter, problem } = props;
  const { name } = parameter;
  const typed = submission.form.parameters[name];
  const original = parameterText(parameter, parameter.default);
  const usual = parameter.default === null ? parameter.source : original;
  const text = typed ?? original;
  const isChanged = text !== original;
  const field = {
    id: `${ID}-parameter-${name}`,
    label: name,
    problem,
    help: [parameter.help, whence(parameter, trans, isChanged, usual)]
      .filter(Boolean)
      .join(' · ')
  };
  if (inputKind(parameter) === 'boolean') {
    return (
      <SwitchField
        {...field}
        value={text === 'true'}
        onChange={value => submission.setParameter(name, String(value))}
      />
    );
  }
  const kind = inputKind(parameter);
  return (
    <TextField
      {...field}
      numeric={kind === 'integer' || kind === 'number'}
      placeholder={parameter.default === null ? parameter.source : undefined}
      value={text}
      onChange={value =>
        submission.setParameter(name, value === original ? null : value)
      }
    />
  );
}

/** Where the value in a parameter's field comes from, unless it is plainly the notebook's. */
function whence(
  parameter: IParameter,
  trans: TranslationBundle,
  isChanged: boolean,
  usual: string
): string {
  if (parameter.carried) {
    return isChanged
      ? trans.__('Changed; in the earlier run: %1', usual)
      : trans.__('From the earlier run');
  }
  if (parameter.default === null && usual === '') {
    return trans.__('The notebook gives no value');
  }
  return isChanged ? trans.__('Changed; in the notebook: %1', usual) : '';
}

function Where(props: IPartProps & { catalogue: ICatalogue }): JSX.Element {
  const { submission, trans, catalogue, problemOf } = props;
  const { form } = submission;
  const image = catalogue.images.find(one => one.slug === form.image);
  const instance = chosenClass(catalogue, form);
  return (
    <fieldset>
      <legend>{trans.__('Where')}</legend>
      <ChoiceField
        id={`${ID}-image`}
        label={trans.__('Image')}
        help={image?.description}
        problem={problemOf('image')}
        value={form.image}
        options={imageOptions(catalogue)}
        onChange={value => submission.update({ image: value })}
      />
      <ChoiceField
        id={`${ID}-class`}
        label={trans.__('Machine')}
        help={instance && figures(instance)}
        problem={problemOf('class')}
        value={form.class}
        options={classOptions(catalogue, form)}
        onChange={value => submission.update({ class: value })}
      />
      {instance?.spot && (
        <SwitchField
          id={`${ID}-interruptible`}
          label={trans.__('Spot machine')}
          help={spotHelp(instance, trans)}
          problem={problemOf('interruptible')}
          value={form.interruptible}
          onChange={value => submission.update({ interruptible: value })}
        />
      )}
      {(catalogue.groups.length > 1 || problemOf('group')) && (
        <ChoiceField
          id={`${ID}-group`}
          label={trans.__('Charged group')}
          problem={problemOf('group')}
          value={form.group}
          options={groupOptions(catalogue)}
          onChange={value => submission.update({ group: value })}
        />
      )}
    </fieldset>
  );
}

/** What it means to run on a machine that can be taken away. */
function spotHelp(instance: IInstanceClass, trans: TranslationBundle): string {
  const { spot_price_per_hour: cost, currency } = instance;
  const cheaper =
    cost === null
      ? trans.__('Costs less')
      : trans.__('About %1 per hour', price(cost, currency));
  const more = trans.__(
    'can be taken away at any time: the notebook then runs again from its first cell, 3 times at most. What it wrote to $CHECKPOINT_DIR is still there.'
  );
  return `${cheaper} · ${more}`;
}

function How({ submission, trans, problemOf }: IPartProps): JSX.Element {
  const { form } = submission;
  const limit = `${ID}-hours`;
  const problem = problemOf('time_limit_seconds');
  const part = (key: 'hours' | 'minutes', label: string) => (
    <input
      id={key === 'hours' ? limit : undefined}
      className="jp-mod-styled"
      type="text"
      inputMode="numeric"
      autoComplete="off"
      aria-label={label}
      aria-invalid={problem ? true : undefined}
      aria-describedby={problem ? `${limit}-problem` : undefined}
      value={form[key]}
      onChange={event => submission.update({ [key]: event.target.value })}
    />
  );
  return (
    <fieldset>
      <legend>{trans.__('How')}</legend>
      <TextField
        id={`${ID}-name`}
        label={trans.__('Name')}
        maxLength={200}
        problem={problemOf('name')}
        value={form.name}
        onChange={name => submission.update({ name })}
      />
      <div className="jp-OfflineJobs-field">
        <label htmlFor={limit}>{trans.__('Time limit')}</label>
        <div>
          <div className="jp-OfflineJobs-limit">
            {part('hours', trans.__('Time limit, hours'))} {trans.__('h')}
            {part('minutes', trans.__('Time limit, minutes'))} {trans.__('min')}
          </div>
          <p className="jp-OfflineJobs-help">
            {ceiling(form, submission.catalogue)}
          </p>
          <Problem id={`${limit}-problem`} message={problem} />
        </div>
      </div>
    </fieldset>
  );
}
