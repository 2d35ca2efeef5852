/**
 * How a run goes, on a job's page: memory, cores and GPUs over time, and in its head the time left.
 */

import {
  cellTicks,
  coresChart,
  gpusChart,
  HEIGHT,
  memoryChart,
  timeLeft,
  timesOf,
  WIDTH
} from '../course';
import type { IChart } from '../course';
import type { ICourse, IJob } from '../types';
import { isActive } from '../words';
import { byId, make, showTime } from './parts';
import { classOf, now, request } from './service';
import type { ITabs } from './tabs';

const ASK_MILLISECONDS = 10_000;
/** A time that stands so far to the right ends there. */
const NEAR_END_PERCENT = 95;
const SVG = 'http://www.w3.org/2000/svg';

/** What follows a run; it is told of each change of the job, and of each look at another tab. */
export function makeCourse(id: string, tabs: ITabs): (job: IJob) => void {
  let shown: IJob | null = null;
  let course: ICourse = { series: null, earlier_seconds: [] };
  /** Of which attempt, running or ended, it is. */
  let loaded = '';
  let timer: number | undefined;
  let drawn = '';

  function fill(job: IJob): void {
    shown = job;
    showTime(byId('left'), job, () =>
      timeLeft(job, course.earlier_seconds, now())
    );
    draw(job);
    const kind = `${job.attempt} ${isActive(job)} ${Boolean(job.started)}`;
    const isLooked = tabs.tab() === 'cells';
    // What is left is told on every tab.
    if (loaded !== kind && (isLooked || isActive(job))) {
      loaded = kind;
      void load(kind);
    } else if (isLooked && isActive(job)) {
      timer ??= window.setTimeout(() => void load(kind), ASK_MILLISECONDS);
    }
  }

  async function load(kind: string): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (document.hidden) {
      // Looked at again, the job is read anew, and asked for then.
      loaded = '';
      return;
    }
    try {
      const answer = await request('GET', `jobs/${id}/course`);
      const found = (await answer.json()) as ICourse;
      if (kind === loaded) {
        course = found;
      }
    } catch {
      // The page tells by the job itself that the service is away.
      loaded = '';
      return;
    }
    if (shown) {
      fill(shown);
    }
  }

  function draw(job: IJob): void {
    const { series } = course;
    const charts = [
      memoryChart(job, series),
      coresChart(job, series, classOf(job.class)?.cores),
      gpusChart(job, series, classOf(job.class)?.gpus)
    ].filter(each => each !== null);
    const ticks = cellTicks(job, series);
    const times = timesOf(series);
    // What is read or pointed at is left alone.
    const kind = JSON.stringify([charts, ticks]);
    if (kind === drawn) {
      return;
    }
    drawn = kind;
    const box = byId('course');
    box.hidden = !charts.length;
    const parts: HTMLElement[] = charts.map(chart => makeChart(chart, ticks));
    if (times.length) {
      const axis = make('div', undefined, { class: 'times' });
      axis.setAttribute('aria-hidden', 'true');
      for (const { at, text } of times) {
        const time = make('span', text);
        time.style.left = `${at}%`;
        time.classList.toggle('last', at > NEAR_END_PERCENT);
        axis.append(time);
      }
      parts.push(axis);
    }
    box.replaceChildren(...parts);
  }

  return fill;
}

function makeChart(chart: IChart, ticks: readonly number[]): HTMLElement {
  const figure = make('figure');
  figure.append(make('figcaption', chart.sentence));
  if (!chart.line) {
    return figure;
  }
  const plot = make('div', undefined, { class: chart.isFull ? 'full' : '' });
  const picture = makeShape('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': chart.sentence
  });
  picture.append(makeShape('path', { class: 'area', d: chart.area }));
  picture.append(makeShape('path', { class: 'line', d: chart.line }));
  const marks = ticks.map(at => `M${at} ${HEIGHT}v-9`).join('');
  if (marks) {
    picture.append(makeShape('path', { class: 'ticks', d: marks }));
  }
  plot.append(picture);
  const { y, text, isLimit } = chart.level;
  const level = makeShape('path', {
    class: isLimit ? 'limit' : 'level',
    d: `M0 ${y}H${WIDTH}`
  });
  picture.append(level);
  const name = make('span', text);
  name.style.top = `${y}%`;
  plot.append(name);
  figure.append(plot);
  return figure;
}

function makeShape(
  tag: 'svg' | 'path',
  attributes: Record<string, string>
): SVGElement {
  const shape = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    shape.setAttribute(name, value);
  }
  return shape;
}
