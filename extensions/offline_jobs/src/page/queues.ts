/**
 * The tables of the page of groups: queues, and of one group its people and machines.
 */

import { formatFilters, NOTHING as ALL } from '../filters';
import { byId, make, makeLabel, partOf, setText } from './parts';
import { hours, total, measureBudget } from './reckoning';
import type { IBudget, ISum, IUse } from './reckoning';
import { BASE, now } from './service';
import { gauge, outcomeWords, waitingWords } from './standing';
import type {
  IGauge,
  ILine,
  IOutcome,
  IPart,
  IQueue,
  IStanding
} from './standing';
import { moneyOf } from './totals';

/** So many rows are shown before somebody asks for all of them. */
const FIRST_ROWS = 15;

/** Draw the queues, with what each group cost this month. */
export function drawQueues(
  standing: IStanding,
  uses: readonly IUse[],
  isOne: boolean
): void {
  const { slots, weights, queues } = standing;
  setText(byId('queues-title'), isOne ? 'Queue' : 'Queues');
  setText(
    byId('queues-about'),
    slots === null
      ? 'What jobs that start or run have of what their queue may have.'
      : `This is one machine: it runs ${slots} ${slots === 1 ? 'job' : 'jobs'} at once, in the order in which they were submitted, whatever their group. Limits and weights of queues count in a cluster only.`
  );
  const body = partOf(byId('queues'), 'tbody');
  body.replaceChildren(
    ...queues.map(queue => makeQueue(queue, uses, { isOne, slots, weights }))
  );
}

function makeQueue(
  queue: IQueue,
  uses: readonly IUse[],
  {
    isOne,
    slots,
    weights
  }: { isOne: boolean; slots: number | null; weights: number }
): HTMLTableRowElement {
  const row = make('tr');
  const head = make('th', undefined, { scope: 'row', class: 'c-what' });
  if (isOne) {
    head.append(bidi(queue.name));
  } else {
    const href = `${BASE}groups?group=${encodeURIComponent(queue.group)}`;
    const link = make('a', undefined, { href, title: queue.name });
    link.append(bidi(queue.name));
    head.append(link);
  }
  if (slots === null) {
    head.append(
      small(
        queue.weight === null
          ? 'no longer in the catalogue'
          : `weight ${queue.weight} of ${weights}`
      )
    );
  }
  const { by_jobs } = queue.all;
  row.append(
    head,
    ...(['cores', 'memory_bytes', 'gpus'] as const).map(kind =>
      makeGauge(gauge(kind, by_jobs, queue.limits))
    ),
    ...makeCounts(queue.all),
    makeMonth(
      total(uses.filter(use => use.group === queue.group)),
      // Of one group it stands above.
      isOne ? null : queue.budget
    )
  );
  return row;
}

/** Draw people or machines of one group; the rest of many behind a button. */
export function drawLines(
  id: 'people' | 'classes',
  all: readonly ILine[],
  limits: IQueue['limits']
): void {
  const card = byId(id);
  card.hidden = all.length === 0;
  setText(partOf(card, '.count'), String(all.length));
  const isWhole = card.dataset.whole === 'true' || all.length <= FIRST_ROWS;
  const shown = isWhole ? all : all.slice(0, FIRST_ROWS);
  partOf(card, 'tbody').replaceChildren(
    ...shown.map(line => makeLine(id, line, limits))
  );
  card.querySelector('.foot')?.remove();
  if (!isWhole) {
    const foot = make('p', undefined, { class: 'foot' });
    const button = make('button', `Show all ${all.length}`, { type: 'button' });
    button.addEventListener('click', () => {
      card.dataset.whole = 'true';
      drawLines(id, all, limits);
      partOf(card, '.wide').focus();
    });
    foot.append(button);
    card.append(foot);
  }
}

function makeLine(
  id: 'people' | 'classes',
  line: ILine,
  limits: IQueue['limits']
): HTMLTableRowElement {
  const row = make('tr');
  const head = make('th', undefined, {
    scope: 'row',
    class: 'c-what',
    title: line.name
  });
  head.append(bidi(line.name));
  const has = line.now?.by_jobs ?? { cores: 0, memory_bytes: 0, gpus: 0 };
  const sum = line.month ?? total([]);
  row.append(
    head,
    makeGauge(has.cores ? gauge('cores', has, limits) : NOTHING),
    ...makeCounts(line.now),
    makeMonth(sum),
    number(sum.coreHours, 'core-hours'),
    number(sum.gpuHours, 'GPU-hours'),
    number(sum.memoryHours, 'GiB-hours'),
    ...(id === 'people' ? [makeOutcome(line.outcome)] : [])
  );
  return row;
}

const NOTHING: IGauge = { words: 'none', share: null };

/** A bar, and the same in words: who does not see the one reads the other. */
function makeGauge(shown: IGauge): HTMLTableCellElement {
  const cell = make('td', undefined, { class: 'c-use' });
  if (shown.share !== null) {
    const meter = make('span', undefined, {
      class: 'meter',
      'aria-hidden': 'true'
    });
    const fill = make('i', undefined, { class: 'use' });
    fill.style.width = `${(shown.share * 100).toFixed(1)}%`;
    meter.append(fill);
    cell.append(meter);
  }
  cell.append(make('span', shown.words, { class: 'words' }));
  cell.classList.toggle('nothing', shown.words === NOTHING.words);
  return cell;
}

function makeCounts(part: IPart | null): HTMLTableCellElement[] {
  const waiting = number(part?.waiting ?? 0, 'waiting');
  const words = part && waitingWords(part, now());
  if (words) {
    waiting.append(' ', small(words));
  }
  return [
    number(part?.running ?? 0, 'jobs', 'job'),
    waiting,
    number(part?.sessions ?? 0, 'sessions', 'session')
  ];
}

function makeMonth(
  sum: ISum,
  budget: IBudget | null = null
): HTMLTableCellElement {
  const cell = make('td', moneyOf(sum), { class: 'num c-month' });
  cell.append(makeLabel('this month'));
  if (budget) {
    const { whole, pace, willBeOver } = measureBudget(budget, sum, now());
    cell.append(' ', small(whole));
    if (pace) {
      const note = small(pace.replace(/ by the end.*/, ''));
      note.title = pace;
      note.classList.toggle('over', willBeOver);
      cell.append(' ', note);
    }
  }
  return cell;
}

/** How a person's jobs ended, with the way to those that failed. */
function makeOutcome(outcome: IOutcome | null): HTMLTableCellElement {
  if (!outcome) {
    return number(0, 'jobs ended');
  }
  const [all, failed] = outcomeWords(outcome);
  const cell = make('td', all, { class: 'num c-ended' });
  cell.append(makeLabel('ended'));
  if (failed) {
    const { user, group } = outcome;
    const narrowed = { ...ALL, state: 'failed', user, group } as const;
    const link = make('a', failed, {
      href: BASE + formatFilters(narrowed),
      'aria-label': `${failed} of ${user}`,
      title: 'All failed jobs, the newest first'
    });
    const note = small('');
    note.append(link);
    cell.append(' ', note);
  }
  return cell;
}

function number(value: number, many: string, one = many): HTMLTableCellElement {
  const words = Number.isInteger(value)
    ? value.toLocaleString('en')
    : hours(value);
  const cell = make('td', words, { class: value ? 'num' : 'num zero' });
  cell.append(makeLabel(value === 1 ? one : many));
  return cell;
}

function small(text: string): HTMLElement {
  return make('small', text, { class: 'quiet' });
}

/** A name of somebody or something: in its own direction, whatever the page's. */
export function bidi(text: string): HTMLElement {
  return make('bdi', text, { class: 'cut' });
}
