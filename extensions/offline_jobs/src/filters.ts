/**
 * Which jobs the list shows: as its address says it, and as the service is asked for it. Pure.
 *
 * An address is anybody's text. What is wrong in it is told in words and narrows nothing.
 */

import type { IJob, JobState } from './types';
import { STATES } from './words';

/** What narrows the list; '' does not. */
export interface IFilters {
  q: string;
  state: JobState | '';
  /** '': one's own jobs; `*`: everybody's. */
  user: string;
  group: string;
  class: string;
  image: string;
  /** Days, as `2026-11-24`; both are shown. */
  from: string;
  until: string;
}

export const NOTHING: Readonly<IFilters> = {
  q: '',
  state: '',
  user: '',
  group: '',
  class: '',
  image: '',
  from: '',
  until: ''
};

type Key = keyof IFilters;
const KEYS = Object.keys(NOTHING) as readonly Key[];
export const LONGEST_SEARCH = 200;
/** As many letters as the service takes. */
const LONGEST: Readonly<Partial<Record<Key, number>>> = {
  q: LONGEST_SEARCH,
  user: 255,
  group: 100,
  class: 100,
  image: 100
};

/** The parts of the list, and the states of their jobs. */
export const STAGES = {
  running: ['starting', 'running', 'cancelling'],
  waiting: ['queued'],
  ended: ['succeeded', 'failed', 'cancelled']
} as const satisfies Record<string, readonly JobState[]>;
export type Stage = keyof typeof STAGES;
export const STAGE_NAMES = Object.keys(STAGES) as readonly Stage[];

/** How many jobs there are in each state, as the service counted. */
export type Counts = Readonly<Partial<Record<JobState, number>>>;

/** The part of the list that a job of this state stands in. */
export function stageOf(state: JobState): Stage {
  const has = (stage: Stage): boolean =>
    (STAGES[stage] as readonly JobState[]).includes(state);
  // One that a newer service has is shown where something still happens.
  return STAGE_NAMES.find(has) ?? 'running';
}

/** The states of a part that the filters leave; none: the part is not shown. */
export function statesOf(stage: Stage, filters: IFilters): JobState[] {
  return STAGES[stage].filter(
    state => !filters.state || state === filters.state
  );
}

/** How many jobs of these states there are. */
export function countOf(states: readonly JobState[], counts: Counts): number {
  return states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
}

/** What an address asks for, and what in it could not be heeded. */
export function parseFilters(search: string): {
  filters: IFilters;
  problems: string[];
} {
  const said = new URLSearchParams(search);
  const filters: IFilters = { ...NOTHING };
  const problems: string[] = [];
  const take = (key: Key, value: string): void => {
    Object.assign(filters, { [key]: value });
  };
  for (const key of KEYS) {
    const value = (said.get(key) ?? '').trim();
    const problem = value && findProblem(key, value);
    if (problem) {
      problems.push(problem);
    } else {
      take(key, value);
    }
  }
  if (filters.from && filters.until && filters.from > filters.until) {
    problems.push(
      `No day is from ${filters.from} and until ${filters.until}: the list is not narrowed by days.`
    );
    filters.from = filters.until = '';
  }
  return { filters, problems };
}

function findProblem(key: Key, value: string): string {
  if (key === 'state' && !STATES.includes(value as JobState)) {
    return `There is no state “${short(value)}”: jobs in every state are shown.`;
  }
  if ((key === 'from' || key === 'until') && !dayOf(value)) {
    return `“${short(value)}” is no day: give it as 2026-11-24. The list is not narrowed by it.`;
  }
  return value.length > (LONGEST[key] ?? Infinity)
    ? `“${short(value)}” is too long to look for: the list is not narrowed by it.`
    : '';
}

function short(text: string): string {
  const letters = [...text];
  return letters.length > 40 ? `${letters.slice(0, 40).join('')}…` : text;
}

/** The address of a list, behind its path: '' where nothing narrows it. */
export function formatFilters(filters: IFilters): string {
  const said = new URLSearchParams(
    KEYS.flatMap(key => (filters[key] ? [[key, filters[key]]] : []))
  ).toString();
  return said ? `?${said}` : '';
}

/** Whose jobs, as the service is asked for a list or its news. */
export function whoseOf(filters: IFilters, me: string): [string, string][] {
  const { user, group } = filters;
  // A group alone means everybody's jobs in it, which only its leads may see.
  const owner = user || (group ? me : '');
  return [
    ...(owner ? [['user', owner] as [string, string]] : []),
    ...(group ? [['group', group] as [string, string]] : [])
  ];
}

/** What the service is asked for. */
export function queryOf(
  filters: IFilters,
  me: string,
  extra: Record<string, string> = {}
): string {
  const { q, state, from, until } = filters;
  const rest: Record<string, string> = {
    q,
    state,
    class: filters.class,
    image: filters.image,
    since: from && momentOf(from, 0),
    until: until && momentOf(until, 1),
    ...extra
  };
  return new URLSearchParams([
    ...whoseOf(filters, me),
    ...Object.entries(rest).filter(([, value]) => value)
  ]).toString();
}

/**
 * What a field offers: what the catalogue has, and whatever else is shown or chosen already.
 *
 * @returns slugs and names; of fewer than two there is no choice.
 */
export function offer(
  key: 'group' | 'class' | 'image',
  catalogue: readonly { slug: string; name: string }[],
  jobs: Iterable<IJob>,
  chosen: string
): [string, string][] {
  const names = new Map(catalogue.map(one => [one.slug, one.name]));
  for (const slug of [...[...jobs].map(job => job[key]), chosen]) {
    if (slug && !names.has(slug)) {
      names.set(slug, slug);
    }
  }
  return [...names];
}

/** Whether fewer jobs are shown than of these people there are. */
export function isNarrowed(filters: IFilters, isAdmin: boolean): boolean {
  return formatFilters(filters) !== formatFilters(cleared(filters, isAdmin));
}

/** The same people's jobs, all of them. */
export function cleared(filters: IFilters, isAdmin: boolean): IFilters {
  if (!filters.user) {
    return { ...NOTHING };
  }
  // Who is no administrator sees others' jobs in a group alone.
  const group = isAdmin ? '' : filters.group;
  return { ...NOTHING, user: '*', group };
}

/** A day as numbers; null where there is no such day. */
function dayOf(text: string): [number, number, number] | null {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!found || found[1] < '1970') {
    return null;
  }
  const [year, month, day] = found.slice(1).map(Number);
  const date = new Date(year, month - 1, day);
  return date.getMonth() === month - 1 && date.getDate() === day
    ? [year, month, day]
    : null;
}

/** When a day begins where the reader is, or one so many days later. */
function momentOf(text: string, later: number): string {
  const [year, month, day] = dayOf(text) ?? [1970, 1, 1];
  return new Date(year, month - 1, day + later).toISOString();
}
