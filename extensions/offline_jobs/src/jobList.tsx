/**
 * The list of jobs in the panel: what runs, what waits, what has ended, in each the newest first;
 * empty, loading and error have words of their own.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { STAGE_NAMES, stageOf } from './filters';
import type { Stage } from './filters';
import { IJobActions, JobActions } from './jobActions';
import { JobFilters, NothingFound } from './jobFilters';
import { JobProgress, JobState } from './jobParts';
import type { JobsModel } from './model';
import type { IJob } from './types';
import { differences } from './view';
import { elapsed, isActive, moment } from './words';

interface IProps {
  model: JobsModel;
  actions: IJobActions;
  trans: TranslationBundle;
  onSelect: (id: string) => void;
  /** The notebook that is open, relative to the home; null: none. */
  notebook: string | null;
}

export function JobList(props: IProps): JSX.Element {
  const { model, trans, notebook } = props;
  const { isLoaded, jobs, isNarrowed, isNarrowing } = model;
  // Before there is any job there is nothing to look through.
  const isEmpty = isLoaded && !jobs.length && !isNarrowed && !isNarrowing;
  const isNothing = isLoaded && !jobs.length && isNarrowed && !isNarrowing;
  return (
    <div className="jp-OfflineJobs-list" aria-busy={isNarrowing}>
      {isLoaded && !isEmpty && (
        <JobFilters model={model} trans={trans} notebook={notebook} />
      )}
      <ListError model={model} trans={trans} />
      {!isLoaded && !model.error && (
        <p className="jp-OfflineJobs-empty" role="status">
          {trans.__('Loading…')}
        </p>
      )}
      {isEmpty && <Empty trans={trans} />}
      {isNothing && <NothingFound model={model} trans={trans} />}
      {STAGE_NAMES.map(stage => (
        <Part key={stage} stage={stage} {...props} />
      ))}
      {model.hasMore && (
        <button
          className="jp-mod-styled jp-mod-minimal"
          onClick={() => model.showMore()}
        >
          {trans.__('Show more')}
        </button>
      )}
    </div>
  );
}

const STAGE_WORDS: Readonly<Record<Stage, string>> = {
  running: 'Running',
  waiting: 'Waiting',
  ended: 'Ended'
};

/** The jobs of one part, if it has any. */
function Part(props: IProps & { stage: Stage }): JSX.Element | null {
  const { stage, ...rest } = props;
  const { model, trans } = rest;
  const jobs = model.jobs.filter(job => stageOf(job.state) === stage);
  const chips = differences(model.jobs);
  if (!jobs.length) {
    return null;
  }
  // Of those that have ended there may be more than have been read.
  const more = stage === 'ended' && model.hasMore ? '+' : '';
  const words = trans.__(STAGE_WORDS[stage]);
  return (
    <>
      <h2>
        {words}{' '}
        <span className="jp-OfflineJobs-quiet">
          {jobs.length}
          {more}
        </span>
      </h2>
      <ul aria-label={words}>
        {jobs.map(job => (
          <JobItem
            key={job.id}
            job={job}
            now={new Date()}
            chips={chips.get(job.id) ?? []}
            {...rest}
          />
        ))}
      </ul>
    </>
  );
}

/** The last look failed: the jobs below are as they were last seen. */
function ListError(props: Pick<IProps, 'model' | 'trans'>): JSX.Element | null {
  const { model, trans } = props;
  if (!model.error) {
    return null;
  }
  return (
    <div className="jp-OfflineJobs-notice" role="alert">
      <p>{model.error.message}</p>
      <button
        className="jp-mod-styled jp-mod-minimal"
        onClick={() => void model.refresh()}
      >
        {trans.__('Retry')}
      </button>
    </div>
  );
}

function Empty({ trans }: Pick<IProps, 'trans'>): JSX.Element {
  return (
    <div className="jp-OfflineJobs-empty">
      <p>{trans.__('No offline jobs yet.')}</p>
      <p>
        {trans.__(
          'Open a notebook and choose Run ▸ Run as Offline Job…: it runs in the background, also when you close the browser or stop your server.'
        )}
      </p>
    </div>
  );
}

interface IItemProps extends IProps {
  job: IJob;
  now: Date;
  /** What tells it from other runs of its notebook. */
  chips: readonly string[];
}

function JobItem(props: IItemProps): JSX.Element {
  const { job, model, actions, trans, onSelect, now, chips } = props;
  return (
    <li className="jp-OfflineJobs-item">
      <div className="jp-OfflineJobs-row">
        <button
          className="jp-OfflineJobs-name"
          title={job.name}
          onClick={() => onSelect(job.id)}
        >
          <bdi>{job.name}</bdi>
        </button>
        <JobState job={job} />
      </div>
      {chips.length > 0 && (
        <p className="jp-OfflineJobs-chips">
          {chips.map(chip => (
            <bdi key={chip} title={chip}>
              {chip}
            </bdi>
          ))}
        </p>
      )}
      <p>{job.sentence}</p>
      <JobProgress job={job} />
      <p className="jp-OfflineJobs-quiet">
        <bdi className="jp-OfflineJobs-cut" title={job.path}>
          {job.path}
        </bdi>
        <span className="jp-OfflineJobs-nowrap">
          {model.nameOf('classes', job.class)} ·{' '}
          {isActive(job)
            ? elapsed(job, now)
            : moment(job.ended ?? job.created, now)}
        </span>
      </p>
      <JobActions
        job={job}
        busy={model.isBusy(job.id)}
        actions={actions}
        trans={trans}
      />
    </li>
  );
}
