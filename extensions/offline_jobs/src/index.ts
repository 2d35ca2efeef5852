/**
 * The Lab extension: its commands, and where they and the panel are placed.
 *
 * Menus, context menus, toolbar are declared in `schema/plugin.json`. A submission goes on in
 * `submitDialog.tsx` → `submission.ts` → `api.ts`, the panel in `panel.tsx` → `model.ts` → `api.ts`.
 */

import {
  ILabStatus,
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { asSubmitted, formOf, textsOf } from './again';
import { Api } from './api';
import { RequestError } from './requestError';
import { offlineJobsIcon } from './icons';
import { JobsModel } from './model';
import { chosenNotebook, saveNotebook } from './notebook';
import { JobsPanel } from './panel';
import { Results } from './results';
import { watchEnd } from './sessionEnd';
import { stopServer } from './stopServer';
import { IVersion, Submission } from './submission';
import { SubmitDialog } from './submitDialog';
import type { IJob } from './types';
import { duration, moment } from './words';

/** Commands; also named in `schema/plugin.json`. */
const CommandIDs = {
  submit: 'offline-jobs:submit',
  show: 'offline-jobs:show'
} as const;

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'offline-jobs:plugin',
  description: 'Runs notebooks as offline jobs.',
  autoStart: true,
  requires: [IDocumentManager],
  optional: [
    INotebookTracker,
    IDefaultFileBrowser,
    ICommandPalette,
    ILayoutRestorer,
    ILabStatus,
    ITranslator
  ],
  activate
};

export default plugin;

function activate(
  app: JupyterFrontEnd,
  docManager: IDocumentManager,
  notebooks: INotebookTracker | null,
  browser: IDefaultFileBrowser | null,
  palette: ICommandPalette | null,
  restorer: ILayoutRestorer | null,
  status: ILabStatus | null,
  translator: ITranslator | null
): void {
  const trans = (translator ?? nullTranslator).load('offline_jobs');
  const api = new Api(app.serviceManager.serverSettings);
  const model = new JobsModel(api);
  const results = new Results(app.shell, docManager, api, trans);
  const page = hubPage();
  const panel = new JobsPanel({
    model,
    trans,
    results,
    again: job => void again(job),
    hubPage: page
  });
  app.shell.add(panel, 'right', { rank: 500 });
  restorer?.add(panel, panel.id);

  const show = async (id: string | null): Promise<void> => {
    app.shell.activateById(panel.id);
    panel.select(id);
    await model.refresh();
  };

  const notify = (message: string, job: IJob): void => {
    const type =
      job.state === 'failed'
        ? 'error'
        : job.state === 'cancelled'
          ? 'info'
          : 'success';
    Notification.emit(message, type, {
      autoClose: job.state === 'failed' ? false : 8_000,
      actions: [
        {
          label: trans.__('Show'),
          caption: trans.__('Show the job in the Offline Jobs panel'),
          callback: () => void show(job.id)
        }
      ]
    });
  };

  const submit = async (
    title: string,
    submission: Submission
  ): Promise<void> => {
    const onShow = (job: string) => void show(job);
    const dialog = new SubmitDialog({
      title,
      submission,
      trans,
      onShow,
      canStop: page !== null
    });
    void submission.load();
    await dialog.launch();
    const { job, stopsServer } = dialog;
    dialog.dispose();
    submission.dispose();
    if (job) {
      model.add(job);
      notify(trans.__('Submitted “%1” as an offline job.', job.name), job);
    }
    if (job && stopsServer) {
      const leave = () => window.location.assign(`${page}jobs/${job.id}`);
      const { shell } = app;
      const options = { shell, docManager, status, api, trans, leave };
      await stopServer(job, options);
    }
  };

  const again = async (job: IJob): Promise<void> => {
    const when = moment(job.created, new Date());
    const label = trans.__('As it was submitted (%1)', when);
    const versions = [asSubmitted(job, api, label)];
    const path = results.notebookPath(job);
    if (path !== null) {
      versions.push({
        label: trans.__('As it is now'),
        path,
        api: afterSaving(api, () => saveNotebook(path, docManager, trans)),
        parameters: textsOf(job)
      });
    }
    await submit(
      trans.__('Run “%1” again', job.name),
      new Submission(versions, formOf(job))
    );
  };

  const followNotebook = (): void => {
    const path = notebooks?.currentWidget?.context.path;
    panel.notebook = path ? results.homePath(localPath(app, path)) : null;
  };
  notebooks?.currentChanged.connect(followNotebook);
  notebooks?.widgetAdded.connect((_, widget) => {
    widget.context.pathChanged.connect(followNotebook);
  });

  model.ended.connect((_, job) => {
    // The open panel says so itself, and a message would cover it.
    if (!panel.isVisible) {
      notify(`${job.name}: ${job.sentence}`, job);
    }
  });

  app.commands.addCommand(CommandIDs.submit, {
    label: args => (args.toolbar ? '' : trans.__('Run as Offline Job…')),
    caption: trans.__('Run this notebook in the background, as a job'),
    icon: args => (args.toolbar || args.icon ? offlineJobsIcon : undefined),
    isEnabled: args => chosenNotebook(args, notebooks, browser) !== null,
    execute: async args => {
      const path = chosenNotebook(args, notebooks, browser);
      if (path === null || !(await saveNotebook(path, docManager, trans))) {
        return;
      }
      await submit(
        trans.__('Run as Offline Job'),
        new Submission([{ label: '', path: localPath(app, path), api }])
      );
    },
    describedBy: {
      args: {
        type: 'object',
        properties: {
          path: { type: 'string', description: trans.__('The notebook') },
          from: {
            type: 'string',
            enum: ['browser', 'notebook'],
            description: trans.__('Where the notebook was chosen')
          },
          toolbar: { type: 'boolean' },
          icon: { type: 'boolean' }
        }
      }
    }
  });

  app.commands.addCommand(CommandIDs.show, {
    label: trans.__('Show Offline Jobs'),
    caption: trans.__('Show your offline jobs and their progress'),
    icon: args => (args.icon ? offlineJobsIcon : undefined),
    execute: () => show(null),
    describedBy: { args: { type: 'object', properties: {} } }
  });

  for (const command of [CommandIDs.submit, CommandIDs.show]) {
    palette?.addItem({ command, category: trans.__('Offline Jobs') });
  }

  void app.restored
    .then(() => results.load())
    .then(() => {
      followNotebook();
      panel.update();
    })
    .catch(unlessRefused);
  void app.restored
    .then(() => api.session())
    .then(session => {
      watchEnd(session, (left, longest) => {
        Notification.warning(
          trans.__(
            'This session ends at %1: one of its class may run for %2. Save your work; what is to go on can run as an offline job.',
            moment(
              new Date(Date.now() + left * 1000).toISOString(),
              new Date()
            ),
            duration(longest)
          ),
          { autoClose: false }
        );
      });
    })
    .catch(unlessRefused);
}

/** The same server, asked about a notebook once what is open of it is saved. */
function afterSaving(
  api: IVersion['api'],
  save: () => Promise<boolean>
): IVersion['api'] {
  const saved = async (): Promise<void> => {
    if (!(await save())) {
      const message = 'The notebook is not saved, and a job runs what is.';
      throw new RequestError(0, { code: 'not-saved', message });
    }
  };
  return {
    session: () => api.session(),
    catalogue: () => api.catalogue(),
    check: submission => saved().then(() => api.check(submission)),
    submit: (submission, key) => saved().then(() => api.submit(submission, key))
  };
}

/** Without the server extension there is nothing to open or to tell; the panel says what is wrong. */
function unlessRefused(error: unknown): void {
  if (!(error instanceof RequestError)) {
    throw error;
  }
}

/** The path below its drive: shared drives put a prefix before it. */
function localPath(app: JupyterFrontEnd, path: string): string {
  return app.serviceManager.contents.localPath(path);
}

/** The hub's page of offline jobs; null outside a hub. */
function hubPage(): string | null {
  const prefix = PageConfig.getOption('hubPrefix');
  return prefix
    ? `${PageConfig.getOption('hubHost')}${prefix.replace(/hub\/?$/, '')}services/offline-jobs/`
    : null;
}
