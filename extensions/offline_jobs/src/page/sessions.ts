/**
 * Below the queues: sessions that are open, or jobs that run or wait, of the groups that are shown;
 * of one group also who is next.
 */

import type { IJob } from '../types';
import type { NameOf } from '../view';
import { duration, moment, price, UNDER } from '../words';
import { makeJob, makeWaiter, named, told } from './openJobs';
import { byId, make, makeLabel, partOf, setText } from './parts';
import { HUB, mayAdminister, ME, now } from './service';
import { ofPerson } from './standing';
import type { ILineOfJobs, IOpenSession } from './standing';

export const SHOWN = ['sessions', 'jobs', 'line'] as const;
export type Shown = (typeof SHOWN)[number];

/** What there is to be shown. */
export interface IWork {
  sessions: readonly IOpenSession[];
  jobs: readonly IJob[];
  /** What a group or a class is called. */
  called: NameOf;
  /** How many jobs run or wait, be they all among those or not. */
  allJobs: number;
  /** Of one group. */
  line: ILineOfJobs | null;
}

/** What of it. */
export interface ILook {
  show: Shown;
  person: string;
  /** Whether all that is shown is of one group. */
  isOne: boolean;
}

/** Draw sessions, jobs or the line; `changed`: a job is another now. */
export function drawWork(work: IWork, look: ILook, changed: () => void): void {
  const { show, person, isOne } = look;
  const sessions = ofPerson(work.sessions, person, one => one.user);
  const jobs = ofPerson(work.jobs, person, one => one.owner);
  const line = ofPerson(work.line?.jobs ?? [], person, one => one.owner);
  const count = { sessions, jobs, line }[show].length;
  byId('work').classList.toggle('one', isOne);
  showTable('sessions', show === 'sessions' && count > 0, () =>
    sessions.map(makeSession)
  );
  showTable('open-jobs', show === 'jobs' && count > 0, () =>
    jobs.map(job => makeJob(job, work.called, changed))
  );
  const isLine = show === 'line' && count > 0;
  showTable('line', isLine, () =>
    line.map(job => makeWaiter(job, work.called, changed))
  );
  byId('line-about').hidden = !isLine;
  const all = countWork(work)[show];
  const known = {
    sessions: all,
    jobs: work.jobs.length,
    line: work.line?.jobs.length ?? 0
  }[show];
  setText(byId('nobody'), say(look, count, all, known));
}

/** How many of each there are. */
export function countWork(work: IWork): Record<Shown, number> {
  return {
    sessions: work.sessions.length,
    jobs: work.allJobs,
    line: work.line?.waiting ?? 0
  };
}

const NONE: Record<Shown, string> = {
  sessions: 'Nobody has a session open.',
  jobs: 'No job runs or waits.',
  line: 'No job waits.'
};

/** What is said below: why there is nothing, or that there is more. */
function say(
  { show, person }: ILook,
  count: number,
  all: number,
  known: number
): string {
  if (!all) {
    return NONE[show];
  }
  if (known < all) {
    const which = show === 'jobs' ? 'newest' : 'first';
    return `Of ${all.toLocaleString('en')} jobs the ${which} ${known.toLocaleString('en')} are looked at here; the list of all jobs finds each.`;
  }
  if (count < all) {
    const what = show === 'sessions' ? 'sessions' : 'jobs';
    return `${count} of ${all} ${what} are of people called “${person.trim()}”.`;
  }
  return '';
}

function showTable(
  id: string,
  isShown: boolean,
  makeRows: () => HTMLTableRowElement[]
): void {
  const table = byId(id);
  table.hidden = !isShown;
  partOf(table, 'tbody').replaceChildren(...(isShown ? makeRows() : []));
}

function makeSession(session: IOpenSession): HTMLTableRowElement {
  const row = make('tr', undefined, { 'data-session': session.id });
  const isStarting = session.running_since === null;
  const open = make('td', sinceWords(session), { class: 'num' });
  open.title = new Date(
    session.running_since ?? session.since
  ).toLocaleString();
  open.append(
    isStarting
      ? make('small', ' starting', { class: 'quiet' })
      : makeLabel('open')
  );
  row.append(
    named('th', session.user),
    named('td', session.image_name),
    named('td', session.class_name),
    named('td', session.group_name, 'c-group'),
    open,
    session.ends_at
      ? told(moment(session.ends_at, now()), 'at the latest')
      : make('td', '–', { class: 'num zero' }),
    told(costWords(session), 'so far'),
    makeWay(session)
  );
  return row;
}

function sinceWords({ since, running_since }: IOpenSession): string {
  const from = Date.parse(running_since ?? since);
  const minute = 60;
  const seconds = Math.max(0, (now().getTime() - from) / 1000);
  return seconds < minute
    ? 'under 1 min'
    : duration(Math.floor(seconds / minute) * minute);
}

function costWords({ cost, currency }: IOpenSession): string {
  const cent = 0.01;
  if (cost === null) {
    return '–';
  }
  return cost > 0 && cost < cent
    ? `${UNDER} ${price(cent, currency)}`
    : price(cost, currency);
}

/** The way to what this person may do with a session; none where that is nothing. */
function makeWay(session: IOpenSession): HTMLTableCellElement {
  const cell = make('td', undefined, { class: 'c-do' });
  if (session.user === ME) {
    cell.append(makeLink(`${HUB}hub/home`, 'Open or stop…', 'your session'));
  } else if (mayAdminister) {
    const name = encodeURIComponent(session.user);
    const href = `${HUB}hub/admin?name_filter=${name}`;
    cell.append(makeLink(href, 'Stop…', `session of ${session.user}`));
  }
  return cell;
}

function makeLink(href: string, text: string, of: string): HTMLElement {
  return make('a', text, {
    class: 'btn small',
    href,
    'aria-label': `${text} ${of}`
  });
}
