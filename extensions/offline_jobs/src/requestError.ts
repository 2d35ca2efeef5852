/**
 * A refusal, for the dialog, the panel and the page alike.
 */

import type { IErrorBody } from './types';

/** An answer that is not a success, with the words the service gave. */
export class RequestError extends Error {
  constructor(
    readonly status: number,
    readonly body: IErrorBody
  ) {
    super(body.message);
    this.name = 'RequestError';
  }

  /** Whether the same request may well succeed a little later. */
  get isTemporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}
