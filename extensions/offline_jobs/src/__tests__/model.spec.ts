import { NOTHING } from '../filters';
import { ALL } from '../jobsReader';
import { JobsModel } from '../model';
import type { IJob } from '../types';
import { FakeApi, makeJob, unreachable } from './factories';

let api: FakeApi;
let model: JobsModel;

beforeEach(() => {
  jest.useFakeTimers();
  api = new FakeApi();
  model = new JobsModel(api);
});

afterEach(() => {
  model.dispose();
  jest.useRealTimers();
  setHidden(false);
});

function setHidden(hidden: boolean): void {
  Object.defineProperty(document, 'visibilityState', {
    configurable: true,
    get: () => (hidden ? 'hidden' : 'visible')
  });
  document.dispatchEvent(new Event('visibilitychange'));
}

/** Let time pass, and everything that is due in it happen. */
async function pass(milliseconds: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(milliseconds);
}

describe('looking', () => {
  it('asks nothing until somebody looks', async () => {
    await pass(60_000);
    expect(api.asked).toEqual([]);
    model.visible = true;
    await pass(100);
    // What is open, and what has ended.
    expect(api.asked).toEqual([null, null]);
    expect(model.isLoaded).toBe(true);
  });

  it('learns what people call images, classes and groups', async () => {
    expect(model.nameOf('classes', 'standard')).toBe('standard');
    model.visible = true;
    await pass(100);
    expect(model.nameOf('classes', 'standard')).toBe('Standard');
    expect(model.nameOf('classes', 'gone')).toBe('gone');
  });

  it('again sends the ETag, and keeps the jobs when nothing changed', async () => {
    api.list = [makeJob()];
    model.visible = true;
    await pass(5_000);
    expect(api.asked.length).toBeGreaterThan(2);
    expect(api.asked.slice(2)).toEqual(api.asked.slice(2).map(() => '"1"'));
    expect(model.jobs).toHaveLength(1);
  });

  it('follows a running job closely, and a quiet list rarely', async () => {
    api.list = [makeJob({ state: 'succeeded' })];
    model.visible = true;
    await pass(100);
    expect(model.interval).toBe(15_000);
    api.list = [makeJob()];
    api.etag = '"2"';
    await pass(15_000);
    expect(model.interval).toBe(2_000);
    model.visible = false;
    expect(model.interval).toBe(10_000);
  });

  it('stands by when nobody looks and nothing is at work', async () => {
    api.list = [makeJob({ state: 'failed' })];
    model.visible = true;
    await pass(100);
    model.visible = false;
    const asked = api.asked.length;
    await pass(120_000);
    expect(api.asked).toHaveLength(asked);
  });

  it('stands by while the browser window is hidden', async () => {
    api.list = [makeJob()];
    model.visible = true;
    await pass(100);
    setHidden(true);
    // The poll looks once more before it rests.
    await pass(5_000);
    const asked = api.asked.length;
    await pass(60_000);
    expect(api.asked).toHaveLength(asked);
    setHidden(false);
    await pass(5_000);
    expect(api.asked.length).toBeGreaterThan(asked);
  });

  it('backs off while the service is away, keeps the jobs, and comes back', async () => {
    api.list = [makeJob()];
    model.visible = true;
    await pass(100);
    api.failure = unreachable();
    const before = api.asked.length;
    await pass(120_000);
    const tries = api.asked.length - before;
    expect(tries).toBeGreaterThan(1);
    expect(tries).toBeLessThan(30);
    expect(model.error?.status).toBe(503);
    expect(model.jobs).toHaveLength(1);
    api.failure = null;
    void model.refresh();
    await pass(100);
    expect(model.error).toBeNull();
  });
});

describe('news', () => {
  it('of a job that ended is told once', async () => {
    const ended: IJob[] = [];
    model.ended.connect((_, job) => ended.push(job));
    api.list = [makeJob(), makeJob({ id: 'old000000000', state: 'failed' })];
    model.visible = true;
    await pass(100);
    api.list = [makeJob({ state: 'succeeded' }), api.list[1]];
    api.etag = '"2"';
    await pass(10_000);
    expect(ended.map(job => job.id)).toEqual([makeJob().id]);
  });

  it('comes of jobs that are not shown, and of those far down the list', async () => {
    const ended: IJob[] = [];
    model.ended.connect((_, job) => ended.push(job));
    const newer = Array.from({ length: 60 }, (_, index) =>
      makeJob({ id: `newer${index}`, state: 'failed', name: 'wanted' })
    );
    api.list = [...newer, makeJob()];
    model.visible = true;
    await pass(100);
    expect(model.jobs).toHaveLength(51);
    expect(model.hasMore).toBe(true);
    model.narrow({ filters: { ...NOTHING, q: 'wanted' }, path: '' });
    await pass(100);
    expect(model.jobs).toHaveLength(50);
    model.visible = false;
    api.etag = '"2"';
    api.list = [...newer, makeJob({ state: 'succeeded' })];
    await pass(11_000);
    expect(ended.map(job => [job.id, job.state])).toEqual([
      [makeJob().id, 'succeeded']
    ]);
    expect(api.looked).toEqual([makeJob().id]);
  });
});

describe('narrowing', () => {
  const other = makeJob({ id: 'other0000000', name: 'b', path: 'b.ipynb' });

  beforeEach(async () => {
    api.list = [
      makeJob({ name: 'a', path: 'a.ipynb', created: '2026-11-24T06:00:00Z' }),
      { ...other, state: 'failed', created: '2026-11-24T07:00:00Z' },
      makeJob({ id: 'gone', name: 'a', path: 'c.ipynb', state: 'cancelled' })
    ];
    model.visible = true;
    await pass(100);
  });

  const ids = (): string[] => model.jobs.map(job => job.id);

  it('keeps what is shown until the answer is there', async () => {
    const before = ids();
    expect(before).toHaveLength(3);
    model.narrow({ filters: { ...NOTHING, q: 'b' }, path: '' });
    expect([ids(), model.isNarrowing]).toEqual([before, true]);
    await pass(100);
    expect([ids(), model.isNarrowing]).toEqual([[other.id], false]);
    model.narrow({ filters: NOTHING, path: 'a.ipynb' });
    await pass(100);
    expect(ids()).toEqual([makeJob().id]);
    model.narrow(ALL);
    await pass(100);
    expect(ids()).toEqual(before);
  });

  it('to a state asks for no other', async () => {
    const from = api.queries.length;
    const filters = { ...NOTHING, state: 'failed' as const, class: 'large' };
    model.narrow({ filters, path: 'b.ipynb' });
    await pass(100);
    const [open, ended, ...rest] = api.queries.slice(from, from + 2);
    expect(rest).toEqual([]);
    expect([open.get('class'), open.get('path')]).toEqual([null, null]);
    expect(Object.fromEntries(ended)).toEqual({
      state: 'failed',
      class: 'large',
      path: 'b.ipynb',
      limit: '50'
    });
  });

  it('heeds no answer that was asked for before', async () => {
    let answer: () => void = () => undefined;
    const jobs = api.jobs.bind(api);
    api.jobs = async (query, etag) => {
      const late = await jobs(query, etag);
      await new Promise<void>(resolve => {
        answer = resolve;
      });
      return late;
    };
    void model.refresh();
    await pass(0);
    api.jobs = jobs;
    model.narrow({ filters: { ...NOTHING, q: 'b' }, path: '' });
    answer();
    await pass(100);
    expect(ids()).toEqual([other.id]);
  });

  it('hides no job that was picked', async () => {
    model.narrow({ filters: { ...NOTHING, q: 'b' }, path: '' });
    await pass(100);
    model.pick('gone');
    await pass(100);
    expect(model.job('gone')?.state).toBe('cancelled');
    model.pick('never');
    await pass(100);
    expect(model.job('never')).toBeUndefined();
    expect(model.error).toBeNull();
  });

  it('is off when a job is submitted only as far as the service says', async () => {
    model.narrow({ filters: { ...NOTHING, q: 'b' }, path: '' });
    await pass(100);
    const made = makeJob({ id: 'made00000000', name: 'b too' });
    api.list = [made, ...api.list];
    api.etag = '"2"';
    model.add(made);
    await pass(100);
    expect(ids()).toContain(made.id);
  });
});

describe('acting', () => {
  it('shows the answer at once and asks the list anew, without ETag', async () => {
    api.list = [makeJob()];
    model.visible = true;
    await pass(100);
    api.etag = '"1"';
    await model.cancel(makeJob().id);
    expect(model.jobs[0].state).toBe('cancelling');
    await pass(100);
    expect(api.asked[api.asked.length - 1]).toBeNull();
  });

  it('a rerun is on top, and after a lost answer keeps its key', async () => {
    api.list = [makeJob({ state: 'failed' })];
    model.visible = true;
    await pass(100);
    api.failure = unreachable();
    await expect(model.rerun(makeJob().id)).rejects.toThrow(
      'cannot be reached'
    );
    api.failure = null;
    await model.rerun(makeJob().id);
    const [lost, answered] = api.reruns;
    expect(lost.key).toBe(answered.key);
    expect(model.jobs[0].rerun_of).toBe(makeJob().id);
    await model.rerun(makeJob().id);
    expect(api.reruns[2].key).not.toBe(answered.key);
  });

  it('a rerun with changes is another wish than one without', async () => {
    api.failure = unreachable();
    await expect(model.rerun('a')).rejects.toThrow();
    await expect(model.rerun('a', { class: 'large' })).rejects.toThrow();
    const [plain, changed] = api.reruns;
    expect(changed.key).not.toBe(plain.key);
    expect(changed.changes).toEqual({ class: 'large' });
  });

  it('twice at once asks once', async () => {
    api.list = [makeJob({ state: 'failed' })];
    await Promise.all([model.rerun('a'), model.rerun('a')]);
    expect(api.reruns).toHaveLength(1);
  });

  it('a list asked for before does not undo it', async () => {
    api.list = [makeJob()];
    model.visible = true;
    await pass(100);
    let answer: () => void = () => undefined;
    const jobs = api.jobs.bind(api);
    api.jobs = async query => {
      const late = await jobs(query, null);
      await new Promise<void>(resolve => {
        answer = resolve;
      });
      return late;
    };
    await pass(2_000);
    api.jobs = jobs;
    api.list = [makeJob({ state: 'cancelling' })];
    await model.cancel(makeJob().id);
    await pass(100);
    answer();
    await pass(0);
    expect(model.jobs[0].state).toBe('cancelling');
  });
});
