/**
 * Opens a job's executed notebook from the home, as far as Lab's root folder reaches.
 */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IApi } from './api';
import type { IJobActions } from './jobActions';
import type { IJob, ISession } from './types';
import { contentsPath } from './words';

export class Results implements Pick<IJobActions, 'openResult' | 'canOpen'> {
  constructor(
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

  private _path(job: IJob): string | null {
    return this._session && contentsPath(job.output_path, this._session);
  }

  private async _open(job: IJob): Promise<void> {
    const path = this._path(job);
    if (path !== null && (await this._exists(path))) {
      this._docManager.openOrReveal(path);
      return;
    }
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

  private async _exists(path: string): Promise<boolean> {
    try {
      await this._docManager.services.contents.get(path, { content: false });
      return true;
    } catch (error) {
      if (
        error instanceof ServerConnection.ResponseError &&
        error.response.status === 404
      ) {
        return false;
      }
      throw error;
    }
  }

  private _session: ISession | null = null;
}
