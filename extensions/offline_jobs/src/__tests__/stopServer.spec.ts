import { Dialog, Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { RequestError } from '../requestError';
import { stopServer } from '../stopServer';
import { Submission } from '../submission';
import { SubmitDialog } from '../submitDialog';
import { FakeApi, makeJob } from './factories';

interface IDocument {
  path: string;
  model: { dirty: boolean };
  save: () => Promise<void>;
}

type Options = Parameters<typeof stopServer>[1];

const trans = nullTranslator.load('');
const JOB = makeJob({ id: 'k3j9x0a1b2c3', name: 'markers' });

let api: FakeApi;
let left: number;
let saved: string[];
let contexts: Map<Widget, IDocument>;

/** A document: whether it has unsaved changes, and whether it can be saved. */
function makeDocument(path: string, dirty: boolean, saves = true): Widget {
  const widget = new Widget();
  const model = { dirty };
  const save = async (): Promise<void> => {
    if (!saves) {
      throw new Error('read-only');
    }
    saved.push(path);
    model.dirty = false;
  };
  contexts.set(widget, { path, model, save });
  return widget;
}

function stop(areas: Record<string, Widget[]>, isDirty = false): Promise<void> {
  return stopServer(JOB, {
    shell: { widgets: (area: string) => areas[area] ?? [] },
    docManager: { contextForWidget: (widget: Widget) => contexts.get(widget) },
    status: { isDirty },
    api,
    trans,
    leave: () => left++
  } as unknown as Options);
}

/** Let happen all that is under way. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await new Promise(resolve => setTimeout(resolve));
  }
}

function press(words: string): void {
  const buttons = [...document.querySelectorAll('.jp-Dialog button')];
  const button = buttons.find(one => one.textContent === words);
  (button as HTMLButtonElement).click();
}

function said(): string {
  return document.querySelector('.jp-Dialog')?.textContent ?? '';
}

beforeEach(() => {
  api = new FakeApi();
  contexts = new Map();
  left = 0;
  saved = [];
});

afterEach(() => {
  Dialog.flush();
  Notification.dismiss();
});

it('stops at once where all is saved, and leaves', async () => {
  const terminal = new Widget();
  await stop({ main: [makeDocument('a.ipynb', false), terminal] });
  expect([api.stops, left]).toEqual([1, 1]);
});

it('names what is not saved wherever it is, saves it, then stops', async () => {
  const view = new Widget();
  const twice = makeDocument('a.ipynb', true);
  contexts.set(view, [...contexts.values()][0]);
  const stopping = stop({
    main: [twice, view, makeDocument('b.ipynb', false)],
    left: [makeDocument('notes.md', true)]
  });
  await settle();
  expect(said()).toContain('Not saved yet: a.ipynb, notes.md.');
  expect([api.stops, left]).toEqual([0, 0]);
  press('Save and stop');
  await stopping;
  expect(saved).toEqual(['a.ipynb', 'notes.md']);
  expect([api.stops, left]).toEqual([1, 1]);
});

it('saves nothing and goes on where somebody wants the server kept', async () => {
  const stopping = stop({ main: [makeDocument('a.ipynb', true)] });
  await settle();
  press('Keep the server');
  await stopping;
  expect(saved).toEqual([]);
  expect([api.stops, left]).toEqual([0, 0]);
  expect(said()).toBe('');
});

it('goes on where something cannot be saved, and says what', async () => {
  const stopping = stop({
    main: [makeDocument('a.ipynb', true, false), makeDocument('b.ipynb', true)]
  });
  await settle();
  press('Save and stop');
  await settle();
  expect(said()).toContain(
    '“markers” is submitted. It could not be saved: a.ipynb.'
  );
  press('Ok');
  await stopping;
  expect([api.stops, left]).toEqual([0, 0]);
});

it('goes on where what is unsaved is in no document', async () => {
  const stopping = stop({}, true);
  await settle();
  expect(said()).toContain('“markers” is submitted. Something in JupyterLab');
  press('Ok');
  await stopping;
  expect([api.stops, left]).toEqual([0, 0]);
});

it.each([
  [409, 'no-hub'],
  [503, 'hub-unavailable'],
  [502, 'stop-failed'],
  [403, 'stop-refused'],
  [403, 'unknown']
])('goes on, and says so, when %i (%s) is answered', async (status, code) => {
  api.failure = new RequestError(status, { code, message: 'It is refused.' });
  const stopping = stop({});
  await settle();
  expect(said()).toContain('“markers” is submitted. It is refused.');
  press('Ok');
  await stopping;
  expect([api.stops, left]).toEqual([1, 0]);
  expect(Notification.manager.notifications).toEqual([]);
});

it.each([
  [0, 'server-unreachable'],
  [424, 'unknown'],
  [502, 'unknown'],
  [503, 'unknown'],
  [504, 'unknown']
])('takes %i (%s) for the end of the server', async (status, code) => {
  api.failure = new RequestError(status, { code, message: '' });
  await stop({});
  expect([api.stops, left, said()]).toEqual([1, 1, '']);
});

it.each([true, false])(
  'is offered by the dialog where a hub is there (%s), and never chosen before',
  async canStop => {
    const submission = new Submission(
      [{ label: '', path: 'markers.ipynb', api }],
      {},
      0
    );
    await submission.load();
    const onShow = (): void => undefined;
    const dialog = new SubmitDialog({
      title: 'Run',
      submission,
      trans,
      onShow,
      canStop
    });
    const launched = dialog.launch();
    await settle();
    const box = document.querySelector<HTMLInputElement>(
      '#jp-OfflineJobs-submit-stop'
    );
    expect(box !== null).toBe(canStop);
    expect(dialog.stopsServer).toBe(false);
    if (box) {
      expect(box.checked).toBe(false);
      box.click();
      await settle();
    }
    press(canStop ? 'Submit and stop' : 'Submit');
    await launched;
    expect([dialog.stopsServer, api.made]).toEqual([canStop, 1]);
    dialog.dispose();
    submission.dispose();
  }
);
