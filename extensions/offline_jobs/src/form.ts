/**
 * What the dialog's fields mean: choices that are offered, texts to values, problems beside fields.
 *
 * Pure: from the catalogue, the notebook's parameters and what was typed to options, problems and
 * the submission. `submission.ts` keeps the state, `submitDialog.tsx` draws it.
 */

import { JSONExt } from '@lumino/coreutils';

import { parseParameter } from './parameters';
import { cost } from './words';
import type {
  ICatalogue,
  IInstanceClass,
  IKernelChoice,
  IParameter,
  IProblem,
  ISession,
  ISubmission
} from './types';

/** What was chosen and typed. */
export interface IForm {
  name: string;
  group: string;
  image: string;
  class: string;
  /** A kernel of the image or, with `home/` before it, of the home; '': the notebook's. */
  kernel: string;
  /** Texts of the parameters that were touched. */
  parameters: Readonly<Record<string, string>>;
  /** Wanted on a machine that can be taken away, where the class has such. */
  interruptible: boolean;
  hours: string;
  minutes: string;
}

/** A choice in a list; one that cannot be had says why. */
export interface IOption {
  value: string;
  label: string;
  disabled: boolean;
}

/** The form as it opens: filled in from the session, else from the catalogue's defaults. */
export function initialForm(
  path: string,
  catalogue: ICatalogue | null,
  session: ISession | null
): IForm {
  const defaults = catalogue?.defaults;
  const seconds = defaults?.time_limit_seconds ?? 4 * 3600;
  return {
    name: stem(path),
    group: session?.group || defaults?.group || '',
    image: session?.image || defaults?.image || '',
    class: session?.class || defaults?.class || '',
    kernel: '',
    parameters: {},
    interruptible: false,
    hours: String(Math.floor(seconds / 3600)),
    minutes: String(Math.floor((seconds % 3600) / 60))
  };
}

const MOST_NAMED = 3;
const LONGEST_NAMED = 60;

/** A job's name where nobody gives one: the notebook's, and the values that tell its runs apart. */
export function usualName(
  path: string,
  parameters: IForm['parameters']
): string {
  const values = Object.entries(parameters)
    .slice(0, MOST_NAMED)
    .map(([name, text]) => `${name} ${text.trim()}`);
  const name = [stem(path), ...values].join(' · ');
  return name.length > LONGEST_NAMED && values.length
    ? `${name.slice(0, LONGEST_NAMED - 1)}…`
    : name;
}

/** The notebook's name without folders and ending. */
export function stem(path: string): string {
  return (path.split('/').pop() ?? '').replace(/\.ipynb$/i, '') || 'notebook';
}

/**
 * The same form with choices that can be had: an image, class or group that the catalogue does not
 * offer (any more, or together) gives way to one that it does, and a kernel of another image goes.
 */
export function settle(
  form: IForm,
  catalogue: ICatalogue,
  session: ISession | null = null
): IForm {
  const group = pick(
    form.group,
    groupOptions(catalogue),
    catalogue.defaults.group
  );
  const withGroup = { ...form, group };
  const image = pick(
    form.image,
    imageOptions(catalogue),
    catalogue.defaults.image
  );
  const withImage = { ...withGroup, image };
  const instance = pick(
    form.class,
    classOptions(catalogue, withImage),
    catalogue.defaults.class
  );
  const kernels = kernelOptions(catalogue, withImage, session);
  const isOffered = kernels.some(
    one => one.value === form.kernel && !one.disabled
  );
  const kernel = isOffered ? form.kernel : '';
  return { ...withImage, class: instance, kernel };
}

const AT_HOME = 'home/';

/**
 * Kernels of the chosen image, then those of the home. One of the home that cannot run is there too,
 * disabled; in an image that is not the session's nobody knows, and it can be chosen.
 */
export function kernelOptions(
  catalogue: ICatalogue,
  form: Pick<IForm, 'image'>,
  session: ISession | null
): IOption[] {
  const image = catalogue.images.find(one => one.slug === form.image);
  const kernels = (image?.kernels ?? []).map(name => ({
    value: name,
    label: name,
    disabled: false
  }));
  const own = (session?.kernels ?? []).map(kernel => {
    const isKnown = form.image === session?.image || !kernel.stands_on;
    const disabled = isKnown && kernel.flaw !== '';
    const whose = disabled ? 'in your home, cannot run here' : 'in your home';
    return {
      value: `${AT_HOME}${kernel.name}`,
      label: `${kernel.display_name} – ${whose}`,
      disabled
    };
  });
  return [...kernels, ...own];
}

/** The option that stands for a kernel. */
export function kernelValue(kernel: IKernelChoice): string {
  return kernel.source === 'home' ? `${AT_HOME}${kernel.name}` : kernel.name;
}

function kernelOf(value: string): IKernelChoice {
  return value.startsWith(AT_HOME)
    ? { name: value.slice(AT_HOME.length), source: 'home' }
    : { name: value, source: 'image' };
}

function pick(
  wanted: string,
  options: IOption[],
  fallback: string | null
): string {
  const usable = options.filter(option => !option.disabled);
  const has = (value: string | null) =>
    usable.some(option => option.value === value);
  if (has(wanted)) {
    return wanted;
  }
  return has(fallback) ? (fallback as string) : (usable[0]?.value ?? '');
}

/** Groups that a job may be charged to. */
export function groupOptions(catalogue: ICatalogue): IOption[] {
  return catalogue.groups.map(({ slug, name }) => ({
    value: slug,
    label: name,
    disabled: false
  }));
}

/** Images; what cannot be had here is disabled and says why. */
export function imageOptions(catalogue: ICatalogue): IOption[] {
  return catalogue.images.map(image => option(image));
}

/**
 * Classes that work with the chosen image and that the chosen group may use; one that this machine
 * cannot give is there too, disabled with the reason.
 */
export function classOptions(
  catalogue: ICatalogue,
  form: Pick<IForm, 'group' | 'image'>
): IOption[] {
  return catalogue.classes
    .filter(one => one.groups.length === 0 || one.groups.includes(form.group))
    .filter(
      one =>
        !one.available ||
        catalogue.pairs.some(
          ([image, instance]) => image === form.image && instance === one.slug
        )
    )
    .map(one => option(one));
}

function option(choice: {
  slug: string;
  name: string;
  available: boolean;
  why: string;
}): IOption {
  return {
    value: choice.slug,
    label: choice.available ? choice.name : `${choice.name} – ${choice.why}`,
    disabled: !choice.available
  };
}

/** The chosen class, if it is in the catalogue. */
export function chosenClass(
  catalogue: ICatalogue | null,
  form: IForm
): IInstanceClass | undefined {
  return catalogue?.classes.find(one => one.slug === form.class);
}

/** The time limit in seconds, or what is wrong with it. */
export function timeLimit(
  form: IForm,
  longest: number | undefined
): number | IProblem {
  const problem = (message: string): IProblem => ({
    field: 'time_limit_seconds',
    code: 'time-limit',
    message
  });
  const hours = wholeNumber(form.hours);
  const minutes = wholeNumber(form.minutes);
  if (hours === null || minutes === null) {
    return problem('Give hours and minutes as whole numbers.');
  }
  const seconds = hours * 3600 + minutes * 60;
  if (seconds < 60) {
    return problem('Give at least one minute.');
  }
  if (longest && seconds > longest) {
    const hoursAllowed = Math.round((longest / 3600) * 10) / 10;
    return problem(`This machine allows at most ${hoursAllowed} h for a job.`);
  }
  return seconds;
}

/** What the job costs at most: "At most $0.38"; '' where the price or the limit is not known. */
export function ceiling(form: IForm, catalogue: ICatalogue | null): string {
  const machine = chosenClass(catalogue, form);
  const limit = timeLimit(form, machine?.longest_job_seconds);
  const isSpot = form.interruptible && machine?.spot === true;
  const most = typeof limit === 'number' ? cost(machine, isSpot, limit) : '';
  // A machine that is taken away is paid for, and so is the next one.
  return most && `At most ${most}${isSpot ? ' for each try' : ''}`;
}

function wholeNumber(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === '') {
    return 0;
  }
  return /^\d{1,6}$/.test(trimmed) ? Number(trimmed) : null;
}

/** The submission that the form stands for, and what the form itself already finds wrong. */
export function toSubmission(
  path: string,
  form: IForm,
  parameters: readonly IParameter[],
  catalogue: ICatalogue | null
): { submission: ISubmission; problems: IProblem[] } {
  const problems: IProblem[] = [];
  const values: ISubmission['parameters'] = {};
  for (const parameter of parameters) {
    const text = form.parameters[parameter.name];
    if (text === undefined) {
      continue;
    }
    const parsed = parseParameter(parameter, text);
    if ('message' in parsed) {
      problems.push({
        field: parameterField(parameter.name),
        code: 'parameter-value',
        message: parsed.message
      });
    } else if (!JSONExt.deepEqual(parsed.value, parameter.default)) {
      values[parameter.name] = parsed.value;
    }
  }
  const limit = timeLimit(
    form,
    chosenClass(catalogue, form)?.longest_job_seconds
  );
  if (typeof limit !== 'number') {
    problems.push(limit);
  }
  if (!form.name.trim()) {
    problems.push({
      field: 'name',
      code: 'missing-name',
      message: 'Give the job a name.'
    });
  }
  const submission: ISubmission = {
    path,
    name: form.name.trim(),
    group: form.group,
    image: form.image,
    class: form.class,
    parameters: values,
    interruptible: form.interruptible && !!chosenClass(catalogue, form)?.spot
  };
  if (typeof limit === 'number') {
    submission.time_limit_seconds = limit;
  }
  if (form.kernel) {
    submission.kernel = kernelOf(form.kernel);
  }
  return { submission, problems };
}

/** Name of a parameter's field in problems. */
export function parameterField(name: string): string {
  return `parameters.${name}`;
}

const FIELDS = new Set([
  'name',
  'group',
  'image',
  'class',
  'kernel',
  'interruptible',
  'time_limit_seconds'
]);

/** The field of the dialog beside which a problem is shown; null: it concerns the whole. */
export function fieldOf(
  problem: IProblem,
  parameters: readonly IParameter[]
): string | null {
  if (FIELDS.has(problem.field)) {
    return problem.field;
  }
  if (problem.field.startsWith('kernel')) {
    return 'kernel';
  }
  return parameters.some(one => parameterField(one.name) === problem.field)
    ? problem.field
    : null;
}
