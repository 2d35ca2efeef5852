/**
 * The list of jobs, newest first.
 */

import type { IJob, IJobPage } from '../types';
import { differences, summary } from '../view';
import { isActive } from '../words';
import {
  act,
  byId,
  make,
  makeCancelButton,
  makeDownloadLink,
  makeRerunButton,
  partOf,
  setBar,
  setState,
  setText,
  showTime,
  sinceWhen,
  toast,
  trouble
} from './parts';
import { AGAIN, BASE, follow, loadNames, ME, nameOf, request } from './service';

const PAGE = 100;

export function showList(): void {
  const body = byId<HTMLTableElement>('jobs').tBodies[0];
  const template = byId<HTMLTemplateElement>('row');
  const everybody = document.querySelector<HTMLInputElement>('#everybody');
  const more = byId<HTMLButtonElement>('more');
  const jobs = new Map<string, IJob>();
  const rows = new Map<string, HTMLTableRowElement>();
  let etag = '';
  let cursor: string | null = null;
  let stopFollowing = (): void => undefined;

  function address(extra: Record<string, string>): string {
    const whose: Record<string, string> = everybody?.checked
      ? { user: '*' }
      : {};
    const query = new URLSearchParams({ ...whose, ...extra }).toString();
    return query ? `?${query}` : '';
  }

  function put(job: IJob): void {
    jobs.set(job.id, job);
    const row = rows.get(job.id) ?? insert(job);
    fill(row, job);
  }

  /** Newest first; rows that are there already stay where they are. */
  function insert(job: IJob): HTMLTableRowElement {
    const copy = template.content.cloneNode(true) as DocumentFragment;
    const row = partOf<HTMLTableRowElement>(copy, 'tr');
    rows.set(job.id, row);
    row.dataset.created = job.created;
    row.dataset.job = job.id;
    const after = [...body.rows].find(
      other => (other.dataset.created ?? '') < job.created
    );
    body.insertBefore(row, after ?? null);
    return row;
  }

  function fill(row: HTMLTableRowElement, job: IJob): void {
    const link = partOf<HTMLAnchorElement>(row, '.name');
    setText(link, job.name);
    link.href = `${BASE}jobs/${job.id}`;
    const place = job.owner === ME ? job.path : `${job.owner}: ${job.path}`;
    setText(partOf(row, '.place'), place);
    setState(partOf(row, '.state'), job);
    setText(partOf(row, '.sentence'), job.sentence);
    setBar(partOf(row, '.bar'), job);
    setText(partOf(row, '.machine'), nameOf('classes', job.class));
    showTime(partOf(row, '.since'), job, sinceWhen);
    const kind = `${job.state} ${job.has_result}`;
    // A focused button is left alone.
    if (row.dataset.kind !== kind) {
      row.dataset.kind = kind;
      partOf(row, '.do').replaceChildren(...listActions(job));
    }
  }

  function listActions(job: IJob): HTMLElement[] {
    if (job.state === 'cancelling') {
      return [];
    }
    if (isActive(job)) {
      return [makeCancelButton(job, changed)];
    }
    if (job.state === 'succeeded' && job.has_result) {
      return [makeDownloadLink(job, 'Download')];
    }
    if (job.owner !== ME) {
      return [];
    }
    if (job.again?.label || job.again?.unchanged) {
      return [makeRerunButton(job, begun)];
    }
    // As it was it would end in the same way.
    const href = `${BASE}jobs/${job.id}#${AGAIN}`;
    const label = { 'aria-label': `Run again…: ${job.name}` };
    return [make('a', 'Run again…', { class: 'button', href, ...label })];
  }

  function begun(fresh: IJob): void {
    changed(fresh);
    toast(
      `“${fresh.name}” runs again on ${nameOf('classes', fresh.class)}.`,
      `${BASE}jobs/${fresh.id}`
    );
  }

  function changed(job: IJob): void {
    put(job);
    summarize();
  }

  function removed(id: string): void {
    jobs.delete(id);
    rows.get(id)?.remove();
    rows.delete(id);
    summarize();
  }

  /** Small labels with what tells a run from the others of its notebook. */
  function label(): void {
    for (const [id, words] of differences(jobs.values())) {
      const row = rows.get(id);
      const place = row && partOf(row, '.chips');
      if (place && place.dataset.words !== words.join('\n')) {
        place.dataset.words = words.join('\n');
        place.replaceChildren(
          ...words.map(word => make('span', word, { title: word }))
        );
      }
    }
  }

  function summarize(): void {
    label();
    const isWhole = cursor === null;
    setText(byId('summary'), summary([...jobs.values()], isWhole));
    byId('jobs').hidden = !jobs.size;
    byId('empty').hidden = jobs.size > 0;
    more.hidden = isWhole;
  }

  async function refresh(): Promise<void> {
    try {
      const response = await request(
        'GET',
        `jobs${address({ limit: String(PAGE) })}`,
        etag ? { 'If-None-Match': etag } : {}
      );
      trouble(null);
      if (response.status === 304) {
        return;
      }
      etag = response.headers.get('etag') ?? '';
      takeFirst((await response.json()) as IJobPage);
    } catch (error) {
      if (!jobs.size) {
        setText(byId('summary'), '');
      }
      trouble(error);
    }
  }

  /** Take the newest page: what it should hold and does not is gone. */
  function takeFirst(page: IJobPage): void {
    const seen = new Set(page.jobs.map(job => job.id));
    const oldest = page.jobs.at(-1)?.created ?? '';
    for (const [id, job] of jobs) {
      if (!seen.has(id) && (!page.next_cursor || job.created > oldest)) {
        removed(id);
      }
    }
    if (jobs.size <= page.jobs.length) {
      cursor = page.next_cursor;
    }
    page.jobs.forEach(put);
    summarize();
  }

  async function showMore(): Promise<void> {
    const place = address({ limit: String(PAGE), cursor: cursor ?? '' });
    const page = (await (
      await request('GET', `jobs${place}`)
    ).json()) as IJobPage;
    cursor = page.next_cursor;
    page.jobs.forEach(put);
    summarize();
  }

  function begin(): void {
    stopFollowing();
    jobs.clear();
    rows.clear();
    body.replaceChildren();
    etag = '';
    cursor = null;
    void refresh();
    stopFollowing = follow(address({}), {
      job: changed,
      removed,
      refresh: () => void refresh()
    });
  }

  everybody?.addEventListener('change', begin);
  more.addEventListener('click', () => void act(more, showMore));
  void loadNames().then(() => jobs.forEach(put));
  begin();
}
