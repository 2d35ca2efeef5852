/**
 * A log as the page shows it. Pure.
 */

/** Colours and moving progress lines of a terminal are not for a page. */
export function toPlain(text: string): string {
  // eslint-disable-next-line no-control-regex
  const bare = text.replace(/\x1b\[[0-?]*[ -/]*[@-~]/g, '');
  return bare
    .split('\n')
    .map(line => line.replace(/\r+$/, '').split('\r').at(-1))
    .join('\n');
}
