/**
 * The user's jobs as the panel shows them: polled with ETag and back-off, standing by when nobody
 * looks. `jobList.tsx` and `jobDetail.tsx` draw it; it speaks through `api.ts` only.
 */

import { UUID } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { IPoll, Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import type { IApi } from './api';
import { RequestError } from './requestError';
import { isActive } from './words';
import type {
  ICatalogue,
  IChanges,
  IInstanceClass,
  IJob,
  IRunRecord
} from './types';

const PAGE = 50;
const MOST = 500;

/** Milliseconds between looks: a running job is followed, a quiet list is not. */
const LOOKS = { followed: 2_000, background: 10_000, quiet: 15_000 };
const LONGEST_PAUSE = 60_000;

export class JobsModel implements IDisposable {
  constructor(private readonly _api: IApi) {
    this._poll = new Poll<void, unknown>({
      name: 'offline-jobs:jobs',
      auto: false,
      factory: () => this._fetch(),
      frequency: this._frequency(),
      standby: () => (this._isWatched() ? 'when-hidden' : true)
    });
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** A job that was seen at work and has now ended. */
  get ended(): ISignal<this, IJob> {
    return this._ended;
  }

  /** Newest first. */
  get jobs(): readonly IJob[] {
    return this._jobs;
  }

  /** Whether the list was ever answered. */
  get isLoaded(): boolean {
    return this._loaded;
  }

  get hasMore(): boolean {
    return this._more && this._limit < MOST;
  }

  /** What the last look ended with; the jobs seen before are kept. */
  get error(): RequestError | null {
    return this._error;
  }

  /** Milliseconds until the next look, growing while the service is away. */
  get interval(): number {
    return this._poll.frequency.interval;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._poll.dispose();
      Signal.clearData(this);
    }
  }

  job(id: string): IJob | undefined {
    return this._jobs.find(job => job.id === id);
  }

  /** What people call an image, class or group: its slug until the catalogue has come. */
  nameOf(kind: 'images' | 'classes' | 'groups', slug: string): string {
    const entries: readonly { slug: string; name: string }[] =
      this._catalogue?.[kind] ?? [];
    return entries.find(entry => entry.slug === slug)?.name ?? slug;
  }

  /** The job's class, where it can be had. */
  classOf(slug: string): IInstanceClass | undefined {
    return this._catalogue?.classes.find(one => one.slug === slug);
  }

  /** Whether an action on the job waits for its answer. */
  isBusy(id: string): boolean {
    return this._busy.has(id);
  }

  /** Tell whether somebody looks at the list. */
  set visible(visible: boolean) {
    if (visible !== this._visible) {
      this._visible = visible;
      this._poll.frequency = this._frequency();
      if (visible) {
        void this.refresh();
      }
    }
  }

  /** Look now; a look in flight is waited for, and another one follows. */
  async refresh(): Promise<void> {
    if (this.isDisposed) {
      return;
    }
    await this._poll.refresh();
    // Rejects only when the model goes before the answer comes.
    await this._poll.tick.catch(() => undefined);
  }

  /** A job that was just made: shown at once, and followed. */
  add(job: IJob): void {
    this._put(job);
    void this.refresh();
  }

  showMore(): void {
    this._limit = Math.min(this._limit + PAGE, MOST);
    this._etag = null;
    void this.refresh();
  }

  /** @throws RequestError */
  async cancel(id: string): Promise<void> {
    await this._act(id, async () => this._put(await this._api.cancel(id)));
  }

  /**
   * Run the same notebook again, as a new job, with changes or without.
   *
   * The key is kept until an answer came: asking again after a lost answer makes no second job.
   *
   * @throws RequestError
   */
  async rerun(id: string, changes: IChanges = {}): Promise<void> {
    await this._act(id, async () => {
      const wish = `${id} ${JSON.stringify(changes)}`;
      const key = this._rerunKeys.get(wish) ?? UUID.uuid4();
      this._rerunKeys.set(wish, key);
      const job = await this._api.rerun(id, key, changes);
      this._rerunKeys.delete(wish);
      this._put(job);
    });
  }

  /** Delete the record of a job that has ended. @throws RequestError */
  async remove(id: string): Promise<void> {
    await this._act(id, async () => {
      await this._api.remove(id);
      this._jobs = this._jobs.filter(job => job.id !== id);
    });
  }

  /** The job's log; the tail while it runs. @throws RequestError */
  log(id: string): Promise<string> {
    return this._api.log(id);
  }

  /** What the runner of a job that has ended recorded. @throws RequestError */
  record(id: string): Promise<IRunRecord> {
    return this._api.record(id);
  }

  resultUrl(id: string): string {
    return this._api.resultUrl(id);
  }

  private async _act(id: string, action: () => Promise<void>): Promise<void> {
    if (this._busy.has(id)) {
      return;
    }
    this._busy.add(id);
    this._changed.emit();
    try {
      await action();
    } finally {
      this._busy.delete(id);
      this._changed.emit();
      void this.refresh();
    }
  }

  private async _fetch(): Promise<void> {
    const seen = this._generation;
    try {
      const answer = await this._api.jobs(this._limit, this._etag);
      // Names only: without them the slugs are shown, and the next look asks again.
      this._catalogue ??= await this._api.catalogue().catch(() => null);
      this._error = null;
      this._loaded = true;
      // A list asked for before a change of ours would undo it on the screen.
      if (answer.data && seen === this._generation) {
        this._etag = answer.etag;
        this._replace(answer.data.jobs);
        this._more = answer.data.next_cursor !== null;
      }
    } catch (error) {
      if (error instanceof RequestError) {
        this._error = error;
      }
      // The poll backs off when its factory fails.
      throw error;
    } finally {
      if (!this.isDisposed) {
        this._poll.frequency = this._frequency();
        this._changed.emit();
      }
    }
  }

  private _replace(jobs: IJob[]): void {
    const before = new Map(this._jobs.map(job => [job.id, job]));
    this._jobs = jobs;
    for (const job of jobs) {
      const old = before.get(job.id);
      if (old && isActive(old) && !isActive(job)) {
        this._ended.emit(job);
      }
    }
  }

  private _put(job: IJob): void {
    const others = this._jobs.filter(one => one.id !== job.id);
    const index = this._jobs.findIndex(one => one.id === job.id);
    others.splice(Math.max(index, 0), 0, job);
    this._jobs = others;
    this._etag = null;
    this._generation += 1;
    this._changed.emit();
  }

  private _isWatched(): boolean {
    return this._visible || this._jobs.some(isActive);
  }

  private _frequency(): IPoll.Frequency {
    const active = this._jobs.some(isActive);
    const interval = !active
      ? LOOKS.quiet
      : this._visible
        ? LOOKS.followed
        : LOOKS.background;
    return { interval, backoff: true, max: LONGEST_PAUSE };
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _ended = new Signal<this, IJob>(this);
  private readonly _busy = new Set<string>();
  private readonly _rerunKeys = new Map<string, string>();
  private readonly _poll: Poll<void, unknown>;
  private _catalogue: ICatalogue | null = null;
  private _jobs: readonly IJob[] = [];
  private _etag: string | null = null;
  private _error: RequestError | null = null;
  private _limit = PAGE;
  private _more = false;
  private _loaded = false;
  private _visible = false;
  private _generation = 0;
}
