/**
 * The rows of the list: a part for each stage, in each the newest first, and what they show of a job.
 */

import type { IJob } from '../types';
import { differences } from '../view';
import { elapsed, isActive, moment } from '../words';
import { STAGE_NAMES, stageOf } from '../filters';
import type { Stage } from '../filters';
import {
  byId,
  make,
  makeCancelButton,
  makeDownloadLink,
  makeRerunButton,
  partOf,
  setBar,
  setColour,
  setState,
  setText,
  showTime
} from './parts';
import { AGAIN, BASE, mayDelete, mayEnd, ME, nameOf, now } from './service';

/** The shape that tells a state; the same in `list.html`. */
const GLYPHS: Readonly<Record<string, string>> = {
  queued: 'waiting',
  starting: 'starting',
  running: 'running',
  cancelling: 'starting',
  succeeded: 'done',
  failed: 'failed',
  cancelled: 'cancelled'
};

export interface IRowActions {
  changed: (job: IJob) => void;
  /** A job was run again, as this one. */
  begun: (fresh: IJob) => void;
}

export class Rows {
  constructor(private readonly _actions: IRowActions) {
    this._template = byId<HTMLTemplateElement>('row');
  }

  readonly jobs = new Map<string, IJob>();

  /** The jobs of a part of the list. */
  inStage(stage: Stage): IJob[] {
    return [...this.jobs.values()].filter(job => stageOf(job.state) === stage);
  }

  /** Show a job, in the part of its state; a row that is there already stays, and its focus. */
  put(job: IJob): void {
    const body = byId<HTMLTableSectionElement>(stageOf(job.state));
    let row = this._rows.get(job.id);
    if (!row) {
      const copy = this._template.content.cloneNode(true) as DocumentFragment;
      row = partOf<HTMLTableRowElement>(copy, 'tr');
      row.dataset.job = job.id;
      row.dataset.created = job.created;
      this._rows.set(job.id, row);
    }
    if (row.parentElement !== body) {
      const after = [...body.rows].find(
        other => (other.dataset.created ?? '') < job.created
      );
      body.insertBefore(row, after ?? null);
    }
    this.jobs.set(job.id, job);
    this._fill(row, job);
  }

  remove(id: string): void {
    this.jobs.delete(id);
    this._rows.get(id)?.remove();
    this._rows.delete(id);
  }

  clear(): void {
    for (const id of [...this.jobs.keys()]) {
      this.remove(id);
    }
  }

  /** Fill all rows anew: the catalogue's names have come. */
  refill(): void {
    this.jobs.forEach(job => this.put(job));
  }

  /** Small labels with what tells a run from the others of its notebook. */
  label(): void {
    for (const [id, words] of differences(this.jobs.values())) {
      const row = this._rows.get(id);
      const place = row && partOf(row, '.chips');
      if (place && place.dataset.words !== words.join('\n')) {
        place.dataset.words = words.join('\n');
        place.replaceChildren(
          ...words.map(word => make('span', word, { title: word }))
        );
      }
    }
  }

  private _fill(row: HTMLTableRowElement, job: IJob): void {
    setColour(row, job);
    const pick = partOf<HTMLInputElement>(row, '.pick');
    pick.setAttribute('aria-label', `Select ${job.name}`);
    pick.disabled = !(isActive(job) ? mayEnd(job) : mayDelete(job));
    pick.title = pick.disabled ? 'Only its owner can delete a record.' : '';
    partOf(row, '.glyph use').setAttribute(
      'href',
      `#glyph_${GLYPHS[job.state] ?? 'starting'}`
    );
    setState(partOf(row, '.state'), job);
    const link = partOf<HTMLAnchorElement>(row, '.name');
    setText(partOf(link, 'bdi'), job.name);
    link.href = `${BASE}jobs/${job.id}`;
    link.title = job.name;
    const place = job.owner === ME ? job.path : `${job.owner}: ${job.path}`;
    setCut(partOf(row, '.place'), place);
    setCut(partOf(row, '.sentence'), job.sentence);
    const isEnded = !isActive(job);
    const bar = partOf(row, '.bar');
    setBar(bar, job);
    bar.hidden ||= isEnded;
    setCut(partOf(row, '.step'), isEnded ? (job.next_step ?? '') : '');
    setCut(partOf(row, '.machine'), nameOf('classes', job.class));
    const image = nameOf('images', job.image);
    setCut(partOf(row, '.image'), job.interruptible ? `${image}, spot` : image);
    // Of one that never began nothing took time.
    showTime(partOf(row, '.took'), job, one =>
      one.ended && !one.started ? '' : elapsed(one, now())
    );
    setText(partOf(row, '.waited'), job.state === 'queued' ? 'waited' : '');
    const sent = partOf<HTMLTimeElement>(row, '.sent');
    sent.dateTime = job.created;
    setText(sent, moment(job.created, now()));
    sent.title = new Date(job.created).toLocaleString();
    const kind = `${job.state} ${job.has_result}`;
    // A focused button is left alone.
    if (row.dataset.kind !== kind) {
      row.dataset.kind = kind;
      partOf(row, '.c-do').replaceChildren(...this._makeActions(job));
    }
  }

  private _makeActions(job: IJob): HTMLElement[] {
    if (job.state === 'cancelling') {
      return [];
    }
    if (isActive(job)) {
      return mayEnd(job) ? [makeCancelButton(job, this._actions.changed)] : [];
    }
    if (job.state === 'succeeded' && job.has_result) {
      return [makeDownloadLink(job, 'Download')];
    }
    if (job.owner !== ME) {
      return [];
    }
    if (job.again?.label || job.again?.unchanged) {
      const button = makeRerunButton(job, this._actions.begun);
      button.classList.toggle('cure', Boolean(job.again.label));
      return [button];
    }
    // As it was it would end in the same way.
    const href = `${BASE}jobs/${job.id}#${AGAIN}`;
    const label = { 'aria-label': `Run again…: ${job.name}` };
    return [make('a', 'Run again…', { class: 'button', href, ...label })];
  }

  private readonly _template: HTMLTemplateElement;
  private readonly _rows = new Map<string, HTMLTableRowElement>();
}

/** A text that may be cut off: all of it is its tooltip. */
function setCut(element: HTMLElement, text: string): void {
  setText(element, text);
  element.title = text;
}

/** The check boxes of all rows that can be chosen, in the order in which they are seen. */
export function listPicks(): HTMLInputElement[] {
  return STAGE_NAMES.flatMap(stage => [
    ...byId(stage).querySelectorAll<HTMLInputElement>('.pick:enabled')
  ]);
}

/** The job whose row an element is in; '' in none. */
export function jobOf(element: Element): string {
  return element.closest<HTMLElement>('tr[data-job]')?.dataset.job ?? '';
}
