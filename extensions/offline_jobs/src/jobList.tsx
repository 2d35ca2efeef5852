/**
 * The list of jobs in the panel, newest first; empty, loading and error have words of their own.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { IJobActions, JobActions } from './jobActions';
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
}

export function JobList(props: IProps): JSX.Element {
  const { model, trans } = props;
  const now = new Date();
  const chips = differences(model.jobs);
  return (
    <div className="jp-OfflineJobs-list">
      <ListError model={model} trans={trans} />
      {!model.isLoaded && !model.error && (
        <p className="jp-OfflineJobs-empty" role="status">
          {trans.__('Loading…')}
        </p>
      )}
      {model.isLoaded && model.jobs.length === 0 && <Empty trans={trans} />}
      <ul aria-label={trans.__('Offline jobs')}>
        {model.jobs.map(job => (
          <JobItem
            key={job.id}
            job={job}
            now={now}
            chips={chips.get(job.id) ?? []}
            {...props}
          />
        ))}
      </ul>
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
          title={trans.__('Show details')}
          onClick={() => onSelect(job.id)}
        >
          {job.name}
        </button>
        <JobState job={job} />
      </div>
      {chips.length > 0 && (
        <p className="jp-OfflineJobs-chips">
          {chips.map(chip => (
            <span key={chip} title={chip}>
              {chip}
            </span>
          ))}
        </p>
      )}
      <p>{job.sentence}</p>
      <JobProgress job={job} />
      <p className="jp-OfflineJobs-quiet">
        {job.path}
        <br />
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
