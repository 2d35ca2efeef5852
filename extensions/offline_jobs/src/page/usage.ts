/**
 * The page of use: what sessions and jobs took, and what that cost, by person, machine, group or
 * month. Its address says what is shown.
 */

import { BYS, hours, money, monthsUntil, monthWord } from './reckoning';
import { shares, sumUp, total } from './reckoning';
import type { By, ISum, IUse } from './reckoning';
import { byId, make, partOf, setText, trouble } from './parts';
import { API, loadNames, nameOf, now, request } from './service';

/** As many as the service tells at once. */
const MOST_MONTHS = 36;
const MONTH = /^20\d\d-(0[1-9]|1[0-2])$/;
const KINDS = { class: 'classes', group: 'groups' } as const;

interface IAsked {
  first: string;
  last: string;
  by: By;
  /** `*`: everybody's; '': one's own, or a group's. */
  user: string;
  group: string;
}

function readAddress(): IAsked {
  const said = new URLSearchParams(location.search);
  const [month] = monthsUntil(now(), 1);
  const last = said.get('last') ?? '';
  const first = said.get('first') ?? '';
  const by = said.get('by') as By;
  const user = said.get('user') ?? '';
  const group = said.get('group') ?? '';
  const until = MONTH.test(last) ? last : month;
  return {
    first: MONTH.test(first) && first <= until ? first : until,
    last: until,
    by: BYS.includes(by) ? by : user || group ? 'user' : 'class',
    user,
    group
  };
}

function queryOf({ first, last, user, group }: IAsked): URLSearchParams {
  const query = new URLSearchParams({ first, last });
  for (const [name, value] of Object.entries({ user, group })) {
    if (value) {
      query.set(name, value);
    }
  }
  return query;
}

/** Show the page, and what its address asks for. */
export function showUsage(): void {
  const form = byId<HTMLFormElement>('usage');
  let asked = readAddress();
  let rows: readonly IUse[] = [];
  let turn = 0;

  function field(name: 'first' | 'last' | 'by'): HTMLSelectElement {
    return partOf(form, `[name="${name}"]`);
  }

  function fill(): void {
    const months = monthsUntil(now(), MOST_MONTHS);
    for (const name of ['first', 'last'] as const) {
      const all = months.includes(asked[name])
        ? months
        : [...months, asked[name]];
      field(name).replaceChildren(
        ...all.map(value => make('option', monthWord(value), { value }))
      );
      field(name).value = asked[name];
    }
    field('by').value = asked.by;
    for (const tab of document.querySelectorAll<HTMLAnchorElement>('.tabs a')) {
      const there = new URL(tab.href).searchParams;
      const user = there.get('user') ?? '';
      const group = there.get('group') ?? '';
      if (user === asked.user && group === asked.group) {
        tab.setAttribute('aria-current', 'page');
      } else {
        tab.removeAttribute('aria-current');
      }
      // The same months of others.
      tab.href = `?${queryOf({ ...asked, user, group }).toString()}`;
    }
    const csv = byId<HTMLAnchorElement>('csv');
    csv.href = `${API}usage.csv?${queryOf(asked).toString()}`;
  }

  function draw(): void {
    const all = total(rows);
    const sums = sumUp(rows, asked.by);
    const isEmpty = rows.length === 0;
    byId('uses').hidden = isEmpty;
    byId('totals').hidden = isEmpty;
    byId('unused').hidden = !isEmpty;
    partOf(byId('uses'), '.c-what').textContent =
      field('by').selectedOptions[0]?.textContent ?? '';
    drawTotals(all);
    const bars = shares(sums);
    partOf(byId('uses'), 'tbody').replaceChildren(
      ...sums.map((sum, number) => makeRow(sum, asked.by, bars[number]))
    );
    setText(
      byId('unpriced'),
      all.unpriced > 0
        ? `Of ${hours(all.unpriced)} hours no price is known: the catalogue has none for their machines.`
        : ''
    );
  }

  async function read(): Promise<void> {
    turn += 1;
    const mine = turn;
    fill();
    try {
      const answer = await request('GET', `usage?${queryOf(asked).toString()}`);
      const said = (await answer.json()) as { rows: IUse[] };
      if (mine !== turn) {
        return;
      }
      rows = said.rows;
      trouble(null);
    } catch (error) {
      if (mine !== turn) {
        return;
      }
      rows = [];
      trouble(error);
    }
    draw();
    if (!byId('trouble').hidden) {
      byId('unused').hidden = true;
    }
  }

  form.addEventListener('submit', event => event.preventDefault());
  form.addEventListener('change', event => {
    const last = field('last').value;
    const first = field('first').value;
    const isFirst = event.target === field('first');
    asked = {
      ...asked,
      by: field('by').value as By,
      // One that is moved over the other takes it along.
      first: first > last && !isFirst ? last : first,
      last: first > last && isFirst ? first : last
    };
    const query = queryOf(asked);
    query.set('by', asked.by);
    history.pushState(null, '', `?${query.toString()}`);
    if (event.target === field('by')) {
      fill();
      draw();
    } else {
      void read();
    }
  });
  window.addEventListener('popstate', () => {
    asked = readAddress();
    void read();
  });
  void loadNames().then(read);
}

function drawTotals(all: ISum): void {
  const figures: readonly (readonly [string, string])[] = [
    ['Cost', money(all)],
    ['Hours', hours(all.hours)],
    ['Core-hours', hours(all.coreHours)],
    ['GPU-hours', hours(all.gpuHours)],
    ['GiB-hours', hours(all.memoryHours)],
    ['Jobs', String(all.jobs)],
    ['Sessions', String(all.sessions)]
  ];
  byId('totals').replaceChildren(
    ...figures.map(([word, figure]) => {
      const pair = make('div');
      pair.append(make('dt', word), make('dd', figure));
      return pair;
    })
  );
}

function makeRow(sum: ISum, by: By, share: number): HTMLTableRowElement {
  const row = make('tr');
  const word = wordOf(sum.key, by);
  const name = make('th', word, { scope: 'row', class: 'c-what', title: word });
  const bar = make('td', undefined, { class: 'c-share' });
  const meter = make('span', undefined, {
    class: 'meter',
    'aria-hidden': 'true'
  });
  const fill = make('i', undefined, { class: 'use' });
  fill.style.width = `${(share * 100).toFixed(1)}%`;
  meter.append(fill);
  bar.append(meter);
  row.append(name, bar);
  for (const figure of [
    money(sum),
    hours(sum.hours),
    hours(sum.coreHours),
    hours(sum.gpuHours),
    hours(sum.memoryHours),
    String(sum.jobs),
    String(sum.sessions)
  ]) {
    row.append(make('td', figure, { class: 'num' }));
  }
  return row;
}

function wordOf(key: string, by: By): string {
  if (by === 'month') {
    return monthWord(key);
  }
  return by === 'user' ? key : nameOf(KINDS[by], key);
}
