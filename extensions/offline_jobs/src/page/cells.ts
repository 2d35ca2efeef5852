/**
 * The cells on a job's page: as bars, and one by one with their first lines.
 */

import type { ICells, IJob } from '../types';
import { cellBars, cellLines, describeCells, describeScale } from '../view';
import type { ICellBar } from '../view';
import { isActive } from '../words';
import { byId, make, partOf, setBar, setText } from './parts';
import { now, request } from './service';
import { formatPlace } from './tabs';
import type { ITabs } from './tabs';

/** With more cells than these there is no room between their bars. */
const MANY_CELLS = 150;

/** What shows the cells; it is told of each change of the job, and of each look at another tab. */
export function makeCells(id: string, tabs: ITabs): (job: IJob) => void {
  let lines: readonly string[] = [];
  let isAsked = false;
  let shown: IJob | null = null;

  function fill(job: IJob): void {
    shown = job;
    const bars = cellBars(job, now());
    byId('cells-part').hidden = !bars.length;
    byId('cells-none').hidden = bars.length > 0;
    byId('cells-count').hidden = !bars.length;
    if (!bars.length) {
      return;
    }
    setText(byId('cells-count'), String(job.cell.total));
    setBar(byId('progress'), job);
    byId('progress').hidden = !isActive(job);
    fillBars(job, bars);
    if (tabs.tab() === 'cells') {
      fillList(job, bars);
      void loadLines();
    }
  }

  function fillBars(job: IJob, bars: readonly ICellBar[]): void {
    const cells = byId('cells');
    cells.classList.toggle('many', bars.length > MANY_CELLS);
    cells.replaceChildren(
      ...bars.map(({ kind, height, title }) => {
        const bar = make('i', undefined, { class: kind });
        bar.style.height = `${height}%`;
        bar.title = title;
        return bar;
      })
    );
    const words = describeCells(job);
    cells.setAttribute('aria-label', words);
    const note = [words, describeScale(job)].filter(Boolean).join('; ');
    setText(byId('cells-note'), note);
  }

  async function loadLines(): Promise<void> {
    if (isAsked) {
      return;
    }
    isAsked = true;
    try {
      const answer = await request('GET', `jobs/${id}/cells`);
      lines = ((await answer.json()) as ICells).lines;
      if (shown) {
        fill(shown);
      }
    } catch {
      // Without them the cells are listed by number.
      isAsked = false;
    }
  }

  /** What has not changed is left alone: it may have the focus. */
  function fillList(job: IJob, bars: readonly ICellBar[]): void {
    const list = byId('lines');
    while (list.children.length > bars.length) {
      list.lastElementChild?.remove();
    }
    for (const [index, cell] of cellLines(job, bars, lines).entries()) {
      const item =
        list.children[index] ?? list.appendChild(makeItem(cell.number));
      item.className = cell.kind;
      setText(partOf(item, 'code'), cell.line);
      setText(partOf(item, '.time'), cell.time);
      setText(partOf(item, '.how'), cell.how);
      partOf(item, '.part i').style.width = `${cell.share}%`;
    }
  }

  function makeItem(number: number): HTMLElement {
    const link = make('a', undefined, {
      href: formatPlace({ tab: 'result', cell: number })
    });
    const share = make('span', undefined, { class: 'part' });
    share.append(make('i'));
    link.append(
      make('span', String(number), { class: 'number' }),
      make('code'),
      share,
      make('span', '', { class: 'time' }),
      make('span', '', { class: 'how' })
    );
    link.addEventListener('click', event => {
      if (!(event.ctrlKey || event.metaKey || event.shiftKey)) {
        event.preventDefault();
        tabs.go('result', number);
      }
    });
    const item = make('li');
    item.append(link);
    return item;
  }

  return fill;
}
