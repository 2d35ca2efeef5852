/**
 * Tells, some minutes before, that the hub will stop this session: its class allows no longer one.
 *
 * The server extension knows when (`GET session`); the hub stops it whatever runs in it.
 */

import type { ISession } from './types';

/** So long before the end it is told. */
export const WARNING_SECONDS = 600;
/** Browsers take a longer delay for none at all. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** What a session says of its end. */
export type End = Pick<ISession, 'longest_seconds' | 'ends_in_seconds'>;

/**
 * Wait until the session's end is near, then say so once.
 *
 * @param end what the session says now.
 * @param warn is given the seconds that are left, and those that it may run in all.
 * @returns ends the waiting.
 */
export function watchEnd(
  end: End,
  warn: (left: number, longest: number) => void
): () => void {
  const { ends_in_seconds: left, longest_seconds: longest } = end;
  if (left === null || longest === null) {
    return () => undefined;
  }
  const at = Date.now() + left * 1000;
  let timer: ReturnType<typeof setTimeout>;
  const look = (): void => {
    const leftNow = Math.max(0, (at - Date.now()) / 1000);
    if (leftNow <= WARNING_SECONDS) {
      warn(leftNow, longest);
      return;
    }
    const delay = (leftNow - WARNING_SECONDS) * 1000;
    timer = setTimeout(look, Math.min(delay, LONGEST_DELAY_MS));
  };
  look();
  return () => clearTimeout(timer);
}
