/**
 * The fields that narrow the list. They, the address and the filters say the same; the list is told
 * when they change.
 */

import { isSearchKey } from '../keys';
import type { IJob } from '../types';
import {
  cleared,
  formatFilters,
  isNarrowed,
  NOTHING,
  offer,
  parseFilters
} from '../filters';
import type { IFilters } from '../filters';
import { byId, make, setText } from './parts';
import { namesOf } from './service';

const TYPING_MILLISECONDS = 300;

type Field = HTMLInputElement | HTMLSelectElement;
const KINDS = [
  ['group', 'groups', 'Any group'],
  ['class', 'classes', 'Any machine'],
  ['image', 'images', 'Any image']
] as const;

export class Narrowing {
  /** @param changed - is called after each change of the filters. */
  constructor(private readonly _changed: () => void) {
    this._form.addEventListener('submit', event => event.preventDefault());
    this._form.addEventListener('change', () => this._take());
    this._field('q').addEventListener('input', () => {
      clearTimeout(this._typing);
      this._typing = window.setTimeout(
        () => this._take(true),
        TYPING_MILLISECONDS
      );
    });
    for (const button of document.querySelectorAll('.clear-filters')) {
      button.addEventListener('click', () => {
        this._go(cleared(this.filters, this.isAdmin));
        this._field('q').focus();
      });
    }
    const toggle = byId('more-filters');
    toggle.addEventListener('click', () => {
      const isOpen = this._form.classList.toggle('open');
      toggle.setAttribute('aria-expanded', String(isOpen));
    });
    window.addEventListener('popstate', () => this._read());
    document.addEventListener('keydown', event => this._onKey(event));
    this._read(true);
  }

  filters: IFilters = { ...NOTHING };

  get isAdmin(): boolean {
    return this._form.dataset.admin === 'true';
  }

  get isNarrowed(): boolean {
    return isNarrowed(this.filters, this.isAdmin);
  }

  /** Offer what the catalogue has, the jobs that are shown, and the address. */
  offer(jobs: Iterable<IJob>): void {
    const all = [...jobs];
    for (const [key, kind, any] of KINDS) {
      const names = offer(key, namesOf(kind), all, this.filters[key]);
      const select = this._field(key) as HTMLSelectElement;
      const options = [['', any], ...names];
      const said = JSON.stringify(options);
      // An open list is left alone.
      if (select.dataset.said !== said && select !== document.activeElement) {
        select.dataset.said = said;
        select.replaceChildren(
          ...options.map(([value, text]) => make('option', text, { value }))
        );
        select.value = this.filters[key];
      }
      // A choice of one is none.
      const isFixed = key === 'group' && this.filters.user && !this.isAdmin;
      const field = select.closest<HTMLElement>('.filter');
      if (field) {
        field.hidden =
          Boolean(isFixed) || (names.length < 2 && !this.filters[key]);
      }
    }
    const owners = [...new Set(all.map(job => job.owner))].sort();
    const list = byId('people');
    if (list.dataset.said !== owners.join()) {
      list.dataset.said = owners.join();
      list.replaceChildren(
        ...owners.map(value => make('option', undefined, { value }))
      );
    }
  }

  private _field(key: keyof IFilters): Field {
    return this._form.elements.namedItem(key) as Field;
  }

  /** What the fields say; while somebody types it is one step of the browser's history. */
  private _take(isTyping = false): void {
    clearTimeout(this._typing);
    const filters = { ...this.filters };
    for (const key of Object.keys(NOTHING) as (keyof IFilters)[]) {
      const field = this._field(key);
      // Half a day is typed in many steps.
      if (!field.closest('[hidden]') && field.validity.valid) {
        Object.assign(filters, { [key]: field.value.trim() });
      }
    }
    if (this.filters.user && !filters.user) {
      filters.user = '*';
    }
    this._go(filters, isTyping);
  }

  private _go(filters: IFilters, isTyping = false): void {
    const before = formatFilters(this.filters);
    const { filters: sound, problems } = parseFilters(formatFilters(filters));
    const address = formatFilters(sound);
    if (address === before && !problems.length) {
      return;
    }
    if (address !== before) {
      const place = location.pathname + address;
      if (isTyping && history.state === 'typing') {
        history.replaceState('typing', '', place);
      } else {
        history.pushState(isTyping ? 'typing' : null, '', place);
      }
    }
    this._show(sound, problems);
    if (address !== before) {
      this._changed();
    }
  }

  /** What the address says. */
  private _read(isFirst = false): void {
    const { filters, problems } = parseFilters(location.search);
    this._show(filters, problems);
    if (!isFirst) {
      this._changed();
    }
  }

  private _show(filters: IFilters, problems: string[]): void {
    this.filters = filters;
    this.offer([]);
    for (const [key, value] of Object.entries(filters)) {
      const field = this._field(key as keyof IFilters);
      const shown = key === 'user' && value === '*' ? '' : value;
      // Where somebody types, what is typed stays.
      if (
        field.value.trim() !== shown &&
        (shown || field !== document.activeElement)
      ) {
        field.value = shown;
      }
      field.closest('.filter')?.classList.toggle('on', Boolean(shown));
    }
    const person = this._field('user').closest<HTMLElement>('.filter');
    if (person) {
      person.hidden = !filters.user;
    }
    const note = byId('note');
    note.hidden = !problems.length;
    setText(note, problems.join(' '));
    byId('clear').hidden = !this.isNarrowed;
    const number = this._form.querySelectorAll('.filter.on').length;
    setText(byId('filters-set'), number ? String(number) : '');
    this._showWhose();
  }

  private _showWhose(): void {
    const shown = formatFilters(cleared(this.filters, this.isAdmin));
    for (const link of document.querySelectorAll<HTMLAnchorElement>(
      '#whose a'
    )) {
      const { filters } = parseFilters(new URL(link.href).search);
      const isShown = formatFilters(filters) === shown;
      if (isShown) {
        link.setAttribute('aria-current', 'page');
      } else {
        link.removeAttribute('aria-current');
      }
    }
  }

  /** `/` goes to the search. */
  private _onKey(event: KeyboardEvent): void {
    if (isSearchKey(event)) {
      event.preventDefault();
      this._field('q').focus();
    }
  }

  private readonly _form = byId<HTMLFormElement>('filters');
  private _typing: number | undefined;
}
