/**
 * Below the queues: sessions that are open, or jobs that run or wait, of the groups that are shown.
 */

import type { IJob } from '../types';
import type { NameOf } from '../view';
import { duration, elapsed, moment, price, stateWord, UNDER } from '../words';
import {
  byId,
  make,
  makeCancelButton,
  makeLabel,
  partOf,
  setText,
  showTime
} from './parts';
import { bidi } from './queues';
import { BASE, HUB, mayAdminister, mayEnd, ME, now } from './service';
import { ofPerson } from './standing';
import type { IOpenSession } from './standing';

export const SHOWN = ['sessions', 'jobs'] as const;
export type Shown = (typeof SHOWN)[number];

/** What there is to be shown. */
export interface IWork {
  sessions: readonly IOpenSession[];
  jobs: readonly IJob[];
  /** What a group or a class is called. */
  called: NameOf;
  /** How many jobs run or wait, be they all among those or not. */
  allJobs: number;
}

/** What of it. */
export interface ILook {
  show: Shown;
  person: string;
  /** Whether all that is shown is of one group. */
  isOne: boolean;
}

/** Draw sessions or jobs; `changed`: a job is another now. */
export function drawWork(work: IWork, look: ILook, changed: () => void): void {
  const { show, person, isOne } = look;
  const isSessions = show === 'sessions';
  const sessions = ofPerson(work.sessions, person, one => one.user);
  const jobs = ofPerson(work.jobs, person, one => one.owner);
  const count = isSessions ? sessions.length : jobs.length;
  byId('work').classList.toggle('one', isOne);
  showTable('sessions', isSessions && count > 0, () =>
    sessions.map(makeSession)
  );
  showTable('open-jobs', !isSessions && count > 0, () =>
    jobs.map(job => makeJob(job, work.called, changed))
  );
  const all = isSessions ? work.sessions.length : work.allJobs;
  setText(byId('nobody'), say(look, count, all, work.jobs.length));
}

/** What is said below: why there is nothing, or that there is more. */
function say(
  { show, person }: ILook,
  count: number,
  all: number,
  known: number
): string {
  if (!all) {
    return show === 'sessions'
      ? 'Nobody has a session open.'
      : 'No job runs or waits.';
  }
  if (show === 'jobs' && known < all) {
    return `Of ${all.toLocaleString('en')} jobs the newest ${known.toLocaleString('en')} are looked at here; the list of all jobs finds each.`;
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

function makeJob(
  job: IJob,
  called: NameOf,
  changed: () => void
): HTMLTableRowElement {
  const row = make('tr', undefined, { 'data-job': job.id });
  const name = named('td', job.name, 'c-name');
  const link = make('a', undefined, {
    href: `${BASE}jobs/${job.id}`,
    class: 'name',
    title: job.name
  });
  link.append(...name.childNodes);
  name.append(link);
  const took = make('td', undefined, { class: 'num' });
  showTime(took, job, one => elapsed(one, now()));
  const end = make('td', undefined, { class: 'c-do' });
  if (job.state !== 'cancelling' && mayEnd(job)) {
    end.append(makeCancelButton(job, changed));
  }
  const why = named('td', job.sentence, 'c-why');
  why.prepend(make('span', `${stateWord(job.state)}. `, { class: 'hidden' }));
  row.append(
    named('th', job.owner),
    name,
    why,
    named('td', called('classes', job.class)),
    named('td', called('groups', job.group), 'c-group'),
    took,
    end
  );
  return row;
}

function told(text: string, label: string): HTMLTableCellElement {
  const cell = make('td', text, { class: 'num' });
  cell.append(makeLabel(label));
  return cell;
}

function named<K extends 'th' | 'td'>(
  tag: K,
  text: string,
  kind = ''
): HTMLElementTagNameMap[K] {
  const cell = make(tag, undefined, {
    title: text,
    ...(kind ? { class: kind } : {}),
    ...(tag === 'th' ? { scope: 'row' } : {})
  });
  cell.append(bidi(text));
  return cell;
}
