/**
 * Words and numbers of a job as people read them. Pure; sentences come from the service.
 */

import type { ReadonlyJSONValue } from '@lumino/coreutils';

import type { IJob, ISession, JobState } from './types';

const STATE_WORDS: Readonly<Record<JobState, string>> = {
  queued: 'Waiting',
  starting: 'Starting',
  running: 'Running',
  cancelling: 'Cancelling',
  succeeded: 'Done',
  failed: 'Failed',
  cancelled: 'Cancelled'
};

const ENDED: ReadonlySet<JobState> = new Set([
  'succeeded',
  'failed',
  'cancelled'
]);

/** The state in one word; one that a newer service has is shown as it is. */
export function stateWord(state: JobState): string {
  return STATE_WORDS[state] ?? state;
}

/** Whether the job can still change. */
export function isActive(job: IJob): boolean {
  return !ENDED.has(job.state);
}

/** Seconds in words: "25 s", "4 min", "1 h 5 min". */
export function duration(seconds: number): string {
  if (seconds > 0 && seconds < 0.95) {
    return seconds < 0.05 ? 'under 0.1 s' : `${seconds.toFixed(1)} s`;
  }
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) {
    return `${whole} s`;
  }
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    return minutes < 10 && whole % 60
      ? `${minutes} min ${whole % 60} s`
      : `${minutes} min`;
  }
  const rest = minutes % 60;
  return rest
    ? `${Math.floor(minutes / 60)} h ${rest} min`
    : `${minutes / 60} h`;
}

/** A size in binary units: "3.9 GiB". */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = value < 10 && unit > 0 ? 1 : 0;
  return `${Number(value.toFixed(digits))} ${units[unit]}`;
}

/** An amount of money: "$0.10"; without a known currency the number alone. */
export function price(amount: number, currency: string | null): string {
  return currency
    ? amount.toLocaleString([], {
        style: 'currency',
        currency,
        currencyDisplay: 'narrowSymbol'
      })
    : amount.toFixed(2);
}

/** How long it runs or ran; while it waits, how long it has waited. */
export function elapsed(job: IJob, now: Date): string {
  const from = Date.parse(job.started ?? job.created);
  const to = job.ended ? Date.parse(job.ended) : now.getTime();
  return duration((to - from) / 1000);
}

/** When, short: the time today, else the day too. */
export function moment(time: string, now: Date): string {
  const date = new Date(time);
  const clock = date.toLocaleTimeString([], {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23'
  });
  return date.toDateString() === now.toDateString()
    ? clock
    : `${date.toLocaleDateString([], { day: 'numeric', month: 'short' })} ${clock}`;
}

/** A parameter's value on one line. */
export function valueText(value: ReadonlyJSONValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * The path by which Lab opens a file of the home; null when it is not below Lab's root folder.
 */
export function contentsPath(
  homePath: string,
  session: Pick<ISession, 'root_in_home' | 'home_in_root'>
): string | null {
  if (session.home_in_root !== null) {
    return session.home_in_root
      ? `${session.home_in_root}/${homePath}`
      : homePath;
  }
  const root = session.root_in_home;
  return root !== null && homePath.startsWith(`${root}/`)
    ? homePath.slice(root.length + 1)
    : null;
}
