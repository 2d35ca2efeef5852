/**
 * The page of how groups stand, for their leads and administrators: what this month came to, the
 * queues, of one group its people and machines, and who has a session or a job. Its address says
 * what is shown; it is read anew now and then while somebody looks.
 */

import type { IJob, IJobPage } from '../types';
import type { NameOf } from '../view';
import { STAGES } from '../filters';
import { byId, partOf, setText, trouble } from './parts';
import { drawLines, drawQueues } from './queues';
import { monthsUntil, monthWord } from './reckoning';
import type { IUse } from './reckoning';
import { BASE, LED, loadNames, mayAdminister } from './service';
import { nameOf, now, request } from './service';
import { countWork, drawWork, SHOWN } from './sessions';
import type { ILook, IWork, Shown } from './sessions';
import { countAll, lines, lineWords, namesIn } from './standing';
import type {
  ILineOfJobs,
  IOpenSession,
  IOutcome,
  IStanding
} from './standing';
import { drawTotals } from './totals';

const AGAIN_MILLISECONDS = 15_000;
/** As many as the service lists at once. */
const MOST_JOBS = 500;
const OPEN = [...STAGES.running, ...STAGES.waiting].join();

interface IAsked {
  /** '': all that this person may see. */
  group: string;
  show: Shown;
  person: string;
}

interface IFound {
  standing: IStanding;
  uses: IUse[];
  outcomes: IOutcome[];
  work: IWork;
}

function readAddress(): IAsked {
  const said = new URLSearchParams(location.search);
  const show = said.get('show') as Shown;
  const first = mayAdminister ? '' : (LED[0] ?? '');
  const group = said.get('group') || first;
  // Each group has its own line.
  const isThere = SHOWN.includes(show) && (show !== 'line' || group);
  return {
    group,
    show: isThere ? show : 'sessions',
    person: said.get('person') ?? ''
  };
}

function addressOf({ group, show, person }: IAsked): string {
  const said = new URLSearchParams({
    ...(group ? { group } : {}),
    ...(show === 'sessions' ? {} : { show }),
    ...(person ? { person } : {})
  }).toString();
  return `${BASE}groups${said ? `?${said}` : ''}`;
}

async function readJson<T>(path: string): Promise<T> {
  return (await (await request('GET', path)).json()) as T;
}

/** All that the page says, of a group or of all. */
async function readAll(group: string): Promise<IFound> {
  const [month, before] = monthsUntil(now(), 2);
  const whose = new URLSearchParams({ user: '*', ...(group ? { group } : {}) });
  const which = group ? `?${new URLSearchParams({ group }).toString()}` : '';
  const everybody = whose.toString();
  const [standing, sessions, uses, ends, jobs, line] = await Promise.all([
    readJson<IStanding>(`queues${which}`),
    readJson<{ sessions: IOpenSession[] }>(`sessions${which}`),
    readJson<{ rows: IUse[] }>(
      `usage?${everybody}&first=${before}&last=${month}`
    ),
    readJson<{ rows: IOutcome[] }>(`outcomes${which}`),
    readJson<IJobPage>(`jobs?${everybody}&state=${OPEN}&limit=${MOST_JOBS}`),
    group ? readJson<ILineOfJobs>(`line${which}`) : null
  ]);
  const { running, waiting } = countAll(standing.queues);
  const known: readonly IJob[] = jobs.jobs;
  const names = namesIn(standing.queues);
  const called: NameOf = (kind, slug) =>
    names[`${kind} ${slug}`] ?? nameOf(kind, slug);
  // They were not counted in the same moment.
  const allJobs = jobs.next_cursor
    ? Math.max(running + waiting, known.length)
    : known.length;
  return {
    standing,
    uses: uses.rows,
    outcomes: ends.rows,
    work: { sessions: sessions.sessions, jobs: known, allJobs, called, line }
  };
}

/** Show the page, and what its address asks for. */
export function showGroups(): void {
  const place = byId('groups');
  const person = byId<HTMLInputElement>('person');
  let asked = readAddress();
  let found: IFound | null = null;
  let turn = 0;
  let timer: number | undefined;

  function look(): ILook {
    const { show, person, group } = asked;
    return { show, person, isOne: Boolean(group) };
  }

  function markTabs(): void {
    const tabs = [...byId('whose').querySelectorAll('a')];
    for (const tab of tabs) {
      const group = new URL(tab.href).searchParams.get('group') ?? '';
      mark(tab, group === asked.group);
    }
    // The heading alone says it.
    byId('whose').hidden = tabs.length === 1 && !!tabs[0].ariaCurrent;
    for (const tab of document.querySelectorAll<HTMLAnchorElement>(
      '#work .tabs a'
    )) {
      const show = tab.dataset.show as Shown;
      tab.href = addressOf({ ...asked, show });
      mark(tab, show === asked.show);
    }
    const whose = new URLSearchParams({
      user: '*',
      ...(asked.group ? { group: asked.group } : {})
    }).toString();
    byId<HTMLAnchorElement>('to-usage').href = `${BASE}usage?${whose}`;
    byId<HTMLAnchorElement>('to-jobs').href = `${BASE}?${whose}`;
    if (person.value !== asked.person) {
      person.value = asked.person;
    }
  }

  function draw(): void {
    if (!found) {
      return;
    }
    const { standing, uses, outcomes, work } = found;
    const [month] = monthsUntil(now(), 1);
    const ofMonth = uses.filter(use => use.month === month);
    const one = asked.group ? standing.queues.at(0) : undefined;
    setText(
      byId('which'),
      asked.group ? (one?.name ?? asked.group) : 'All groups'
    );
    drawTotals(uses, one?.budget ?? null);
    const word = monthWord(month).split(' ')[0] ?? '';
    for (const head of place.querySelectorAll<HTMLElement>('th.c-month')) {
      setText(head, word);
    }
    drawQueues(standing, ofMonth, Boolean(one));
    const people = lines(
      one?.people ?? [],
      one ? ofMonth : [],
      'user',
      key => key,
      one ? outcomes : []
    );
    drawLines('people', people, one?.limits ?? null);
    const classes = lines(
      one?.classes ?? [],
      one ? ofMonth : [],
      'class',
      key => nameOf('classes', key)
    );
    drawLines('classes', classes, one?.limits ?? null);
    setText(byId('line-about'), lineWords(standing.slots));
    partOf(byId('work'), '[data-show="line"]').hidden = !work.line;
    const counts = countWork(work);
    for (const show of SHOWN) {
      const tab = partOf(byId('work'), `[data-show="${show}"] .count`);
      setText(tab, counts[show].toLocaleString('en'));
    }
    drawWork(work, look(), () => void read());
    place.ariaBusy = 'false';
  }

  async function read(): Promise<void> {
    turn += 1;
    const mine = turn;
    clearTimeout(timer);
    markTabs();
    try {
      const all = await readAll(asked.group);
      if (mine !== turn) {
        return;
      }
      found = all;
      trouble(null);
      draw();
    } catch (error) {
      if (mine !== turn) {
        return;
      }
      trouble(error);
    }
    if (!document.hidden) {
      timer = window.setTimeout(
        () => void readUnlessBusy(),
        AGAIN_MILLISECONDS
      );
    }
  }

  /** What somebody is about to press is not drawn anew under their hands. */
  function readUnlessBusy(): Promise<void> {
    const isAt = Boolean(document.activeElement?.closest('#groups tbody'));
    if (byId<HTMLDialogElement>('confirm').open || isAt) {
      timer = window.setTimeout(
        () => void readUnlessBusy(),
        AGAIN_MILLISECONDS
      );
      return Promise.resolve();
    }
    return read();
  }

  byId('work').addEventListener('click', event => {
    const tab = (event.target as HTMLElement).closest<HTMLElement>(
      '[data-show]'
    );
    if (!tab || event.ctrlKey || event.metaKey || event.shiftKey) {
      return;
    }
    event.preventDefault();
    asked = { ...asked, show: tab.dataset.show as Shown };
    history.pushState(null, '', addressOf(asked));
    markTabs();
    draw();
  });
  person.addEventListener('input', () => {
    asked = { ...asked, person: person.value };
    history.replaceState(null, '', addressOf(asked));
    markTabs();
    draw();
  });
  window.addEventListener('popstate', () => {
    asked = readAddress();
    void read();
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) {
      void read();
    }
  });
  void loadNames().then(read);
}

function mark(tab: HTMLElement, isHere: boolean): void {
  if (isHere) {
    tab.setAttribute('aria-current', 'page');
  } else {
    tab.removeAttribute('aria-current');
  }
}
