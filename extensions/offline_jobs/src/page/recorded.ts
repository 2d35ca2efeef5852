/**
 * What the runner of a job recorded, once the job has ended: words for a paper, and which lesser
 * machine would have done.
 */

import type { IJob, IRunRecord } from '../types';
import { adviceText } from '../view';
import { isActive } from '../words';
import { act, byId, setText, trouble } from './parts';
import { classOf, Refusal, request } from './service';

export class Recorded {
  /** @param loaded - is called when it is there. */
  constructor(
    private readonly _id: string,
    private readonly _loaded: () => void
  ) {
    const copy = byId<HTMLButtonElement>('copy-methods');
    copy.addEventListener('click', () => void act(copy, copyMethods));
  }

  /** Null before it is there, and where there is none. */
  get record(): IRunRecord['record'] | null {
    return this._found?.record ?? null;
  }

  /** Show what is known, and ask for what is not. */
  show(job: IJob): void {
    const advice = adviceText(job, this._found?.advice, classOf);
    setText(byId('advice'), advice);
    byId('advice').hidden = !advice;
    if (!isActive(job) && this._found === undefined) {
      void this._load(job);
    }
  }

  private async _load(job: IJob): Promise<void> {
    this._found = null;
    try {
      const answer = await request('GET', `jobs/${this._id}/record`);
      this._found = (await answer.json()) as IRunRecord;
      setText(byId('methods'), this._found.methods.trim());
      byId('methods-part').hidden = false;
      this.show(job);
      this._loaded();
    } catch (error) {
      // A job that ended before its runner could say a word has none.
      if (error instanceof Refusal && [404, 409].includes(error.status)) {
        return;
      }
      this._found = undefined;
      trouble(error);
    }
  }

  /** Undefined until it was asked for, null where there is none. */
  private _found: IRunRecord | null | undefined;
}

async function copyMethods(): Promise<void> {
  const text = byId('methods');
  getSelection()?.selectAllChildren(text);
  // A page without TLS has no clipboard.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  await clipboard?.writeText(text.textContent ?? '');
  setText(byId('copy-methods'), clipboard ? 'Copied' : 'Selected');
}
