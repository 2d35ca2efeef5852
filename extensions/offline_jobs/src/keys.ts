/**
 * Keys that the panel in Lab and the page of the hub heed alike.
 */

/** Whether a key goes to the search: `/`, where nobody types. */
export function isSearchKey(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement;
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const isText =
    target.matches('select, textarea, [contenteditable]') ||
    (target.matches('input') && !target.matches('[type="checkbox"]'));
  return event.key === '/' && isPlain && !isText;
}
