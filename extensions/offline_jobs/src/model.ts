/**
 * The user's jobs as the panel shows them: polled with ETag and back-off, standing by when nobody
 * looks. `jobsReader.ts` reads the lists, `jobList.tsx` and `jobDetail.tsx` draw them. All that is open
 * is followed, also what is not shown.
 */

import { UUID } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { IPoll, Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import type { IApi } from './api';
import { RequestError } from './requestError';
import { ALL, isNarrowing, JobsReader, MOST } from './jobsReader';
import type { IRead, IWanted } from './jobsReader';
import { isActive } from './words';
import type {
  ICatalogue,
  IChanges,
  ICourse,
  IInstanceClass,
  IJob,
  IRunRecord
} from './types';

const PAGE = 50;

/** Milliseconds between looks: a running job is followed, a quiet list is not. */
const LOOKS = { followed: 2_000, background: 10_000, quiet: 15_000 };
const LONGEST_PAUSE = 60_000;

export class JobsModel implements IDisposable {
  constructor(private readonly _api: IApi) {
    this._reader = new JobsReader(_api);
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

  /** Those that are wanted, newest first. */
  get jobs(): readonly IJob[] {
    return this._jobs;
  }

  /** Which jobs are wanted. */
  get wanted(): IWanted {
    return this._wanted;
  }

  get isNarrowed(): boolean {
    return isNarrowing(this._wanted);
  }

  /** Whether other jobs are wanted than are shown: they have not come yet. */
  get isNarrowing(): boolean {
    return this._wanted !== this._shown;
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
    const found = this._jobs.find(job => job.id === id);
    return found ?? (this._picked?.id === id ? this._picked : undefined);
  }

  /** Have one job at hand, wanted or not; null: none. */
  pick(id: string | null): void {
    this._pickedId = id;
    this._picked = (id && this.job(id)) || null;
    if (id && !this._picked) {
      void this.refresh();
    }
  }

  /** Want other jobs; those that are shown stay until these have come. */
  narrow(wanted: IWanted): void {
    if (JSON.stringify(wanted) !== JSON.stringify(this._wanted)) {
      this._wanted = wanted;
      this._limit = PAGE;
      this._generation += 1;
      this._changed.emit();
      void this.refresh();
    }
  }

  /** What there is to choose from; empty until the catalogue has come. */
  names(
    kind: 'images' | 'classes' | 'groups'
  ): readonly { slug: string; name: string }[] {
    return this._catalogue?.[kind] ?? [];
  }

  /** What people call an image, class or group: its slug until the catalogue has come. */
  nameOf(kind: 'images' | 'classes' | 'groups', slug: string): string {
    return this.names(kind).find(entry => entry.slug === slug)?.name ?? slug;
  }

  /** The job's class, where it can be had. */
  classOf(slug: string): IInstanceClass | undefined {
    return this._catalogue?.classes.find(one => one.slug === slug);
  }

  /** Whether an action on the job waits for its answer. */
  isBusy(id: string): boolean {
    return this._busy.has(id);
  }

  /** Whether somebody looks at the panel. */
  get visible(): boolean {
    return this._visible;
  }

  /** Tell whether somebody looks at it. */
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
      if (this._picked?.id === id) {
        this._picked = this._pickedId = null;
      }
      this._reader.forget();
      this._generation += 1;
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

  /** How a run goes. @throws RequestError */
  course(id: string): Promise<ICourse> {
    return this._api.course(id);
  }

  /** The first line of each cell. @throws RequestError */
  async cells(id: string): Promise<readonly string[]> {
    return (await this._api.cells(id)).lines;
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
    try {
      // A look that somebody asked for while one was under way does not follow by itself.
      while (!this.isDisposed && !(await this._look())) {
        continue;
      }
      this._error = null;
      this._loaded = true;
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

  /** Whether what was read still counts: a change of ours it would undo on the screen. */
  private async _look(): Promise<boolean> {
    const seen = this._generation;
    const wanted = this._wanted;
    const read = await this._reader.read(wanted, this._limit);
    // Names only: without them the slugs are shown, and the next look asks again.
    this._catalogue ??= await this._api.catalogue().catch(() => null);
    const ended = await this._findEnded(read);
    const picked = await this._findPicked(read);
    if (seen !== this._generation) {
      this._reader.forget();
      return false;
    }
    this._take(read, wanted, picked);
    ended.forEach(job => this._ended.emit(job));
    return true;
  }

  /** Those that were seen at work and have ended since, shown or not. */
  private async _findEnded({ open, jobs }: IRead): Promise<IJob[]> {
    const still = new Set(open.map(job => job.id));
    const found = [...this._open]
      .filter(id => !still.has(id))
      .map(id => jobs.find(job => job.id === id) ?? this._reader.find(id));
    const ended = await Promise.all(found);
    return ended.filter(job => job !== null).filter(job => !isActive(job));
  }

  private async _findPicked({ open, jobs }: IRead): Promise<IJob | null> {
    const id = this._pickedId;
    const found = [...jobs, ...open].find(job => job.id === id);
    const known = this._picked?.id === id ? this._picked : null;
    // One that has ended changes no more.
    return found ?? (known && !isActive(known) ? known : await this._ask(id));
  }

  private async _ask(id: string | null): Promise<IJob | null> {
    return id === null ? null : this._reader.find(id);
  }

  private _take(read: IRead, wanted: IWanted, picked: IJob | null): void {
    this._jobs = read.jobs;
    this._more = read.hasMore;
    this._shown = wanted;
    this._open = new Set(read.open.map(job => job.id));
    if (!picked || picked.id === this._pickedId) {
      this._picked = picked;
    }
  }

  private _put(job: IJob): void {
    const others = this._jobs.filter(one => one.id !== job.id);
    const index = this._jobs.findIndex(one => one.id === job.id);
    others.splice(Math.max(index, 0), 0, job);
    this._jobs = others;
    if (isActive(job)) {
      this._open.add(job.id);
    }
    if (this._picked?.id === job.id) {
      this._picked = job;
    }
    this._reader.forget();
    this._generation += 1;
    this._changed.emit();
  }

  private _isWatched(): boolean {
    return this._visible || this._open.size > 0;
  }

  private _frequency(): IPoll.Frequency {
    const interval = !this._open.size
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
  private readonly _reader: JobsReader;
  private _catalogue: ICatalogue | null = null;
  private _jobs: readonly IJob[] = [];
  /** Ids of those that are followed to their end. */
  private _open = new Set<string>();
  private _wanted = ALL;
  /** What the jobs were read for. */
  private _shown = ALL;
  private _pickedId: string | null = null;
  private _picked: IJob | null = null;
  private _error: RequestError | null = null;
  private _limit = PAGE;
  private _more = false;
  private _loaded = false;
  private _visible = false;
  private _generation = 0;
}
