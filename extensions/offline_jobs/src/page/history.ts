/**
 * The history of a job: each change of its state, with the time until the next.
 */

import type { IJob, ITurn } from '../types';
import { clockTime, duration, moment } from '../words';
import { byId, make, trouble } from './parts';
import { now, Refusal, request } from './service';

/**
 * Tell the history of a job.
 *
 * @returns what is told of each change of the job.
 */
export function makeHistory(id: string): (job: IJob) => void {
  /** Of which state it was asked for last. */
  let of = '';

  async function load(turn: string): Promise<void> {
    try {
      const answer = await request('GET', `jobs/${id}/history`);
      const { turns } = (await answer.json()) as { turns: ITurn[] };
      // A later answer may have come first.
      if (turn === of) {
        byId('history').replaceChildren(...turns.map(makeTurn));
        byId('history-part').hidden = false;
      }
    } catch (error) {
      of = '';
      // Of a record that was deleted the page says so itself.
      if (!(error instanceof Refusal && error.status === 404)) {
        trouble(error);
      }
    }
  }

  function makeTurn(turn: ITurn, index: number, turns: ITurn[]): HTMLElement {
    const next = turns[index + 1];
    const seconds = next
      ? (Date.parse(next.at) - Date.parse(turn.at)) / 1000
      : 0;
    const what = make('span', turn.sentence);
    if (seconds >= 1) {
      what.append(make('span', ` · ${duration(seconds)}`, { class: 'quiet' }));
    }
    const line = make('li');
    const when = { datetime: turn.at, title: moment(turn.at, now()) };
    const before = index ? new Date(turns[index - 1].at) : now();
    line.append(make('time', clockTime(turn.at, before), when), what);
    return line;
  }

  return job => {
    const turn = `${job.state} ${job.reason} ${job.attempt}`;
    if (turn !== of) {
      of = turn;
      void load(turn);
    }
  };
}
