/**
 * The executed notebook on a job's page, in a frame that runs nothing: loaded when it is first
 * looked at, and anew only at the job's end.
 */

import type { IJob } from '../types';
import { isActive } from '../words';
import { byId, setText } from './parts';
import { API } from './service';
import type { ITabs } from './tabs';

/** What to do with the frame. */
export interface IResult {
  /** A job has changed. */
  fill: (job: IJob) => void;
  /** Somebody went to another place of the page. */
  look: (job: IJob) => void;
}

/** What stands in the place of the notebook while there is none. */
export function describeNothing(job: IJob): string {
  if (isActive(job)) {
    return 'The notebook appears here as soon as its first cells have been run.';
  }
  return job.started
    ? 'It ended before there was anything of the notebook to show.'
    : 'It ended before it began: nothing of the notebook was run.';
}

/** Make the frame of a job's page. */
export function makeResult(id: string, tabs: ITabs): IResult {
  const page = `${API}jobs/${id}/view`;
  /** Of which attempt, running or ended, the frame shows the notebook. */
  let loaded = '';
  let shown: IJob | null = null;

  function fill(job: IJob): void {
    shown = job;
    byId('result-part').hidden = !job.has_result;
    byId('result-none').hidden = job.has_result;
    const isOver = !isActive(job);
    setText(byId('result-none'), job.has_result ? '' : describeNothing(job));
    setText(byId('result-title'), isOver ? 'Result' : 'So far');
    const kind = `${job.attempt} ${isOver}`;
    // A frame that nobody sees cannot be scrolled to a cell.
    if (job.has_result && tabs.tab() === 'result' && loaded !== kind) {
      loaded = kind;
      load(job);
    }
  }

  function addressOf(job: IJob): string {
    const failed = job.state === 'failed' ? job.cell.number : 0;
    const cell = tabs.cell() ?? failed;
    return cell ? `${page}#cell-${cell}` : page;
  }

  function load(job: IJob): void {
    const href = addressOf(job);
    const frame = byId<HTMLIFrameElement>('result');
    setText(byId('result-note'), 'Loading …');
    byId<HTMLAnchorElement>('result-alone').href = href;
    // A fresh frame: a new address with another end alone loads nothing anew.
    const fresh = frame.cloneNode() as HTMLIFrameElement;
    fresh.addEventListener('load', () => setText(byId('result-note'), ''));
    fresh.src = href;
    frame.replaceWith(fresh);
  }

  function look(job: IJob): void {
    const before = loaded;
    fill(job);
    if (loaded && loaded === before && tabs.cell()) {
      const frame = byId<HTMLIFrameElement>('result');
      // Nothing is loaded anew, and Back leads to what this page showed before.
      frame.contentWindow?.location.replace(addressOf(job));
      frame.scrollIntoView({ block: 'nearest' });
    }
  }

  byId('result-again').addEventListener('click', () => {
    if (shown) {
      load(shown);
    }
  });
  return { fill, look };
}
