/**
 * Running a job again: how the dialog opens for it, and what its form then asks for. Pure.
 */

import type { IApi } from './api';
import { usualName } from './form';
import type { IForm } from './form';
import type { IVersion } from './submission';
import type { IChanges, IJob, ISubmission } from './types';

/** What the dialog needs to run a job again. */
export type IAgainApi = Pick<
  IApi,
  'session' | 'catalogue' | 'checkRerun' | 'rerun'
>;

/** The notebook as a job ran it. */
export function asSubmitted(
  job: IJob,
  api: IAgainApi,
  label: string
): IVersion {
  return {
    label,
    path: job.path,
    carried: textsOf(job),
    api: {
      session: () => api.session(),
      catalogue: () => api.catalogue(),
      check: submission => api.checkRerun(job.id, toChanges(submission)),
      submit: (submission, key) => api.rerun(job.id, key, toChanges(submission))
    }
  };
}

/** The form as a job would fill it in, with what cures it. */
export function formOf(job: IJob): Partial<IForm> {
  const request = { ...job, ...job.again?.changes };
  const minutes = Math.ceil(request.time_limit_seconds / 60);
  const isNamed = request.name !== usualName(job.path, textsOf(job));
  return {
    // One that nobody gave follows the values that are chosen now.
    ...(isNamed && { name: request.name }),
    group: request.group,
    image: request.image,
    class: request.class,
    interruptible: request.interruptible,
    hours: String(Math.floor(minutes / 60)),
    minutes: String(minutes % 60)
  };
}

/** A job's values as one types them, for a notebook that may have changed since. */
export function textsOf(job: IJob): Record<string, string> {
  return Object.fromEntries(
    Object.entries(job.parameters).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value)
    ])
  );
}

function toChanges(submission: ISubmission): IChanges {
  const changes: IChanges & { path?: string } = { ...submission };
  delete changes.path;
  return changes;
}
