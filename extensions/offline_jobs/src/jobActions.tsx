/**
 * What can be done with a job, as buttons: the same in the list and in the detail.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { IJob } from './types';
import { isActive } from './words';

/** What the panel does when a button is pressed. */
export interface IJobActions {
  cancel: (job: IJob) => void;
  /** Run it again with what cures it. */
  cure: (job: IJob) => void;
  /** Ask what is to be other, then run it again. */
  again: (job: IJob) => void;
  openResult: (job: IJob) => void;
  remove: (job: IJob) => void;
  /** Whether Lab can open files of the home where this job's result lies. */
  canOpen: (job: IJob) => boolean;
  resultUrl: (job: IJob) => string;
}

interface IProps {
  job: IJob;
  busy: boolean;
  actions: IJobActions;
  trans: TranslationBundle;
  /** Offer all actions, not only the usual ones. */
  all?: boolean;
}

export function JobActions(props: IProps): JSX.Element {
  const { job, busy, actions, trans, all } = props;
  const button = (
    label: string,
    act: (job: IJob) => void,
    disabled = false,
    kind = 'jp-mod-minimal'
  ): JSX.Element => (
    <button
      className={`jp-mod-styled ${kind}`}
      aria-label={`${label}: ${job.name}`}
      disabled={busy || disabled}
      onClick={() => act(job)}
    >
      {label}
    </button>
  );
  const download = (label: string): JSX.Element => (
    <a
      className="jp-OfflineJobs-link"
      aria-label={`${label}: ${job.name}`}
      href={actions.resultUrl(job)}
      download
    >
      {label}
    </a>
  );
  if (isActive(job)) {
    return (
      <div className="jp-OfflineJobs-actions">
        {all &&
          job.has_result &&
          download(trans.__('Download what is done so far'))}
        {button(trans.__('Cancel'), actions.cancel, job.state === 'cancelling')}
      </div>
    );
  }
  const canOpen = job.has_result && actions.canOpen(job);
  return (
    <div className="jp-OfflineJobs-actions">
      {job.again?.label &&
        button(job.again.label, actions.cure, false, 'jp-mod-accept')}
      {canOpen && button(trans.__('Open result'), actions.openResult)}
      {job.has_result &&
        (all || !canOpen) &&
        download(trans.__('Download result'))}
      {button(trans.__('Run again…'), actions.again)}
      {all && button(trans.__('Delete record'), actions.remove)}
    </div>
  );
}
