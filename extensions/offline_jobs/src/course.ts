/**
 * How a run goes, as it is shown: memory, cores and GPUs over time, and the time that is left. Pure: from
 * what the service answers to shapes and words.
 */

import type { IJob, ISeries } from './types';
import { coresOf, duration, isActive, size, sizeOf } from './words';

/** A chart is drawn on so many units, and stretched to its place. */
export const WIDTH = 1000;
export const HEIGHT = 100;

const MIB = 2 ** 20;
const PERCENT = 100;
const GIB = 2 ** 30;
/** Of fewer points there is nothing to be seen. */
const LEAST_POINTS = 3;
/** Where less than this part of a limit is needed, the limit is out of the picture. */
const LEAST_SHARE = 0.25;
/** Nearly all of a limit. */
const FULL_SHARE = 0.9;
/** There is some room above the highest. */
const ROOM = 1.1;
/** Ticks that are nearer to each other, in units, cannot be told apart. */
const LEAST_GAP = 6;
const MOST_TIMES = 6;

/** What one chart shows. */
export interface IChart {
  /** For those who do not see it, and above it. */
  sentence: string;
  /** A line along what is known, and the same with what is below it; '' where there is no chart. */
  line: string;
  area: string;
  /** A line across, in units from above, and what it stands for: the limit, or a round number. */
  level: { y: number; text: string; isLimit: boolean };
  /** Nearly all of the memory was needed. */
  isFull: boolean;
}

/** Of each span; null where nobody knows it. */
type Values = readonly (number | null)[];

/** A time below the charts, in percent of their width. */
export interface ITime {
  at: number;
  text: string;
}

/** Memory over time; null where nothing is known. */
export function memoryChart(job: IJob, series: ISeries | null): IChart | null {
  const limit = job.memory.limit_bytes;
  const values = (series?.memory_mib ?? []).map(each => each * MIB);
  const most = Math.max(job.memory.peak_bytes, ...values);
  if (!most) {
    return null;
  }
  const where = series ? placeOf(job, series, values) : '';
  const sentence = `Memory: at most ${sizeOf(most, limit)}${where}`;
  const unit = most < GIB ? MIB : GIB;
  const chart = draw(values, most, limit, sentence, size, unit);
  return { ...chart, isFull: limit > 0 && most > FULL_SHARE * limit };
}

/** Busy cores over time; null where nobody looked. */
export function coresChart(
  job: IJob,
  series: ISeries | null,
  cores: number | undefined
): IChart | null {
  const values = series?.cores ?? [];
  if (!series || values.length < LEAST_POINTS) {
    return null;
  }
  const most = Math.max(...values);
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const plain = (amount: number): string => amount.toFixed(1);
  const busy = cores ? coresOf(most, cores) : `${plain(most)} cores`;
  const where = placeOf(job, series, values);
  const sentence = `Cores: at most ${busy}${where}, ${plain(mean)} on average`;
  const name = (amount: number): string =>
    `${amount.toFixed(1).replace(/\.0$/, '')} ${amount === 1 ? 'core' : 'cores'}`;
  return draw(values, most, cores ?? 0, sentence, name, 1);
}

/** How busy its GPUs were, and in words their memory; null where there were none to be asked. */
export function gpusChart(
  job: IJob,
  series: ISeries | null,
  gpus: number | undefined
): IChart | null {
  const seen = series?.gpus;
  // A job of a class without one shares its machine with those that have one.
  if (!series || !seen || gpus === 0 || seen.percent.length < LEAST_POINTS) {
    return null;
  }
  const known = seen.percent.filter(each => each !== null);
  if (!known.length) {
    return null;
  }
  const most = Math.max(...known);
  const mean = known.reduce((sum, each) => sum + each, 0) / known.length;
  const name = (amount: number): string => `${Math.round(amount)} %`;
  const whose = seen.count === 1 ? 'GPU' : `${seen.count} GPUs`;
  const where = placeOf(job, series, seen.percent);
  const used = Math.max(...seen.memory_mib) * MIB;
  // Of GPUs that do not tell of it the sum is none.
  const memory = used
    ? `; at most ${sizeOf(used, seen.memory_limit_mib * MIB)} of memory`
    : '';
  const sentence =
    `${whose}: busy at most ${name(most)} of the time${where}, ` +
    `${name(mean)} on average${memory}`;
  return draw(seen.percent, most, PERCENT, sentence, name, 1);
}

function draw(
  values: Values,
  most: number,
  limit: number,
  sentence: string,
  name: (amount: number) => string,
  unit: number
): IChart {
  const isLimit = limit > 0 && most >= LEAST_SHARE * limit;
  const level = isLimit ? limit : unit * roundUp(most / unit);
  const top = Math.max(level, most) * ROOM;
  const height = (value: number): number =>
    Math.round(10 * HEIGHT * (1 - value / top)) / 10;
  const isDrawn = values.length >= LEAST_POINTS;
  const step = WIDTH / values.length;
  const x = (index: number): number => Math.round(step * index);
  const parts = (isDrawn ? partsOf(values) : []).map(({ start, known }) => {
    const steps = known.map(
      (value, index) => `V${height(value)}H${x(start + index + 1)}`
    );
    const line = `M${x(start)} ${height(known[0])}${steps.join('')}`;
    return { line, area: `${line}V${HEIGHT}H${x(start)}Z` };
  });
  return {
    sentence,
    line: parts.map(({ line }) => line).join(''),
    area: parts.map(({ area }) => area).join(''),
    level: { y: height(level), text: name(level), isLimit },
    isFull: false
  };
}

/** What is known without a gap, each with the index of its first. */
function partsOf(values: Values): { start: number; known: number[] }[] {
  const parts: { start: number; known: number[] }[] = [];
  values.forEach((value, index) => {
    if (value === null) {
      return;
    }
    if (!index || values[index - 1] === null) {
      parts.push({ start: index, known: [] });
    }
    parts[parts.length - 1].known.push(value);
  });
  return parts;
}

/** The next of 0.1, 0.2, 0.5, 1, 2, 5, 10, … */
function roundUp(amount: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(amount, 0.1)));
  return power * ([1, 2, 5].find(each => each * power >= amount) ?? 10);
}

/** When most was needed, and in which cell: ", at 4 min, in cell 7"; '' of a run without a chart. */
function placeOf(
  job: IJob,
  { every_seconds: every, first_cell_seconds: first }: ISeries,
  values: Values
): string {
  if (values.length < LEAST_POINTS) {
    return '';
  }
  const known = values.filter(each => each !== null);
  const at = (values.indexOf(Math.max(...known)) + 0.5) * every;
  const cell =
    first === null
      ? 0
      : endsOf(job, first).filter(end => end < at).length +
        (at >= first ? 1 : 0);
  const where = cell && cell <= job.cell.number ? `, in cell ${cell}` : '';
  return `, at ${duration(at)}${where}`;
}

/** When each cell ended that has, in seconds from the chart's beginning. */
function endsOf(job: IJob, first: number): number[] {
  let end = first;
  return job.cell_seconds.map(seconds => (end += seconds));
}

/** Where cells begin and end, in units from the left; where they are too near, some of them. */
export function cellTicks(job: IJob, series: ISeries | null): number[] {
  if (!series || series.first_cell_seconds === null) {
    return [];
  }
  const first = series.first_cell_seconds;
  const unit = WIDTH / spanOf(series);
  const found: number[] = [];
  for (const end of [first, ...endsOf(job, first)]) {
    const at = Math.round(end * unit);
    const last = found[found.length - 1] ?? -LEAST_GAP;
    if (at - last >= LEAST_GAP && at <= WIDTH) {
      found.push(at);
    }
  }
  return found;
}

/** How many seconds the chart shows. */
function spanOf({ every_seconds: every, memory_mib: memory }: ISeries): number {
  return every * Math.max(1, memory.length);
}

const STEPS = [
  1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400,
  21_600, 43_200, 86_400
];

/** Times below the charts, at round numbers; none where there is no chart. */
export function timesOf(series: ISeries | null): ITime[] {
  if (!series || series.memory_mib.length < LEAST_POINTS) {
    return [];
  }
  const span = spanOf(series);
  const last = STEPS[STEPS.length - 1];
  const step =
    STEPS.find(each => span / each <= MOST_TIMES) ??
    last * Math.ceil(span / last / MOST_TIMES);
  return Array.from({ length: Math.floor(span / step) + 1 }, (_, index) => ({
    at: (100 * index * step) / span,
    text: index ? duration(index * step) : '0'
  }));
}

/**
 * How much longer it will take, as earlier runs of the notebook took; '' where they cannot tell.
 *
 * @param earlier - how many seconds these took, in growing order.
 */
export function timeLeft(
  job: IJob,
  earlier: readonly number[],
  now: Date
): string {
  if (earlier.length < 2 || !isActive(job) || job.state === 'cancelling') {
    return '';
  }
  const runs = `${earlier.length} earlier runs`;
  if (!job.started) {
    return `It will run for ${spread(earlier)}, as ${runs} did.`;
  }
  if (job.attempt > 1) {
    // Nobody knows here when this one began.
    return '';
  }
  const passed = Math.max(0, (now.getTime() - Date.parse(job.started)) / 1000);
  const longer = earlier.filter(each => each > passed);
  if (!longer.length) {
    const most = duration(earlier[earlier.length - 1]);
    return `It takes longer than the ${runs}: ${most} at most.`;
  }
  const left = longer.map(each => each - passed);
  return `A${spread(left, ' left').slice(1)}, as ${runs} took.`;
}

/** "about 12 min left (10–15 min)": the median, and between what they all are. */
function spread(seconds: readonly number[], after = ''): string {
  const half = Math.floor(seconds.length / 2);
  const median =
    seconds.length % 2
      ? seconds[half]
      : (seconds[half - 1] + seconds[half]) / 2;
  const words = `about ${roughly(median)}${after}`;
  const [least, most] = [seconds[0], seconds[seconds.length - 1]].map(roughly);
  if (least === most) {
    return words;
  }
  const [number, unit, ...rest] = least.split(' ');
  const isAlike = !rest.length && /^\S+ \S+$/.test(most) && most.endsWith(unit);
  return `${words} (${isAlike ? number : least}–${most})`;
}

/** A time to be spoken of, no finer than it can be known. */
function roughly(seconds: number): string {
  const grain = seconds < 50 ? 5 : seconds < 5400 ? 60 : 600;
  return duration(Math.max(grain, grain * Math.round(seconds / grain)));
}
