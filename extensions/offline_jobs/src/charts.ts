/**
 * How a run goes, drawn: memory, cores and GPUs over time; by the panel in Lab and the page of the
 * hub alike, each with its own style. What is drawn is `course.ts`'s.
 */

import {
  cellTicks,
  coresChart,
  gpusChart,
  HEIGHT,
  memoryChart,
  timesOf,
  WIDTH
} from './course';
import type { IChart, ITime } from './course';
import type { IInstanceClass, IJob, ISeries } from './types';

/** A time that stands so far to the right ends there. */
const NEAR_END_PERCENT = 95;
const SVG = 'http://www.w3.org/2000/svg';

/** All that is drawn of a run. */
export interface ICharts {
  charts: IChart[];
  ticks: number[];
  times: ITime[];
}

/** @param machine - the job's class, where it can still be had. */
export function chartsOf(
  job: IJob,
  series: ISeries | null,
  machine: IInstanceClass | undefined
): ICharts {
  return {
    charts: [
      memoryChart(job, series),
      coresChart(job, series, machine?.cores),
      gpusChart(job, series, machine?.gpus)
    ].filter(each => each !== null),
    ticks: cellTicks(job, series),
    times: timesOf(series)
  };
}

/** A figure for each chart, and the times below them. */
export function makeCharts({ charts, ticks, times }: ICharts): HTMLElement[] {
  const parts: HTMLElement[] = charts.map(chart => makeChart(chart, ticks));
  if (times.length) {
    const axis = make('div', '', 'times');
    axis.setAttribute('aria-hidden', 'true');
    for (const { at, text } of times) {
      const time = make('span', text, at > NEAR_END_PERCENT ? 'last' : '');
      time.style.left = `${at}%`;
      axis.append(time);
    }
    parts.push(axis);
  }
  return parts;
}

function makeChart(chart: IChart, ticks: readonly number[]): HTMLElement {
  const figure = make('figure');
  figure.append(make('figcaption', chart.sentence));
  if (!chart.line) {
    return figure;
  }
  const plot = make('div', '', chart.isFull ? 'full' : '');
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

function make(
  tag: 'figure' | 'figcaption' | 'div' | 'span',
  text = '',
  name = ''
): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = name;
  return element;
}
