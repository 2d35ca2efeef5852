/**
 * The dialog "Run as Offline Job": Lab's own dialog, which stays open until the job is taken.
 */

import { Dialog, ReactWidget, UseSignal } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import React from 'react';

import { SwitchField } from './fields';
import type { Submission } from './submission';
import { SubmitForm } from './submitForm';
import type { IJob } from './types';

interface IOptions {
  title: string;
  submission: Submission;
  trans: TranslationBundle;
  /** Show the job that this dialog has already made. */
  onShow: (job: string) => void;
  /** Whether a hub is there that can stop this server. */
  canStop: boolean;
}

interface IBodyOptions extends IOptions {
  onStop: (stops: boolean) => void;
}

const CANCEL = 0;
const SUBMIT = 1;

class SubmitBody extends ReactWidget {
  constructor(private readonly _options: IBodyOptions) {
    super();
  }

  protected render(): JSX.Element {
    const { submission, canStop } = this._options;
    return (
      <UseSignal signal={submission.changed}>
        {() => (
          <SubmitForm {...this._options}>
            {canStop && <Afterwards {...this._options} />}
          </SubmitForm>
        )}
      </UseSignal>
    );
  }
}

/** What becomes of this server; never remembered, for it ends what else runs. */
function Afterwards({ trans, onStop }: IBodyOptions): JSX.Element {
  const [stops, setStops] = React.useState(false);
  return (
    <fieldset>
      <legend>{trans.__('Afterwards')}</legend>
      <SwitchField
        id="jp-OfflineJobs-submit-stop"
        label={trans.__('Stop this server')}
        help={
          stops
            ? trans.__(
                'Once the job is submitted. Your kernels and terminals end; the job and your files do not need them.'
              )
            : undefined
        }
        value={stops}
        onChange={value => {
          setStops(value);
          onStop(value);
        }}
      />
    </fieldset>
  );
}

/** Resolves only when the job was taken, or the dialog given up. */
export class SubmitDialog extends Dialog<unknown> {
  constructor(options: IOptions) {
    const { title, submission, trans } = options;
    const onShow = (job: string) => {
      this.reject();
      options.onShow(job);
    };
    super({
      title,
      body: new SubmitBody({
        ...options,
        onShow,
        onStop: stops => {
          this._stops = stops;
          this._update();
        }
      }),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({ label: trans.__('Submit') })
      ],
      defaultButton: SUBMIT,
      focusNodeSelector: '.jp-OfflineJobs-form'
    });
    this.addClass('jp-OfflineJobs-dialog');
    this._submission = submission;
    this._trans = trans;
    submission.changed.connect(this._update, this);
  }

  /** The job that was made, once there is one. */
  get job(): IJob | null {
    return this._job;
  }

  /** Whether this server is to be stopped once the job is made. */
  get stopsServer(): boolean {
    return this._stops;
  }

  dispose(): void {
    this._submission.changed.disconnect(this._update, this);
    super.dispose();
  }

  /** Submit instead of closing; close when the job was taken. */
  resolve(index: number = SUBMIT): void {
    if (index === CANCEL) {
      super.resolve(CANCEL);
    } else if (this._submission.canSubmit) {
      void this._submission.submit().then(job => {
        this._job = job;
        if (job) {
          super.resolve(SUBMIT);
        }
      });
    }
  }

  handleEvent(event: Event): void {
    const content = this.node.querySelector('.jp-Dialog-content');
    const isInside = content?.contains(event.target as Node);
    if (event.type === 'click' && !isInside) {
      // A click beside the dialog would throw away what was typed.
      event.stopPropagation();
      event.preventDefault();
      return;
    }
    if (event instanceof KeyboardEvent && event.key === 'Tab') {
      this._keepFocus(event);
      return;
    }
    super.handleEvent(event);
    if (event.type === 'input') {
      this._update();
    }
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._update();
  }

  /** Tab goes round: Lab's own dialog looks for the first control before the form has any. */
  private _keepFocus(event: KeyboardEvent): void {
    const controls = this.node.querySelectorAll<HTMLElement>(
      'input, select, button:not(:disabled), a[href]'
    );
    const [from, to] = event.shiftKey
      ? [controls[0], controls[controls.length - 1]]
      : [controls[controls.length - 1], controls[0]];
    if (document.activeElement === from) {
      event.preventDefault();
      event.stopPropagation();
      to.focus();
    }
  }

  private _update(): void {
    const button = this.node.querySelector<HTMLButtonElement>(
      '.jp-Dialog-footer .jp-mod-accept'
    );
    const label = button?.querySelector('.jp-Dialog-buttonLabel');
    if (button && label) {
      const { canSubmit, isSubmitting } = this._submission;
      // While submitting it keeps the focus; pressing it again has no effect.
      button.disabled = !canSubmit && !isSubmitting;
      button.setAttribute('aria-busy', String(isSubmitting));
      label.textContent = isSubmitting
        ? this._trans.__('Submitting…')
        : this._stops
          ? this._trans.__('Submit and stop')
          : this._trans.__('Submit');
    }
  }

  private readonly _submission: Submission;
  private readonly _trans: TranslationBundle;
  private _job: IJob | null = null;
  private _stops = false;
}
