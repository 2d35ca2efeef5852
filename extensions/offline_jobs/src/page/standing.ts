/**
 * How groups stand, as the service tells it, and what it comes to in words. Pure.
 */

import type { IJob } from '../types';
import { coresOf, duration, size } from '../words';
import { sumUp } from './reckoning';
import type { By, IBudget, ISum, IUse } from './reckoning';

const GIB = 2 ** 30;

export interface IAmounts {
  cores: number;
  memory_bytes: number;
  gpus: number;
}

/** What a group has now, or a person or a class of it. */
export interface IPart {
  key: string;
  name: string;
  running: number;
  waiting: number;
  /** Since when the first of these waits. */
  waiting_since: string | null;
  sessions: number;
  by_jobs: IAmounts;
  by_sessions: IAmounts;
}

export interface IQueue {
  group: string;
  name: string;
  /** Null of a group that the catalogue has no more. */
  weight: number | null;
  /** What its jobs may have at most; null where nothing but the machine bounds them. */
  limits: IAmounts | null;
  /** Null where none is written. */
  budget: IBudget | null;
  all: IPart;
  people: IPart[];
  classes: IPart[];
}

export interface IStanding {
  /** How many jobs run at once on one machine, whatever their group; null in a cluster. */
  slots: number | null;
  /** The weights of all groups together. */
  weights: number;
  queues: IQueue[];
}

export interface IOpenSession {
  id: string;
  user: string;
  group: string;
  group_name: string;
  image: string;
  image_name: string;
  class: string;
  class_name: string;
  state: 'starting' | 'running';
  since: string;
  running_since: string | null;
  ends_at: string | null;
  cost: number | null;
  currency: string | null;
}

/** How jobs of a person in a group ended this month. */
export interface IOutcome {
  group: string;
  user: string;
  succeeded: number;
  failed: number;
  cancelled: number;
}

/** A job that waits. */
export interface IWaiter extends IJob {
  /** In line, from 1; null where it has none, or none is known now. */
  place: number | null;
  waiting_since: string;
}

/** Who is next in a group, as far as it is known. */
export interface ILineOfJobs {
  /** How many wait, be they among those or not. */
  waiting: number;
  jobs: IWaiter[];
}

/** What somebody, or a class, has now beside what it used in the month. */
export interface ILine {
  key: string;
  name: string;
  /** Null where it has nothing now. */
  now: IPart | null;
  /** Null where it used nothing in the month. */
  month: ISum | null;
  /** Null where no job of it ended, and of classes. */
  outcome: IOutcome | null;
}

/** An amount beside its limit: words, and how much of the limit it is, where there is one. */
export interface IGauge {
  words: string;
  /** 0 to 1; null without a limit. */
  share: number | null;
}

export type Kind = keyof IAmounts;

/** How much of a kind is used, of how much of it there may be. */
export function gauge(
  kind: Kind,
  used: IAmounts,
  limits: IAmounts | null
): IGauge {
  const [part, whole] = [used[kind], limits?.[kind] ?? 0];
  if (!whole && !part) {
    return {
      words: kind === 'gpus' || limits ? 'none' : zero(kind),
      share: null
    };
  }
  return {
    words: whole ? ofWhole(kind, part, whole) : alone(kind, part),
    share: whole ? Math.min(1, part / whole) : null
  };
}

function zero(kind: Kind): string {
  return kind === 'cores' ? '0 cores' : '0 GiB';
}

function ofWhole(kind: Kind, part: number, whole: number): string {
  if (kind === 'memory_bytes') {
    const gib = (bytes: number): string =>
      (bytes / GIB).toLocaleString('en', { maximumFractionDigits: 1 });
    return `${gib(part)} of ${gib(whole)} GiB`;
  }
  if (kind === 'gpus') {
    return `${part} of ${whole} ${whole === 1 ? 'GPU' : 'GPUs'}`;
  }
  return part ? coresOf(part, whole) : `0 of ${alone(kind, whole)}`;
}

function alone(kind: Kind, part: number): string {
  if (kind === 'memory_bytes') {
    return size(part);
  }
  const [one, many] = kind === 'gpus' ? ['GPU', 'GPUs'] : ['core', 'cores'];
  const figure = part.toFixed(1).replace(/\.0$/, '');
  return `${figure} ${part === 1 ? one : many}`;
}

/** For how long the first of them has waited: "the first for 41 min"; '' where none waits. */
export function waitingWords(part: IPart, now: Date): string {
  if (!part.waiting || !part.waiting_since) {
    return '';
  }
  const words = waitedWords(part.waiting_since, now);
  return `${part.waiting === 1 ? 'for' : 'the first for'} ${words}`;
}

/** For how long something has waited. */
export function waitedWords(since: string, now: Date): string {
  const passed = now.getTime() - Date.parse(since);
  return duration(Math.max(0, Math.floor(passed / 1000)));
}

/** What the order of a line means. */
export function lineWords(slots: number | null): string {
  return slots === null
    ? 'In the order in which they are tried now: the people of the group take turns, so it may change when somebody else submits. A small job may start before a larger one for which there is no room yet. What waits for a machine, or was not looked at yet, has no place.'
    : 'In the order in which they will be tried: as they were submitted, whatever their group. Jobs of other groups may stand between these.';
}

/** People or classes: what they have now and used in the month, who used most first. */
export function lines(
  parts: readonly IPart[],
  uses: readonly IUse[],
  by: Extract<By, 'user' | 'class'>,
  nameOf: (key: string) => string,
  outcomes: readonly IOutcome[] = []
): ILine[] {
  const now = new Map(parts.map(part => [part.key, part]));
  const used = new Map(sumUp(uses, by).map(sum => [sum.key, sum]));
  const ended = new Map(outcomes.map(one => [one.user, one]));
  const keys = new Set([...used.keys(), ...now.keys(), ...ended.keys()]);
  return [...keys].map(key => ({
    key,
    name: now.get(key)?.name ?? nameOf(key),
    now: now.get(key) ?? null,
    month: used.get(key) ?? null,
    outcome: ended.get(key) ?? null
  }));
}

/** How many jobs ended, and how many of them failed: ["41 jobs", "6 failed"]; '' where none did. */
export function outcomeWords({
  succeeded,
  failed,
  cancelled
}: IOutcome): [string, string] {
  const all = succeeded + failed + cancelled;
  return [
    `${all.toLocaleString('en')} ${all === 1 ? 'job' : 'jobs'}`,
    failed ? `${failed.toLocaleString('en')} failed` : ''
  ];
}

/** What fits a person's name or a part of it, whatever its case. */
export function ofPerson<T>(
  all: readonly T[],
  said: string,
  personOf: (one: T) => string
): T[] {
  const part = said.trim().toLowerCase();
  return all.filter(one => personOf(one).toLowerCase().includes(part));
}

/** What groups and classes that have something are called, by their slugs. */
export function namesIn(queues: readonly IQueue[]): Record<string, string> {
  return Object.fromEntries(
    queues.flatMap(queue => [
      [`groups ${queue.group}`, queue.name],
      ...queue.classes.map(({ key, name }) => [`classes ${key}`, name])
    ])
  ) as Record<string, string>;
}

/** How many of all queues' parts there are: jobs that run, that wait, sessions. */
export function countAll(
  queues: readonly IQueue[]
): Record<'running' | 'waiting' | 'sessions', number> {
  const sum = (key: 'running' | 'waiting' | 'sessions'): number =>
    queues.reduce((all, queue) => all + queue.all[key], 0);
  return {
    running: sum('running'),
    waiting: sum('waiting'),
    sessions: sum('sessions')
  };
}
