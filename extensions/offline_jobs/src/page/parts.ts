/**
 * Small parts of the page: elements, times that go on, the question before something is lost, and
 * what can be done with a job.
 */

import type { IJob } from '../types';
import { progress } from '../view';
import { elapsed, isActive, moment, STATES, stateWord } from '../words';
import { API, ME, now, request, requestJob, rerun } from './service';

const TOAST_MILLISECONDS = 8000;

/**
 * The element of the page with this id.
 *
 * @throws Error where the page and its script do not fit together.
 */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`There is no #${id} in this page.`);
  }
  return found as T;
}

/** The part of an element that a selector names. */
export function partOf<T extends HTMLElement = HTMLElement>(
  element: ParentNode,
  selector: string
): T {
  const found = element.querySelector<T>(selector);
  if (!found) {
    throw new Error(`There is no ${selector} in this page.`);
  }
  return found;
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  text?: string,
  attributes: Record<string, string> = {}
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (text !== undefined) {
    element.textContent = text;
  }
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  return element;
}

/** A word of a cell that stands alone: on a narrow window there is no head of the table. */
export function makeLabel(text: string): HTMLElement {
  return make('span', ` ${text}`, { class: 'label quiet' });
}

/** Set a text, where it is another: what is selected or read out is left alone. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** Colour an element by the job's state. */
export function setColour(element: HTMLElement, job: IJob): void {
  element.classList.remove(...STATES);
  element.classList.add(job.state);
}

/** The state by word and colour. */
export function setState(element: HTMLElement, job: IJob): void {
  setColour(element, job);
  setText(element, stateWord(job.state));
}

export function setBar(bar: HTMLElement, job: IJob): void {
  const percent = progress(job);
  bar.hidden = percent === null;
  if (percent === null) {
    return;
  }
  const { number, total } = job.cell;
  setColour(bar, job);
  bar.setAttribute('aria-valuemax', String(total));
  bar.setAttribute(
    'aria-valuenow',
    String(job.state === 'succeeded' ? total : number)
  );
  bar.setAttribute('aria-label', `Cells of ${job.name}`);
  partOf(bar, 'i').style.width = `${percent}%`;
}

/** Say what is wrong above everything else; null: nothing any more. */
export function trouble(error: unknown): void {
  const box = byId('trouble');
  box.hidden = error === null;
  setText(box, error instanceof Error ? error.message : '');
}

let toastTimer: number | undefined;

/** Say something for a moment, with a link to what it is about, if there is one. */
export function toast(text: string, href = ''): void {
  const box = byId('toast');
  box.replaceChildren(make('span', text));
  if (href) {
    box.append(' ', make('a', 'Show it', { href }));
  }
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => {
    box.hidden = true;
  }, TOAST_MILLISECONDS);
}

/** Ask before something is lost. */
export function isConfirmed(
  title: string,
  text: string,
  yes: string
): Promise<boolean> {
  const dialog = byId<HTMLDialogElement>('confirm');
  setText(byId('confirm-title'), title);
  setText(byId('confirm-text'), text);
  setText(byId('confirm-yes'), yes);
  byId('confirm-why').hidden = true;
  byId<HTMLButtonElement>('confirm-yes').disabled = false;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise(resolve => {
    dialog.addEventListener(
      'close',
      () => resolve(dialog.returnValue === 'yes'),
      { once: true }
    );
  });
}

/** Ask why, before something of somebody else is lost; null where it is not to be. */
export async function askWhy(
  title: string,
  text: string,
  yes: string
): Promise<string | null> {
  const answer = isConfirmed(title, text, yes);
  const field = byId<HTMLTextAreaElement>('confirm-because');
  const button = byId<HTMLButtonElement>('confirm-yes');
  field.value = '';
  field.oninput = () => {
    button.disabled = !field.value.trim();
  };
  button.disabled = true;
  byId('confirm-why').hidden = false;
  field.focus();
  return (await answer) ? field.value.trim() : null;
}

/** Ask before jobs are cancelled: what is to be sent with it, or null where they go on. */
export async function askCancel(
  jobs: readonly IJob[],
  title: string,
  text: string,
  yes: string
): Promise<{ because?: string } | null> {
  if (jobs.every(job => job.owner === ME)) {
    return (await isConfirmed(title, text, yes)) ? {} : null;
  }
  const because = await askWhy(title, text, yes);
  return because === null ? null : { because };
}

/** Times that go on are written anew each second: elements with a function of their own. */
const ticking = new Map<HTMLElement, () => string>();
window.setInterval(() => {
  for (const [element, text] of ticking) {
    if (element.isConnected) {
      setText(element, text());
    } else {
      ticking.delete(element);
    }
  }
}, 1000);

/** Show a text, anew each second while the job is at work. */
export function showTime(
  element: HTMLElement,
  job: IJob,
  text: (job: IJob) => string
): void {
  if (isActive(job)) {
    ticking.set(element, () => text(job));
  } else {
    ticking.delete(element);
  }
  setText(element, text(job));
}

/** When it ended; while it is at work, for how long. */
export function sinceWhen(job: IJob): string {
  return isActive(job)
    ? elapsed(job, now())
    : moment(job.ended ?? job.created, now());
}

/** Do something by a button, which says nothing until it is done or what is wrong is shown. */
export async function act(
  button: HTMLButtonElement,
  work: () => Promise<void>
): Promise<void> {
  button.disabled = true;
  try {
    await work();
    trouble(null);
  } catch (error) {
    trouble(error);
  } finally {
    button.disabled = false;
  }
}

function makeButton(
  text: string,
  attributes: Record<string, string>,
  work: () => Promise<void>
): HTMLButtonElement {
  const button = make('button', text, { type: 'button', ...attributes });
  button.addEventListener('click', () => void act(button, work));
  return button;
}

export function makeCancelButton(
  job: IJob,
  changed: (job: IJob) => void
): HTMLButtonElement {
  const label = { 'aria-label': `Cancel ${job.name}` };
  return makeButton('Cancel', label, async () => {
    const said = await askCancel(
      [job],
      'Cancel this job?',
      `“${job.name}” stops; the cells that finished are kept.`,
      'Cancel the job'
    );
    if (said) {
      changed(await requestJob('POST', `jobs/${job.id}/cancel`, {}, said));
    }
  });
}

/** Run a job again at once: as it was, or with what cures it. */
export function makeRerunButton(
  job: IJob,
  begun: (fresh: IJob) => void
): HTMLButtonElement {
  const words = job.again?.label || 'Run again';
  const attributes = {
    'aria-label': `${words}: ${job.name}`,
    title:
      'Runs the notebook as it was submitted. As it is now, it is submitted from JupyterLab.'
  };
  return makeButton(words, attributes, async () =>
    begun(await rerun(job, job.again?.changes))
  );
}

export function makeDeleteButton(
  job: IJob,
  gone: () => void
): HTMLButtonElement {
  return makeButton('Delete record', {}, async () => {
    const isSure = await isConfirmed(
      'Delete this record?',
      `“${job.name}” disappears from the list, with its log here. Files in your home stay.`,
      'Delete the record'
    );
    if (isSure) {
      await request('DELETE', `jobs/${job.id}`);
      gone();
    }
  });
}

export function makeDownloadLink(job: IJob, text: string): HTMLAnchorElement {
  return make('a', text, {
    class: 'button',
    href: `${API}jobs/${job.id}/result`,
    download: '',
    'aria-label': `${text} of ${job.name}`
  });
}
