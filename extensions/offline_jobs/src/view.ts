/**
 * The picture of a job: what is shown of it, by the panel in Lab and by the page of the hub alike.
 *
 * Pure: from a job as the service answers it to texts and bars. Who draws them decides where they
 * stand and what they look like.
 */

import type { IAdvice, IInstanceClass, IJob, IRunRecord } from './types';
import {
  coresOf,
  cost,
  UNDER,
  duration,
  isActive,
  moment,
  size,
  sizeOf
} from './words';

/** The catalogue's name of an image, class or group; its slug where it is not known. */
export type NameOf = (
  kind: 'images' | 'classes' | 'groups',
  slug: string
) => string;

/** A line about how a job was run. */
export interface IDetail {
  /** What the line is about: by it a caller finds the line that it adds to. */
  key: string;
  term: string;
  text: string;
}

/** One cell's bar; `height` is in percent of the longest. */
export interface ICellBar {
  kind: 'done' | 'now' | 'bad' | 'stopped' | 'none';
  height: number;
  title: string;
  /** How long it took, or has until now; null where nobody can say. */
  seconds: number | null;
}

/** Of more cells than these no bar could be seen. */
const MOST_BARS = 2000;
const HOUR_SECONDS = 3600;

/**
 * How the job was asked for and run, line by line.
 *
 * @param machine - the job's class, where it can still be had: it has the price.
 */
export function details(
  job: IJob,
  record: IRunRecord['record'] | null,
  nameOf: NameOf,
  now: Date,
  machine?: IInstanceClass
): IDetail[] {
  const given = Object.entries(job.parameters).map(
    ([name, value]) => `${name} = ${JSON.stringify(value)}`
  );
  const own = Object.entries(record?.notebook_parameters ?? {})
    .filter(([, source]) => source)
    .map(([name, source]) => `${name} = ${source}`);
  const isOver = !isActive(job);
  const fromHome = job.kernel.source === 'home' ? ' (from the home)' : '';
  const lines: [string, string, string | false | null][] = [
    ['given', 'Parameters', given.join(', ')],
    [
      'own',
      given.length ? 'As in the notebook' : 'Parameters, as in the notebook',
      own.join(', ')
    ],
    ['path', 'Notebook', job.path],
    ['image', 'Image', nameOf('images', job.image)],
    ['kernel', 'Kernel', `${job.kernel.name}${fromHome}`],
    ['class', 'Machine', nameOf('classes', job.class)],
    ['spot', 'Spot machine', job.interruptible && 'may be taken away'],
    ['memory', 'Memory', memoryText(job)],
    ['processor', 'Processor', record && processorText(record, machine)],
    ['waited', 'Waited', job.started && waited(job, job.started)],
    ['limit', 'Time limit', duration(job.time_limit_seconds)],
    ['cost', 'Cost', costText(job, now, machine)],
    ['group', 'Charged to', nameOf('groups', job.group)],
    ['try', 'Try', job.attempt > 1 && String(job.attempt)],
    ['created', 'Submitted', moment(job.created, now)],
    ['rerun', 'Runs again', job.rerun_of],
    [
      'output',
      isOver ? 'In your home' : 'Will be in your home',
      (!isOver || job.started || job.has_result) && job.output_path
    ],
    ['id', 'Job', job.id]
  ];
  return lines.flatMap(([key, term, text]) =>
    text ? [{ key, term, text }] : []
  );
}

/**
 * What it has cost so far and may cost at most. Between tries nothing is paid for, but only the
 * whole time is known here.
 */
function costText(job: IJob, now: Date, machine?: IInstanceClass): string {
  const spent = (seconds: number): string =>
    cost(machine, job.interruptible, seconds);
  const most = spent(job.time_limit_seconds);
  if (!most || (!job.started && job.ended)) {
    return '';
  }
  if (!job.started) {
    return `at most ${most}`;
  }
  const until = job.ended ? Date.parse(job.ended) : now.getTime();
  const seconds = Math.max(0, (until - Date.parse(job.started)) / 1000);
  const amount = spent(seconds);
  const rough = job.attempt > 1 ? 'at most' : 'about';
  const words = amount.startsWith(UNDER) ? amount : `${rough} ${amount}`;
  if (job.ended) {
    return words;
  }
  return job.attempt > 1
    ? `${words} so far`
    : `${words} so far, at most ${most}`;
}

/** The processor in words: how many cores were busy on average; '' where nobody looked. */
function processorText(
  { cpu_seconds: busy, started, ended }: IRunRecord['record'],
  machine?: IInstanceClass
): string {
  const seconds =
    started && ended ? (Date.parse(ended) - Date.parse(started)) / 1000 : 0;
  return busy && seconds > 0 && machine
    ? `${coresOf(busy / seconds, machine.cores)} busy on average`
    : '';
}

/** The advice to take a lesser class, with what that would have cost; '' where there is none. */
export function adviceText(
  job: IJob,
  advice: IAdvice | null | undefined,
  classOf: (slug: string) => IInstanceClass | undefined
): string {
  if (!advice) {
    return '';
  }
  const seconds =
    job.started && job.ended
      ? (Date.parse(job.ended) - Date.parse(job.started)) / 1000
      : 0;
  const money = (time: number): [string, string] => [
    cost(classOf(job.class), job.interruptible, time),
    cost(classOf(advice.class), job.interruptible, time)
  ];
  const [was, would] = money(seconds);
  const [hourWas, hourWould] = money(HOUR_SECONDS);
  const spared =
    !hourWas || !hourWould
      ? ''
      : would.startsWith(UNDER) || would === was
        ? // Of some cents it says little.
          `, at ${hourWould} instead of ${hourWas} per hour`
        : `, about ${would} instead of ${was}`;
  return `${advice.sentence}${spared}.`;
}

function waited(job: IJob, started: string): string {
  return duration((Date.parse(started) - Date.parse(job.created)) / 1000);
}

/** Memory in words: what it has, of the limit, and the peak; '' where it is not known. */
function memoryText(job: IJob): string {
  const { peak_bytes: peak, limit_bytes: limit } = job.memory;
  const bytes = memoryBytes(job);
  if (!bytes && !peak) {
    return '';
  }
  const more = peak > bytes ? `, peak ${size(peak)}` : '';
  return sizeOf(bytes, limit) + more;
}

function memoryBytes(job: IJob): number {
  return isActive(job) ? job.memory.bytes : job.memory.peak_bytes;
}

/**
 * What tells runs of one notebook apart: of each job the values of parameters that are not the same
 * in all of these jobs of its notebook.
 */
export function differences(
  jobs: Iterable<IJob>
): Map<string, readonly string[]> {
  const runs = new Map<string, IJob[]>();
  for (const job of jobs) {
    const place = `${job.owner}:${job.path}`;
    const group = runs.get(place) ?? [];
    group.push(job);
    runs.set(place, group);
  }
  const found = new Map<string, readonly string[]>();
  for (const group of runs.values()) {
    const values = (name: string): Set<string> =>
      new Set(group.map(job => JSON.stringify(job.parameters[name])));
    const names = new Set(group.flatMap(job => Object.keys(job.parameters)));
    const differing = [...names].filter(name => values(name).size > 1);
    for (const job of group) {
      found.set(
        job.id,
        differing
          .filter(name => name in job.parameters)
          .map(name => `${name} = ${JSON.stringify(job.parameters[name])}`)
      );
    }
  }
  return found;
}

/** How many jobs there are in which states, in words; '' where there are none. */
export function summary(
  counts: Readonly<Partial<Record<IJob['state'], number>>>
): string {
  const count = (...states: IJob['state'][]): number =>
    states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  const parts: [number, string][] = [
    [count('running', 'cancelling'), 'running'],
    // It has its place; its machine, image or kernel has not come yet.
    [count('starting'), 'starting'],
    [count('queued'), 'waiting']
  ];
  const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
  const said = parts.flatMap(([n, word]) =>
    n ? [`${n.toLocaleString('en')} ${word}`] : []
  );
  const noun = all === 1 ? 'job' : 'jobs';
  return all
    ? [...said, `${all.toLocaleString('en')} ${noun}`].join(' · ')
    : '';
}

/** Percent of the memory limit that is or was needed; null where it is not known. */
export function memoryShare(job: IJob): number | null {
  const limit = job.memory.limit_bytes;
  return limit ? Math.min(100, (100 * memoryBytes(job)) / limit) : null;
}

/** Percent of the cells that are done, the running one counting half; null before they are counted. */
export function progress(job: IJob): number | null {
  const { number, total } = job.cell;
  if (!total) {
    return null;
  }
  const done =
    job.state === 'succeeded'
      ? total
      : job.state === 'running'
        ? number - 0.5
        : number;
  return Math.max(0, Math.min(100, (100 * done) / total));
}

/** A bar for each cell, as high as it took long. */
export function cellBars(job: IJob, now: Date): ICellBar[] {
  const seconds = job.cell_seconds;
  const open = secondsOfOpenCell(job, now);
  const longest = Math.max(...seconds, open ?? 0, 0.001);
  return Array.from(
    { length: Math.min(job.cell.total, MOST_BARS) },
    (_, index) => {
      const isDone = index < seconds.length;
      const mark = index + 1 === job.cell.number ? markOf(job) : null;
      const unknown = open ?? longest;
      const took = isDone ? seconds[index] : mark ? unknown : 0;
      return {
        kind: mark ?? (isDone ? 'done' : 'none'),
        height: Math.max(8, (100 * took) / longest),
        title: isDone ? `cell ${index + 1}: ${duration(seconds[index])}` : '',
        seconds: isDone ? seconds[index] : mark ? open : null
      };
    }
  );
}

/**
 * About how long the cell that is at work has taken, or had when the job ended; null where nobody
 * can say: in another try the time before it counts too.
 */
function secondsOfOpenCell(job: IJob, now: Date): number | null {
  const isNext = job.cell_seconds.length === job.cell.number - 1;
  if (!job.started || job.attempt > 1 || !isNext) {
    return null;
  }
  const until = job.ended ? Date.parse(job.ended) : now.getTime();
  const done = job.cell_seconds.reduce((sum, each) => sum + each, 0);
  return Math.max(0, (until - Date.parse(job.started)) / 1000 - done);
}

/** One cell in a list of them. */
export interface ICellLine {
  kind: ICellBar['kind'];
  number: number;
  /** Its first line; '' where it is not known. */
  line: string;
  time: string;
  /** Percent of the longest time. */
  share: number;
  /** What became of it. */
  how: string;
}

const CELL_WORDS: Readonly<Record<ICellBar['kind'], string>> = {
  done: 'done',
  now: 'running',
  bad: 'failed',
  stopped: 'cancelled',
  none: 'not run'
};

/** The cells one by one; `lines` are the first of each. */
export function cellLines(
  job: IJob,
  bars: readonly ICellBar[],
  lines: readonly string[]
): ICellLine[] {
  // Of another notebook than the runner has they would be another's.
  const known = lines.length === job.cell.total ? lines : [];
  const longest = Math.max(...bars.map(bar => bar.seconds ?? 0), 0.001);
  return bars.map(({ kind, seconds }, index) => ({
    kind,
    number: index + 1,
    line: known[index] ?? '',
    time: seconds === null ? '' : duration(seconds),
    share: (100 * (seconds ?? 0)) / longest,
    how: CELL_WORDS[kind]
  }));
}

function markOf(job: IJob): 'now' | 'bad' | 'stopped' | null {
  if (isActive(job)) {
    return 'now';
  }
  // Whoever cancelled it made no mistake.
  return job.state === 'failed'
    ? 'bad'
    : job.state === 'cancelled'
      ? 'stopped'
      : null;
}

function endedBadly(job: IJob): boolean {
  return job.state === 'failed' || job.state === 'cancelled';
}

/** How many cells are done, at work and left, in words. */
export function describeCells(job: IJob): string {
  const { number: at, total } = job.cell;
  const bad = endedBadly(job);
  const timed = job.cell_seconds.length;
  const finished = bad && timed >= at ? at - 1 : Math.min(timed, total);
  const how = job.state === 'failed' ? 'failed' : 'was cancelled';
  const open = bad
    ? `, cell ${at} ${how}`
    : at && isActive(job)
      ? `, cell ${at} is running`
      : '';
  const left = total - finished - (open ? 1 : 0);
  return `${total} ${total === 1 ? 'cell' : 'cells'}: ${finished} done${open}${left > 0 ? `, ${left} not run` : ''}`;
}

/** What the bars' height means; '' before a cell has ended. */
export function describeScale(job: IJob): string {
  return job.cell_seconds.length
    ? `height: time per cell (longest ${duration(Math.max(...job.cell_seconds))})`
    : '';
}
