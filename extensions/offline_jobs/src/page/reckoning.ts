/**
 * What a report of use comes to: sums by person, machine, group or month, and what they cost. Pure.
 */

import { price, UNDER } from '../words';

/** A row of the service's report. What the catalogue does not tell is null. */
export interface IUse {
  /** As `2026-11`. */
  month: string;
  group: string;
  user: string;
  class: string;
  kind: 'job' | 'session';
  interruptible: boolean;
  count: number;
  hours: number;
  core_hours: number | null;
  gpu_hours: number | null;
  memory_gib_hours: number | null;
  cost: number | null;
  currency: string | null;
}

export const BYS = ['user', 'class', 'group', 'month'] as const;
export type By = (typeof BYS)[number];

export interface ISum {
  /** Whose it is: a name, a slug, a month; '' of a total. */
  key: string;
  jobs: number;
  sessions: number;
  hours: number;
  coreHours: number;
  gpuHours: number;
  memoryHours: number;
  /** Money by currency; '' where a price has none. */
  costs: Map<string, number>;
  /** Hours of which no price is known. */
  unpriced: number;
}

/** The sum of all rows. */
export function total(rows: readonly IUse[], key = ''): ISum {
  const sum: ISum = {
    key,
    jobs: 0,
    sessions: 0,
    hours: 0,
    coreHours: 0,
    gpuHours: 0,
    memoryHours: 0,
    costs: new Map(),
    unpriced: 0
  };
  for (const row of rows) {
    sum[row.kind === 'job' ? 'jobs' : 'sessions'] += row.count;
    sum.hours += row.hours;
    sum.coreHours += row.core_hours ?? 0;
    sum.gpuHours += row.gpu_hours ?? 0;
    sum.memoryHours += row.memory_gib_hours ?? 0;
    if (row.cost === null) {
      sum.unpriced += row.hours;
    } else {
      const currency = row.currency ?? '';
      sum.costs.set(currency, (sum.costs.get(currency) ?? 0) + row.cost);
    }
  }
  return sum;
}

/** Sums by what the rows have in common: months the newest first, others the largest first. */
export function sumUp(rows: readonly IUse[], by: By): ISum[] {
  const parts = new Map<string, IUse[]>();
  for (const row of rows) {
    const part = parts.get(row[by]);
    if (part) {
      part.push(row);
    } else {
      parts.set(row[by], [row]);
    }
  }
  const sums = [...parts].map(([key, part]) => total(part, key));
  return sums.sort((a, b) =>
    by === 'month'
      ? b.key.localeCompare(a.key)
      : weight(b) - weight(a) || b.hours - a.hours || a.key.localeCompare(b.key)
  );
}

/** How large a sum is beside others: in money, where there is one currency for all of it. */
function weight(sum: ISum): number {
  return [...sum.costs.values()].reduce((all, one) => all + one, 0);
}

/** How long the bar of a sum is, of the longest of them: 0 to 1. */
export function shares(sums: readonly ISum[]): number[] {
  const isMoney = sums.every(sum => sum.unpriced === 0 && sum.costs.size < 2);
  const sizes = sums.map(sum => (isMoney ? weight(sum) : sum.hours));
  const most = Math.max(0, ...sizes);
  return sizes.map(size => (most > 0 ? size / most : 0));
}

/** The money of a sum: "$12.40", "under $0.01"; '–' where no price is known. */
export function money(sum: ISum): string {
  const amounts = [...sum.costs].map(([currency, amount]) => {
    const cent = 0.01;
    return amount > 0 && amount < cent
      ? `${UNDER} ${price(cent, currency || null)}`
      : price(amount, currency || null);
  });
  return amounts.join(' + ') || '–';
}

/** What a group means to spend in a month (UTC). */
export interface IBudget {
  month: number;
  currency: string;
}

/** A budget beside what was spent of it. */
export interface IBudgetGauge {
  /** "of $500". */
  whole: string;
  /** How much of it is spent: 0 to 1, also where it is more. */
  share: number;
  isOver: boolean;
  /** "at this pace $640 by the end of the month"; '' where nothing can be said. */
  pace: string;
  /** Whether that is more than the budget. */
  willBeOver: boolean;
  /** How much of the month has passed: 0 to 1. */
  passed: number;
}

/** On the first days one large job would foretell a fortune. */
const FIRST_DAY_OF_PACE = 3;

/** How much of its month (UTC) has passed at a moment: 0 to 1. */
export function monthPassed(moment: Date): number {
  const [year, month] = [moment.getUTCFullYear(), moment.getUTCMonth()];
  const begin = Date.UTC(year, month);
  return (moment.getTime() - begin) / (Date.UTC(year, month + 1) - begin);
}

/**
 * What a month will have cost if it goes on as it went so far: linear, weekends as any day.
 *
 * Null before its third day, and where nothing was spent.
 */
export function foresee(spent: number, moment: Date): number | null {
  return spent > 0 && moment.getUTCDate() >= FIRST_DAY_OF_PACE
    ? spent / monthPassed(moment)
    : null;
}

/** A budget of the month that a moment is in, beside the sum of that month. */
export function measureBudget(
  { month, currency }: IBudget,
  sum: ISum,
  moment: Date
): IBudgetGauge {
  const spent = sum.costs.get(currency) ?? 0;
  const end = foresee(spent, moment);
  return {
    whole: `of ${about(month, currency)}`,
    share: Math.min(1, spent / month),
    isOver: spent > month,
    pace:
      end === null
        ? ''
        : `at this pace ${about(end, currency)} by the end of the month`,
    willBeOver: end !== null && end > month,
    passed: monthPassed(moment)
  };
}

/** Money without cents, where there is enough of it. */
function about(amount: number, currency: string): string {
  return amount < 10
    ? price(amount, currency)
    : amount.toLocaleString([], {
        style: 'currency',
        currency,
        currencyDisplay: 'narrowSymbol',
        maximumFractionDigits: 0
      });
}

/** An amount of hours: "1,240", "12.5", "0.04"; "0" where there is none. */
export function hours(value: number): string {
  const digits = value >= 100 ? 0 : value >= 1 ? 1 : 2;
  return value.toLocaleString([], {
    minimumFractionDigits: 0,
    maximumFractionDigits: digits
  });
}

/** A month in words: "November 2026". */
export function monthWord(month: string): string {
  return new Date(`${month}-01T00:00:00Z`).toLocaleDateString([], {
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC'
  });
}

/** So many months until a moment, the newest first, as `2026-11`. */
export function monthsUntil(moment: Date, number: number): string[] {
  const [year, month] = [moment.getUTCFullYear(), moment.getUTCMonth()];
  return Array.from({ length: number }, (_, back) =>
    new Date(Date.UTC(year, month - back, 1)).toISOString().slice(0, 7)
  );
}
