/**
 * Talking to the jobs service: requests, news by one event stream, the names of the catalogue.
 *
 * While the stream is down the page asks every few seconds.
 */

import type { IAgainApi } from '../again';
import { RequestError } from '../requestError';
import type {
  ICatalogue,
  IChanges,
  ICheck,
  IErrorBody,
  IInstanceClass,
  IJob
} from '../types';
import type { NameOf } from '../view';

const POLL_SECONDS = 5;
const REOPEN_SECONDS = 15;
/** A page that was sent to the login a moment ago is not sent again. */
const LOGIN_MILLISECONDS = 20_000;
/** Clocks that differ by less are taken for equal. */
const SKEW_MILLISECONDS = 3000;

/** What the service wrote into the page's head. */
function meta(name: string): string {
  const found = document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`);
  return found?.content ?? '';
}

/** Where the page is, and the hub; both end in a slash. */
export const BASE = meta('base');
export const HUB = meta('hub');
export const API = `${BASE}api/v1/`;
/** Behind the address of a job: ask at once what is to be other when it runs again. */
export const AGAIN = 'again';
/** Who looks at it. */
export const ME = meta('user');
/** Whether the reader is an administrator of the hub. */
export const mayAdminister = meta('admin') === 'true';
/** The groups that the reader leads. */
export const LED: readonly string[] = meta('leads').split(' ').filter(Boolean);

/** Whether the reader may end a job: it is theirs, of a group that they lead, or they may all. */
export function mayEnd(job: IJob): boolean {
  return mayDelete(job) || LED.includes(job.group);
}

/** Whether the reader may delete a job's record. */
export function mayDelete(job: IJob): boolean {
  return job.owner === ME || mayAdminister;
}

/** The service's clock minus ours, in milliseconds. */
let skew = 0;

/** The time by the service's clock. */
export function now(): Date {
  return new Date(Date.now() + skew);
}

/** An answer that is none of those hoped for. */
export class Refusal extends RequestError {
  constructor(status: number, body: Partial<IErrorBody>) {
    const message =
      body.message ??
      'The service did not answer. Nothing is lost: try again in a moment.';
    super(status, { code: 'unknown', ...body, message });
  }
}

/**
 * Ask the service.
 *
 * @throws Refusal where it refuses, or cannot be reached.
 */
export async function request(
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  headers: Record<string, string> = {},
  content: object = {}
): Promise<Response> {
  const change: Record<string, string> =
    method === 'GET'
      ? {}
      : { 'Content-Type': 'application/json', 'X-XSRFToken': meta('xsrf') };
  let response: Response;
  try {
    response = await fetch(API + path, {
      method,
      headers: { ...change, ...headers },
      body: method === 'POST' ? JSON.stringify(content) : undefined
    });
  } catch {
    throw new Refusal(0, {
      message: 'The jobs service cannot be reached. Jobs go on; trying again …'
    });
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  if (date && Math.abs(date - now().getTime()) > SKEW_MILLISECONDS) {
    skew = date - Date.now();
  }
  if (response.ok || response.status === 304) {
    return response;
  }
  if (response.status === 401) {
    logInAgain();
  }
  const body = (await response.json().catch(() => ({}))) as IErrorBody;
  throw new Refusal(response.status, body);
}

/** A job, as the service answers it. */
export async function requestJob(
  method: 'GET' | 'POST',
  path: string,
  headers: Record<string, string> = {},
  content: object = {}
): Promise<IJob> {
  const answer = await request(method, path, headers, content);
  return (await answer.json()) as IJob;
}

/** The session has ended: a reload leads through the login and back; not in a circle. */
function logInAgain(): void {
  const last = Number(sessionStorage.getItem('login') ?? 0);
  if (Date.now() - last < LOGIN_MILLISECONDS) {
    return;
  }
  sessionStorage.setItem('login', String(Date.now()));
  location.reload();
}

/** One key per wish, so that a repeated click makes no second job. */
const keys = new Map<string, string>();

function keyFor(wish: string): string {
  const known = keys.get(wish);
  if (known) {
    return known;
  }
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = Array.from(bytes, byte =>
    byte.toString(16).padStart(2, '0')
  ).join('');
  keys.set(wish, key);
  return key;
}

/** Run a job again, with changes or without; however often it is tried, once. */
export async function rerun(job: IJob, changes: IChanges = {}): Promise<IJob> {
  const wish = `rerun ${job.id} ${JSON.stringify(changes)}`;
  const fresh = await requestJob(
    'POST',
    `jobs/${job.id}/rerun`,
    { 'Idempotency-Key': keyFor(wish) },
    changes
  );
  keys.delete(wish);
  return fresh;
}

/** The service as the dialog that runs a job again speaks with it. */
export const againApi: IAgainApi = {
  // Nobody knows here what there is in a home.
  session: async () => ({
    group: '',
    image: '',
    class: '',
    available: true,
    why: '',
    root_in_home: null,
    home_in_root: null,
    longest_seconds: null,
    ends_in_seconds: null,
    kernels: []
  }),
  catalogue: () => ask<ICatalogue>('GET', 'catalogue'),
  checkRerun: (id, changes) =>
    ask<ICheck>('POST', `jobs/${id}/rerun/check`, {}, changes),
  rerun: (id, key, changes) =>
    ask<IJob>('POST', `jobs/${id}/rerun`, { 'Idempotency-Key': key }, changes)
};

async function ask<T>(...asked: Parameters<typeof request>): Promise<T> {
  return (await (await request(...asked)).json()) as T;
}

/** Who wants the news. */
export interface IFollower {
  job: (job: IJob) => void;
  removed: (id: string) => void;
  /** Read everything anew. */
  refresh: () => void;
}

/**
 * Keep a view up to date.
 *
 * @param query - narrows the stream.
 * @returns what ends it.
 */
export function follow(query: string, follower: IFollower): () => void {
  let stream: EventSource | undefined;
  let timer: number | undefined;
  let reopen: number | undefined;
  const { job, removed, refresh } = follower;

  function poll(on: boolean): void {
    clearInterval(timer);
    if (on) {
      timer = window.setInterval(refresh, POLL_SECONDS * 1000);
    }
  }

  function open(): void {
    const opened = new EventSource(`${API}events${query}`);
    stream = opened;
    opened.addEventListener('open', () => {
      poll(false);
      refresh();
    });
    opened.addEventListener('job', event =>
      job(JSON.parse(event.data) as IJob)
    );
    opened.addEventListener('removed', event =>
      removed((JSON.parse(event.data) as { id: string }).id)
    );
    opened.addEventListener('resync', refresh);
    opened.addEventListener('error', () => {
      poll(true);
      if (opened.readyState === EventSource.CLOSED) {
        clearTimeout(reopen);
        reopen = window.setTimeout(open, REOPEN_SECONDS * 1000);
        refresh();
      }
    });
  }

  function close(): void {
    stream?.close();
    poll(false);
    clearTimeout(reopen);
  }

  // A browser has six connections for all pages of one place: what nobody sees must hold none, be
  // it a hidden tab or a page in the browser's cache. An opened stream reads everything anew.
  function look(): void {
    close();
    if (!document.hidden) {
      open();
    }
  }

  function lookAgain(event: PageTransitionEvent): void {
    if (event.persisted) {
      look();
    }
  }

  // A page of the hub shows in this browser that nobody is signed in (its `page.html`).
  const login = new BroadcastChannel('notebook-hpc-login');
  login.addEventListener('message', refresh);
  look();
  document.addEventListener('visibilitychange', look);
  window.addEventListener('pagehide', close);
  window.addEventListener('pageshow', lookAgain);
  return () => {
    document.removeEventListener('visibilitychange', look);
    window.removeEventListener('pagehide', close);
    window.removeEventListener('pageshow', lookAgain);
    login.close();
    close();
  };
}

type Names = Pick<ICatalogue, Parameters<NameOf>[0]>;

let catalogue: Names = { images: [], classes: [], groups: [] };

/** Learn the catalogue's names and prices; without them the slugs are shown. */
export async function loadNames(): Promise<void> {
  try {
    catalogue = (await (await request('GET', 'catalogue')).json()) as Names;
  } catch {
    return;
  }
}

export const nameOf: NameOf = (kind, slug) =>
  catalogue[kind].find(one => one.slug === slug)?.name ?? slug;

/** What the catalogue has of a kind, in its order. */
export function namesOf(
  kind: Parameters<NameOf>[0]
): readonly { slug: string; name: string }[] {
  return catalogue[kind];
}

/** The job's class, where it can be had. */
export function classOf(slug: string): IInstanceClass | undefined {
  return catalogue.classes.find(one => one.slug === slug);
}
