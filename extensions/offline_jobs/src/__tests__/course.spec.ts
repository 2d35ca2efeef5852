import {
  cellTicks,
  coresChart,
  gpusChart,
  memoryChart,
  timeLeft,
  timesOf,
  WIDTH
} from '../course';
import type { ICourse, IJob, ISeries } from '../types';
import { golden, makeJob } from './factories';

const GIB = 2 ** 30;
const SERIES: ISeries = {
  every_seconds: 60,
  memory_mib: [512, 1024, 3174, 2048],
  cores: [0.5, 3.5, 1, 1],
  first_cell_seconds: 30
};
const MEMORY = { bytes: 0, peak_bytes: 3174 * 2 ** 20, limit_bytes: 8 * GIB };
const job = (change: Partial<IJob> = {}): IJob =>
  makeJob({
    memory: MEMORY,
    cell: { number: 3, total: 9 },
    cell_seconds: [45, 60],
    ...change
  });

describe('a chart of what a run took', () => {
  it('says the most, when that was and in which cell', () => {
    expect(memoryChart(job(), SERIES)?.sentence).toBe(
      'Memory: at most 3.1 of 8 GiB, at 2 min 30 s, in cell 3'
    );
    expect(coresChart(job(), SERIES, 4)?.sentence).toBe(
      'Cores: at most 3.5 of 4 cores, at 1 min 30 s, in cell 2, 1.5 on average'
    );
    expect(coresChart(job(), SERIES, undefined)?.sentence).toContain(
      'at most 3.5 cores, at'
    );
  });

  it('says of GPUs how busy they were, and their memory', () => {
    const seen = {
      count: 2,
      memory_limit_mib: 32 * 1024,
      percent: [null, 90, 20, 40],
      memory_mib: [0, 1024, 9 * 1024, 1024]
    };
    const series = { ...SERIES, gpus: seen };
    const chart = gpusChart(job(), series, 2);
    expect(chart?.sentence).toBe(
      '2 GPUs: busy at most 90 % of the time, at 1 min 30 s, in cell 2, ' +
        '50 % on average; at most 9 of 32 GiB of memory'
    );
    expect(chart?.level).toEqual({ y: 9.1, text: '100 %', isLimit: true });
    // What nobody knows is no idle time.
    expect(chart?.line).toBe('M250 18.2V18.2H500V81.8H750V63.6H1000');
    expect(chart?.area).toBe(`${chart?.line}V100H250Z`);
    const gap = { ...seen, percent: [90, null, 90, 90] };
    const apart = gpusChart(job(), { ...SERIES, gpus: gap }, 2);
    expect(apart?.line).toBe('M0 18.2V18.2H250M500 18.2V18.2H750V18.2H1000');
    // The program did not tell of memory.
    const mute = { ...seen, memory_mib: [0, 0, 0, 0] };
    expect(gpusChart(job(), { ...SERIES, gpus: mute }, 2)?.sentence).toMatch(
      /, 50 % on average$/
    );
    const one = { ...series, gpus: { ...seen, count: 1 } };
    expect(gpusChart(job(), one, undefined)?.sentence).toMatch(/^GPU: busy/);
    // Of another's on the same machine.
    expect(gpusChart(job(), series, 0)).toBeNull();
    expect(gpusChart(job(), SERIES, 2)).toBeNull();
    expect(gpusChart(job(), { ...SERIES, gpus: null }, 2)).toBeNull();
    expect(gpusChart(job(), null, 2)).toBeNull();
    const silent = { ...seen, percent: [null, null, null, null] };
    expect(gpusChart(job(), { ...SERIES, gpus: silent }, 2)).toBeNull();
    const short = { ...seen, percent: [1, 2], memory_mib: [1, 2] };
    expect(gpusChart(job(), { ...SERIES, gpus: short }, 2)).toBeNull();
  });

  it('is of what the service answers', () => {
    const { series } = golden<ICourse>('course');
    expect(gpusChart(job(), series, 2)?.sentence).toBe(
      '2 GPUs: busy at most 75 % of the time, at 5 s, in cell 1, ' +
        '50 % on average; at most 12 of 32 GiB of memory'
    );
  });

  it('names no cell that it does not know', () => {
    const early = { ...SERIES, memory_mib: [4000, 10, 10], cores: [1, 1, 1] };
    const late = { ...early, first_cell_seconds: 45 };
    const unknown = { ...early, first_cell_seconds: null };
    for (const series of [late, unknown]) {
      expect(memoryChart(job(), series)?.sentence).toMatch(/, at 30 s$/);
    }
    // The run went on after its last cell.
    const over = job({ cell: { number: 2, total: 2 } });
    expect(memoryChart(over, SERIES)?.sentence).toMatch(/, at 2 min 30 s$/);
  });

  it('has its limit in the picture where a part of it was needed', () => {
    const chart = memoryChart(job(), SERIES);
    expect(chart?.level).toEqual({ y: 9.1, text: '8 GiB', isLimit: true });
    expect(chart?.line).toBe('M0 94.3V94.3H250V88.6H500V64.8H750V77.3H1000');
    expect(chart?.area).toBe(`${chart?.line}V100H0Z`);
    expect(chart?.isFull).toBe(false);
    const full = job({ memory: { ...MEMORY, limit_bytes: 3200 * 2 ** 20 } });
    expect(memoryChart(full, SERIES)?.isFull).toBe(true);
  });

  it('is drawn to a round number where the limit is far away', () => {
    const large = job({ memory: { ...MEMORY, limit_bytes: 64 * GIB } });
    const far = { y: 9.1, text: '5 GiB', isLimit: false };
    expect(memoryChart(large, SERIES)?.level).toEqual(far);
    const small = { ...SERIES, memory_mib: [100, 160, 130] };
    const unlimited = { bytes: 0, peak_bytes: 0, limit_bytes: 0 };
    const chart = memoryChart(job({ memory: unlimited }), small);
    expect(chart?.level.text).toBe('200 MiB');
    expect(coresChart(job(), SERIES, 32)?.level.text).toBe('5 cores');
    const idle = { ...SERIES, cores: [0, 0, 0, 0] };
    expect(coresChart(job(), idle, 32)?.level.text).toBe('0.1 cores');
  });

  it('of a short run, and of a runner of before, is a sentence', () => {
    for (const series of [
      null,
      { ...SERIES, memory_mib: [3174], cores: [1] }
    ]) {
      const chart = memoryChart(job(), series);
      expect(chart?.sentence).toBe('Memory: at most 3.1 of 8 GiB');
      expect([chart?.line, chart?.area]).toEqual(['', '']);
      expect(coresChart(job(), series, 4)).toBeNull();
      expect(timesOf(series)).toEqual([]);
    }
    const unknown = { bytes: 0, peak_bytes: 0, limit_bytes: 0 };
    expect(memoryChart(job({ memory: unknown }), null)).toBeNull();
  });

  it('has ticks where cells end, unless they are too near', () => {
    // 240 s are 1000 units.
    expect(cellTicks(job(), SERIES)).toEqual([125, 313, 563]);
    const many = job({ cell_seconds: Array.from({ length: 400 }, () => 0.5) });
    const ticks = cellTicks(many, SERIES);
    expect(ticks.length).toBeGreaterThan(100);
    ticks.reduce((before, at) => {
      expect(at - before).toBeGreaterThanOrEqual(6);
      return at;
    });
    expect(cellTicks(job({ cell_seconds: [900] }), SERIES)).toEqual([125]);
    const unknown = { ...SERIES, first_cell_seconds: null };
    expect(cellTicks(job(), unknown)).toEqual([]);
    expect(cellTicks(job(), null)).toEqual([]);
    expect(Math.max(...ticks)).toBeLessThanOrEqual(WIDTH);
  });

  it.each([
    [2, 10, ['0', '5 s', '10 s', '15 s', '20 s']],
    [60, 4, ['0', '1 min', '2 min', '3 min', '4 min']],
    [4, 240, ['0', '5 min', '10 min', '15 min']],
    [1024, 200, ['0', '12 h', '24 h', '36 h', '2 d']],
    [4096, 240, ['0', '2 d', '4 d', '6 d', '8 d', '10 d']]
  ])('has round times: %i s × %i', (every, points, words) => {
    const values = Array.from({ length: points }, () => 1);
    const series = {
      every_seconds: every,
      memory_mib: values,
      cores: values,
      first_cell_seconds: 1
    };
    const times = timesOf(series);
    expect(times.map(({ text }) => text)).toEqual(words);
    expect(times[0].at).toBe(0);
    expect(times[times.length - 1].at).toBeLessThanOrEqual(100);
  });
});

describe('the time that is left', () => {
  const NOON = '2026-11-24T12:00:00.000Z';
  const after = (minutes: number): Date =>
    new Date(Date.parse(NOON) + 60_000 * minutes);
  const started = job({ started: NOON });
  const minutes = (...all: number[]): number[] => all.map(each => 60 * each);

  it.each([
    [
      0,
      minutes(10, 12, 15),
      'About 12 min left (10–15 min), as 3 earlier runs took.'
    ],
    [
      4,
      minutes(10, 12, 15),
      'About 8 min left (6–11 min), as 3 earlier runs took.'
    ],
    // Those that had ended by then tell nothing any more.
    [
      11,
      minutes(10, 12, 15),
      'About 3 min left (1–4 min), as 3 earlier runs took.'
    ],
    [14.9, minutes(10, 12, 15), 'About 5 s left, as 3 earlier runs took.'],
    [1, minutes(10, 10.1), 'About 9 min left, as 2 earlier runs took.'],
    [
      0,
      minutes(0.5, 12),
      'About 6 min left (30 s–12 min), as 2 earlier runs took.'
    ],
    [
      0,
      minutes(70, 200),
      'About 2 h 20 min left (1 h 10 min–3 h 20 min), as 2 earlier runs took.'
    ],
    [
      15,
      minutes(10, 12, 15),
      'It takes longer than the 3 earlier runs: 15 min at most.'
    ],
    [
      600,
      minutes(10, 15),
      'It takes longer than the 2 earlier runs: 15 min at most.'
    ],
    [1, minutes(10), ''],
    [1, [], '']
  ])('after %d min', (passed, earlier, words) => {
    expect(timeLeft(started, earlier, after(passed))).toBe(words);
  });

  it('is told before it begins, and not where nobody can know it', () => {
    const earlier = minutes(10, 12, 15);
    const tell = (change: Partial<IJob>): string =>
      timeLeft({ ...started, ...change }, earlier, after(1));
    expect(tell({ state: 'queued', started: null })).toBe(
      'It will run for about 12 min (10–15 min), as 3 earlier runs did.'
    );
    expect(tell({ attempt: 2 })).toBe('');
    expect(tell({ state: 'cancelling' })).toBe('');
    expect(tell({ state: 'succeeded', ended: NOON })).toBe('');
    // A clock that is behind.
    expect(timeLeft(started, earlier, after(-5))).toContain(
      'About 12 min left'
    );
  });
});
