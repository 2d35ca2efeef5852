/**
 * Rows of jobs that run or wait, on the page of groups.
 */

import type { IJob } from '../types';
import type { NameOf } from '../view';
import { elapsed, stateWord } from '../words';
import { make, makeCancelButton, makeLabel, showTime } from './parts';
import { bidi } from './queues';
import { BASE, mayEnd, now } from './service';
import { waitedWords } from './standing';
import type { IWaiter } from './standing';

/** A job that runs or waits; `changed`: it is another now. */
export function makeJob(
  job: IJob,
  called: NameOf,
  changed: () => void
): HTMLTableRowElement {
  const row = make('tr', undefined, { 'data-job': job.id });
  const took = make('td', undefined, { class: 'num' });
  showTime(took, job, one => elapsed(one, now()));
  const why = named('td', job.sentence, 'c-why');
  why.prepend(make('span', `${stateWord(job.state)}. `, { class: 'hidden' }));
  row.append(
    named('th', job.owner),
    makeName(job),
    why,
    named('td', called('classes', job.class)),
    named('td', called('groups', job.group), 'c-group'),
    took,
    makeEnd(job, changed)
  );
  return row;
}

/** A job in line. */
export function makeWaiter(
  job: IWaiter,
  called: NameOf,
  changed: () => void
): HTMLTableRowElement {
  const row = make('tr', undefined, { 'data-job': job.id });
  const place = make('td', job.place === null ? '–' : String(job.place), {
    class: job.place === null ? 'c-place zero' : 'c-place'
  });
  const waits = told(waitedWords(job.waiting_since, now()), 'waiting');
  waits.classList.add('c-waits');
  row.append(
    place,
    named('th', job.owner),
    makeName(job),
    named('td', job.sentence, 'c-why'),
    named('td', called('classes', job.class)),
    waits,
    makeEnd(job, changed)
  );
  return row;
}

function makeName(job: IJob): HTMLTableCellElement {
  const name = named('td', job.name, 'c-name');
  const link = make('a', undefined, {
    href: `${BASE}jobs/${job.id}`,
    class: 'name',
    title: job.name
  });
  link.append(...name.childNodes);
  name.append(link);
  return name;
}

/** The way to its end, for who may go it. */
function makeEnd(job: IJob, changed: () => void): HTMLTableCellElement {
  const end = make('td', undefined, { class: 'c-do' });
  if (job.state !== 'cancelling' && mayEnd(job)) {
    end.append(makeCancelButton(job, changed));
  }
  return end;
}

export function told(text: string, label: string): HTMLTableCellElement {
  const cell = make('td', text, { class: 'num' });
  cell.append(makeLabel(label));
  return cell;
}

export function named<K extends 'th' | 'td'>(
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
