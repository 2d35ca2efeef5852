import { asSubmitted, formOf, textsOf } from '../again';
import { Submission } from '../submission';
import { FakeApi, makeCheck, makeJob, makeParameter } from './factories';

const JOB = makeJob({
  state: 'failed',
  name: 'seed 5',
  parameters: { seed: 5, name: 'a', sizes: [1, 2] },
  time_limit_seconds: 3601,
  class: 'small',
  again: {
    label: 'Run on Large',
    changes: { class: 'large' },
    unchanged: false
  }
});

async function open(
  api: FakeApi,
  parameters?: Record<string, string>
): Promise<Submission> {
  const versions = [
    asSubmitted(JOB, api, 'as submitted'),
    { label: 'now', path: 'lab/now.ipynb', api, parameters }
  ];
  const submission = new Submission(versions, formOf(JOB), 0);
  await submission.load();
  return submission;
}

it('opens as the job was, with what cures it', async () => {
  const api = new FakeApi();
  const submission = await open(api);
  // A limit is never made shorter by being shown.
  expect(submission.form).toMatchObject({
    name: 'seed 5',
    class: 'large',
    hours: '1',
    minutes: '1'
  });
  expect(api.checkedReruns[0]).toMatchObject({ class: 'large' });
  expect(api.checkedReruns[0]).not.toHaveProperty('path');
  expect(api.checked).toEqual([]);
});

it('runs the job again with what was changed, and nothing else', async () => {
  const api = new FakeApi();
  api.checkAnswer = makeCheck({
    parameters: [
      makeParameter({ name: 'seed', default: 5, carried: true }),
      makeParameter({ name: 'k', default: 1 })
    ]
  });
  const submission = await open(api);
  submission.setParameter('seed', '6');
  expect(await submission.submit()).not.toBeNull();
  const [{ id, changes }] = api.reruns;
  expect(id).toBe(JOB.id);
  expect(changes.parameters).toEqual({ seed: 6 });
  expect(api.submitted).toEqual([]);
});

it.each([
  ['markers · seed 5 · k 2', 'markers · seed 6 · k 2'],
  ['by hand', 'by hand']
])('names a run of “%s” with another seed “%s”', async (name, again) => {
  const job = {
    ...JOB,
    name,
    path: 'lab/markers.ipynb',
    parameters: { seed: 5, k: 2 }
  };
  const api = new FakeApi();
  api.checkAnswer = makeCheck({
    parameters: [makeParameter({ name: 'seed', default: 5, carried: true })]
  });
  const submission = new Submission(
    [asSubmitted(job, api, '')],
    formOf(job),
    0
  );
  await submission.load();
  expect(submission.form.name).toBe(name);
  submission.setParameter('seed', '6');
  expect(submission.form.name).toBe(again);
});

it('takes the notebook as it is now, with the values of the job', async () => {
  const api = new FakeApi();
  api.checkAnswer = makeCheck({
    parameters: [makeParameter({ name: 'seed', default: 1 })]
  });
  const submission = await open(api, textsOf(JOB));
  submission.choose(submission.versions[1]);
  expect(submission.canSubmit).toBe(false);
  await submission.load();
  expect(await submission.submit()).not.toBeNull();
  expect(api.submitted[0].submission).toMatchObject({
    path: 'lab/now.ipynb',
    name: 'seed 5',
    class: 'large',
    parameters: { seed: 5 }
  });
  expect(api.reruns).toEqual([]);
});

it('writes values as one types them', () => {
  expect(textsOf(JOB)).toEqual({ seed: '5', name: 'a', sizes: '[1,2]' });
});
