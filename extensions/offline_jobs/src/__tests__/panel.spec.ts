import { Clipboard, Dialog } from '@jupyterlab/apputils';
import type { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { Api } from '../api';
import { JobsModel } from '../model';
import { JobsPanel } from '../panel';
import type { IRunRecord } from '../types';
import { makeCatalogue, makeJob } from './factories';

const ENDED = makeJob({
  id: 'ended0000000',
  name: 'old',
  state: 'failed',
  again: {
    label: 'Run on Large',
    changes: { class: 'large' },
    unchanged: false
  }
});
const RUNNING = makeJob({ id: 'running00000', name: 'new' });

const RECORD: IRunRecord = {
  record: { notebook_parameters: { seed: '7', threshold: '' } },
  methods: 'Notebook old.ipynb was run as a whole.\nOn one machine.\n',
  advice: { class: 'unknown', sentence: 'Small would do' }
};

let asked: string[];
/** Jobs that are to be run again, once somebody said how. */
let again: string[];
/** What was sent. */
let bodies: unknown[];
let model: JobsModel;
let panel: JobsPanel;

/** A request as Lab makes it; jsdom has none. */
class Asked {
  readonly headers = new Map<string, string>();
  readonly method: string;
  readonly body: string | undefined;

  constructor(
    readonly url: string,
    init: RequestInit
  ) {
    this.method = init.method ?? 'GET';
    this.body = init.body as string | undefined;
  }
}

/** A server that answers whatever it is asked, and keeps what that was. */
async function answer(request: Asked): Promise<Response> {
  const path = new URL(request.url).pathname.replace(/.*offline-jobs\//, '');
  asked.push(`${request.method} ${path}`);
  if (request.body) {
    bodies.push(JSON.parse(request.body));
  }
  if (path.endsWith('/log')) {
    return reply('printed');
  }
  if (path.endsWith('/record')) {
    return reply(JSON.stringify(RECORD));
  }
  const answers: Record<string, unknown> = {
    catalogue: makeCatalogue(),
    jobs: { jobs: [RUNNING, ENDED], next_cursor: null }
  };
  return reply(JSON.stringify(answers[path] ?? RUNNING));
}

function reply(body: string): Response {
  return {
    ok: true,
    status: 200,
    headers: new Map() as unknown as Headers,
    json: async () => JSON.parse(body) as unknown,
    text: async () => body
  } as Response;
}

/** What was asked that changes something. */
function changes(): string[] {
  return asked.filter(one => !one.startsWith('GET '));
}

/** Wait for what comes once React has drawn, an answer is there or a dialog is open. */
async function until<T>(look: () => T | undefined): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = look();
    if (found) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`never: ${look.toString()}`);
    }
    await settle();
  }
}

/** Let happen all that is under way. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await new Promise(resolve => setTimeout(resolve));
  }
}

async function press(words: string): Promise<void> {
  const button = await until(() =>
    [...document.querySelectorAll('button')].find(
      one => (one.getAttribute('aria-label') || one.textContent) === words
    )
  );
  button.click();
  await settle();
}

function dialog(): string {
  return document.querySelector('.jp-Dialog-header')?.textContent ?? '';
}

function shown(selector: string): string {
  return document.querySelector(selector)?.textContent ?? '';
}

beforeEach(async () => {
  asked = [];
  again = [];
  bodies = [];
  const settings = {
    baseUrl: 'http://localhost/',
    init: {},
    token: '',
    fetch: answer,
    Request: Asked
  } as unknown as ServerConnection.ISettings;
  model = new JobsModel(new Api(settings));
  panel = new JobsPanel({
    model,
    trans: nullTranslator.load(''),
    results: {
      openResult: () => undefined,
      canOpen: () => false
    },
    again: job => again.push(job.id),
    hubPage: null
  });
  Widget.attach(panel, document.body);
  await until(() => model.isLoaded);
});

afterEach(() => {
  Dialog.flush();
  panel.dispose();
  model.dispose();
});

it('changes nothing for being opened, read and hidden', async () => {
  await press('new');
  await until(() => asked.includes(`GET jobs/${RUNNING.id}/log`));
  await press('‹ All jobs');
  await press('old');
  await until(() => asked.includes(`GET jobs/${ENDED.id}/log`));
  panel.hide();
  panel.show();
  await model.refresh();
  await settle();
  expect(changes()).toEqual([]);
  expect(dialog()).toBe('');
});

it('shows and copies what the runner of an ended job recorded', async () => {
  const copy = jest.spyOn(Clipboard, 'copyToSystem').mockReturnValue();
  await press('new');
  await settle();
  expect(asked).not.toContain(`GET jobs/${RUNNING.id}/record`);
  await press('‹ All jobs');
  await press('old');
  await press('Copy');
  expect(copy.mock.calls).toEqual([[RECORD.methods.trim()]]);
  await until(() => shown('.jp-OfflineJobs-methods') === RECORD.methods.trim());
  expect(shown('.jp-OfflineJobs-advice')).toBe('Small would do.');
  expect(shown('dl')).toContain('As in the notebookseed = 7');
  expect(shown('dl')).not.toContain('threshold = ');
});

it.each([
  {
    what: 'a cancel in the list',
    job: null,
    button: 'Cancel: new',
    title: 'Cancel “new”?',
    yes: 'Cancel the job',
    sent: `POST jobs/${RUNNING.id}/cancel`
  },
  {
    what: 'a cancel in the detail',
    job: RUNNING,
    button: 'Cancel: new',
    title: 'Cancel “new”?',
    yes: 'Cancel the job',
    sent: `POST jobs/${RUNNING.id}/cancel`
  },
  {
    what: 'a deletion',
    job: ENDED,
    button: 'Delete record: old',
    title: 'Delete the record of “old”?',
    yes: 'Delete',
    sent: `DELETE jobs/${ENDED.id}`
  }
])('asks before $what, and sends it once', async row => {
  panel.select(row.job && row.job.id);
  await press(row.button);
  expect(dialog()).toBe(row.title);
  expect(changes()).toEqual([]);

  await press('No, keep it');
  expect(dialog()).toBe('');
  expect(changes()).toEqual([]);

  await press(row.button);
  await press(row.yes);
  await until(() => changes().length > 0);
  await model.refresh();
  expect(changes()).toEqual([row.sent]);
});

it('asks before it runs a job again, and runs what cures one at once', async () => {
  await press('Run again…: old');
  expect(again).toEqual([ENDED.id]);
  expect(changes()).toEqual([]);

  await press('Run on Large: old');
  await until(() => changes().length > 0);
  expect(changes()).toEqual([`POST jobs/${ENDED.id}/rerun`]);
  expect(bodies).toEqual([{ class: 'large' }]);
});
