/**
 * One job: where it is and what to do next, its figures, and in tabs the executed notebook, its
 * cells, its log, how it was run and its history.
 */

import type { IJob } from '../types';
import { details, memoryShare } from '../view';
import type { IDetail } from '../view';
import { elapsed, isActive, moment } from '../words';
import { askAgain } from './again';
import { makeCells } from './cells';
import { makeCourse } from './course';
import { makeFigures } from './figures';
import { makeHistory } from './history';
import { toPlain } from './log';
import {
  byId,
  make,
  makeCancelButton,
  makeDeleteButton,
  makeDownloadLink,
  makeRerunButton,
  setColour,
  setState,
  setText,
  showTime,
  trouble
} from './parts';
import { Recorded } from './recorded';
import {
  API,
  AGAIN,
  BASE,
  classOf,
  follow,
  HUB,
  loadNames,
  mayDelete,
  ME,
  nameOf,
  now,
  Refusal,
  request,
  requestJob
} from './service';
import { makeResult } from './result';
import { isGuest, makeSharing } from './sharing';
import { makeTabs } from './tabs';

const LONGEST_LOG = 200_000;
const LOG_MILLISECONDS = 400;
/** So near to its end a log is followed. */
const NEAR_PIXELS = 40;

export function showJob(id: string): void {
  let shown: IJob | null = null;
  /** It is not there for the reader any more: what is still under way changes nothing. */
  let isGone = false;
  let logTimer: number | undefined;
  const recorded = new Recorded(id, () => shown && fillFacts(shown));
  const tabs = makeTabs(look);
  const result = makeResult(id, tabs);
  const fillHistory = makeHistory(id);
  const fillSharing = makeSharing(changed);
  const fillCells = makeCells(id, tabs);
  const fillCourse = makeCourse(id, tabs);
  const fillFigures = makeFigures(id, cell => tabs.go('result', cell));

  function changed(job: IJob): void {
    if (job.id !== id || isGone) {
      return;
    }
    shown = job;
    fill(job);
    logTimer ??= window.setTimeout(() => {
      logTimer = undefined;
      void loadLog(job);
    }, LOG_MILLISECONDS);
  }

  function fill(job: IJob): void {
    setState(byId('state'), job);
    showTime(byId('when'), job, describeWhen);
    const said = byId('said');
    said.hidden = false;
    setColour(said, job);
    setText(byId('sentence'), job.sentence);
    setText(byId('next-step'), job.next_step ?? '');
    fillButtons(job);
    fillSharing(job);
    // What went wrong, where the notebook cannot tell it.
    const isMute = job.state === 'failed' && !job.has_result && !isGuest();
    tabs.setUsual(isMute ? 'log' : 'result');
    if (job.state === 'failed') {
      // What failed comes before what there is nevertheless.
      byId('panes').after(byId('figures-part'));
    }
    // One of both is made at a time: the figures, which come sooner.
    void fillFigures(job).finally(() => result.fill(job));
    fillCells(job);
    fillCourse(job);
    fillFacts(job);
    recorded.show(job);
    askAsLinked(job);
    if (!isGuest()) {
      fillHistory(job);
    }
  }

  /** A list leads here with the question open. */
  function askAsLinked(job: IJob): void {
    if (location.hash === `#${AGAIN}` && !isActive(job) && job.owner === ME) {
      history.replaceState(null, '', location.pathname + location.search);
      byId('ask-again').click();
    }
  }

  function describeWhen(job: IJob): string {
    const took = elapsed(job, now());
    if (isActive(job)) {
      return `${job.started ? 'for' : 'waiting for'} ${took} · ${job.path}`;
    }
    const how = !job.started
      ? 'before it began'
      : `${job.state === 'succeeded' ? 'in' : 'after'} ${took}`;
    return `${how} · ${job.path} · ${moment(job.ended ?? job.created, now())}`;
  }

  function fillButtons(job: IJob): void {
    const box = byId('do');
    const kind = `${job.state} ${job.has_result}`;
    // A focused button is left alone.
    if (box.dataset.kind !== kind) {
      box.dataset.kind = kind;
      box.replaceChildren(...makeActions(job));
    }
  }

  function makeActions(job: IJob): HTMLElement[] {
    const isMine = job.owner === ME;
    const isOver = !isActive(job);
    const parts: HTMLElement[] = [];
    if (isGuest()) {
      return parts;
    }
    if (job.has_result) {
      const words = isOver ? 'Download result' : 'Download what is done so far';
      parts.push(makeDownloadLink(job, words));
    }
    if (isOver && isMine && job.started) {
      const place = job.output_path
        .split('/')
        .map(encodeURIComponent)
        .join('/');
      const href = `${HUB}user-redirect/lab/tree/${place}`;
      parts.push(make('a', 'Open in JupyterLab', { class: 'button', href }));
    }
    if (isOver && mayDelete(job)) {
      parts.push(makeDeleteButton(job, () => location.assign(BASE)));
    }
    if (isOver && isMine) {
      parts.push(...makeAgainButtons(job));
    }
    if (!isOver && job.state !== 'cancelling') {
      parts.push(makeCancelButton(job, changed));
    }
    return parts;
  }

  /** What cures it, by one press; anything else is asked for. */
  function makeAgainButtons(job: IJob): HTMLElement[] {
    const go = (fresh: IJob): void =>
      location.assign(`${BASE}jobs/${fresh.id}`);
    const ask = make('button', 'Run again…', {
      type: 'button',
      id: 'ask-again'
    });
    ask.addEventListener('click', () => askAgain(job, go));
    const buttons = [ask];
    if (job.again?.label) {
      buttons.push(makeRerunButton(job, go));
    }
    buttons[buttons.length - 1].classList.add('primary');
    return buttons;
  }

  /** Another tab, or another cell of the result, is looked at. */
  function look(): void {
    if (shown) {
      result.look(shown);
      fillCells(shown);
      fillCourse(shown);
    }
    const log = byId('log');
    if (tabs.tab() === 'log' && !log.dataset.seen) {
      log.dataset.seen = 'yes';
      log.scrollTop = log.scrollHeight;
    }
  }

  function fillFacts(job: IJob): void {
    const owner = { key: 'owner', term: 'Owner', text: job.owner };
    const lines = [
      ...(job.owner === ME ? [] : [owner]),
      ...details(job, recorded.record, nameOf, now(), classOf(job.class))
    ];
    const facts = lines.flatMap(line => {
      const what = make('dd');
      what.append(...makeFact(line, job));
      return [make('dt', line.term), what];
    });
    byId('facts').replaceChildren(...facts);
  }

  function makeFact(
    { key, text }: IDetail,
    job: IJob
  ): (HTMLElement | string)[] {
    if (isGuest() && ['rerun', 'created'].includes(key)) {
      return [text];
    }
    if (key === 'rerun') {
      return [make('a', text, { href: `${BASE}jobs/${text}` })];
    }
    if (key === 'created') {
      const href = `${API}jobs/${id}/notebook`;
      const link = make('a', 'the notebook as submitted', {
        href,
        download: ''
      });
      return [`${text} · `, link];
    }
    const share = key === 'memory' ? memoryShare(job) : null;
    if (share === null) {
      return [text];
    }
    const bar = make('div', undefined, {
      class: share > 90 ? 'bar full' : 'bar'
    });
    const inner = make('i');
    inner.style.width = `${share}%`;
    bar.append(inner);
    return [text, bar];
  }

  async function loadLog(job: IJob): Promise<void> {
    if (isGuest()) {
      return;
    }
    try {
      const text = await (await request('GET', `jobs/${id}/log`)).text();
      const log = byId('log');
      const left = log.scrollHeight - log.scrollTop - log.clientHeight;
      const lines = toPlain(text.slice(-LONGEST_LOG));
      setText(log, lines);
      if (left < NEAR_PIXELS) {
        log.scrollTop = log.scrollHeight;
      }
      setText(byId('log-note'), describeLog(job, text, lines));
    } catch (error) {
      trouble(error);
    }
  }

  function describeLog(job: IJob, text: string, lines: string): string {
    if (text.length > LONGEST_LOG) {
      return 'This is the end of the log; download it to see all.';
    }
    if (lines.trim()) {
      return '';
    }
    return isActive(job)
      ? 'Nothing was printed so far.'
      : 'The job printed nothing.';
  }

  async function refresh(): Promise<void> {
    try {
      changed(await requestJob('GET', `jobs/${id}`));
      if (!isGone) {
        trouble(null);
      }
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) {
        removed(id);
      } else {
        trouble(error);
      }
    }
  }

  function removed(which: string): void {
    if (which === id) {
      isGone = true;
      stopFollowing();
      const ended = isGuest()
        ? 'This job is shared with you no longer, or its record was deleted.'
        : 'The record of this job was deleted.';
      trouble(new Error(ended));
      byId('do').replaceChildren();
      if (isGuest()) {
        // All of it at once: an answer that is under way may still show parts of it.
        byId('seen').hidden = true;
        byId<HTMLDialogElement>('figure').close();
      }
    }
  }

  byId<HTMLAnchorElement>('log-link').href = `${API}jobs/${id}/log`;
  void loadNames().then(() => shown && fill(shown));
  const stopFollowing = follow(`?job=${id}`, {
    job: changed,
    removed,
    refresh: () => void refresh()
  });
  void refresh();
}
