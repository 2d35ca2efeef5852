/**
 * Which notebook is meant, and its state on disk before it is submitted.
 */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { FileBrowser } from '@jupyterlab/filebrowser';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

/** Path of the notebook that a command is about: named, selected in the browser, or open. */
export function chosenNotebook(
  args: ReadonlyPartialJSONObject,
  notebooks: INotebookTracker | null,
  browser: FileBrowser | null
): string | null {
  if (typeof args.path === 'string') {
    return args.path;
  }
  if (args.from === 'browser') {
    const selected = browser ? [...browser.selectedItems()] : [];
    return selected.length === 1 && selected[0].type === 'notebook'
      ? selected[0].path
      : null;
  }
  return notebooks?.currentWidget?.context.path ?? null;
}

/** Save the notebook if it has unsaved changes; false when it could not be saved. */
export async function saveNotebook(
  path: string,
  docManager: IDocumentManager,
  trans: TranslationBundle
): Promise<boolean> {
  const widget = docManager.findWidget(path);
  const context = widget && docManager.contextForWidget(widget);
  if (!context) {
    return true;
  }
  await context.ready;
  if (!context.model.dirty) {
    return true;
  }
  // Lab itself says why it could not save.
  await context.save().catch(() => undefined);
  if (!context.model.dirty) {
    return true;
  }
  await showDialog({
    title: trans.__('The notebook could not be saved'),
    body: trans.__(
      'A job runs what is saved. Save the notebook, if need be under another name, and try again.'
    ),
    buttons: [Dialog.okButton()]
  });
  return false;
}
