/**
 * The list of jobs: what runs, what waits, what has ended; in each the newest first.
 *
 * The service narrows, counts and pages. The page holds what it has shown so far, follows the news
 * of these jobs, and reads the counts and first pages anew when a job came, went or changed its part.
 */

import type { IJob, IJobPage } from '../types';
import { summary } from '../view';
import {
  countOf,
  queryOf,
  STAGE_NAMES,
  stageOf,
  statesOf,
  whoseOf
} from '../filters';
import type { Counts, Stage } from '../filters';
import { Narrowing } from './narrowing';
import { act, byId, partOf, setText, toast, trouble } from './parts';
import { Picking } from './picking';
import { Rows } from './rows';
import { BASE, follow, loadNames, ME, nameOf, request } from './service';

const PAGE = 100;
/** As many as the service lists at once. */
const MOST = 500;
const SOON_MILLISECONDS = 500;

export function showList(): void {
  const table = byId('jobs');
  const etags = new Map<string, string>();
  /** Where a part goes on, and the time of its last job: all newer ones are shown. */
  const ends = new Map<Stage, { cursor: string; oldest: string }>();
  /** Jobs of which news came while an answer was awaited: what it says of them is older. */
  const touched = new Set<string>();
  /** In which state a job was when news of it came last. */
  const told = new Map<string, IJob['state']>();
  let counts: Counts | null = null;
  /** Grows when other jobs are wanted: answers for those before are too late. */
  let wish = 0;
  let isReading = false;
  let isOutdated = false;
  let timer: number | undefined;
  let stopFollowing = (): void => undefined;

  const narrowing = new Narrowing(begin);
  const rows = new Rows({
    changed: news,
    begun
  });
  const picking = new Picking(rows, { changed: news, removed });

  function begun(fresh: IJob): void {
    soon();
    toast(
      `“${fresh.name}” runs again on ${nameOf('classes', fresh.class)}.`,
      `${BASE}jobs/${fresh.id}`
    );
  }

  /** A job changed. One that is not shown may have to be: the service says so. */
  function news(job: IJob): void {
    const known = rows.jobs.get(job.id);
    const before = known?.state ?? told.get(job.id);
    told.set(job.id, job.state);
    touched.add(job.id);
    if (known) {
      const stage = stageOf(job.state);
      const isWanted = statesOf(stage, narrowing.filters).includes(job.state);
      if (isWanted && job.created >= (ends.get(stage)?.oldest ?? '')) {
        rows.put(job);
      } else {
        rows.remove(job.id);
      }
      picking.show();
    }
    if (before !== job.state) {
      soon();
    }
  }

  function removed(id: string): void {
    told.delete(id);
    rows.remove(id);
    picking.show();
    soon();
  }

  /** Read anew in a moment, once for much news. */
  function soon(): void {
    timer ??= window.setTimeout(() => {
      timer = undefined;
      void refresh();
    }, SOON_MILLISECONDS);
  }

  async function ask(
    path: string,
    extra: Record<string, string> = {}
  ): Promise<Response> {
    const query = queryOf(narrowing.filters, ME, extra);
    const address = query ? `${path}?${query}` : path;
    // Of all pages but the first nobody knows any more what was in them.
    const etag = extra.cursor ? '' : etags.get(address);
    const answer = await request(
      'GET',
      address,
      etag ? { 'If-None-Match': etag } : {}
    );
    etags.set(address, answer.headers.get('etag') ?? '');
    return answer;
  }

  async function readPage(
    stage: Stage,
    limit: number,
    cursor: string
  ): Promise<IJobPage | null> {
    const states = statesOf(stage, narrowing.filters).join();
    const extra = { state: states, limit: String(limit), cursor };
    const answer = await ask('jobs', extra);
    return answer.status === 304 ? null : ((await answer.json()) as IJobPage);
  }

  /** A part anew, as far as it is shown; null: nothing in it changed. */
  async function readStage(
    stage: Stage,
    number: number
  ): Promise<IJobPage | null> {
    const whole: IJobPage = { jobs: [], next_cursor: '' };
    while (whole.jobs.length < number && whole.next_cursor !== null) {
      const limit = Math.min(number - whole.jobs.length, MOST);
      const page = await readPage(stage, limit, whole.next_cursor);
      if (!page) {
        return null;
      }
      whole.jobs.push(...page.jobs);
      whole.next_cursor = page.next_cursor;
    }
    return whole;
  }

  /** One reading at a time; what changes meanwhile is read after it. */
  async function refresh(): Promise<void> {
    isOutdated = true;
    if (isReading) {
      return;
    }
    isReading = true;
    while (isOutdated) {
      isOutdated = false;
      await read();
    }
    isReading = false;
  }

  async function read(): Promise<void> {
    const asked = wish;
    touched.clear();
    try {
      const answer = (await (await ask('jobs/counts')).json()) as {
        states: Counts;
      };
      const pages = await Promise.all(
        STAGE_NAMES.map(async stage => {
          const states = statesOf(stage, narrowing.filters);
          const none: IJobPage = { jobs: [], next_cursor: null };
          const isNew = table.ariaBusy === 'true';
          const shown = isNew ? 0 : rows.inStage(stage).length;
          const page = countOf(states, answer.states)
            ? await readStage(stage, Math.max(PAGE, shown))
            : none;
          return [stage, page] as const;
        })
      );
      if (asked !== wish) {
        return;
      }
      if (table.ariaBusy === 'true') {
        rows.clear();
        table.ariaBusy = 'false';
      }
      counts = answer.states;
      trouble(null);
      take(pages);
    } catch (error) {
      if (asked === wish) {
        fail(error);
      }
    }
  }

  function fail(error: unknown): void {
    trouble(error);
    if (table.ariaBusy === 'true') {
      rows.clear();
      etags.clear();
      counts = null;
      show();
    }
  }

  /** What a part should hold and does not is there no more. */
  function take(pages: (readonly [Stage, IJobPage | null])[]): void {
    for (const [stage, page] of pages) {
      if (!page) {
        continue;
      }
      const seen = new Set(page.jobs.map(job => job.id));
      for (const job of rows.inStage(stage)) {
        if (!seen.has(job.id) && !touched.has(job.id)) {
          rows.remove(job.id);
        }
      }
      setEnd(stage, page);
    }
    for (const [, page] of pages) {
      page?.jobs
        .filter(({ id }) => !touched.has(id) || !rows.jobs.has(id))
        .forEach(job => rows.put(job));
    }
    show();
  }

  function setEnd(stage: Stage, page: IJobPage): void {
    const cursor = page.next_cursor ?? '';
    const oldest = cursor ? (page.jobs.at(-1)?.created ?? '') : '';
    ends.set(stage, { cursor, oldest });
  }

  async function showMore(stage: Stage): Promise<void> {
    const asked = wish;
    const page = await readPage(stage, PAGE, ends.get(stage)?.cursor ?? '');
    if (asked !== wish || !page) {
      return;
    }
    setEnd(stage, page);
    page.jobs.forEach(job => rows.put(job));
    show();
    const first = page.jobs.at(0);
    if (first && !page.next_cursor) {
      // The button is gone: the keyboard goes on at what it brought.
      table
        .querySelector<HTMLElement>(`[data-job="${first.id}"] .name`)
        ?.focus();
    }
  }

  function show(): void {
    rows.label();
    narrowing.offer(rows.jobs.values());
    picking.show();
    const total = Object.values(counts ?? {}).reduce((a, b) => a + b, 0);
    setText(byId('summary'), summary(counts ?? {}) || (counts ? '0 jobs' : ''));
    table.hidden = !rows.jobs.size;
    byId('empty').hidden = !counts || total > 0 || narrowing.isNarrowed;
    byId('nothing').hidden = !counts || total > 0 || !narrowing.isNarrowed;
    STAGE_NAMES.forEach(showStage);
  }

  function showStage(stage: Stage): void {
    const all = countOf(statesOf(stage, narrowing.filters), counts ?? {});
    const shown = rows.inStage(stage).length;
    const head = byId(`${stage}-head`);
    head.hidden = !all && !shown;
    setText(partOf(head, '.count'), Math.max(all, shown).toLocaleString('en'));
    const more = byId(`${stage}-more`);
    more.hidden = !ends.get(stage)?.cursor;
    setText(
      partOf(more, '.quiet'),
      `${shown.toLocaleString('en')} of ${all.toLocaleString('en')} are shown`
    );
  }

  function begin(): void {
    wish += 1;
    stopFollowing();
    picking.clear();
    etags.clear();
    ends.clear();
    told.clear();
    // What was shown stays until the answer is there.
    table.ariaBusy = 'true';
    void refresh();
    const whose = new URLSearchParams(whoseOf(narrowing.filters, ME));
    const isOwn = !narrowing.filters.user;
    stopFollowing = follow(isOwn ? '' : `?${whose.toString()}`, {
      job: news,
      removed,
      refresh: () => void refresh()
    });
  }

  for (const stage of STAGE_NAMES) {
    const more = partOf<HTMLButtonElement>(byId(`${stage}-more`), 'button');
    more.addEventListener('click', () => void act(more, () => showMore(stage)));
  }
  document.addEventListener('keydown', event => {
    const isAsked = byId<HTMLDialogElement>('confirm').open;
    if (event.key === 'Escape' && !isAsked && !picking.isEmpty) {
      picking.clear();
    }
  });
  void loadNames().then(() => {
    rows.refill();
    narrowing.offer(rows.jobs.values());
  });
  begin();
}
