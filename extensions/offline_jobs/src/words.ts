/**
 * Words and numbers of a job as people read them. Pure; sentences come from the service.
 */

import type { IInstanceClass, IJob, ISession, JobState } from './types';

/** All states, with their word. */
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

/** The states that there are. */
export const STATES = Object.keys(STATE_WORDS) as readonly JobState[];

/** The state in one word; one that a newer service has is shown as it is. */
export function stateWord(state: JobState): string {
  return STATE_WORDS[state] ?? state;
}

/** Whether the job can still change. */
export function isActive(job: IJob): boolean {
  return !ENDED.has(job.state);
}

/**
 * Seconds with two units at most: "25 s", "4 min", "1 h 5 min", "2 d 4 h"; alike the service's
 * `rules/amounts.py`.
 */
export function duration(seconds: number): string {
  if (seconds > 0 && seconds < 0.95) {
    return seconds < 0.05 ? 'under 0.1 s' : `${seconds.toFixed(1)} s`;
  }
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (minutes < 1) {
    return `${whole} s`;
  }
  if (hours < 1) {
    return pair(minutes, 'min', minutes < 10 ? whole % 60 : 0, 's');
  }
  if (hours < 48) {
    return pair(hours, 'h', minutes % 60, 'min');
  }
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(
  large: number,
  largeUnit: string,
  small: number,
  smallUnit: string
): string {
  return `${large} ${largeUnit}${small ? ` ${small} ${smallUnit}` : ''}`;
}

const UNITS: readonly (readonly [string, number])[] = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10]
];

/** A size in binary units: "3.9 GiB"; alike the service's `rules/amounts.py`. */
export function size(bytes: number): string {
  const [unit, factor] = unitOf(bytes);
  return `${decimal(bytes / factor)} ${unit}`;
}

/** A part of a whole in the whole's unit: "15.8 of 16 GiB"; without a whole, the part. */
export function sizeOf(part: number, whole: number): string {
  if (!whole) {
    return size(part);
  }
  const [unit, factor] = unitOf(whole);
  return `${decimal(part / factor)} of ${decimal(whole / factor)} ${unit}`;
}

/** Cores of a number of them: "0.6 of 4 cores"; alike the service's. */
export function coresOf(part: number, whole: number): string {
  const least = 0.1;
  const some = part < least ? `${UNDER} ${least}` : decimal(part);
  return `${some} of ${decimal(whole)} ${whole === 1 ? 'core' : 'cores'}`;
}

function unitOf(bytes: number): readonly [string, number] {
  return UNITS.find(([, factor]) => bytes >= factor) ?? ['bytes', 1];
}

function decimal(value: number): string {
  return value.toFixed(1).replace(/\.0$/, '');
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

/** How an amount begins that is less than is worth a figure. */
export const UNDER = 'under';

/** What so many seconds on a machine cost: "$0.38", "under $0.01"; '' where no price is known. */
export function cost(
  machine: IInstanceClass | undefined,
  isSpot: boolean,
  seconds: number
): string {
  const { price_per_hour, spot_price_per_hour, currency } = machine ?? {};
  const perHour = (isSpot ? spot_price_per_hour : null) ?? price_per_hour;
  if (perHour === undefined || perHour === null) {
    return '';
  }
  const amount = (perHour * seconds) / 3600;
  const cent = 0.01;
  return amount > 0 && amount < cent
    ? `${UNDER} ${price(cent, currency ?? null)}`
    : price(amount, currency ?? null);
}

/** A class in numbers; what is not known is left out. */
export function figures(machine: IInstanceClass): string {
  const { cores, memory_bytes, gpus, gpu_model, price_per_hour } = machine;
  return [
    `${cores} ${cores === 1 ? 'core' : 'cores'}`,
    size(memory_bytes),
    gpus > 0 && `${gpus} GPU ${gpu_model}`.trim(),
    price_per_hour !== null &&
      `${price(price_per_hour, machine.currency)} per hour`,
    machine.note
  ]
    .filter(Boolean)
    .join(' · ');
}

/** How long it runs or ran; while it waits, how long it has waited. */
export function elapsed(job: IJob, now: Date): string {
  const from = Date.parse(job.started ?? job.created);
  const to = job.ended ? Date.parse(job.ended) : now.getTime();
  return duration((to - from) / 1000);
}

/** When, short: the time today, with the day of the week within six days, else with the date. */
export function moment(time: string, now: Date): string {
  const date = new Date(time);
  const clock: Intl.DateTimeFormatOptions = {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23'
  };
  if (date.toDateString() === now.toDateString()) {
    return date.toLocaleTimeString([], clock);
  }
  const day: Intl.DateTimeFormatOptions =
    now.getTime() - date.getTime() < 6 * 86_400_000
      ? { weekday: 'short' }
      : { year: 'numeric', month: 'short', day: 'numeric' };
  return date.toLocaleString([], { ...day, ...clock });
}

/** The time of day, to the second; with the date where that is another one than before. */
export function clockTime(time: string, before: Date): string {
  const date = new Date(time);
  const isSameDay = date.toDateString() === before.toDateString();
  return date.toLocaleString([], {
    ...(isSameDay ? {} : { month: 'short', day: 'numeric' }),
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23'
  });
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

/** The other way: where a file of Lab lies in the home; null where it does not. */
export function homePath(
  labPath: string,
  session: Pick<ISession, 'root_in_home' | 'home_in_root'>
): string | null {
  const { home_in_root: home, root_in_home: root } = session;
  if (home !== null) {
    const prefix = home && `${home}/`;
    return labPath.startsWith(prefix) ? labPath.slice(prefix.length) : null;
  }
  return root === null ? null : `${root}/${labPath}`;
}
