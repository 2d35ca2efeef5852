/**
 * One opening of the dialog: loads the choices, checks what is typed, submits once.
 *
 * `form.ts` says what the fields mean, `submitDialog.tsx` draws what is here. One idempotency key
 * for the whole opening: a double click or a lost answer never makes a second job.
 */

import { UUID } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Debouncer } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import type { IApi } from './api';
import { RequestError } from './requestError';
import { IForm, initialForm, settle, toSubmission, usualName } from './form';
import type {
  ICatalogue,
  ICheck,
  IJob,
  IParameter,
  IProblem,
  ISession
} from './types';

const CHECK_DELAY_MILLISECONDS = 400;

/** Something to say above the form, with a way on. */
export interface INotice {
  message: string;
  /** Whether trying again may help. */
  retry: boolean;
  /** The job that this dialog has already made. */
  job?: string;
}

const AGAIN =
  'Press Submit again: the job is not made a second time if it was taken after all.';

/** A notebook that can be submitted, and who takes it. */
export interface IVersion {
  /** What tells it from the others, for people. */
  label: string;
  path: string;
  api: Pick<IApi, 'session' | 'catalogue' | 'check' | 'submit'>;
  /** Values that it is run with where no others are given; they name the run as well. */
  carried?: Readonly<Record<string, string>>;
  /** Texts of parameters that the form opens with. */
  parameters?: Readonly<Record<string, string>>;
}

/** The dialog's state; `changed` is emitted after every change. */
export class Submission implements IDisposable {
  /**
   * @param versions - of the notebook, one of which is chosen; the first at first.
   * @param start - what the form opens with, before what the session and the catalogue say.
   */
  constructor(
    readonly versions: readonly IVersion[],
    start: Partial<IForm> = {},
    checkDelay = CHECK_DELAY_MILLISECONDS
  ) {
    this._version = versions[0];
    this._touched = { ...start, parameters: this._version.parameters ?? {} };
    this._form = this._named({
      ...initialForm(this.path, null, null),
      ...this._touched
    });
    this._debouncer = new Debouncer(() => this._check(), checkDelay);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get version(): IVersion {
    return this._version;
  }

  get path(): string {
    return this._version.path;
  }

  get form(): IForm {
    return this._form;
  }

  get catalogue(): ICatalogue | null {
    return this._catalogue;
  }

  get session(): ISession | null {
    return this._session;
  }

  /** The service's last answer about the notebook and the choices. */
  get check(): ICheck | null {
    return this._lastCheck;
  }

  get parameters(): readonly IParameter[] {
    return this._lastCheck?.parameters ?? [];
  }

  get notice(): INotice | null {
    return this._notice;
  }

  get isLoading(): boolean {
    return this._loading;
  }

  get isSubmitting(): boolean {
    return this._submitting !== null;
  }

  /** Everything that stands in the way: the form's own findings first, then the service's. */
  get problems(): IProblem[] {
    const own = this._toSubmission().problems;
    const fields = new Set(own.map(problem => problem.field));
    const theirs = this._lastCheck?.problems ?? [];
    return [
      ...own,
      ...[...theirs, ...this._refusals].filter(one => !fields.has(one.field))
    ];
  }

  get canSubmit(): boolean {
    return (
      this._catalogue !== null &&
      this._lastCheck !== null &&
      !this._loading &&
      !this.isSubmitting &&
      this.problems.length === 0
    );
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    if (!this._disposed) {
      this._disposed = true;
      this._debouncer.dispose();
      Signal.clearData(this);
    }
  }

  /** Fetch the choices and look at the notebook; keeps what was typed. */
  async load(): Promise<void> {
    this._loading = true;
    this._notice = null;
    this._emit();
    try {
      const [session, catalogue] = await Promise.all([
        this._version.api.session(),
        this._version.api.catalogue()
      ]);
      const first = this._catalogue === null;
      this._session = session;
      this._catalogue = catalogue;
      const filled = initialForm(this.path, catalogue, session);
      const form = first
        ? this._named({ ...filled, ...this._touched })
        : this._form;
      this._form = settle(form, catalogue, session);
      await this._check();
    } catch (error) {
      this._fail(error);
    } finally {
      this._loading = false;
      this._emit();
    }
  }

  /** Choose another version of the notebook; what was typed for its parameters goes. */
  choose(version: IVersion): void {
    this._version = version;
    this._lastCheck = null;
    this._key = UUID.uuid4();
    this._notice = null;
    this.update({ parameters: version.parameters ?? {} });
  }

  /** Take over what was chosen or typed, and have it checked soon. */
  update(change: Partial<IForm>): void {
    this._touched = { ...this._touched, ...change };
    const form = { ...this._form, ...change };
    this._form = this._named(
      this._catalogue ? settle(form, this._catalogue, this._session) : form
    );
    this._refusals = [];
    this._emit();
    if (this._catalogue) {
      // Rejects only when this dialog is closed before its turn.
      this._debouncer.invoke().catch(() => undefined);
    }
  }

  /** Take over the text of one parameter; null goes back to the notebook's default. */
  setParameter(name: string, text: string | null): void {
    const others = Object.entries(this._form.parameters).filter(
      ([key]) => key !== name
    );
    const parameters = Object.fromEntries(
      text === null ? others : [...others, [name, text]]
    );
    this.update({ parameters });
  }

  /**
   * Submit, at most once at a time.
   *
   * @returns the job, or null when it was refused or not answered: `problems` and `notice` say why.
   */
  submit(): Promise<IJob | null> {
    if (!this._submitting) {
      this._submitting = this._submit().finally(() => {
        this._submitting = null;
        this._emit();
      });
      this._emit();
    }
    return this._submitting;
  }

  private async _submit(): Promise<IJob | null> {
    const { submission, problems } = this._toSubmission();
    if (problems.length > 0 || !this._catalogue) {
      return null;
    }
    this._notice = null;
    try {
      return await this._version.api.submit(submission, this._key);
    } catch (error) {
      this._fail(error, AGAIN);
      return null;
    }
  }

  private async _check(): Promise<void> {
    const turn = ++this._turn;
    try {
      const { submission } = this._toSubmission();
      const check = await this._version.api.check(submission);
      if (turn !== this._turn || this._disposed) {
        return;
      }
      this._lastCheck = check;
      this._notice = null;
    } catch (error) {
      if (turn === this._turn && !this._disposed) {
        this._fail(error);
      }
    }
    this._emit();
  }

  /**
   * Put an error where it belongs: beside its field, or above the form. `mend` is what to do about
   * a passing one, when it is something else than to look again.
   */
  private _fail(error: unknown, mend = ''): void {
    if (!(error instanceof RequestError)) {
      throw error;
    }
    const { code, message, field, allowed, id } = error.body;
    if (error.status === 409 && id) {
      this._notice = {
        message:
          'This dialog has already submitted a job, before the last change. ' +
          'Close it and open it again to submit the changed notebook as another job.',
        retry: false,
        job: id
      };
    } else if (field) {
      this._refusals = [{ field, code, message, allowed }];
    } else {
      this._notice =
        error.isTemporary && mend
          ? { message: `${message} ${mend}`, retry: false }
          : { message, retry: error.isTemporary };
    }
  }

  /** The form with the usual name, where nobody gave another. */
  private _named(form: IForm): IForm {
    const values = { ...this._version.carried, ...form.parameters };
    return this._touched.name === undefined
      ? { ...form, name: usualName(this.path, values) }
      : form;
  }

  private _toSubmission(): ReturnType<typeof toSubmission> {
    return toSubmission(
      this.path,
      this._form,
      this.parameters,
      this._catalogue
    );
  }

  private _emit(): void {
    if (!this._disposed) {
      this._changed.emit();
    }
  }

  private _version: IVersion;
  private _key = UUID.uuid4();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _debouncer: Debouncer<void>;
  private _form: IForm;
  private _touched: Partial<IForm>;
  private _catalogue: ICatalogue | null = null;
  private _session: ISession | null = null;
  private _lastCheck: ICheck | null = null;
  private _refusals: IProblem[] = [];
  private _notice: INotice | null = null;
  private _submitting: Promise<IJob | null> | null = null;
  private _loading = false;
  private _disposed = false;
  private _turn = 0;
}
