import { RequestError } from '../requestError';
import { Submission } from '../submission';
import { FakeApi, makeCheck, unreachable } from './factories';

const PATH = 'stereo/markers.ipynb';

async function open(api: FakeApi): Promise<Submission> {
  const submission = new Submission([{ label: '', path: PATH, api }], {}, 0);
  await submission.load();
  return submission;
}

/** Resolves when the dialog's state fulfils a condition. */
function until(
  submission: Submission,
  condition: () => boolean
): Promise<void> {
  return new Promise(resolve => {
    const look = () => {
      if (condition()) {
        submission.changed.disconnect(look);
        resolve();
      }
    };
    submission.changed.connect(look);
    look();
  });
}

describe('opening', () => {
  it('checks the notebook with the choices of the session', async () => {
    const api = new FakeApi();
    const submission = await open(api);
    expect(api.checked[0]).toMatchObject({
      path: PATH,
      class: 'large',
      parameters: {}
    });
    expect(submission.parameters.map(one => one.name)).toEqual(['bin_size']);
    expect(submission.canSubmit).toBe(true);
  });

  it('without the service keeps what was typed, and fills in the rest later', async () => {
    const api = new FakeApi();
    api.failure = unreachable();
    const submission = await open(api);
    expect(submission.notice).toMatchObject({ retry: true });
    expect(submission.canSubmit).toBe(false);
    submission.update({ name: 'typed' });
    api.failure = null;
    await submission.load();
    expect(submission.notice).toBeNull();
    expect(submission.form).toMatchObject({ name: 'typed', class: 'large' });
    expect(submission.canSubmit).toBe(true);
  });
});

describe('the name', () => {
  it('tells runs apart until somebody gives one', async () => {
    const submission = await open(new FakeApi());
    expect(submission.form.name).toBe('markers');
    submission.setParameter('bin_size', '20');
    expect(submission.form.name).toBe('markers · bin_size 20');
    submission.setParameter('bin_size', null);
    expect(submission.form.name).toBe('markers');
    submission.update({ name: 'mine' });
    submission.setParameter('bin_size', '20');
    expect(submission.form.name).toBe('mine');
  });

  it('stays short enough to be read', async () => {
    const submission = await open(new FakeApi());
    submission.setParameter('bin_size', '2'.repeat(200));
    expect(submission.form.name).toMatch(/^markers · bin_size 2+…$/);
    expect(submission.form.name).toHaveLength(60);
  });
});

describe('typing', () => {
  it('is checked anew, and a problem disables submitting', async () => {
    const api = new FakeApi();
    const submission = await open(api);
    const problem = { field: 'class', code: 'x', message: 'Not for you.' };
    api.checkAnswer = makeCheck({ problems: [problem] });
    submission.setParameter('bin_size', '20');
    await until(submission, () => submission.problems.length > 0);
    expect(api.checked[api.checked.length - 1].parameters).toEqual({
      bin_size: 20
    });
    expect(submission.problems).toEqual([problem]);
    expect(submission.canSubmit).toBe(false);
  });

  it('says at once what the form itself finds wrong', async () => {
    const api = new FakeApi();
    const submission = await open(api);
    submission.setParameter('bin_size', 'many');
    expect(submission.problems.map(one => one.field)).toEqual([
      'parameters.bin_size'
    ]);
    expect(await submission.submit()).toBeNull();
    expect(api.submitted).toEqual([]);
  });

  it('of an older check that answers late is not believed', async () => {
    const api = new FakeApi();
    const submission = await open(api);
    const answers: ((late: boolean) => void)[] = [];
    api.check = () =>
      new Promise(resolve => {
        answers.push(late =>
          resolve(makeCheck({ sentence: late ? 'late' : 'new' }))
        );
      });
    const waiting = (count: number) => async () => {
      while (answers.length < count) {
        await new Promise(resolve => setTimeout(resolve, 1));
      }
    };
    submission.update({ name: 'one' });
    await waiting(1)();
    submission.update({ name: 'two' });
    await waiting(2)();
    answers[1](false);
    await until(submission, () => submission.check?.sentence === 'new');
    answers[0](true);
    await new Promise(resolve => setTimeout(resolve, 5));
    expect(submission.check?.sentence).toBe('new');
  });
});

describe('submitting', () => {
  it('twice at once makes one request', async () => {
    const api = new FakeApi();
    const submission = await open(api);
    const [first, second] = await Promise.all([
      submission.submit(),
      submission.submit()
    ]);
    expect(first).toEqual(second);
    expect(api.submitted).toHaveLength(1);
  });

  it('again after a lost answer uses the same key and makes no second job', async () => {
    const api = new FakeApi();
    const submission = await open(api);
    api.loseAnswer = true;
    expect(await submission.submit()).toBeNull();
    expect(submission.notice?.message).toContain('Press Submit again');
    expect(submission.notice?.retry).toBe(false);
    expect(submission.canSubmit).toBe(true);
    expect(await submission.submit()).not.toBeNull();
    expect(api.submitted).toHaveLength(2);
    expect(api.submitted[0].key).toBe(api.submitted[1].key);
    expect(api.submitted[0].key).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
    expect(api.made).toBe(1);
  });

  it('from another opening of the dialog uses another key', async () => {
    const api = new FakeApi();
    await (await open(api)).submit();
    await (await open(api)).submit();
    expect(api.made).toBe(2);
  });

  it('a changed form after a lost answer names the job that was made', async () => {
    const api = new FakeApi();
    const submission = await open(api);
    api.failure = new RequestError(409, {
      code: 'idempotency-conflict',
      message: 'x',
      id: 'k3j9x0a1b2c3'
    });
    expect(await submission.submit()).toBeNull();
    expect(submission.notice).toMatchObject({
      job: 'k3j9x0a1b2c3',
      retry: false
    });
  });

  it('that is refused shows why beside the field, until the next change', async () => {
    const api = new FakeApi();
    const submission = await open(api);
    api.failure = new RequestError(422, {
      code: 'class-not-for-group',
      message: 'Not for this group.',
      field: 'class'
    });
    await submission.submit();
    expect(submission.problems).toMatchObject([{ field: 'class' }]);
    expect(submission.canSubmit).toBe(false);
    api.failure = null;
    submission.update({ class: 'standard' });
    expect(submission.canSubmit).toBe(true);
  });
});
