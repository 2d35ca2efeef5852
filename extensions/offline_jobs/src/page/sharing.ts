/**
 * A job that is shared: the switch of its owner with the link, and what a guest is told.
 */

import type { IJob } from '../types';
import { act, byId, setText } from './parts';
import { ME, nameOf, requestJob } from './service';

/** Whether who looks is a guest: the job is another's, and shared with a group of theirs. */
export function isGuest(): boolean {
  return byId('job').dataset.guest === 'true';
}

/** What a guest is told. */
export function describeGuest(owner: string, group: string): string {
  return `Shared by ${owner} with ${group}: you can look at it, and change nothing.`;
}

/**
 * Make the switch work.
 *
 * @param changed - is told the job as it is from then on.
 * @returns what is told of each change of the job.
 */
export function makeSharing(changed: (job: IJob) => void): (job: IJob) => void {
  const toggle = byId<HTMLInputElement>('share-on');
  const copy = byId<HTMLButtonElement>('share-copy');
  const link = byId<HTMLInputElement>('share-link');
  let shown: IJob | null = null;

  function fill(job: IJob): void {
    shown = job;
    const group = nameOf('groups', job.group);
    byId('guest').hidden = !isGuest();
    setText(byId('guest'), isGuest() ? describeGuest(job.owner, group) : '');
    byId('share').hidden = job.owner !== ME;
    setText(byId('share-group'), `Shared with ${group}`);
    if (!toggle.disabled) {
      toggle.checked = job.shared;
    }
    byId('share-with').hidden = !job.shared;
  }

  async function share(): Promise<void> {
    if (!shown) {
      return;
    }
    const said = { shared: toggle.checked };
    toggle.disabled = true;
    try {
      changed(await requestJob('POST', `jobs/${shown.id}/share`, {}, said));
    } finally {
      toggle.disabled = false;
      fill(shown);
      toggle.focus();
    }
  }

  async function copyLink(): Promise<void> {
    link.select();
    // A page without TLS has no clipboard.
    const clipboard = navigator.clipboard as Clipboard | undefined;
    await clipboard?.writeText(link.value);
    setText(copy, clipboard ? 'Copied' : 'Selected');
  }

  link.value = location.origin + location.pathname;
  toggle.addEventListener('change', () => void act(copy, share));
  copy.addEventListener('click', () => void act(copy, copyLink));
  return fill;
}
