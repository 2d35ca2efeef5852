/**
 * The one place that talks to the server extension.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { RequestError } from './requestError';
import type {
  ICatalogue,
  ICells,
  IChanges,
  ICheck,
  ICourse,
  IErrorBody,
  IJob,
  IJobPage,
  IRunRecord,
  ISession,
  ISubmission
} from './types';

const NAMESPACE = 'offline-jobs';

const UNREACHABLE: IErrorBody = {
  code: 'server-unreachable',
  message:
    'Your Jupyter server does not answer. Nothing is lost: see that it runs, then try again.'
};

/** An answer's parts that we look at. */
export interface IAnswer<T> {
  status: number;
  etag: string | null;
  /** Undefined when the answer had no body: 204 and 304. */
  data: T | undefined;
}

/** What the model and the dialog need of the server; tests hand in their own. */
export interface IApi {
  session(): Promise<ISession>;
  /** Have the hub stop this server, which mostly ends before it can answer. */
  stopServer(): Promise<void>;
  catalogue(): Promise<ICatalogue>;
  check(submission: ISubmission): Promise<ICheck>;
  submit(submission: ISubmission, key: string): Promise<IJob>;
  /** @param query - what the list is narrowed by. */
  jobs(query: string, etag: string | null): Promise<IAnswer<IJobPage>>;
  job(id: string): Promise<IJob>;
  cancel(id: string): Promise<IJob>;
  rerun(id: string, key: string, changes: IChanges): Promise<IJob>;
  /** What a rerun would do, and what keeps it from running. */
  checkRerun(id: string, changes: IChanges): Promise<ICheck>;
  remove(id: string): Promise<void>;
  log(id: string): Promise<string>;
  record(id: string): Promise<IRunRecord>;
  course(id: string): Promise<ICourse>;
  /** The first line of each cell. */
  cells(id: string): Promise<ICells>;
  /** Address from which a browser downloads the executed notebook. */
  resultUrl(id: string): string;
}

/**
 * Call the server extension.
 *
 * @throws RequestError when it answers anything but success or "not modified", or not at all.
 */
export async function requestAPI(
  endpoint: string,
  init: RequestInit,
  settings: ServerConnection.ISettings
): Promise<Response> {
  const url = URLExt.join(settings.baseUrl, NAMESPACE, endpoint);
  let response: Response;
  try {
    response = await ServerConnection.makeRequest(url, init, settings);
  } catch (error) {
    if (error instanceof ServerConnection.NetworkError) {
      throw new RequestError(0, UNREACHABLE);
    }
    throw error;
  }
  if (!response.ok && response.status !== 304) {
    throw new RequestError(response.status, await readError(response));
  }
  return response;
}

/** What a hub or a proxy before the server means by an answer without words of ours. */
const ANSWERS: Record<number, string> = {
  401: 'You are logged out: log in again in another tab, then try again.',
  403: 'You are logged out, or may not do this: log in again in another tab, then try again.',
  413: 'The notebook is too large to be sent: clear its outputs, or move data into files.',
  424: UNREACHABLE.message,
  502: UNREACHABLE.message,
  503: UNREACHABLE.message,
  504: UNREACHABLE.message
};

/** The error's words; an answer that is not ours gets a plain sentence. */
async function readError(response: Response): Promise<IErrorBody> {
  let body: Partial<IErrorBody>;
  try {
    body = (await response.json()) as Partial<IErrorBody>;
  } catch {
    body = {};
  }
  return {
    ...body,
    code: body.code ?? 'unknown',
    message:
      body.message ||
      ANSWERS[response.status] ||
      `The server answered ${response.status} ${response.statusText}.`
  };
}

/** The server extension's endpoints. */
export class Api implements IApi {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  session(): Promise<ISession> {
    return this._json<ISession>('session');
  }

  async stopServer(): Promise<void> {
    await requestAPI('session/stop', post({}), this._settings);
  }

  catalogue(): Promise<ICatalogue> {
    return this._json<ICatalogue>('catalogue');
  }

  check(submission: ISubmission): Promise<ICheck> {
    return this._json<ICheck>('check', post(submission));
  }

  submit(submission: ISubmission, key: string): Promise<IJob> {
    return this._json<IJob>('jobs', post(submission, key));
  }

  async jobs(query: string, etag: string | null): Promise<IAnswer<IJobPage>> {
    // The browser's own cache would answer the comparison itself and hide the 304.
    const init: RequestInit = { cache: 'no-store' };
    if (etag) {
      init.headers = { 'If-None-Match': etag };
    }
    const response = await requestAPI(`jobs?${query}`, init, this._settings);
    return {
      status: response.status,
      etag: response.headers.get('ETag'),
      data:
        response.status === 304
          ? undefined
          : ((await response.json()) as IJobPage)
    };
  }

  job(id: string): Promise<IJob> {
    return this._json<IJob>(jobPath(id), { cache: 'no-store' });
  }

  cancel(id: string): Promise<IJob> {
    return this._json<IJob>(`${jobPath(id)}/cancel`, post({}));
  }

  rerun(id: string, key: string, changes: IChanges): Promise<IJob> {
    return this._json<IJob>(`${jobPath(id)}/rerun`, post(changes, key));
  }

  checkRerun(id: string, changes: IChanges): Promise<ICheck> {
    return this._json<ICheck>(`${jobPath(id)}/rerun/check`, post(changes));
  }

  async remove(id: string): Promise<void> {
    await requestAPI(jobPath(id), { method: 'DELETE' }, this._settings);
  }

  async log(id: string): Promise<string> {
    const response = await requestAPI(
      `${jobPath(id)}/log`,
      { cache: 'no-store' },
      this._settings
    );
    return response.text();
  }

  record(id: string): Promise<IRunRecord> {
    return this._json<IRunRecord>(`${jobPath(id)}/record`);
  }

  course(id: string): Promise<ICourse> {
    return this._json<ICourse>(`${jobPath(id)}/course`, { cache: 'no-store' });
  }

  cells(id: string): Promise<ICells> {
    return this._json<ICells>(`${jobPath(id)}/cells`);
  }

  resultUrl(id: string): string {
    return URLExt.join(
      this._settings.baseUrl,
      NAMESPACE,
      `${jobPath(id)}/result`
    );
  }

  private async _json<T>(endpoint: string, init: RequestInit = {}): Promise<T> {
    const response = await requestAPI(endpoint, init, this._settings);
    return (await response.json()) as T;
  }
}

function jobPath(id: string): string {
  return `jobs/${encodeURIComponent(id)}`;
}

function post(body: object, key?: string): RequestInit {
  const init: RequestInit = { method: 'POST', body: JSON.stringify(body) };
  if (key) {
    init.headers = { 'Idempotency-Key': key };
  }
  return init;
}
