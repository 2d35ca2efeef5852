/**
 * Parts of a job's picture that list and detail share: its state and its progress.
 */

import React from 'react';

import type { IJob } from './types';
import { progress } from './view';
import { stateWord } from './words';

/** The state by word and colour. */
export function JobState({ job }: { job: IJob }): JSX.Element {
  return (
    <span className="jp-OfflineJobs-state" data-state={job.state}>
      {stateWord(job.state)}
    </span>
  );
}

/**
 * How many cells are done, the running one counting half; nothing before the
 * cells are counted.
 */
export function JobProgress({ job }: { job: IJob }): JSX.Element | null {
  const percent = progress(job);
  if (percent === null) {
    return null;
  }
  const { number, total } = job.cell;
  return (
    <div
      className="jp-OfflineJobs-bar"
      data-state={job.state}
      role="progressbar"
      aria-label={`Cell ${number} of ${total}`}
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={number}
    >
      <i style={{ width: `${percent}%` }} />
    </div>
  );
}
