/**
 * How a run goes, in the panel: its cells, as bars and one by one, and memory, cores and GPUs over
 * time. The same pictures as on the hub's page (`view.ts`, `charts.ts`).
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { chartsOf, makeCharts } from './charts';
import type { JobsModel } from './model';
import type { ICourse, IJob, ISeries } from './types';
import { cellBars, cellLines, describeCells, describeScale } from './view';
import { isActive } from './words';

const ASK_MILLISECONDS = 10_000;
const NOTHING: ICourse = { series: null, earlier_seconds: [] };

interface IProps {
  job: IJob;
  model: JobsModel;
  trans: TranslationBundle;
}

/** How a run goes: asked anew now and then while it is at work and somebody looks. */
export function useCourse(job: IJob, model: JobsModel): ICourse {
  const [course, setCourse] = React.useState<ICourse>(NOTHING);
  const { id, attempt } = job;
  const active = isActive(job);
  const started = Boolean(job.started);
  React.useEffect(() => setCourse(NOTHING), [id, attempt]);
  React.useEffect(() => {
    let current = true;
    const ask = (): void => {
      if (document.hidden || !model.visible) {
        return;
      }
      model.course(id).then(
        found => current && setCourse(found),
        // The list already tells when the service is away; what was seen before stays.
        () => undefined
      );
    };
    ask();
    const timer = active ? window.setInterval(ask, ASK_MILLISECONDS) : 0;
    return () => {
      current = false;
      window.clearInterval(timer);
    };
  }, [id, model, attempt, active, started]);
  return course;
}

/** Memory, cores and GPUs over time. */
export function Charts(
  props: IProps & { series: ISeries | null }
): JSX.Element | null {
  const { job, model, trans, series } = props;
  const box = React.useRef<HTMLDivElement>(null);
  const charts = chartsOf(job, series, model.classOf(job.class));
  const drawn = JSON.stringify(charts);
  // What is read or pointed at is left alone.
  React.useLayoutEffect(() => {
    box.current?.replaceChildren(
      ...makeCharts(JSON.parse(drawn) as typeof charts)
    );
  }, [drawn]);
  return series && charts.charts.length ? (
    <section>
      <h3>{trans.__('Over time')}</h3>
      <div ref={box} className="jp-OfflineJobs-course" />
    </section>
  ) : null;
}

/** One bar for each cell, as high as it took long; unfolded, one line for each. */
export function Cells({ job, model, trans }: IProps): JSX.Element {
  const words = describeCells(job);
  const bars = cellBars(job, new Date());
  const [isOpen, setOpen] = React.useState(false);
  const lines = useLines(job, model, isOpen);
  return (
    <section>
      <h3>{trans.__('Cells')}</h3>
      <div className="jp-OfflineJobs-cells" role="img" aria-label={words}>
        {bars.map(({ kind, height, title }, index) => (
          <i
            key={index}
            data-kind={kind}
            title={title}
            style={{ height: `${height}%` }}
          />
        ))}
      </div>
      <p className="jp-OfflineJobs-quiet">
        {[words, describeScale(job)].filter(Boolean).join('; ')}
      </p>
      <details onToggle={event => setOpen(event.currentTarget.open)}>
        <summary>{trans.__('Cell by cell')}</summary>
        {isOpen && (
          <ol className="jp-OfflineJobs-lines">
            {cellLines(job, bars, lines).map(cell => (
              <li key={cell.number} data-kind={cell.kind}>
                <span>{cell.number}</span>
                <code title={cell.line}>{cell.line}</code>
                <span>{cell.time}</span>
                <span className="jp-OfflineJobs-how">{trans.__(cell.how)}</span>
              </li>
            ))}
          </ol>
        )}
      </details>
    </section>
  );
}

/** The first lines of the cells, once they are wanted; without them cells are listed by number. */
function useLines(
  job: IJob,
  model: JobsModel,
  isWanted: boolean
): readonly string[] {
  const [lines, setLines] = React.useState<readonly string[]>([]);
  React.useEffect(() => {
    let current = true;
    if (isWanted) {
      model.cells(job.id).then(
        found => current && setLines(found),
        () => undefined
      );
    }
    return () => {
      current = false;
    };
  }, [job.id, model, isWanted]);
  return lines;
}
