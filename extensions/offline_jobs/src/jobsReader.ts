/**
 * Reads a person's jobs for the panel: all that are open, and of those that are wanted what is open
 * and the newest that have ended. What has not changed is not sent again (ETag).
 */

import type { IApi } from './api';
import { formatFilters, NOTHING, queryOf, STAGES, statesOf } from './filters';
import type { IFilters, Stage } from './filters';
import { RequestError } from './requestError';
import type { IJob, IJobPage, JobState } from './types';

/** As many as the service lists at once. */
export const MOST = 500;
const OPEN: readonly Stage[] = ['running', 'waiting'];

/** Which jobs are wanted. */
export interface IWanted {
  filters: Readonly<IFilters>;
  /** Of this notebook of the home; '': of any. */
  path: string;
}

export const ALL: IWanted = { filters: NOTHING, path: '' };

export function isNarrowing({ filters, path }: IWanted): boolean {
  return Boolean(formatFilters(filters) || path);
}

export interface IRead {
  /** All that have not ended, wanted or not. */
  open: IJob[];
  /** Those that are wanted, newest first. */
  jobs: IJob[];
  /** Whether more of them have ended. */
  hasMore: boolean;
}

export class JobsReader {
  constructor(private readonly _api: Pick<IApi, 'job' | 'jobs'>) {}

  /** @throws RequestError */
  async read(wanted: IWanted, limit: number): Promise<IRead> {
    const before = this._pages;
    this._pages = new Map();
    const states = (stages: readonly Stage[]): JobState[] =>
      stages.flatMap(stage => statesOf(stage, wanted.filters));
    const all = OPEN.flatMap(stage => [...STAGES[stage]]);
    const { jobs: open } = await this._page(before, ALL, all, MOST);
    const shown = await this._page(before, wanted, states(OPEN), MOST);
    // Read last: what ends meanwhile is in both, and this is what became of it.
    const ended = await this._page(before, wanted, states(['ended']), limit);
    const jobs = new Map([...shown.jobs, ...ended.jobs].map(j => [j.id, j]));
    return {
      open,
      jobs: [...jobs.values()].sort((a, b) => (a.created < b.created ? 1 : -1)),
      hasMore: ended.next_cursor !== null
    };
  }

  /** One job; null where there is none. @throws RequestError */
  async find(id: string): Promise<IJob | null> {
    try {
      return await this._api.job(id);
    } catch (error) {
      if (error instanceof RequestError && error.status === 404) {
        return null;
      }
      throw error;
    }
  }

  /** Ask for everything anew. */
  forget(): void {
    this._pages.clear();
  }

  private async _page(
    before: ReadonlyMap<string, IKnown>,
    { filters, path }: IWanted,
    states: readonly JobState[],
    limit: number
  ): Promise<IJobPage> {
    if (!states.length) {
      return { jobs: [], next_cursor: null };
    }
    const extra = { state: states.join(), path, limit: String(limit) };
    const query = queryOf(filters, '', extra);
    // Where nothing is narrowed, what is open was read already.
    const read = this._pages.get(query);
    if (read) {
      return read.page;
    }
    const known = before.get(query);
    const answer = await this._api.jobs(query, known?.etag ?? null);
    const page = answer.data ?? known?.page;
    if (!page) {
      throw new Error('Nothing is unchanged that was never answered.');
    }
    this._pages.set(query, { etag: answer.etag, page });
    return page;
  }

  private _pages = new Map<string, IKnown>();
}

interface IKnown {
  etag: string | null;
  page: IJobPage;
}
