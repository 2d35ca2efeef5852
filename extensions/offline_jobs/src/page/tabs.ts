/**
 * What of a job is looked at: a tab, and of the result a cell. Both stand in the address, so that a
 * link leads to the same, and Back to what was looked at before.
 */

import { byId } from './parts';

export const TABS = ['result', 'cells', 'log', 'record'] as const;
export type Tab = (typeof TABS)[number];

export interface IPlace {
  /** Null: nobody chose one. */
  tab: Tab | null;
  /** Of the result; counted from 1. */
  cell: number | null;
}

const CELL = /^[1-9]\d{0,5}$/;

/** What an address asks for; what it says amiss counts for nothing. */
export function readPlace(search: string): IPlace {
  const said = new URLSearchParams(search);
  const tab = TABS.find(each => each === said.get('tab')) ?? null;
  const cell = said.get('cell') ?? '';
  return CELL.test(cell) && (tab ?? 'result') === 'result'
    ? { tab: 'result', cell: Number(cell) }
    : { tab, cell: null };
}

/** A place as it stands in an address; '' for none. */
export function formatPlace({ tab, cell }: IPlace): string {
  return cell ? `?cell=${cell}` : tab ? `?tab=${tab}` : '';
}

/** The tab of these that a key leads to; null for keys that lead nowhere. */
export function tabAfter(
  tab: Tab,
  key: string,
  tabs: readonly Tab[] = TABS
): Tab | null {
  const at = tabs.indexOf(tab);
  const last = tabs.length - 1;
  const to: Record<string, number> = {
    ArrowRight: at === last ? 0 : at + 1,
    ArrowLeft: at === 0 ? last : at - 1,
    Home: 0,
    End: last
  };
  return Object.hasOwn(to, key) ? tabs[to[key]] : null;
}

/** The tabs of the page, where one is. */
export interface ITabs {
  /** The one that is shown. */
  tab: () => Tab;
  /** Of the result; null where nobody asked for one. */
  cell: () => number | null;
  /** Show this one for as long as nobody chooses. */
  setUsual: (tab: Tab) => void;
  /** Choose. */
  go: (tab: Tab, cell?: number) => void;
}

/**
 * Make the tabs work.
 *
 * @param shown - is told each time that a place is gone to, be it where one is.
 */
export function makeTabs(shown: () => void): ITabs {
  let usual: Tab = 'result';
  let place = readPlace(location.search);
  // A guest has not all of them.
  const tabs = TABS.filter(each => !byId(`tab-${each}`).hidden);
  const tab = (): Tab =>
    place.tab && tabs.includes(place.tab) ? place.tab : usual;

  function draw(): void {
    for (const each of tabs) {
      const isShown = each === tab();
      const button = byId(`tab-${each}`);
      button.setAttribute('aria-selected', String(isShown));
      button.tabIndex = isShown ? 0 : -1;
      byId(`pane-${each}`).hidden = !isShown;
    }
  }

  function go(to: Tab, cell?: number): void {
    move(to, cell, 'pushState');
  }

  function move(
    to: Tab,
    cell: number | undefined,
    how: 'pushState' | 'replaceState'
  ): void {
    const before = formatPlace(place);
    const isUsual = to === usual && !cell;
    place = { tab: isUsual ? null : to, cell: cell ?? null };
    if (formatPlace(place) !== before) {
      history[how](null, '', location.pathname + formatPlace(place));
    }
    draw();
    shown();
  }

  for (const each of tabs) {
    const button = byId(`tab-${each}`);
    button.addEventListener('click', () => go(each));
    button.addEventListener('keydown', event => {
      const next = tabAfter(each, event.key, tabs);
      if (next) {
        event.preventDefault();
        // Whoever passes by goes Back to the page before, not through all of them.
        move(next, undefined, 'replaceState');
        byId(`tab-${next}`).focus();
      }
    });
  }
  window.addEventListener('popstate', () => {
    place = readPlace(location.search);
    draw();
    shown();
  });
  draw();
  return {
    tab,
    cell: () => place.cell,
    setUsual: to => {
      if (usual !== to) {
        usual = to;
        draw();
      }
    },
    go
  };
}
