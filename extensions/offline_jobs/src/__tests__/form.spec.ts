import {
  ceiling,
  classOptions,
  fieldOf,
  IForm,
  imageOptions,
  initialForm,
  kernelOptions,
  kernelValue,
  settle,
  toSubmission
} from '../form';
import type { ISubmission } from '../types';
import { golden, makeCatalogue, makeParameter, makeSession } from './factories';

const PATH = 'stereo/markers.ipynb';

function makeForm(change: Partial<IForm> = {}): IForm {
  const catalogue = makeCatalogue();
  return { ...initialForm(PATH, catalogue, makeSession()), ...change };
}

describe('the form as it opens', () => {
  it('is filled in from the session', () => {
    expect(makeForm()).toMatchObject({
      name: 'markers',
      group: 'lab',
      image: 'notebook',
      class: 'large',
      hours: '4',
      minutes: '0'
    });
  });

  it('falls back to what the catalogue offers', () => {
    const session = makeSession({ image: 'gone', class: 'huge', group: '' });
    const catalogue = makeCatalogue();
    const form = settle(initialForm(PATH, catalogue, session), catalogue);
    expect(form).toMatchObject({
      group: 'lab',
      image: 'notebook',
      class: 'standard'
    });
  });
});

describe('choices', () => {
  it('that cannot be had are disabled and say why', () => {
    const catalogue = makeCatalogue();
    const stomics = imageOptions(catalogue).find(
      one => one.value === 'stomics'
    );
    expect(stomics).toMatchObject({ disabled: true });
    expect(stomics?.label).toContain('make environment IMAGE=stomics');
    const huge = classOptions(catalogue, makeForm()).find(
      one => one.value === 'huge'
    );
    expect(huge).toMatchObject({ disabled: true });
    expect(huge?.label).toContain('256 GiB');
  });

  it('that do not work together are not offered', () => {
    const catalogue = makeCatalogue({ pairs: [['notebook', 'standard']] });
    const offered = classOptions(catalogue, makeForm()).map(one => one.value);
    expect(offered).toEqual(['standard', 'huge']);
    expect(settle(makeForm({ class: 'large' }), catalogue).class).toBe(
      'standard'
    );
  });

  it('of another group are not offered', () => {
    const catalogue = makeCatalogue();
    const classes = catalogue.classes.map(one =>
      one.slug === 'large' ? { ...one, groups: ['others'] } : one
    );
    const offered = classOptions({ ...catalogue, classes }, makeForm());
    expect(offered.map(one => one.value)).not.toContain('large');
  });

  it('of a kernel go when the image does not have it', () => {
    const catalogue = makeCatalogue();
    expect(settle(makeForm({ kernel: 'ir' }), catalogue).kernel).toBe('ir');
    expect(settle(makeForm({ kernel: 'julia' }), catalogue).kernel).toBe('');
  });
});

describe('what it costs at most', () => {
  const machine = {
    ...makeCatalogue().classes[0],
    slug: 'large',
    currency: 'USD',
    price_per_hour: 2,
    spot: true,
    spot_price_per_hour: 0.5
  };
  const catalogue = makeCatalogue({ classes: [machine] });

  it.each<[string, Partial<IForm>, string]>([
    ['a limit', { hours: '1', minutes: '30' }, 'At most $3.00'],
    ['a spot machine', { interruptible: true }, 'At most $2.00 for each try'],
    ['no limit', { hours: 'long' }, '']
  ])('follows from %s', (_, change, words) => {
    expect(ceiling(makeForm(change), catalogue)).toBe(words);
  });

  it('is not said without a price', () => {
    const free = makeCatalogue({
      classes: [{ ...machine, price_per_hour: null, spot_price_per_hour: null }]
    });
    expect(ceiling(makeForm(), free)).toBe('');
  });
});

describe('kernels of the home', () => {
  const whole = {
    name: 'mine',
    display_name: 'Mine',
    language: 'python',
    flaw: '',
    stands_on: '/usr/bin/python3.11'
  };
  const broken = { ...whole, name: 'old', display_name: 'Old', flaw: 'Gone.' };
  const session = makeSession({ kernels: [whole, broken] });

  it('are offered after those of the image, a broken one disabled', () => {
    const options = kernelOptions(makeCatalogue(), makeForm(), session);
    expect(options.slice(-2)).toEqual([
      { value: 'home/mine', label: 'Mine – in your home', disabled: false },
      {
        value: 'home/old',
        label: 'Old – in your home, cannot run here',
        disabled: true
      }
    ]);
  });

  it('can be chosen for another image, where nobody knows', () => {
    const form = makeForm({ image: 'stomics' });
    const options = kernelOptions(makeCatalogue(), form, session);
    expect(options.map(one => one.disabled)).not.toContain(true);
    const conda = { ...broken, stands_on: '' };
    const known = kernelOptions(
      makeCatalogue(),
      form,
      makeSession({ kernels: [conda] })
    );
    expect(known[known.length - 1].disabled).toBe(true);
  });

  it('stay chosen while they are there', () => {
    const catalogue = makeCatalogue();
    const chosen = (kernel: string) =>
      settle(makeForm({ kernel }), catalogue, session).kernel;
    expect(chosen('home/mine')).toBe('home/mine');
    expect(chosen('home/old')).toBe('');
    expect(chosen('home/gone')).toBe('');
  });

  it('are submitted as such', () => {
    const form = makeForm({ kernel: 'home/mine' });
    const { submission } = toSubmission(PATH, form, [], makeCatalogue());
    expect(submission.kernel).toEqual({ name: 'mine', source: 'home' });
    expect(kernelValue({ name: 'mine', source: 'home' })).toBe('home/mine');
    expect(kernelValue({ name: 'ir', source: 'image' })).toBe('ir');
  });
});

describe('a submission', () => {
  const parameters = [
    makeParameter(),
    makeParameter({ name: 'plot', type: 'bool', default: true }),
    makeParameter({ name: 'label', type: 'str', default: 'a' })
  ];

  it('sends only the parameters that were changed', () => {
    const form = makeForm({
      parameters: { bin_size: '20', plot: 'true', gone: '1' }
    });
    const { submission, problems } = toSubmission(
      PATH,
      form,
      parameters,
      makeCatalogue()
    );
    expect(problems).toEqual([]);
    expect(submission.parameters).toEqual({ bin_size: 20 });
  });

  it('has the fields that the service knows, and no notebook', () => {
    const known = Object.keys(golden<ISubmission>('submission'));
    const { submission } = toSubmission(
      PATH,
      makeForm({ kernel: 'ir' }),
      parameters,
      makeCatalogue()
    );
    expect(Object.keys(submission).sort()).toEqual(
      known.filter(key => key !== 'notebook').sort()
    );
  });

  it('takes a spot machine where it is wanted and the class has one', () => {
    const [catalogue, form] = [
      makeCatalogue(),
      makeForm({ interruptible: true })
    ];
    const classes = catalogue.classes.map(one => ({ ...one, spot: true }));
    const wish = (has: boolean, wanted = form) =>
      toSubmission(
        PATH,
        wanted,
        [],
        has ? { ...catalogue, classes } : catalogue
      ).submission.interruptible;
    expect([wish(true), wish(false), wish(true, makeForm())]).toEqual([
      true,
      false,
      false
    ]);
  });

  it('leaves the kernel to the notebook unless one is chosen', () => {
    const { submission } = toSubmission(PATH, makeForm(), [], makeCatalogue());
    expect(submission).not.toHaveProperty('kernel');
  });

  it.each([
    [{ hours: 'x' }, 'time_limit_seconds'],
    [{ hours: '0', minutes: '0' }, 'time_limit_seconds'],
    [{ hours: '25' }, 'time_limit_seconds'],
    [{ name: '  ' }, 'name'],
    [{ parameters: { bin_size: 'x' } }, 'parameters.bin_size']
  ])('with %j has a problem beside %s', (change, field) => {
    const { problems } = toSubmission(
      PATH,
      makeForm(change),
      parameters,
      makeCatalogue()
    );
    expect(problems.map(one => one.field)).toEqual([field]);
    expect(fieldOf(problems[0], parameters)).toBe(field);
  });

  it('asks nothing of the service about a time limit that is no number', () => {
    const { submission } = toSubmission(
      PATH,
      makeForm({ hours: 'x' }),
      [],
      makeCatalogue()
    );
    expect(submission).not.toHaveProperty('time_limit_seconds');
  });

  it('shows a problem of the notebook above the sentence', () => {
    const problem = { field: 'notebook', code: 'x', message: 'x' };
    expect(fieldOf(problem, parameters)).toBeNull();
  });
});
