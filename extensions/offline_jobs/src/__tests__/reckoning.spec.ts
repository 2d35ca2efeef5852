import {
  foresee,
  hours,
  money,
  monthPassed,
  monthsUntil,
  monthWord,
  shares,
  sumUp,
  total,
  measureBudget
} from '../page/reckoning';
import type { ISum, IUse } from '../page/reckoning';

const USE: IUse = {
  month: '2026-11',
  group: 'lab',
  user: 'ada',
  class: 'standard',
  kind: 'job',
  interruptible: false,
  count: 2,
  hours: 3,
  core_hours: 12,
  gpu_hours: 0,
  memory_gib_hours: 48,
  cost: 1.5,
  currency: 'USD'
};

const use = (changes: Partial<IUse>): IUse => ({ ...USE, ...changes });

describe('a total', () => {
  it('has jobs and sessions apart, and all hours', () => {
    const rows = [USE, use({ kind: 'session', count: 1, gpu_hours: 2 })];
    const sum = total(rows);
    expect([sum.jobs, sum.sessions]).toEqual([2, 1]);
    expect([sum.hours, sum.coreHours, sum.gpuHours, sum.memoryHours]).toEqual([
      6, 24, 2, 96
    ]);
    expect(money(sum)).toBe('$3.00');
    expect(sum.unpriced).toBe(0);
  });

  it('tells of what no price is known, and takes it for no money', () => {
    const gone = use({ cost: null, currency: null, core_hours: null });
    const sum = total([USE, gone]);
    expect(sum.unpriced).toBe(3);
    expect(sum.coreHours).toBe(12);
    expect(money(sum)).toBe('$1.50');
    expect(money(total([gone]))).toBe('–');
    expect(money(total([]))).toBe('–');
  });

  it('does not add up money of two currencies', () => {
    const rows = [USE, use({ currency: 'EUR', cost: 2 })];
    expect(money(total(rows))).toBe('$1.50 + €2.00');
  });

  it('says of a little that it is little', () => {
    expect(money(total([use({ cost: 0.004 })]))).toBe('under $0.01');
    expect(money(total([use({ cost: 0 })]))).toBe('$0.00');
  });
});

describe('sums', () => {
  const rows = [
    USE,
    use({ user: 'ben', cost: 9, month: '2026-10' }),
    use({ user: 'cem', class: 'gpu', month: '2026-12' }),
    use({ class: 'gpu' })
  ];

  it('stand with the largest first', () => {
    const sums = sumUp(rows, 'user');
    expect(sums.map(sum => [sum.key, money(sum)])).toEqual([
      ['ben', '$9.00'],
      ['ada', '$3.00'],
      ['cem', '$1.50']
    ]);
    expect(sumUp(rows, 'class').map(sum => sum.key)).toEqual([
      'standard',
      'gpu'
    ]);
  });

  it('of months stand with the newest first', () => {
    const months = sumUp(rows, 'month').map(sum => sum.key);
    expect(months).toEqual(['2026-12', '2026-11', '2026-10']);
  });

  it('have bars as long as their money', () => {
    const bars = shares(sumUp(rows, 'user'));
    expect(bars[0]).toBe(1);
    expect(bars[1]).toBeCloseTo(1 / 3);
  });

  it('have bars as long as their hours where money is not comparable', () => {
    for (const other of [
      use({ user: 'ben', hours: 6, cost: null }),
      use({ hours: 3, currency: 'EUR', cost: 90, user: 'ada' })
    ]) {
      const sums = sumUp([USE, other], 'user');
      const longest = Math.max(...sums.map(sum => sum.hours));
      expect(shares(sums)).toEqual(sums.map(sum => sum.hours / longest));
    }
    expect(shares(sumUp([use({ cost: 0 })], 'user'))).toEqual([0]);
    expect(shares([])).toEqual([]);
  });
});

it('writes hours with as many digits as are of use', () => {
  expect([0, 0.042, 1.25, 12.04, 1240.4].map(hours)).toEqual([
    '0',
    '0.04',
    '1.3',
    '12',
    '1,240'
  ]);
});

it('counts months back over the year, in UTC', () => {
  const moment = new Date('2027-01-31T23:30:00-02:00');
  expect(monthsUntil(moment, 3)).toEqual(['2027-02', '2027-01', '2026-12']);
  expect(monthWord('2027-01')).toBe('January 2027');
});
describe('a budget', () => {
  const budget = { month: 500, currency: 'USD' };
  const spent = (cost: number, changes: Partial<IUse> = {}): ISum =>
    total([{ ...USE, cost, ...changes }]);
  const day = (text: string): Date => new Date(`${text}Z`);

  it('says where the month ends, if it goes on as it went', () => {
    const at = day('2026-11-15T15:00:00');
    expect(monthPassed(at)).toBeCloseTo(14.625 / 30);
    expect(measureBudget(budget, spent(312), at)).toEqual({
      whole: 'of $500',
      share: 0.624,
      isOver: false,
      pace: 'at this pace $640 by the end of the month',
      willBeOver: true,
      passed: 14.625 / 30
    });
    expect(measureBudget(budget, spent(100), at).willBeOver).toBe(false);
  });

  it('knows how long months are, by UTC', () => {
    expect(monthPassed(day('2026-02-15T00:00:00'))).toBe(0.5);
    expect(monthPassed(day('2024-02-15T12:00:00'))).toBe(0.5);
    expect(monthPassed(day('2026-12-01T00:00:00'))).toBe(0);
    expect(monthPassed(day('2026-12-31T23:59:59.999'))).toBeLessThan(1);
    expect(foresee(31, day('2026-12-31T23:59:59'))).toBeCloseTo(31, 3);
  });

  it('foretells nothing before the third day, or of nothing', () => {
    expect(foresee(3, day('2026-11-02T23:59:59'))).toBeNull();
    expect(foresee(3, day('2026-11-03T00:00:00'))).toBe(45);
    expect(foresee(0, day('2026-11-20T00:00:00'))).toBeNull();
    const first = measureBudget(budget, spent(3), day('2026-11-01T01:00:00'));
    expect([first.pace, first.willBeOver]).toEqual(['', false]);
    const none = measureBudget(budget, total([]), day('2026-11-20T00:00:00'));
    expect([none.pace, none.share, none.whole]).toEqual(['', 0, 'of $500']);
  });

  it('is over once more is spent, and its bar is full', () => {
    const at = day('2026-11-20T00:00:00');
    const over = measureBudget(budget, spent(501), at);
    expect([over.isOver, over.share]).toEqual([true, 1]);
    expect(measureBudget(budget, spent(500), at).isOver).toBe(false);
  });

  it('counts its own currency alone, and cents where there is little', () => {
    const at = day('2026-11-16T00:00:00');
    expect(measureBudget(budget, spent(9, { currency: 'EUR' }), at).share).toBe(
      0
    );
    const little = measureBudget({ month: 5, currency: 'EUR' }, total([]), at);
    expect(little.whole).toBe('of €5.00');
    expect(measureBudget(budget, spent(1.25), at).pace).toContain(' $2.50 by ');
  });
});
