import type { IJob } from '../types';
import {
  adviceText,
  cellBars,
  describeCells,
  describeScale,
  details,
  differences,
  memoryShare,
  progress,
  summary
} from '../view';
import { golden, makeCatalogue } from './factories';

const NOON = new Date('2026-11-24T12:10:00.000Z');
const job = (name: string, change: Partial<IJob> = {}): IJob => ({
  ...golden<IJob>(`job-${name}`),
  ...change
});
const nameOf = (kind: string, slug: string): string => `${kind}/${slug}`;

function lines(
  shown: IJob,
  own: Record<string, string> = {}
): Record<string, string> {
  const record = { notebook_parameters: own };
  const found = details(shown, record, nameOf, NOON);
  return Object.fromEntries(found.map(({ key, text }) => [key, text]));
}

describe('how a job was run', () => {
  it('is told of a running one', () => {
    const said = lines(job('running'));
    expect(said).toMatchObject({
      given: 'bin_size = 50, plot = true',
      path: 'stereo/markers.ipynb',
      image: 'images/notebook',
      kernel: 'python3',
      class: 'classes/standard',
      memory: '3 of 4 GiB, peak 3.5 GiB',
      waited: '12 s',
      limit: '10 min',
      group: 'groups/lab'
    });
    expect(said.output).toMatch(/^offline-jobs\/.*\.ipynb$/);
    expect(Object.keys(said)).not.toContain('try');
    expect(Object.keys(said)).not.toContain('rerun');
    expect(Object.keys(said)).not.toContain('own');
  });

  it('says of an ended one its peak, of another try and of a rerun so', () => {
    const said = lines(job('out-of-memory'));
    expect(said).toMatchObject({
      memory: '3.9 of 4 GiB',
      try: '2',
      rerun: 'a00000000001'
    });
  });

  it('names values of the notebook apart, and leaves out empty ones', () => {
    const given = details(
      job('running'),
      { notebook_parameters: { root: 'Path.home()', declared: '' } },
      nameOf,
      NOON
    );
    const terms = given.map(({ term, text }) => `${term}: ${text}`);
    expect(terms).toContain('As in the notebook: root = Path.home()');
    const without = details(
      job('running', { parameters: {} }),
      { notebook_parameters: { root: '1' } },
      nameOf,
      NOON
    );
    expect(without[0].term).toBe('Parameters, as in the notebook');
  });

  it.each<[string, Partial<IJob>, string | undefined]>([
    ['waits', { started: null, ended: null }, 'at most $1.00'],
    ['runs', { ended: null }, 'about $0.25 so far, at most $1.00'],
    ['runs anew', { ended: null, attempt: 2 }, 'at most $0.25 so far'],
    ['has ended', { ended: '2026-11-24T12:05:00.000Z' }, 'about $0.17'],
    ['has ended at once', { ended: '2026-11-24T11:55:01.000Z' }, 'under $0.01'],
    [
      'never began',
      { started: null, ended: '2026-11-24T12:00:01.000Z' },
      undefined
    ],
    [
      'ran on a spot machine',
      { ended: null, interruptible: true },
      'about $0.13 so far, at most $0.50'
    ]
  ])('says what one costs that %s', (_, change, words) => {
    const shown = job('running', {
      started: '2026-11-24T11:55:00.000Z',
      time_limit_seconds: 3600,
      attempt: 1,
      ...change
    });
    const machine = {
      ...makeCatalogue().classes[0],
      price_per_hour: 1,
      spot_price_per_hour: 0.5,
      currency: 'USD'
    };
    const found = details(shown, null, nameOf, NOON, machine);
    expect(found.find(({ key }) => key === 'cost')?.text).toBe(words);
    const free = {
      ...machine,
      price_per_hour: null,
      spot_price_per_hour: null
    };
    expect(
      details(shown, null, nameOf, NOON, free).map(({ key }) => key)
    ).not.toContain('cost');
  });

  it('promises no file of a job that left none', () => {
    const never = { has_result: false, started: null };
    expect(lines(job('cancelled', never)).output).toBe(undefined);
    // Its runner could not hand the notebook over: it is in the home only.
    const lost = job('succeeded', { has_result: false });
    expect(lines(lost).output).toBeTruthy();
    expect(lines(job('queued')).output).toBeTruthy();
  });

  it('counts what runs apart from what only begins to', () => {
    expect(summary({ running: 1, starting: 2, queued: 1, succeeded: 1 })).toBe(
      '1 running · 2 starting · 1 waiting · 5 jobs'
    );
    expect(summary({ cancelling: 1, failed: 9_999 })).toBe(
      '1 running · 10,000 jobs'
    );
    expect(summary({ succeeded: 1 })).toBe('1 job');
    expect(summary({ queued: 0 })).toBe('');
  });

  it('tells of a spot machine', () => {
    expect(lines(job('queued', { interruptible: true })).spot).toBeTruthy();
    expect(lines(job('queued')).spot).toBe(undefined);
  });

  it('tells text from numbers', () => {
    const parameters = { n: 5, text: '5' };
    expect(lines(job('queued', { parameters })).given).toBe(
      'n = 5, text = "5"'
    );
  });

  it('tells a kernel of the home', () => {
    const kernel = { name: 'mine', source: 'home' };
    expect(lines(job('queued', { kernel })).kernel).toBe(
      'mine (from the home)'
    );
  });
});

it('tells runs of one notebook apart by the values that differ', () => {
  const run = (id: string, parameters: IJob['parameters'], path = 'a.ipynb') =>
    job('running', { id, parameters, path });
  const found = differences([
    run('one', { seed: 1, size: 50, plot: true }),
    run('two', { seed: 2, size: 50 }),
    run('other', { seed: 3 }, 'b.ipynb'),
    job('running', { ...run('anna', { seed: 4 }), owner: 'anna' })
  ]);
  expect(Object.fromEntries(found)).toEqual({
    one: ['seed = 1', 'plot = true'],
    two: ['seed = 2'],
    other: [],
    anna: []
  });
});

describe('the cells', () => {
  it('have bars as high as they took long', () => {
    const bars = cellBars(job('running'), NOON);
    expect(bars).toHaveLength(30);
    expect(bars[0]).toEqual({
      kind: 'done',
      height: (100 * 0.5) / 2.25,
      title: 'cell 1: 0.5 s',
      seconds: 0.5
    });
    expect(bars[1].height).toBe(100);
    expect(bars[11]).toEqual({
      kind: 'now',
      height: 100,
      title: '',
      seconds: null
    });
    expect(bars[29].kind).toBe('none');
  });

  it('mark the one that failed, and none of a job that succeeded', () => {
    expect(cellBars(job('cell-error'), NOON)[4].kind).toBe('bad');
    const kinds = cellBars(job('succeeded'), NOON).map(bar => bar.kind);
    expect(kinds).toEqual(['done', 'done']);
  });

  it('show one that was cancelled as no mistake', () => {
    expect(cellBars(job('cancelled'), NOON)[3].kind).toBe('stopped');
  });

  it('have one scale, and the one at work grows', () => {
    const running = job('running', {
      started: '2026-11-24T12:09:00.000Z',
      cell: { number: 3, total: 4 },
      cell_seconds: [10, 20]
    });
    const heights = (now: string) =>
      cellBars(running, new Date(now)).map(bar => bar.height);
    expect(heights('2026-11-24T12:09:40.000Z')).toEqual([50, 100, 50, 8]);
    expect(heights('2026-11-24T12:10:10.000Z')).toEqual([25, 50, 100, 8]);
    // What the first try took is no part of it.
    const again = cellBars({ ...running, attempt: 2 }, NOON);
    expect(again.map(bar => bar.height)).toEqual([50, 100, 100, 8]);
  });

  it('are one or several in words', () => {
    const one = job('succeeded', {
      cell: { number: 1, total: 1 },
      cell_seconds: [1]
    });
    expect(describeCells(one)).toBe('1 cell: 1 done');
  });

  it.each([
    ['running', '30 cells: 2 done, cell 12 is running, 27 not run'],
    ['succeeded', '2 cells: 2 done'],
    ['cell-error', '9 cells: 4 done, cell 5 failed, 4 not run'],
    ['cancelled', '9 cells: 0 done, cell 4 was cancelled, 8 not run']
  ])('of job-%s in words: %s', (name, words) => {
    expect(describeCells(job(name))).toBe(words);
  });

  it('have a scale once one has ended', () => {
    expect(describeScale(job('running'))).toBe(
      'height: time per cell (longest 2 s)'
    );
    expect(describeScale(job('queued'))).toBe('');
  });

  it('count the running one half, and all of a job that succeeded', () => {
    expect(progress(job('running'))).toBeCloseTo((100 * 11.5) / 30);
    expect(progress(job('succeeded'))).toBe(100);
    const early = job('succeeded', { cell: { number: 1, total: 9 } });
    expect(progress(early)).toBe(100);
    expect(progress(job('queued'))).toBeNull();
  });
});

describe('the memory', () => {
  it('is a share of the limit: now, and the peak of what has ended', () => {
    expect(memoryShare(job('running'))).toBe(75);
    expect(memoryShare(job('out-of-memory'))).toBeCloseTo(97.5, 1);
    expect(memoryShare(job('queued'))).toBeNull();
  });
});

describe('the advice', () => {
  const machines = makeCatalogue().classes.map((machine, index) => ({
    ...machine,
    slug: ['own', 'lesser'][index] ?? machine.slug,
    price_per_hour: [1, 0.25][index] ?? null,
    spot_price_per_hour: [0.4, 0.2][index] ?? null,
    currency: 'USD'
  }));
  const classOf = (slug: string) => machines.find(one => one.slug === slug);
  const advice = { class: 'lesser', sentence: 'Lesser would do' };
  const run = (minutes: number, change: Partial<IJob> = {}): IJob => {
    const started = '2026-11-24T12:00:00.000Z';
    const ended = new Date(
      Date.parse(started) + minutes * 60_000
    ).toISOString();
    return job('succeeded', { class: 'own', started, ended, ...change });
  };

  it.each<[string, IJob, string]>([
    ['a run', run(24), 'about $0.10 instead of $0.40'],
    [
      'a run on spot machines',
      run(60, { interruptible: true }),
      'about $0.20 instead of $0.40'
    ],
    ['a short run', run(1), 'at $0.25 instead of $1.00 per hour'],
    ['no time', run(0), 'at $0.25 instead of $1.00 per hour']
  ])('says what %s would have cost', (_, shown, words) => {
    expect(adviceText(shown, advice, classOf)).toBe(
      `Lesser would do, ${words}.`
    );
  });

  it.each<[string, IJob, string]>([
    ['the class is not to be had', run(24), 'gone'],
    ['nobody knows what its own costs', run(24, { class: 'gone' }), 'lesser']
  ])('says nothing of money where %s', (_, shown, slug) => {
    const words = adviceText(shown, { ...advice, class: slug }, classOf);
    expect(words).toBe('Lesser would do.');
  });

  it.each([null, undefined])('may be %s', none => {
    expect(adviceText(run(24), none, classOf)).toBe('');
  });
});

describe('the processor', () => {
  const machine = { ...makeCatalogue().classes[0], cores: 4 };
  const took = {
    notebook_parameters: {},
    started: '2026-11-24T12:00:00+01:00',
    ended: '2026-11-24T11:01:40Z',
    cpu_seconds: 60
  };
  const find = (...said: [typeof took, typeof machine?]): string | undefined =>
    details(job('succeeded'), said[0], nameOf, NOON, said[1]).find(
      ({ key }) => key === 'processor'
    )?.text;

  it('is told of the cores that there were', () => {
    expect(find(took, machine)).toBe('0.6 of 4 cores busy on average');
  });

  it('is left out where nobody looked or knows', () => {
    expect(find({ ...took, cpu_seconds: 0 }, machine)).toBeUndefined();
    expect(find({ ...took, ended: '' }, machine)).toBeUndefined();
    expect(find({ ...took, ended: took.started }, machine)).toBeUndefined();
    expect(find(took)).toBeUndefined();
  });
});
