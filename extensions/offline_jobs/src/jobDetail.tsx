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
import { duration, elapsed, isActive, moment, size, valueText } from './words';

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
  return (
    <div className="jp-OfflineJobs-detail">
      <button className="jp-mod-styled jp-mod-minimal" onClick={onBack}>
        ‹ {trans.__('All jobs')}
      </button>
      <h2>{job.name}</h2>
      <p>
        <JobState job={job} />{' '}
        <span className="jp-OfflineJobs-quiet">
          {job.started || !job.ended ? elapsed(job, new Date()) : ''}
        </span>
      </p>
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
      {job.cell_seconds.length > 0 ? (
        <Cells job={job} trans={trans} />
      ) : (
        <JobProgress job={job} />
      )}
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

/** One bar for each cell, as high as it took long. */
function Cells({ job, trans }: Pick<IProps, 'job' | 'trans'>): JSX.Element {
  const { number, total } = job.cell;
  const longest = Math.max(...job.cell_seconds, 0.001);
  const done = job.cell_seconds.length;
  const count = Math.max(total, done);
  const kind = (cell: number): string => {
    if (cell === number && job.state !== 'succeeded') {
      return job.state;
    }
    return cell <= number ? 'done' : 'none';
  };
  return (
    <section>
      <h3>{trans.__('Cells')}</h3>
      <div
        className="jp-OfflineJobs-cells"
        role="img"
        aria-label={trans.__('Cell %1 of %2', number, total)}
      >
        {Array.from({ length: count }, (_, index) => (
          <i
            key={index}
            data-kind={kind(index + 1)}
            title={
              index < done
                ? `${index + 1}: ${duration(job.cell_seconds[index])}`
                : `${index + 1}`
            }
            style={{
              height: `${Math.max(8, (100 * (job.cell_seconds[index] ?? 0)) / longest)}%`
            }}
          />
        ))}
      </div>
      <p className="jp-OfflineJobs-quiet">
        {trans.__('height: time per cell (longest %1)', duration(longest))}
      </p>
    </section>
  );
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
  const now = new Date();
  const { peak_bytes, limit_bytes } = job.memory;
  const parameters = Object.entries(job.parameters)
    .map(([name, value]) => `${name} = ${valueText(value)}`)
    .join(', ');
  const own = Object.entries(record?.record.notebook_parameters ?? {})
    .filter(([, source]) => source)
    .map(([name, source]) => `${name} = ${source}`)
    .join(', ');
  const waited =
    job.started &&
    duration((Date.parse(job.started) - Date.parse(job.created)) / 1000);
  const rows: [string, string | null | false][] = [
    [
      trans.__('Parameters'),
      parameters || (!own && trans.__('as in the notebook'))
    ],
    [
      parameters
        ? trans.__('As in the notebook')
        : trans.__('Parameters, as in the notebook'),
      own
    ],
    [trans.__('Notebook'), job.path],
    [trans.__('Executed notebook'), job.has_result && job.output_path],
    [trans.__('Image'), model.nameOf('images', job.image)],
    [trans.__('Machine'), model.nameOf('classes', job.class)],
    [trans.__('Kernel'), job.kernel.name],
    [trans.__('Charged group'), model.nameOf('groups', job.group)],
    [
      trans.__('Memory'),
      peak_bytes > 0 &&
        (limit_bytes > 0
          ? trans.__('%1 of %2', size(peak_bytes), size(limit_bytes))
          : size(peak_bytes))
    ],
    [trans.__('Time limit'), duration(job.time_limit_seconds)],
    [trans.__('Submitted'), moment(job.created, now)],
    [trans.__('Waited'), waited],
    [trans.__('Attempt'), job.attempt > 1 && String(job.attempt)],
    [trans.__('Job'), job.id]
  ];
  return (
    <section>
      <h3>{trans.__('Run')}</h3>
      <dl>
        {rows
          .filter(([, value]) => value)
          .map(([label, value]) => (
            <React.Fragment key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </React.Fragment>
          ))}
      </dl>
    </section>
  );
}
