/**
 * One job: why it ended as it did and what to do next, its cells, its log, how it was run.
 */

import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { IJobActions, JobActions } from './jobActions';
import { JobProgress, JobState } from './jobParts';
import type { JobsModel } from './model';
import type { IJob, IRunRecord } from './types';
import { timeLeft } from './course';
import { Cells, Charts, useCourse } from './jobCourse';
import { adviceText, details } from './view';
import { elapsed, isActive } from './words';

interface IProps {
  job: IJob;
  model: JobsModel;
  actions: IJobActions;
  trans: TranslationBundle;
  onBack: () => void;
}

/** Characters of a log that are shown; the whole of it is a download away. */
const MOST_LOG_CHARACTERS = 20_000;

export function JobDetail(props: IProps): JSX.Element {
  const { job, model, actions, trans, onBack } = props;
  const record = useRecord(job, model);
  const course = useCourse(job, model);
  const left = timeLeft(job, course.earlier_seconds, new Date());
  return (
    <div className="jp-OfflineJobs-detail">
      <button className="jp-mod-styled jp-mod-minimal" onClick={onBack}>
        ‹ {trans.__('All jobs')}
      </button>
      <h2 title={job.name}>
        <bdi>{job.name}</bdi>
      </h2>
      <p>
        <JobState job={job} />{' '}
        <span className="jp-OfflineJobs-quiet">
          {job.started || !job.ended ? elapsed(job, new Date()) : ''}
        </span>
      </p>
      {left && <p className="jp-OfflineJobs-quiet">{left}</p>}
      {job.state === 'failed' ? (
        <div className="jp-OfflineJobs-notice">
          <p>
            <b>{job.sentence}</b>
          </p>
          {job.next_step && <p>{job.next_step}</p>}
        </div>
      ) : (
        <p>
          {job.sentence} {job.next_step}
        </p>
      )}
      <JobActions
        job={job}
        busy={model.isBusy(job.id)}
        actions={actions}
        trans={trans}
        all
      />
      <Advice job={job} model={model} record={record} />
      {job.cell_seconds.length > 0 ? (
        <Cells key={`cells ${job.id}`} job={job} model={model} trans={trans} />
      ) : (
        <JobProgress job={job} />
      )}
      <Charts job={job} model={model} trans={trans} series={course.series} />
      <Log key={job.id} job={job} model={model} trans={trans} />
      <Run job={job} model={model} trans={trans} record={record} />
      {record && <Methods text={record.methods.trim()} trans={trans} />}
    </div>
  );
}

/** What the runner recorded, once the job has ended; one that could not say a word has nothing. */
function useRecord(job: IJob, model: JobsModel): IRunRecord | null {
  const [record, setRecord] = React.useState<IRunRecord | null>(null);
  const ended = !isActive(job);
  React.useEffect(() => {
    let current = true;
    setRecord(null);
    if (ended) {
      model.record(job.id).then(
        found => current && setRecord(found),
        // The list already tells when the service is away.
        () => undefined
      );
    }
    return () => {
      current = false;
    };
  }, [job.id, model, ended]);
  return record;
}

/** Which lesser machine would have done. */
function Advice(
  props: Pick<IProps, 'job' | 'model'> & { record: IRunRecord | null }
): JSX.Element | null {
  const { job, model, record } = props;
  const classOf = (slug: string) => model.classOf(slug);
  const words = adviceText(job, record?.advice, classOf);
  return words ? <p className="jp-OfflineJobs-advice">{words}</p> : null;
}

/** The log's tail; followed while the job is at work. */
function Log(
  props: Pick<IProps, 'job' | 'model' | 'trans'>
): JSX.Element | null {
  const { job, model, trans } = props;
  const [text, setText] = React.useState<string | null>(null);
  const pane = React.useRef<HTMLPreElement>(null);
  // Ask again whenever something of the job has moved.
  const moved = `${job.state} ${job.cell.number} ${job.memory.bytes}`;
  React.useEffect(() => {
    let current = true;
    model.log(job.id).then(
      log => current && setText(log.slice(-MOST_LOG_CHARACTERS)),
      // The list already tells when the service is away; the log seen before stays.
      () => current && setText(before => before ?? '')
    );
    return () => {
      current = false;
    };
  }, [job.id, model, moved]);
  React.useEffect(() => {
    if (pane.current && isActive(job)) {
      pane.current.scrollTop = pane.current.scrollHeight;
    }
  }, [text, job]);
  return (
    <section>
      <h3>{trans.__('Log')}</h3>
      {text ? (
        <pre ref={pane} tabIndex={0} aria-label={trans.__('Log')}>
          {text}
        </pre>
      ) : (
        <p className="jp-OfflineJobs-quiet">
          {text === null ? trans.__('Loading…') : trans.__('Nothing printed.')}
        </p>
      )}
    </section>
  );
}

/** How the result came about, to be copied into a paper. */
function Methods(props: {
  text: string;
  trans: TranslationBundle;
}): JSX.Element {
  const { text, trans } = props;
  const [copied, setCopied] = React.useState(false);
  return (
    <section>
      <h3>{trans.__('Methods')}</h3>
      <p className="jp-OfflineJobs-methods">{text}</p>
      <button
        className="jp-mod-styled jp-mod-minimal"
        onClick={() => {
          Clipboard.copyToSystem(text);
          setCopied(true);
        }}
      >
        {copied ? trans.__('Copied') : trans.__('Copy')}
      </button>
    </section>
  );
}

function Run(
  props: Pick<IProps, 'job' | 'model' | 'trans'> & { record: IRunRecord | null }
): JSX.Element {
  const { job, model, trans, record } = props;
  const lines = details(
    job,
    record?.record ?? null,
    (kind, slug) => model.nameOf(kind, slug),
    new Date(),
    model.classOf(job.class)
  );
  return (
    <section>
      <h3>{trans.__('Run')}</h3>
      <dl>
        {lines.map(({ key, term, text }) => (
          <React.Fragment key={key}>
            <dt>{trans.__(term)}</dt>
            <dd dir="auto">{text}</dd>
          </React.Fragment>
        ))}
      </dl>
    </section>
  );
}
