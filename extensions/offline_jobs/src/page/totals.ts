/**
 * The head of the page of groups: what the month came to, of one group beside its budget.
 */

import { price } from '../words';
import { byId, make, setText } from './parts';
import {
  hours,
  money,
  monthsUntil,
  monthWord,
  total,
  measureBudget
} from './reckoning';
import type { IBudget, ISum, IUse } from './reckoning';
import { now } from './service';

/** What the month came to, with the money of the one before beside it. */
export function drawTotals(
  uses: readonly IUse[],
  budget: IBudget | null
): void {
  const [month, earlier] = monthsUntil(now(), 2);
  const sum = total(uses.filter(use => use.month === month));
  const before = total(uses.filter(use => use.month === earlier));
  setText(byId('month'), monthWord(month));
  const figures: readonly (readonly [string, string])[] = [
    ['Core-hours', hours(sum.coreHours)],
    ['GPU-hours', hours(sum.gpuHours)],
    ['GiB-hours', hours(sum.memoryHours)],
    ['Jobs', sum.jobs.toLocaleString('en')],
    ['Sessions', sum.sessions.toLocaleString('en')]
  ];
  const nothing = budget ? price(0, budget.currency) : moneyOf(sum);
  const cost = makePair('Cost so far', sum.costs.size ? moneyOf(sum) : nothing);
  if (budget) {
    addBudget(cost, budget, sum);
  }
  if (before.jobs + before.sessions) {
    const word = monthWord(earlier).split(' ')[0];
    cost.append(makeNote(`${word} was ${money(before)}`));
  }
  byId('totals').replaceChildren(
    cost,
    ...figures.map(([word, figure]) => makePair(word, figure))
  );
}

/** The money of a sum; '–' where nothing ran. */
export function moneyOf(sum: ISum): string {
  return sum.jobs + sum.sessions ? money(sum) : '–';
}

/** The budget below a figure: a bar with a mark where today is, and how it will end. */
function addBudget(cost: HTMLElement, budget: IBudget, sum: ISum): void {
  const { whole, share, isOver, pace, willBeOver, passed } = measureBudget(
    budget,
    sum,
    now()
  );
  cost.classList.add('budget');
  cost
    .querySelector('dd')
    ?.append(' ', make('span', whole, { class: 'quiet whole' }));
  const meter = make('span', undefined, {
    class: 'meter tall',
    'aria-hidden': 'true'
  });
  const fill = make('i', undefined, { class: isOver ? 'bad' : 'use' });
  fill.style.width = `${(share * 100).toFixed(1)}%`;
  meter.append(fill);
  if (share > 0) {
    const bar = make('dd');
    bar.append(meter);
    cost.append(bar);
  }
  if (pace) {
    const mark = make('i', undefined, { class: 'today' });
    mark.style.left = `${(passed * 100).toFixed(1)}%`;
    meter.append(mark);
    const note = makeNote(pace[0].toUpperCase() + pace.slice(1));
    note.classList.toggle('over', willBeOver);
    cost.append(note);
    const percent = Math.round(passed * 100);
    cost.append(makeNote(`The mark is today: ${percent} % of the month.`));
  }
  if (sum.unpriced > 0) {
    cost.append(
      makeNote(`Without ${hours(sum.unpriced)} h of no known price.`)
    );
  }
}

function makePair(word: string, figure: string): HTMLElement {
  const pair = make('div');
  pair.append(make('dt', word), make('dd', figure));
  return pair;
}

function makeNote(text: string): HTMLElement {
  return make('dd', text, { class: 'quiet small' });
}
