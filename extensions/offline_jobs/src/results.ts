/**
 * Shows a job's executed notebook from the home, as far as Lab's root folder reaches.
 */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import { NotebookWidgetFactory } from '@jupyterlab/notebook';
import { Contents, ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IApi } from './api';
import type { IJobActions } from './jobActions';
import type { Content } from './resultCells';
import { makeResultView } from './resultView';
import type { IJob, ISession } from './types';
import { contentsPath, homePath } from './words';

export class Results implements Pick<IJobActions, 'openResult' | 'canOpen'> {
  constructor(
    private readonly _shell: JupyterFrontEnd.IShell,
    private readonly _docManager: IDocumentManager,
    private readonly _api: IApi,
    private readonly _trans: TranslationBundle
  ) {}

  /** Learn how paths of the home are spelt in Lab. */
  async load(): Promise<void> {
    this._session = await this._api.session();
  }

  readonly canOpen = (job: IJob): boolean => this._path(job) !== null;

  readonly openResult = (job: IJob): void => void this._open(job);

  readonly notebookPath = (job: IJob): string | null =>
    this._session && contentsPath(job.path, this._session);

  /** Where in the home a file of Lab lies, as jobs name it; null: not there, or not known yet. */
  homePath(path: string): string | null {
    return this._session && homePath(path, this._session);
  }

  private _path(job: IJob): string | null {
    return this._session && contentsPath(job.output_path, this._session);
  }

  private async _open(job: IJob): Promise<void> {
    const open = this._views.get(job.id);
    if (open) {
      this._shell.activateById(open.id);
      return;
    }
    const path = this._path(job);
    const [file, hash] = await Promise.all([
      path === null ? null : this._read(path),
      this._recordedHash(job)
    ]);
    if (path === null || file === null) {
      await this._offerDownload(job);
      return;
    }
    const openFile = (): void => void this._docManager.openOrReveal(path);
    const factory = this._docManager.registry.getWidgetFactory('Notebook');
    if (!(factory instanceof NotebookWidgetFactory)) {
      openFile();
      return;
    }
    const { content } = file as { content: Content };
    const isUntouched = hash && file.hash ? file.hash === hash : null;
    const trans = this._trans;
    const view = makeResultView({
      job,
      content,
      isUntouched,
      factory,
      trans,
      openFile
    });
    view.id = `offline-jobs-result-${job.id}`;
    view.disposed.connect(() => this._views.delete(job.id));
    this._views.set(job.id, view);
    this._shell.add(view, 'main');
    this._shell.activateById(view.id);
  }

  private async _offerDownload(job: IJob): Promise<void> {
    const trans = this._trans;
    const answer = await showDialog({
      title: trans.__('The executed notebook is not in your home'),
      body: trans.__(
        'It was moved or deleted. A copy can be downloaded: %1',
        job.output_path
      ),
      buttons: [
        Dialog.cancelButton(),
        Dialog.okButton({ label: trans.__('Download') })
      ]
    });
    if (answer.button.accept) {
      window.open(this._api.resultUrl(job.id), '_blank', 'noreferrer');
    }
  }

  /**
   * What the job's runner said of the file that it left: its owner ran what is in that, so it may
   * do what it does when run in Lab. Null where it is not known.
   */
  private async _recordedHash(job: IJob): Promise<string | null> {
    try {
      const { record } = await this._api.record(job.id);
      return record.result_sha256 || null;
    } catch {
      return null;
    }
  }

  /** The file; null where there is none. */
  private async _read(path: string): Promise<Contents.IModel | null> {
    const { contents } = this._docManager.services;
    try {
      return await contents.get(path, {
        content: true,
        hash: true,
        type: 'notebook'
      });
    } catch (error) {
      if (
        error instanceof ServerConnection.ResponseError &&
        error.response.status === 404
      ) {
        return null;
      }
      throw error;
    }
  }

  private readonly _views = new Map<string, MainAreaWidget>();
  private _session: ISession | null = null;
}
