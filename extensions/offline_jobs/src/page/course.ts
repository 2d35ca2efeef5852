/**
 * How a run goes, on a job's page: memory, cores and GPUs over time, and in its head the time left.
 */

import { chartsOf, makeCharts } from '../charts';
import { timeLeft } from '../course';
import type { ICourse, IJob } from '../types';
import { isActive } from '../words';
import { byId, showTime } from './parts';
import { classOf, now, request } from './service';
import type { ITabs } from './tabs';

const ASK_MILLISECONDS = 10_000;

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
    const charts = chartsOf(job, course.series, classOf(job.class));
    // What is read or pointed at is left alone.
    const kind = JSON.stringify(charts);
    if (kind === drawn) {
      return;
    }
    drawn = kind;
    const box = byId('course');
    box.hidden = !charts.charts.length;
    box.replaceChildren(...makeCharts(charts));
  }

  return fill;
}
