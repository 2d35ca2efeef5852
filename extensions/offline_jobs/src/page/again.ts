/**
 * The dialog that runs a job again: its form is the one that Lab's dialog has (`../submission.ts`).
 */

import { asSubmitted, formOf } from '../again';
import {
  ceiling,
  chosenClass,
  classOptions,
  fieldOf,
  groupOptions,
  imageOptions,
  parameterField
} from '../form';
import type { IForm, IOption } from '../form';
import { inputKind, parameterText } from '../parameters';
import { Submission } from '../submission';
import type { ICatalogue, IJob, IParameter } from '../types';
import { figures } from '../words';
import { byId, make, partOf, setText } from './parts';
import { againApi } from './service';

const CHOICES = ['image', 'class', 'group'] as const;
const TEXTS = ['name', 'hours', 'minutes'] as const;
/** Fields that have a place of their own for what is wrong. */
const PLACES = [...CHOICES, 'name', 'time_limit_seconds'];

/** Ask what is to be other, then run the job again. */
export function askAgain(job: IJob, begun: (fresh: IJob) => void): void {
  const dialog = byId<HTMLDialogElement>('again');
  const submission = new Submission(
    [asSubmitted(job, againApi, '')],
    formOf(job)
  );
  const listening = new AbortController();

  function listen(
    id: string,
    kind: string,
    heard: (event: Event) => void
  ): void {
    byId(id).addEventListener(kind, heard, { signal: listening.signal });
  }

  async function submit(): Promise<void> {
    if (!submission.canSubmit) {
      return;
    }
    const fresh = await submission.submit();
    if (fresh) {
      dialog.close();
      begun(fresh);
    }
  }

  setText(byId('again-title'), `Run “${job.name}” again`);
  // What an earlier opening drew is of its own form.
  const parameters = byId('again-parameters');
  parameters.replaceChildren();
  delete parameters.dataset.names;
  for (const key of [...CHOICES, ...TEXTS]) {
    listen(`again-${key}`, 'input', event =>
      submission.update({ [key]: (event.target as HTMLInputElement).value })
    );
  }
  listen('again-interruptible', 'change', event =>
    submission.update({
      interruptible: (event.target as HTMLInputElement).checked
    })
  );
  listen('again-cancel', 'click', () => dialog.close());
  listen('again-submit', 'click', () => void submit());
  // Enter in a field is no wish to run: whoever types a value may have more to say.
  listen('again', 'submit', event => event.preventDefault());
  listen('again', 'close', () => {
    listening.abort();
    submission.dispose();
  });
  submission.changed.connect(() => draw(submission));
  dialog.showModal();
  void submission.load();
}

function draw(submission: Submission): void {
  const { catalogue, form } = submission;
  if (catalogue) {
    drawChoices(catalogue, form);
  }
  for (const key of TEXTS) {
    setValue(byId<HTMLInputElement>(`again-${key}`), form[key]);
  }
  setText(byId('again-cost'), ceiling(form, catalogue));
  drawParameters(submission);
  drawProblems(submission);
  const sentence = submission.isLoading
    ? 'Looking at the notebook …'
    : (submission.check?.sentence ?? '');
  setText(byId('again-sentence'), sentence);
  const button = byId<HTMLButtonElement>('again-submit');
  // While it is being submitted it keeps the focus; pressing it again has no effect.
  button.disabled = !submission.canSubmit && !submission.isSubmitting;
  setText(button, submission.isSubmitting ? 'Submitting …' : 'Run again');
}

function drawChoices(catalogue: ICatalogue, form: IForm): void {
  const options = {
    image: imageOptions(catalogue),
    class: classOptions(catalogue, form),
    group: groupOptions(catalogue)
  };
  for (const key of CHOICES) {
    setOptions(byId(`again-${key}`), options[key], form[key]);
  }
  const machine = chosenClass(catalogue, form);
  setText(byId('again-class-help'), machine ? figures(machine) : '');
  showRow('interruptible', machine?.spot === true);
  byId<HTMLInputElement>('again-interruptible').checked = form.interruptible;
  showRow('group', catalogue.groups.length > 1);
}

/** A field with its label. */
function showRow(key: string, isShown: boolean): void {
  const control = byId(`again-${key}`);
  const label = document.querySelector<HTMLElement>(`[for="again-${key}"]`);
  for (const part of [label, control.parentElement]) {
    part?.toggleAttribute('hidden', !isShown);
  }
}

function setOptions(
  select: HTMLElement,
  options: IOption[],
  value: string
): void {
  const found = select as HTMLSelectElement;
  const written = JSON.stringify(options);
  if (found.dataset.options !== written) {
    found.dataset.options = written;
    found.replaceChildren(
      ...options.map(({ value: slug, label, disabled }) => {
        const option = make('option', label, { value: slug });
        option.disabled = disabled;
        return option;
      })
    );
  }
  setValue(found, value);
}

/** Set a value, where it is another: the caret stays where it is. */
function setValue(
  control: HTMLInputElement | HTMLSelectElement,
  value: string
): void {
  if (control.value !== value) {
    control.value = value;
  }
}

/** A field for each parameter; those that are there stay, for somebody may be typing. */
function drawParameters(submission: Submission): void {
  const box = byId('again-parameters');
  const names = submission.parameters.map(one => one.name);
  if (submission.check && box.dataset.names !== JSON.stringify(names)) {
    box.dataset.names = JSON.stringify(names);
    box.replaceChildren(
      ...submission.parameters.flatMap((one, index) =>
        makeParameter(submission, one, index)
      )
    );
  }
}

function makeParameter(
  submission: Submission,
  parameter: IParameter,
  index: number
): HTMLElement[] {
  const { name } = parameter;
  const id = `again-parameter-${index}`;
  const original = parameterText(parameter, parameter.default);
  const text = submission.form.parameters[name] ?? original;
  const ties = { id, 'aria-describedby': `${id}-help ${id}-problem` };
  const control = make('input', undefined, { ...ties, autocomplete: 'off' });
  if (inputKind(parameter) === 'boolean') {
    control.type = 'checkbox';
    control.checked = text === 'true';
    control.addEventListener('change', () =>
      submission.setParameter(name, String(control.checked))
    );
  } else {
    control.value = text;
    control.spellcheck = false;
    control.placeholder = parameter.default === null ? parameter.source : '';
    control.addEventListener('input', () =>
      submission.setParameter(
        name,
        control.value === original ? null : control.value
      )
    );
  }
  const help = make('p', parameter.help, { class: 'quiet', id: `${id}-help` });
  const problem = make('p', '', { class: 'problem', id: `${id}-problem` });
  problem.dataset.field = parameterField(name);
  problem.hidden = true;
  const field = make('div');
  field.append(control, help, problem);
  return [make('label', name, { for: id }), field];
}

/** What is wrong, beside its field; what has none is said below. */
function drawProblems(submission: Submission): void {
  const said = new Map<string | null, string[]>();
  for (const problem of submission.problems) {
    const field = fieldOf(problem, submission.parameters);
    const place = field && hasPlace(field) ? field : null;
    said.set(place, [...(said.get(place) ?? []), problem.message]);
  }
  for (const field of PLACES) {
    say(byId(`again-${field}-problem`), said.get(field));
  }
  for (const place of byId('again-parameters').querySelectorAll<HTMLElement>(
    '.problem'
  )) {
    say(place, said.get(place.dataset.field ?? ''));
    const control = partOf<HTMLInputElement>(
      place.parentElement as HTMLElement,
      'input'
    );
    control.toggleAttribute('aria-invalid', !place.hidden);
  }
  say(byId('again-problem'), said.get(null));
  const notice = submission.notice;
  say(byId('again-notice'), notice ? [notice.message] : undefined);
}

function hasPlace(field: string): boolean {
  return PLACES.includes(field) || field.startsWith(parameterField(''));
}

function say(place: HTMLElement, messages: string[] | undefined): void {
  place.hidden = !messages;
  setText(place, messages?.join(' ') ?? '');
}
