/**
 * The Offline Jobs panel: the list, or one job.
 */

import {
  Dialog,
  ReactWidget,
  UseSignal,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import React from 'react';

import { RequestError } from './requestError';
import { offlineJobsIcon } from './icons';
import type { IJobActions } from './jobActions';
import { formatFilters } from './filters';
import { JobDetail } from './jobDetail';
import { JobList } from './jobList';
import type { JobsModel } from './model';
import type { IJob } from './types';

interface IOptions {
  model: JobsModel;
  trans: TranslationBundle;
  /** Opens a result, or says why it cannot be opened. */
  results: Pick<IJobActions, 'openResult' | 'canOpen'>;
  /** Open the dialog that runs a job again. */
  again: (job: IJob) => void;
  /** The hub's page of the same jobs; null outside a hub. */
  hubPage: string | null;
}

export class JobsPanel extends ReactWidget {
  constructor(private readonly _options: IOptions) {
    super();
    this.id = 'offline-jobs-panel';
    this.addClass('jp-OfflineJobs-panel');
    this.title.icon = offlineJobsIcon;
    this.title.caption = _options.trans.__('Offline Jobs');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', _options.trans.__('Offline Jobs'));
  }

  /** Show one job, or the list. */
  select(id: string | null): void {
    this._selected = id;
    this._options.model.pick(id);
    this._selection.emit();
    // The pressed button is gone: the keyboard goes on from the panel's top.
    this.node.focus();
  }

  /**
   * The notebook that is open, relative to the home; null: none. Where the jobs of one notebook
   * alone are shown, it is this.
   */
  set notebook(path: string | null) {
    if (path !== this._notebook) {
      this._notebook = path;
      const { model } = this._options;
      if (model.wanted.path) {
        model.narrow({ ...model.wanted, path: path ?? '' });
      }
      this._selection.emit();
    }
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._options.model.visible = true;
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.node.tabIndex = -1;
    this._options.model.visible = this.isVisible;
  }

  protected onBeforeHide(msg: Message): void {
    super.onBeforeHide(msg);
    this._options.model.visible = false;
  }

  protected render(): JSX.Element {
    return (
      <UseSignal signal={this._selection}>
        {() => (
          <UseSignal signal={this._options.model.changed}>
            {() => this._content()}
          </UseSignal>
        )}
      </UseSignal>
    );
  }

  private _content(): JSX.Element {
    const { model, trans, hubPage } = this._options;
    const job = this._selected ? model.job(this._selected) : undefined;
    return (
      <>
        <div className="jp-OfflineJobs-header">
          <h1>{trans.__('Offline Jobs')}</h1>
          {hubPage && (
            <a
              className="jp-OfflineJobs-link"
              href={hubPage + formatFilters(model.wanted.filters)}
              target="_blank"
              rel="noreferrer"
              title={trans.__('The same jobs on a page that needs no server')}
            >
              {trans.__('Open page')}
            </a>
          )}
        </div>
        {job ? (
          <JobDetail
            job={job}
            model={model}
            actions={this._actions}
            trans={trans}
            onBack={() => this.select(null)}
          />
        ) : (
          <JobList
            model={model}
            actions={this._actions}
            trans={trans}
            onSelect={id => this.select(id)}
            notebook={this._notebook}
          />
        )}
      </>
    );
  }

  private readonly _actions: IJobActions = {
    ...this._options.results,
    cancel: job => {
      const { model, trans } = this._options;
      void this._confirm(
        trans.__('Cancel “%1”?', job.name),
        trans.__('It stops; the cells that finished are kept.'),
        trans.__('Cancel the job'),
        () => model.cancel(job.id)
      );
    },
    again: job => this._options.again(job),
    cure: job =>
      void this._try(
        this._options.model.rerun(job.id, job.again?.changes ?? {})
      ),
    remove: job => {
      const { model, trans } = this._options;
      void this._confirm(
        trans.__('Delete the record of “%1”?', job.name),
        trans.__(
          'Its log and the downloadable result go too. Files in your home stay.'
        ),
        trans.__('Delete'),
        () => model.remove(job.id)
      );
    },
    resultUrl: job => this._options.model.resultUrl(job.id)
  };

  /** What cannot be taken back is asked for first. */
  private async _confirm(
    title: string,
    body: string,
    label: string,
    action: () => Promise<void>
  ): Promise<void> {
    const { trans } = this._options;
    const result = await showDialog({
      title,
      body,
      buttons: [
        Dialog.cancelButton({ label: trans.__('No, keep it') }),
        Dialog.warnButton({ label })
      ]
    });
    if (result.button.accept) {
      await this._try(action());
    }
  }

  /** An action's refusal is said in words. */
  private async _try(action: Promise<void>): Promise<void> {
    try {
      await action;
    } catch (error) {
      if (!(error instanceof RequestError)) {
        throw error;
      }
      const { trans } = this._options;
      await showDialog({
        title: trans.__('That did not work'),
        body: error.message,
        buttons: [Dialog.okButton()]
      });
    }
  }

  private readonly _selection = new Signal<this, void>(this);
  private _selected: string | null = null;
  private _notebook: string | null = null;
}
