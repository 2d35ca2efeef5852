import type { IJob, IJobPage } from '../types';
import {
  clockTime,
  contentsPath,
  coresOf,
  duration,
  elapsed,
  homePath,
  isActive,
  size,
  sizeOf,
  stateWord
} from '../words';
import { golden, goldenFile, makeJob } from './factories';

describe('words', () => {
  const amounts = goldenFile<{
    duration: [number, string][];
    size: [number, string][];
    size_of: [number, number, string][];
    cores_of: [number, number, string][];
  }>('amounts');

  it.each(amounts.duration)('%d seconds are %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it.each(amounts.size)('%d bytes are %s', (bytes, text) => {
    expect(size(bytes)).toBe(text);
  });

  it.each(amounts.size_of)('%d of %d bytes are %s', (part, whole, text) => {
    expect(sizeOf(part, whole)).toBe(text);
  });

  it.each(amounts.cores_of)('%d of %d cores are %s', (part, whole, text) => {
    expect(coresOf(part, whole)).toBe(text);
  });

  it('count a waiting job from its submission, a running one from its start', () => {
    const now = new Date('2026-11-24T12:01:12.000Z');
    expect(elapsed(golden<IJob>('job-queued'), now)).toBe('1 min 12 s');
    expect(elapsed(golden<IJob>('job-running'), now)).toBe('1 min');
  });

  it('tell the date of a time of another day', () => {
    const noon = new Date(2026, 10, 24, 12);
    const time = new Date(2026, 10, 24, 9, 5, 7).toISOString();
    const earlier = new Date(2026, 10, 23, 9, 5, 7).toISOString();
    expect(clockTime(time, noon)).toBe('09:05:07');
    expect(clockTime(earlier, noon)).toMatch(/23.*09:05:07/);
  });

  it('show a state that a newer service has as it is', () => {
    expect(stateWord('paused' as IJob['state'])).toBe('paused');
  });
});

describe('a file of the home', () => {
  const path = 'offline-jobs/a/b.ipynb';
  it.each([
    ['', '', path],
    [null, 'users/ada', `users/ada/${path}`],
    ['offline-jobs', null, 'a/b.ipynb'],
    ['stereo', null, null],
    [null, null, null]
  ])(
    'with Lab at %j of the home and the home at %j of Lab is at %j',
    (root_in_home, home_in_root, expected) => {
      const session = { root_in_home, home_in_root };
      expect(contentsPath(path, session)).toBe(expected);
      if (expected !== null) {
        expect(homePath(expected, session)).toBe(path);
      }
    }
  );
});

it('what lies outside the home has no place in it', () => {
  const session = { root_in_home: null, home_in_root: 'home/ada' };
  expect(homePath('home/adam/a.ipynb', session)).toBeNull();
  expect(
    homePath('a.ipynb', { root_in_home: null, home_in_root: null })
  ).toBeNull();
});

describe("the service's answers", () => {
  it.each([
    ['job-queued', true],
    ['job-starting', true],
    ['job-running', true],
    ['job-succeeded', false],
    ['job-cell-error', false],
    ['job-out-of-memory', false],
    ['job-cancelled', false]
  ])('%s has every field we read', (name, active) => {
    const job = golden<IJob>(name);
    expect(isActive(job)).toBe(active);
    expect(stateWord(job.state)).not.toBe(job.state);
    // The type in words: what the components use must be there and of its kind.
    expect(job).toMatchObject({
      id: expect.any(String),
      name: expect.any(String),
      sentence: expect.any(String),
      cell: { number: expect.any(Number), total: expect.any(Number) },
      cell_seconds: expect.any(Array),
      memory: {
        bytes: expect.any(Number),
        peak_bytes: expect.any(Number),
        limit_bytes: expect.any(Number)
      },
      kernel: { name: expect.any(String) },
      parameters: expect.any(Object),
      output_path: expect.any(String),
      has_result: expect.any(Boolean)
    });
    expect(Object.keys(job).sort()).toEqual(Object.keys(makeJob()).sort());
  });

  it('a page of jobs has jobs and a cursor', () => {
    const page = golden<IJobPage>('jobs');
    expect(page.jobs.length).toBeGreaterThan(0);
    expect(page).toHaveProperty('next_cursor');
  });
});
