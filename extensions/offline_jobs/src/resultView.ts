/**
 * A job's executed notebook in Lab, to be looked at: it cannot be changed, and it has no kernel.
 *
 * It is no open document: a title of its own would rename the file of one, and the commands of
 * notebooks would start kernels. Drawn by Lab's own notebook view, as its factory is set up.
 */

import { MainAreaWidget, ToolbarButton } from '@jupyterlab/apputils';
import {
  NotebookModel,
  NotebookWidgetFactory,
  StaticNotebook
} from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { offlineJobsIcon } from './icons';
import { prepareResult } from './resultCells';
import type { Content } from './resultCells';
import type { IJob } from './types';

interface IOptions {
  job: IJob;
  content: Content;
  /** Whether it is what the job left; null: that is not known. */
  isUntouched: boolean | null;
  /** Lab's factory of notebooks. */
  factory: NotebookWidgetFactory;
  trans: TranslationBundle;
  /** Open the file itself. */
  openFile: () => void;
}

/** The widget; it shows the failed cell once it is seen. */
export function makeResultView(options: IOptions): MainAreaWidget {
  const { job, isUntouched, factory, trans, openFile } = options;
  const { content, failed } = prepareResult(
    job,
    options.content,
    isUntouched === true
  );
  const model = new NotebookModel();
  model.fromJSON(content);
  const notebook = new StaticNotebook({
    rendermime: factory.rendermime.clone(),
    contentFactory: factory.contentFactory,
    mimeTypeService: factory.mimeTypeService,
    editorConfig: factory.editorConfig,
    notebookConfig: factory.notebookConfig
  });
  notebook.model = model;
  notebook.node.tabIndex = 0;
  const view = new MainAreaWidget({ content: notebook });
  view.addClass('jp-OfflineJobs-result');
  view.title.label = trans.__('%1 · result', job.name);
  view.title.caption = trans.__('%1, read-only', job.output_path);
  view.title.icon = offlineJobsIcon;
  view.title.closable = true;
  const said =
    isUntouched === false
      ? trans.__('Read-only; changed since the job ended')
      : trans.__('Read-only');
  view.toolbar.addItem('said', makeLabel(said));
  view.toolbar.addItem(
    'open',
    new ToolbarButton({
      label: trans.__('Open the file'),
      tooltip: trans.__('Open the executed notebook to change or run it'),
      onClick: openFile
    })
  );
  view.disposed.connect(() => model.dispose());
  if (failed >= 0) {
    void view.revealed.then(() => {
      notebook.widgets[failed].addClass('jp-OfflineJobs-failedCell');
      hold(notebook, failed);
    });
  }
  return view;
}

/** Keep a cell at the top while others are still drawn, until somebody moves. */
function hold(notebook: StaticNotebook, index: number): void {
  const observer = new ResizeObserver(
    () => void notebook.scrollToItem(index, 'start')
  );
  const stop = (): void => observer.disconnect();
  for (const kind of ['wheel', 'touchmove', 'pointerdown', 'keydown']) {
    const once = { once: true, capture: true, passive: true };
    notebook.node.addEventListener(kind, stop, once);
  }
  notebook.disposed.connect(stop);
  observer.observe(notebook.viewportNode);
}

function makeLabel(text: string): Widget {
  const label = new Widget({ node: document.createElement('span') });
  label.addClass('jp-OfflineJobs-said');
  label.node.textContent = text;
  return label;
}
