/** Objects that are valid unless told otherwise, and a server that does what it is told. */

import { readFileSync } from 'fs';
import { join } from 'path';

import type { IAnswer, IApi } from '../api';
import { RequestError } from '../requestError';
import type {
  ICatalogue,
  ICells,
  IChanges,
  ICheck,
  ICourse,
  IJob,
  IJobPage,
  IRunRecord,
  IParameter,
  ISession,
  ISubmission
} from '../types';

const GOLDEN = join(__dirname, '../../../../tests/golden');

/** A golden file, which the tests of the service read as well. */
export function goldenFile<T>(name: string): T {
  return JSON.parse(readFileSync(join(GOLDEN, `${name}.json`), 'utf-8')) as T;
}

/** What the jobs service really answers. */
export function golden<T>(name: string): T {
  return goldenFile(`wire/${name}`);
}

export function makeCatalogue(change: Partial<ICatalogue> = {}): ICatalogue {
  return { ...golden<ICatalogue>('catalogue'), ...change };
}

export function makeSession(change: Partial<ISession> = {}): ISession {
  return {
    group: 'lab',
    image: 'notebook',
    class: 'large',
    available: true,
    why: '',
    root_in_home: '',
    home_in_root: '',
    longest_seconds: null,
    ends_in_seconds: null,
    kernels: [],
    ...change
  };
}

export function makeParameter(change: Partial<IParameter> = {}): IParameter {
  return {
    name: 'bin_size',
    type: 'int',
    default: 50,
    help: '',
    source: '50',
    ...change
  };
}

export function makeCheck(change: Partial<ICheck> = {}): ICheck {
  return {
    problems: [],
    parameters: [makeParameter()],
    kernel: { name: 'python3', source: 'image' },
    sentence: 'Runs on Standard.',
    cells: 2,
    ...change
  };
}

export function makeJob(change: Partial<IJob> = {}): IJob {
  return { ...golden<IJob>('job-running'), ...change };
}

export function unreachable(): RequestError {
  return new RequestError(503, {
    code: 'service-unavailable',
    message: 'The jobs service cannot be reached.'
  });
}

/** A server in memory: answers from its fields, keeps what it was asked. */
export class FakeApi implements IApi {
  catalogueAnswer = makeCatalogue();
  sessionAnswer = makeSession();
  checkAnswer = makeCheck();
  /** When set, every request fails with it. */
  failure: RequestError | null = null;
  /** When set, a submission is stored but its answer is lost. */
  loseAnswer = false;
  list: IJob[] = [];
  etag = '"1"';
  /** How often the server was to be stopped. */
  stops = 0;
  readonly checked: ISubmission[] = [];
  readonly submitted: { submission: ISubmission; key: string }[] = [];
  readonly asked: (string | null)[] = [];
  readonly reruns: { id: string; key: string; changes: IChanges }[] = [];
  readonly checkedReruns: IChanges[] = [];
  private readonly _byKey = new Map<string, IJob>();

  async session(): Promise<ISession> {
    return this._answer(this.sessionAnswer);
  }

  async stopServer(): Promise<void> {
    this.stops++;
    await this._answer(null);
  }

  async catalogue(): Promise<ICatalogue> {
    return this._answer(this.catalogueAnswer);
  }

  async check(submission: ISubmission): Promise<ICheck> {
    this.checked.push(submission);
    return this._answer(this.checkAnswer);
  }

  async submit(submission: ISubmission, key: string): Promise<IJob> {
    this.submitted.push({ submission, key });
    await this._answer(null);
    const job =
      this._byKey.get(key) ?? makeJob({ id: `j0000000000${this._byKey.size}` });
    this._byKey.set(key, job);
    if (this.loseAnswer) {
      this.loseAnswer = false;
      throw unreachable();
    }
    return job;
  }

  /** How many jobs the submissions made. */
  get made(): number {
    return this._byKey.size;
  }

  /** What lists were asked for. */
  readonly queries: URLSearchParams[] = [];

  /** As the service: narrows by state, notebook and name. */
  async jobs(query: string, etag: string | null): Promise<IAnswer<IJobPage>> {
    this.asked.push(etag);
    const asked = new URLSearchParams(query);
    this.queries.push(asked);
    await this._answer(null);
    const states = asked.get('state')?.split(',') ?? [];
    const jobs = this.list.filter(
      job =>
        states.includes(job.state) &&
        job.name.includes(asked.get('q') ?? '') &&
        job.path === (asked.get('path') ?? job.path)
    );
    const limit = Number(asked.get('limit'));
    const next_cursor = jobs.length > limit ? 'more' : null;
    return etag === this.etag
      ? { status: 304, etag, data: undefined }
      : {
          status: 200,
          etag: this.etag,
          data: { jobs: jobs.slice(0, limit), next_cursor }
        };
  }

  /** Jobs that were asked for one by one. */
  readonly looked: string[] = [];

  async job(id: string): Promise<IJob> {
    this.looked.push(id);
    const found = this.list.find(job => job.id === id);
    if (!found) {
      throw new RequestError(404, { code: 'not-found', message: 'None.' });
    }
    return this._answer(found);
  }

  async course(): Promise<ICourse> {
    return this._answer({ series: null, earlier_seconds: [] });
  }

  async cells(): Promise<ICells> {
    return this._answer({ lines: [] });
  }

  async cancel(id: string): Promise<IJob> {
    return this._answer(makeJob({ id, state: 'cancelling' }));
  }

  async checkRerun(_id: string, changes: IChanges): Promise<ICheck> {
    this.checkedReruns.push(changes);
    return this._answer(this.checkAnswer);
  }

  async rerun(id: string, key: string, changes: IChanges): Promise<IJob> {
    this.reruns.push({ id, key, changes });
    return this._answer(
      makeJob({ id: 'again0000000', rerun_of: id, state: 'queued' })
    );
  }

  async remove(): Promise<void> {
    await this._answer(null);
  }

  async log(): Promise<string> {
    return this._answer('log');
  }

  async record(): Promise<IRunRecord> {
    return this._answer({
      record: { notebook_parameters: {} },
      methods: 'It was run.'
    });
  }

  resultUrl(id: string): string {
    return `/offline-jobs/jobs/${id}/result`;
  }

  private async _answer<T>(answer: T): Promise<T> {
    if (this.failure) {
      throw this.failure;
    }
    return answer;
  }
}
