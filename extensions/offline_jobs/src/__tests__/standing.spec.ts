import type { IUse } from '../page/reckoning';
import {
  countAll,
  gauge,
  lines,
  lineWords,
  namesIn,
  ofPerson,
  outcomeWords,
  waitingWords
} from '../page/standing';
import type { IOutcome, IPart, IQueue } from '../page/standing';

const GIB = 2 ** 30;
const NONE = { cores: 0, memory_bytes: 0, gpus: 0 };
const LIMITS = { cores: 64, memory_bytes: 512 * GIB, gpus: 0 };

const part = (changes: Partial<IPart> = {}): IPart => ({
  key: 'ada',
  name: 'ada',
  running: 0,
  waiting: 0,
  waiting_since: null,
  sessions: 0,
  by_jobs: NONE,
  by_sessions: NONE,
  ...changes
});

const queue = (changes: Partial<IQueue> = {}): IQueue => ({
  group: 'lab',
  name: 'The lab',
  weight: 1,
  limits: LIMITS,
  budget: null,
  all: part({ running: 2, waiting: 3, sessions: 4 }),
  people: [],
  classes: [part({ key: 'large', name: 'Large memory' })],
  ...changes
});

const use = (changes: Partial<IUse>): IUse => ({
  month: '2026-11',
  group: 'lab',
  user: 'ada',
  class: 'standard',
  kind: 'job',
  interruptible: false,
  count: 1,
  hours: 1,
  core_hours: 4,
  gpu_hours: 0,
  memory_gib_hours: 16,
  cost: 1,
  currency: 'USD',
  ...changes
});

describe('a gauge', () => {
  it('says how much is used of how much', () => {
    const used = { cores: 16, memory_bytes: 32 * GIB, gpus: 1 };
    const limits = { ...LIMITS, gpus: 4 };
    expect(gauge('cores', used, limits)).toEqual({
      words: '16 of 64 cores',
      share: 0.25
    });
    expect(gauge('memory_bytes', used, limits)).toEqual({
      words: '32 of 512 GiB',
      share: 0.0625
    });
    expect(gauge('gpus', used, limits)).toEqual({
      words: '1 of 4 GPUs',
      share: 0.25
    });
    expect(gauge('gpus', used, { ...limits, gpus: 1 }).words).toBe(
      '1 of 1 GPU'
    );
  });

  it('says so where nothing is used', () => {
    expect(gauge('cores', NONE, LIMITS)).toEqual({
      words: '0 of 64 cores',
      share: 0
    });
    const large = { ...LIMITS, memory_bytes: 1024 * GIB };
    const some = { ...NONE, memory_bytes: 0.5 * GIB };
    expect(gauge('memory_bytes', some, large).words).toBe('0.5 of 1,024 GiB');
    expect(gauge('memory_bytes', NONE, LIMITS).words).toBe('0 of 512 GiB');
    expect(gauge('gpus', NONE, LIMITS)).toEqual({ words: 'none', share: null });
  });

  it('has no share where nothing bounds it, and is never over the full', () => {
    const used = { cores: 0.8, memory_bytes: 3 * GIB, gpus: 2 };
    expect(gauge('cores', used, null)).toEqual({
      words: '0.8 cores',
      share: null
    });
    expect(gauge('memory_bytes', used, null).words).toBe('3 GiB');
    expect(gauge('gpus', used, LIMITS)).toEqual({
      words: '2 GPUs',
      share: null
    });
    expect(gauge('cores', NONE, null).words).toBe('0 cores');
    expect(gauge('memory_bytes', NONE, null).words).toBe('0 GiB');
    const over = { ...used, cores: 80 };
    expect(gauge('cores', over, LIMITS)).toEqual({
      words: '80 of 64 cores',
      share: 1
    });
  });
});

describe('who waits', () => {
  const now = new Date('2026-11-30T12:41:00Z');
  const since = '2026-11-30T12:00:00Z';

  it('is told with the time of the first', () => {
    const waits = (waiting: number): string =>
      waitingWords(part({ waiting, waiting_since: since }), now);
    expect(waits(3)).toBe('the first for 41 min');
    expect(waits(1)).toBe('for 41 min');
    expect(waits(0)).toBe('');
    const soon = part({ waiting: 1, waiting_since: since });
    expect(waitingWords(soon, new Date('2026-11-30T12:00:00.5Z'))).toBe(
      'for 0 s'
    );
    expect(waitingWords(soon, new Date('2026-11-30T11:59:59Z'))).toBe(
      'for 0 s'
    );
  });
});

const outcome = (changes: Partial<IOutcome> = {}): IOutcome => ({
  group: 'lab',
  user: 'ada',
  succeeded: 33,
  failed: 6,
  cancelled: 2,
  ...changes
});

describe('a line', () => {
  it('says what its order is, which one machine and a cluster have of their own', () => {
    expect(lineWords(null)).toContain('take turns');
    expect(lineWords(2)).toContain('as they were submitted');
  });
});

describe('how jobs ended', () => {
  it('says how many did, and how many of them failed', () => {
    expect(outcomeWords(outcome())).toEqual(['41 jobs', '6 failed']);
    const one = outcome({ succeeded: 0, failed: 1, cancelled: 0 });
    expect(outcomeWords(one)).toEqual(['1 job', '1 failed']);
    expect(outcomeWords(outcome({ succeeded: 1200 }))[0]).toBe('1,208 jobs');
  });

  it('does not take what was cancelled for failed', () => {
    const stopped = outcome({ succeeded: 0, failed: 0, cancelled: 3 });
    expect(outcomeWords(stopped)).toEqual(['3 jobs', '']);
  });
});

describe('lines', () => {
  it('have what was used first, then who has something now alone', () => {
    const parts = [part({ running: 1 }), part({ key: 'zoe', name: 'zoe' })];
    const uses = [use({}), use({ user: 'ben', cost: 5 })];
    const found = lines(parts, uses, 'user', key => key);
    expect(
      found.map(({ key, now, month }) => [
        key,
        now?.running ?? null,
        month?.costs.get('USD') ?? null
      ])
    ).toEqual([
      ['ben', null, 5],
      ['ada', 1, 1],
      ['zoe', 0, null]
    ]);
  });

  it('have whose jobs ended, also who used nothing and has nothing now', () => {
    const ends = [outcome({ user: 'cem' }), outcome()];
    const found = lines([], [use({})], 'user', key => key, ends);
    expect(found.map(({ key, outcome }) => [key, outcome?.failed])).toEqual([
      ['ada', 6],
      ['cem', 6]
    ]);
    const others = lines([part()], [], 'user', key => key);
    expect(others[0].outcome).toBeNull();
  });

  it('are called as the service says, else as the catalogue does', () => {
    const parts = [part({ key: 'large', name: 'Large memory' })];
    const uses = [use({}), use({ class: 'large' })];
    const found = lines(parts, uses, 'class', key => key.toUpperCase());
    expect(found.map(line => line.name)).toEqual(['Large memory', 'STANDARD']);
  });
});

describe('a list', () => {
  it('is narrowed by a part of a name, whatever its case', () => {
    const names = ['Ada', 'ben', 'ADALBERT'];
    const of = (said: string): string[] => ofPerson(names, said, name => name);
    expect(of(' ada ')).toEqual(['Ada', 'ADALBERT']);
    expect(of('')).toEqual(names);
    expect(of('zoe')).toEqual([]);
  });
});

describe('queues', () => {
  it('are counted together, and tell names', () => {
    const both = [queue(), queue({ group: 'x', name: 'X' })];
    expect(countAll(both)).toEqual({ running: 4, waiting: 6, sessions: 8 });
    expect(namesIn(both)['groups x']).toBe('X');
    expect(namesIn(both)['classes large']).toBe('Large memory');
  });
});
