/**
 * What travels between Lab and the server extension, as the jobs service's REST API spells it.
 *
 * The golden wire files under `tests/golden/wire` hold these names equal to the service's.
 */

import type { JSONObject, ReadonlyJSONValue } from '@lumino/coreutils';

export type JobState =
  | 'queued'
  | 'starting'
  | 'running'
  | 'cancelling'
  | 'succeeded'
  | 'failed'
  | 'cancelled';

export interface IKernelChoice {
  name: string;
  /** `image`: comes with the image; `home`: installed by its user. */
  source: string;
}

/** What was asked for; of a job all of it is said. */
export interface IRequest {
  name: string;
  /** The notebook, relative to the home. */
  path: string;
  group: string;
  image: string;
  class: string;
  kernel: IKernelChoice;
  parameters: Record<string, ReadonlyJSONValue>;
  time_limit_seconds: number;
  interruptible: boolean;
}

/** A job as its owner sees it. Times are ISO 8601 in UTC. */
export interface IJob extends IRequest {
  id: string;
  owner: string;
  state: JobState;
  reason: string | null;
  facts: JSONObject;
  sentence: string;
  cause: string | null;
  next_step: string | null;
  attempt: number;
  /** Counted from 1; 0 before the first. */
  cell: { number: number; total: number };
  cell_seconds: number[];
  memory: { bytes: number; peak_bytes: number; limit_bytes: number };
  created: string;
  started: string | null;
  ended: string | null;
  /** The executed notebook, relative to the home. */
  output_path: string;
  has_result: boolean;
  rerun_of: string | null;
  /** Whether members of its group may look at the result. */
  shared: boolean;
  /** How it is best run again; null while it has not ended. */
  again: IAgain | null;
}

/** What to do where a job is to run again. */
export interface IAgain {
  /** Words of a button; '': nothing is to be changed. */
  label: string;
  changes: IChanges;
  /** Whether it may end otherwise when nothing is changed. */
  unchanged: boolean;
}

/** What is to be other than in the job that runs again; of the parameters those that are named. */
export type IChanges = Partial<Omit<IRequest, 'path'>>;

/** What the runner of a job recorded, as far as it is shown, and that in words for a paper. */
export interface IRunRecord {
  /** `notebook_parameters`: names and sources of values that the notebook itself gave. */
  record: {
    notebook_parameters: Record<string, string>;
    /** ISO 8601, of the run itself. */
    started?: string;
    ended?: string;
    /** Processor time of all its processes; 0 where it was not looked at. */
    cpu_seconds?: number;
    /** Of the executed notebook's file in the home; a runner of before says nothing. */
    result_sha256?: string;
  };
  methods: string;
  /** Which lesser class would have done, where that is known; a service of before says nothing. */
  advice?: IAdvice | null;
}

/** What all GPUs of a run did together, in the spans of its series. */
export interface IGpuSeries {
  count: number;
  memory_limit_mib: number;
  /** Of each span which part of its time they were busy, the mean of all; null: not known. */
  percent: (number | null)[];
  /** Of each span the most. */
  memory_mib: number[];
}

/** What a run took over time, from the start of its kernel, in spans of equal length. */
export interface ISeries {
  every_seconds: number;
  /** Of each span the most. */
  memory_mib: number[];
  /** Of each span how many were busy on average. */
  cores: number[];
  /** Null where nothing tells of any; a runner of before says nothing. */
  gpus?: IGpuSeries | null;
  /** When its first cell began; null before. */
  first_cell_seconds: number | null;
}

/** How a run goes. */
export interface ICourse {
  /** Null where its runner says nothing of it. */
  series: ISeries | null;
  /** How long earlier runs of the notebook took, in growing order; none: not known. */
  earlier_seconds: number[];
}

/** The first line of each cell that is run. */
export interface ICells {
  lines: string[];
}

export interface IAdvice {
  class: string;
  /** Why, without what it would cost and a full stop. */
  sentence: string;
}

/** A picture of an executed notebook. Numbers are counted from 1. */
export interface IFigure {
  number: number;
  /** As the page of the notebook counts them. */
  cell: number;
  type: string;
  /** In points. */
  width: number;
  height: number;
  /** What its author says is to be seen; '' where nothing is said. */
  alt: string;
  /** In base64; null of one too large to be shown. */
  data: string | null;
}

/** Figures from one on; `next` is where it goes on, null at the end. */
export interface IFigures {
  figures: IFigure[];
  total: number;
  next: number | null;
}

/** A change of a job's state, or of what it waits for. */
export interface ITurn {
  at: string;
  attempt: number;
  state: JobState;
  reason: string | null;
  cause: string | null;
  facts: JSONObject;
  sentence: string;
}

export interface IJobPage {
  jobs: IJob[];
  next_cursor: string | null;
}

export interface IGroup {
  slug: string;
  name: string;
}

export interface IImage {
  slug: string;
  name: string;
  description: string;
  available: boolean;
  why: string;
  kernels: string[];
  needs_gpu: boolean;
}

export interface IInstanceClass {
  slug: string;
  name: string;
  cores: number;
  memory_bytes: number;
  gpus: number;
  gpu_model: string;
  price_per_hour: number | null;
  currency: string | null;
  price_date: string | null;
  /** Whether a job may choose a machine that can be taken away. */
  spot: boolean;
  spot_price_per_hour: number | null;
  available: boolean;
  why: string;
  /** A remark, such as fewer cores on this machine. */
  note: string;
  longest_job_seconds: number;
  groups: string[];
}

/** What the signed-in user may choose from; a pair is an image and a class that work together. */
export interface ICatalogue {
  user: { name: string; admin: boolean };
  groups: IGroup[];
  images: IImage[];
  classes: IInstanceClass[];
  pairs: [string, string][];
  defaults: {
    group: string | null;
    image: string | null;
    class: string | null;
    time_limit_seconds: number;
  };
}

/** The session Lab runs in. */
export interface ISession {
  group: string;
  image: string;
  class: string;
  available: boolean;
  why: string;
  /** Lab's root folder relative to the home: '' when equal, null when it is not inside the home. */
  root_in_home: string | null;
  /** The home relative to Lab's root folder: '' when equal, null when it is not inside the root. */
  home_in_root: string | null;
  /** For so long a session of its class may run; null when nobody says. */
  longest_seconds: number | null;
  ends_in_seconds: number | null;
  kernels: IOwnKernel[];
}

/** A kernel that its user installed in the home. */
export interface IOwnKernel {
  name: string;
  display_name: string;
  language: string;
  /** What keeps it from running in the session's image; '' when nothing does. */
  flaw: string;
  /** The Python of the image that it stands on; '': on none. */
  stands_on: string;
}

type Unsaid = 'kernel' | 'time_limit_seconds';

/**
 * Body of a check or a submission; the server extension adds the notebook itself. Of the parameters
 * only those that differ from the notebook's defaults.
 */
export type ISubmission = Omit<IRequest, Unsaid> &
  Partial<Pick<IRequest, Unsaid>>;

/** Something that stands in the way of a submission, and the field it belongs to. */
export interface IProblem {
  field: string;
  code: string;
  message: string;
  allowed?: ReadonlyJSONValue;
}

/** A parameter as the service found it in the notebook. */
export interface IParameter {
  name: string;
  type: string;
  /** Null also where the default is an expression that only the kernel can evaluate. */
  default: ReadonlyJSONValue;
  help: string;
  /** The default as it stands in the notebook; empty where it only declares the name. */
  source: string;
  /** The default is the value of the run whose result this notebook is. */
  carried?: boolean;
}

export interface ICheck {
  problems: IProblem[];
  parameters: IParameter[];
  kernel: IKernelChoice | null;
  sentence: string;
  cells: number;
}

/** An error's body. */
export interface IErrorBody {
  code: string;
  message: string;
  field?: string;
  allowed?: ReadonlyJSONValue;
  id?: string;
}
