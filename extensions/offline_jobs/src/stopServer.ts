/**
 * Stops the server that Lab is open on, once a job is submitted: the job needs none.
 *
 * What is not saved is saved first, or the server goes on. The server extension asks the hub
 * (`POST session/stop`); then the browser goes to the job's page, which needs no server either.
 */

import type { ILabStatus, JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IApi } from './api';
import { RequestError } from './requestError';
import type { IJob } from './types';

type IContext = NonNullable<ReturnType<IDocumentManager['contextForWidget']>>;

/** Where documents can be in Lab and in Jupyter Notebook. */
const AREAS = ['main', 'down', 'left', 'right'];
/** Codes of answers that are not our server's own: something before it says that it is gone. */
const NOT_OURS = ['unknown', 'server-unreachable'];
/** What the hub's proxy, or the hub, answers for a server that is gone. */
const GONE = [0, 424, 502, 503, 504];

interface IOptions {
  shell: Pick<JupyterFrontEnd.IShell, 'widgets'>;
  docManager: Pick<IDocumentManager, 'contextForWidget'>;
  /** Knows of unsaved changes that are in no document, such as settings. */
  status: Pick<ILabStatus, 'isDirty'> | null;
  api: Pick<IApi, 'stopServer'>;
  trans: TranslationBundle;
  /** Leave Lab. */
  leave: () => void;
}

/** Stop this server and leave, or say why it goes on; `job` is submitted in any case. */
export async function stopServer(job: IJob, options: IOptions): Promise<void> {
  const { api, trans, leave } = options;
  const unsaved = await save(options);
  if (unsaved !== null) {
    if (unsaved !== '') {
      await goesOn(job, unsaved, trans);
    }
    return;
  }
  const told = Notification.emit(
    trans.__('Stopping this server…'),
    'in-progress',
    { autoClose: false }
  );
  try {
    await api.stopServer();
  } catch (error) {
    if (!(error instanceof RequestError)) {
      throw error;
    }
    const { status, body } = error;
    // Mostly the server has ended before it could answer.
    if (!GONE.includes(status) || !NOT_OURS.includes(body.code)) {
      Notification.dismiss(told);
      await goesOn(job, error.message, trans);
      return;
    }
  }
  leave();
}

/**
 * Save all that is not saved, once that is agreed to.
 *
 * @returns null when nothing is unsaved any more; else why the server has to go on, which is empty
 * where somebody wanted it to.
 */
async function save(options: IOptions): Promise<string | null> {
  const { status, trans } = options;
  const found = unsavedDocuments(options);
  if (found.length > 0) {
    const answer = await showDialog({
      title: trans.__('Save before this server stops?'),
      body: trans.__(
        'The job is submitted. Not saved yet: %1.',
        found.map(({ path }) => path).join(', ')
      ),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Keep the server') }),
        Dialog.okButton({ label: trans.__('Save and stop') })
      ]
    });
    if (!answer.button.accept) {
      return '';
    }
  }
  for (const context of found) {
    // Lab itself says why it could not save.
    await context.save().catch(() => undefined);
  }
  const left = unsavedDocuments(options).map(({ path }) => path);
  if (left.length > 0) {
    return trans.__('It could not be saved: %1.', left.join(', '));
  }
  return status?.isDirty
    ? trans.__('Something in JupyterLab is not saved, such as settings.')
    : null;
}

/** What is open and has changes that are not saved; each once, wherever it is shown. */
function unsavedDocuments(options: IOptions): IContext[] {
  const { shell, docManager } = options;
  const open = AREAS.flatMap(area => [...shell.widgets(area)]).map(widget =>
    docManager.contextForWidget(widget)
  );
  return [...new Set(open)].filter(
    (context): context is IContext =>
      context !== undefined && context.model.dirty
  );
}

async function goesOn(
  job: IJob,
  why: string,
  trans: TranslationBundle
): Promise<void> {
  await showDialog({
    title: trans.__('This server goes on'),
    body: trans.__('“%1” is submitted. %2', job.name, why),
    buttons: [Dialog.okButton()]
  });
}
