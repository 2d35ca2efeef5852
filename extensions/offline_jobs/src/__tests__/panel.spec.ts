import { Clipboard, Dialog } from '@jupyterlab/apputils';
import type { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { Api } from '../api';
import { JobsModel } from '../model';
import { JobsPanel } from '../panel';
import type { ICourse, IRunRecord } from '../types';
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
const WAITING = makeJob({
  id: 'waiting00000',
  name: 'later',
  state: 'queued',
  path: 'other.ipynb',
  cell: { number: 0, total: 0 },
  cell_seconds: []
});
const LINES = Array.from(
  { length: RUNNING.cell.total },
  (_, index) => `step_${index + 1}()`
);
const COURSE: ICourse = {
  series: {
    every_seconds: 10,
    memory_mib: [100, 200, 300, 250],
    cores: [1, 2, 1, 1],
    first_cell_seconds: 1
  },
  earlier_seconds: []
};

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
  const { pathname, searchParams } = new URL(request.url);
  const path = pathname.replace(/.*offline-jobs\//, '');
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
  if (path.endsWith('/course')) {
    return reply(JSON.stringify(COURSE));
  }
  if (path.endsWith('/cells')) {
    return reply(JSON.stringify({ lines: LINES }));
  }
  const states = searchParams.get('state')?.split(',') ?? [];
  const q = searchParams.get('q') ?? '';
  const notebook = searchParams.get('path');
  const found = [RUNNING, WAITING, ENDED].filter(
    job =>
      states.includes(job.state) &&
      job.name.includes(q) &&
      (!notebook || job.path === notebook)
  );
  const answers: Record<string, unknown> = {
    catalogue: makeCatalogue(),
    jobs: { jobs: found, next_cursor: null }
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

/** The names in each part, in order. */
function parts(): string[] {
  return [...document.querySelectorAll('.jp-OfflineJobs-list ul')].map(
    list =>
      `${list.getAttribute('aria-label')}: ` +
      [...list.querySelectorAll('.jp-OfflineJobs-name')]
        .map(name => name.textContent)
        .join()
  );
}

function field<T extends HTMLElement>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) {
    throw new Error(`There is no ${selector}.`);
  }
  return found;
}

const search = (): HTMLInputElement => field('input[type="search"]');

/** Type into a field as React sees it. */
function type(input: HTMLInputElement, text: string): void {
  const { set } =
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value') ?? {};
  set?.call(input, text);
  input.dispatchEvent(new Event('input', { bubbles: true }));
}

const ALL_PARTS = ['Running: new', 'Waiting: later', 'Ended: old'];

it('shows what runs, what waits and what has ended, in this order', () => {
  expect(parts()).toEqual(ALL_PARTS);
});

it('searches once somebody has typed; Escape clears, slash comes back', async () => {
  const lists = (): number => asked.filter(one => one === 'GET jobs').length;
  const before = lists();
  for (const text of ['o', 'ol', 'old']) {
    type(search(), text);
    await settle();
  }
  expect(lists()).toBe(before);
  await until(() => parts().join() === 'Ended: old');
  // One look: what is open, what of it is wanted, and what has ended.
  expect(lists()).toBe(before + 3);

  type(search(), 'nobody');
  await until(() => shown('.jp-OfflineJobs-empty').includes('“nobody”'));
  await press('Clear the search');
  await until(() => parts().join() === ALL_PARTS.join());
  expect(search().value).toBe('');

  type(search(), 'old');
  await until(() => parts().join() === 'Ended: old');
  const escape = { key: 'Escape', bubbles: true };
  search().dispatchEvent(new KeyboardEvent('keydown', escape));
  await until(() => parts().join() === ALL_PARTS.join());
  expect(search().value).toBe('');

  field('.jp-OfflineJobs-name').focus();
  const slash = { key: '/', bubbles: true, cancelable: true };
  document.activeElement?.dispatchEvent(new KeyboardEvent('keydown', slash));
  expect(document.activeElement).toBe(search());
});

it('shows jobs of the notebook that is open, whichever that is', async () => {
  expect(document.querySelector('[id$="filter-path"]')).toBeNull();
  panel.notebook = 'other.ipynb';
  await press('Filter');
  field('[id$="filter-path"]').click();
  await until(() => parts().join() === 'Waiting: later');
  expect(shown('[aria-expanded]')).toBe('Filter (1)');
  panel.notebook = RUNNING.path;
  await until(() => parts().join() === 'Running: new,Ended: old');
  panel.notebook = 'never-run.ipynb';
  await until(() =>
    shown('.jp-OfflineJobs-empty').includes('No job of this notebook yet')
  );
  panel.notebook = null;
  await until(() => parts().join() === ALL_PARTS.join());
});

it('filters by state, and says so where nothing is left', async () => {
  await press('Filter');
  const state = field<HTMLSelectElement>('[id$="filter-state"]');
  const choose = (value: string): void => {
    state.value = value;
    state.dispatchEvent(new Event('change', { bubbles: true }));
  };
  choose('queued');
  await until(() => parts().join() === 'Waiting: later');
  choose('succeeded');
  await until(() =>
    shown('.jp-OfflineJobs-empty').includes('No job matches the filter')
  );
  await press('Clear the filter');
  await until(() => parts().join() === ALL_PARTS.join());
});

it('shows how a run goes: over time, and cell by cell', async () => {
  await press('new');
  await until(() =>
    shown('.jp-OfflineJobs-course').includes('Memory: at most')
  );
  expect(document.querySelectorAll('.jp-OfflineJobs-course svg')).toHaveLength(
    2
  );
  expect(asked).not.toContain(`GET jobs/${RUNNING.id}/cells`);
  const fold = field<HTMLDetailsElement>('.jp-OfflineJobs-detail details');
  fold.open = true;
  fold.dispatchEvent(new Event('toggle'));
  await until(() => shown('.jp-OfflineJobs-lines').includes('step_1()'));
  expect(document.querySelectorAll('.jp-OfflineJobs-lines li')).toHaveLength(
    RUNNING.cell.total
  );
});
