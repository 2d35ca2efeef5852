/**
 * Jobs that are chosen in the list, by mouse or keyboard, and what can be done with them at once.
 *
 * The service ends and deletes one job at a time. What it refuses stays chosen and is said.
 */

import type { IJob } from '../types';
import { isActive } from '../words';
import { askCancel, byId, isConfirmed, setText, toast } from './parts';
import { jobOf, listPicks } from './rows';
import type { Rows } from './rows';
import { mayDelete, mayEnd, Refusal, request, requestJob } from './service';

/** So many requests are under way at once. */
const AT_ONCE = 4;
const NOT_FOUND = 404;
const MOST_NAMED = 3;

type Act = 'cancel' | 'delete';

const WORDS: Readonly<
  Record<Act, { verb: string; done: string; doing: string; text: string }>
> = {
  cancel: {
    verb: 'Cancel',
    done: 'cancelled',
    doing: 'Cancelling',
    text: 'stop; the cells that finished are kept.'
  },
  delete: {
    verb: 'Delete',
    done: 'deleted',
    doing: 'Deleting',
    text: 'disappear from the list, with their logs here. Files in homes stay.'
  }
};

/** Whether this can be done with the job, by somebody who may do it. */
export function allows(act: Act, job: IJob): boolean {
  return act === 'cancel'
    ? isActive(job) && job.state !== 'cancelling'
    : !isActive(job);
}

/** "1 job", "1,208 jobs". */
export function jobsIn(count: number): string {
  return `${count.toLocaleString('en')} ${count === 1 ? 'job' : 'jobs'}`;
}

/** What was refused, in one sentence for few jobs and many. */
export function describeFailures(
  act: Act,
  failures: readonly (readonly [string, string])[],
  all: number
): string {
  const named = failures
    .slice(0, MOST_NAMED)
    .map(([name, why]) => `“${name}”: ${why}`)
    .join(' ');
  const more = failures.length - MOST_NAMED;
  const rest = more > 0 ? ` And ${more} more.` : '';
  return `${failures.length} of ${jobsIn(all)} could not be ${WORDS[act].done}; they are still selected. ${named}${rest}`;
}

interface IListeners {
  changed: (job: IJob) => void;
  removed: (id: string) => void;
}

export class Picking {
  constructor(
    private readonly _rows: Rows,
    private readonly _listeners: IListeners
  ) {
    const table = byId('jobs');
    table.addEventListener('click', event => this._onClick(event));
    table.addEventListener('keydown', event => this._onKey(event));
    this._all.addEventListener('change', () => this._pickAll());
    byId('pick-clear').addEventListener('click', () => this.clear());
    for (const act of ['cancel', 'delete'] as const) {
      byId(`pick-${act}`).addEventListener('click', () => void this._do(act));
    }
  }

  get isEmpty(): boolean {
    return !this._ids.size;
  }

  /** Choose none. */
  clear(): void {
    const isLost = byId('pickbar').contains(document.activeElement);
    this._ids.clear();
    listPicks().forEach(pick => (pick.checked = false));
    this.show();
    if (isLost) {
      this._focusList();
    }
  }

  /** Bring the bar up to date with the list: what is gone is not chosen any more. */
  show(): void {
    for (const id of this._ids) {
      if (!this._rows.jobs.has(id)) {
        this._ids.delete(id);
      }
    }
    const picks = listPicks();
    const chosen = picks.filter(pick => pick.checked).length;
    this._all.checked = chosen > 0 && chosen === picks.length;
    this._all.indeterminate = chosen > 0 && chosen < picks.length;
    this._all.disabled = !picks.length;
    byId('pickbar').hidden = this.isEmpty && !this._isBusy;
    if (this._isBusy) {
      return;
    }
    setText(byId('picked'), `${this._ids.size.toLocaleString('en')} selected`);
    for (const act of ['cancel', 'delete'] as const) {
      const button = byId<HTMLButtonElement>(`pick-${act}`);
      const number = this._allowing(act).length;
      button.hidden = !number;
      button.disabled = false;
      setText(button, `${WORDS[act].verb} ${number.toLocaleString('en')}`);
    }
  }

  private _allowing(act: Act): IJob[] {
    return [...this._ids].flatMap(id => {
      const job = this._rows.jobs.get(id);
      const may = act === 'cancel' ? mayEnd : mayDelete;
      return job && allows(act, job) && may(job) ? [job] : [];
    });
  }

  private _onClick(event: MouseEvent): void {
    const pick = event.target as HTMLInputElement;
    if (pick.classList.contains('pick')) {
      this._pick(pick, event.shiftKey);
    }
  }

  /** A row is chosen or not; with the Shift key all from the last one that was. */
  private _pick(pick: HTMLInputElement, isRange: boolean): void {
    const picks = listPicks();
    const here = picks.indexOf(pick);
    const last = picks.findIndex(each => jobOf(each) === this._last);
    const [from, to] =
      isRange && last >= 0
        ? [Math.min(last, here), Math.max(last, here)]
        : [here, here];
    picks.slice(from, to + 1).forEach(each => this._set(each, pick.checked));
    this._last = jobOf(pick);
    this._place = here;
    this._hideFailure();
    this.show();
  }

  private _set(pick: HTMLInputElement, isChosen: boolean): void {
    pick.checked = isChosen;
    if (isChosen) {
      this._ids.add(jobOf(pick));
    } else {
      this._ids.delete(jobOf(pick));
    }
  }

  private _pickAll(): void {
    listPicks().forEach(pick => this._set(pick, this._all.checked));
    this._hideFailure();
    this.show();
  }

  /** Arrow keys go from row to row; with the Shift key they choose on the way, as this row is. */
  private _onKey(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const pick = event.target as HTMLInputElement;
    if (!step || !pick.classList.contains('pick')) {
      return;
    }
    event.preventDefault();
    const picks = listPicks();
    const next = picks[picks.indexOf(pick) + step];
    if (!next) {
      return;
    }
    next.focus();
    if (event.shiftKey) {
      next.checked = pick.checked;
      this._pick(next, false);
    }
  }

  private async _do(act: Act): Promise<void> {
    const jobs = this._allowing(act);
    const { verb, done, doing, text } = WORDS[act];
    const what = jobsIn(jobs.length);
    const records = act === 'delete' ? 'the records of ' : '';
    const question = [
      `${verb} ${records}${what}?`,
      `${jobs.length === 1 ? `“${jobs[0].name}”` : 'They'} ${jobs.length === 1 ? oneOf(text) : text}`,
      `${verb} ${what}`
    ] as const;
    const said =
      act === 'cancel'
        ? await askCancel(jobs, ...question)
        : (await isConfirmed(...question)) && {};
    if (!said) {
      return;
    }
    this._isBusy = true;
    this._hideFailure();
    for (const each of ['cancel', 'delete'] as const) {
      byId<HTMLButtonElement>(`pick-${each}`).disabled = true;
    }
    const failures: [string, string][] = [];
    const waiting = [...jobs];
    let over = 0;
    const work = async (): Promise<void> => {
      for (let job = waiting.shift(); job; job = waiting.shift()) {
        try {
          await this._doOne(act, job, said);
        } catch (error) {
          failures.push([
            job.name,
            error instanceof Error ? error.message : ''
          ]);
        }
        over += 1;
        setText(byId('picked'), `${doing} ${over} of ${jobs.length} …`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this._isBusy = false;
    this.show();
    const succeeded = jobs.length - failures.length;
    if (succeeded) {
      toast(`${jobsIn(succeeded)} ${done}.`);
    }
    if (failures.length) {
      const box = byId('failed');
      box.hidden = false;
      setText(box, describeFailures(act, failures, jobs.length));
    }
    if (this.isEmpty) {
      this._focusList();
    }
  }

  private async _doOne(act: Act, job: IJob, said: object): Promise<void> {
    if (act === 'cancel') {
      const path = `jobs/${job.id}/cancel`;
      const changed = await requestJob('POST', path, {}, said);
      this._drop(job.id);
      this._listeners.changed(changed);
      return;
    }
    try {
      await request('DELETE', `jobs/${job.id}`);
    } catch (error) {
      // Somebody else was quicker.
      if (!(error instanceof Refusal && error.status === NOT_FOUND)) {
        throw error;
      }
    }
    this._drop(job.id);
    this._listeners.removed(job.id);
  }

  private _drop(id: string): void {
    this._ids.delete(id);
    const pick = listPicks().find(each => jobOf(each) === id);
    if (pick) {
      pick.checked = false;
    }
  }

  private _hideFailure(): void {
    byId('failed').hidden = true;
  }

  /** The keyboard goes on from the list, where the pressed button is gone. */
  private _focusList(): void {
    const picks = listPicks();
    const near = Math.min(this._place, picks.length - 1);
    (picks[near] ?? byId('main')).focus();
  }

  private readonly _all = byId<HTMLInputElement>('pick-all');
  private readonly _ids = new Set<string>();
  /** The row that was chosen last, and where it was. */
  private _last = '';
  private _place = 0;
  private _isBusy = false;
}

/** The sentence of several jobs as that of one. */
function oneOf(text: string): string {
  return text
    .replace(/^stop;/, 'stops;')
    .replace(/^disappear /, 'disappears ')
    .replace('their logs', 'its log');
}
