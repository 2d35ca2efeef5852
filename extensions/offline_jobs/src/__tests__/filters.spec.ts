import {
  cleared,
  countOf,
  formatFilters,
  isNarrowed,
  NOTHING,
  parseFilters,
  queryOf,
  stageOf,
  STAGE_NAMES,
  STAGES,
  statesOf
} from '../filters';
import type { IFilters } from '../filters';
import { allows, describeFailures } from '../page/picking';
import type { IJob } from '../types';
import { STATES } from '../words';
import { golden } from './factories';

const some = (change: Partial<IFilters>): IFilters => ({
  ...NOTHING,
  ...change
});
const asked = (filters: IFilters, extra = {}): Record<string, string> =>
  Object.fromEntries(new URLSearchParams(queryOf(filters, 'ada', extra)));

describe('the address of a list', () => {
  it.each<[string, Partial<IFilters>]>([
    ['nothing', {}],
    ['a search', { q: 'seed=4 & more? #100%' }],
    ['other scripts', { q: 'قسم ٣ 🧠', user: 'zoë' }],
    ['a state', { state: 'failed' }],
    ['others', { user: '*', group: 'lab' }],
    [
      'all of it',
      {
        q: 'a',
        state: 'queued',
        user: 'ben',
        group: 'lab',
        class: 'large',
        image: 'stomics',
        from: '2026-11-01',
        until: '2026-11-01'
      }
    ]
  ])('says and reads %s', (_, change) => {
    const filters = some(change);
    const address = formatFilters(filters);
    expect(parseFilters(address)).toEqual({ filters, problems: [] });
    expect(address === '').toBe(!Object.keys(change).length);
  });

  it.each([
    ['?state=runing', 'There is no state “runing”'],
    ['?state=constructor', 'There is no state “constructor”'],
    ['?from=yesterday', '“yesterday” is no day'],
    ['?until=2026-02-30', '“2026-02-30” is no day'],
    ['?until=1026-02-03', '“1026-02-03” is no day'],
    ['?from=2026-11-02&until=2026-11-01', 'No day is from 2026-11-02'],
    [`?q=${'x'.repeat(201)}`, `“${'x'.repeat(40)}…” is too long`],
    [`?class=${'x'.repeat(101)}`, 'is too long']
  ])('says what in %s cannot be heeded', (address, words) => {
    const { filters, problems } = parseFilters(address);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(words);
    expect(filters).toEqual(NOTHING);
  });

  it('goes on with what is sound', () => {
    const { filters, problems } = parseFilters(
      '?q=%ED%A0%80+a&state=x&from=2026-11-01&x=1&q=b&image=<script>'
    );
    expect(problems).toHaveLength(1);
    expect(filters).toMatchObject({
      state: '',
      from: '2026-11-01',
      image: '<script>'
    });
    expect(filters.q).toContain('a');
  });
});

describe('what the service is asked for', () => {
  it('is nothing but what narrows', () => {
    expect(queryOf(some({}), 'ada')).toBe('');
    expect(
      asked(some({ q: 'a', image: 'x' }), { limit: '5', cursor: '' })
    ).toEqual({ q: 'a', image: 'x', limit: '5' });
  });

  it('names oneself where a group alone would mean everybody', () => {
    expect(asked(some({ group: 'lab' }))).toEqual({
      group: 'lab',
      user: 'ada'
    });
    expect(asked(some({ group: 'lab', user: '*' }))).toEqual({
      group: 'lab',
      user: '*'
    });
  });

  it('has whole days of the place where one is', () => {
    const day = asked(some({ from: '2026-11-24', until: '2026-11-24' }));
    expect(new Date(day.since)).toEqual(new Date(2026, 10, 24));
    expect(new Date(day.until)).toEqual(new Date(2026, 10, 25));
  });

  it('has the states of a part, not those that were chosen', () => {
    const filters = some({ state: 'failed' });
    expect(asked(filters, { state: 'failed' }).state).toBe('failed');
    expect(statesOf('ended', filters)).toEqual(['failed']);
    expect(statesOf('running', filters)).toEqual([]);
    expect(statesOf('ended', some({}))).toEqual(STAGES.ended);
  });
});

describe('the parts of a list', () => {
  it('have each state once', () => {
    const all = STAGE_NAMES.flatMap(stage => [...STAGES[stage]]);
    expect([...all].sort()).toEqual([...STATES].sort());
    for (const stage of STAGE_NAMES) {
      STAGES[stage].forEach(state => expect(stageOf(state)).toBe(stage));
    }
  });

  it('show a state of a newer service where it is seen', () => {
    expect(stageOf('paused' as IJob['state'])).toBe('running');
  });

  it('are counted by what the service says', () => {
    expect(countOf(STAGES.ended, { failed: 2, succeeded: 10_000 })).toBe(
      10_002
    );
    expect(countOf(STAGES.waiting, {})).toBe(0);
  });
});

describe('clearing the filters', () => {
  it.each<[Partial<IFilters>, boolean, Partial<IFilters>]>([
    [{ q: 'a', group: 'lab', state: 'failed' }, false, {}],
    [{ user: 'ben', group: 'lab', q: 'a' }, false, { user: '*', group: 'lab' }],
    [{ user: 'ben', group: 'lab', q: 'a' }, true, { user: '*' }]
  ])('of %p keeps whose jobs they are', (change, isAdmin, kept) => {
    const filters = some(change);
    expect(cleared(filters, isAdmin)).toEqual(some(kept));
    expect(isNarrowed(filters, isAdmin)).toBe(true);
    expect(isNarrowed(some(kept), isAdmin)).toBe(false);
  });
});

describe('what can be done with the chosen', () => {
  it('is to cancel what is at work and to delete what has ended', () => {
    const can = (act: 'cancel' | 'delete'): string[] =>
      STATES.filter(state =>
        allows(act, { ...golden<IJob>('job-running'), state })
      );
    expect(can('cancel')).toEqual(['queued', 'starting', 'running']);
    expect(can('delete')).toEqual(['succeeded', 'failed', 'cancelled']);
  });

  it('names what was refused, and of many the first', () => {
    const one = describeFailures('cancel', [['a', 'It has ended.']], 1);
    expect(one).toBe(
      '1 of 1 job could not be cancelled; they are still selected. “a”: It has ended.'
    );
    const many = Array.from({ length: 5 }, (_, n) => [`n${n}`, 'No.'] as const);
    expect(describeFailures('delete', many, 1200)).toBe(
      '5 of 1,200 jobs could not be deleted; they are still selected. “n0”: No. “n1”: No. “n2”: No. And 2 more.'
    );
  });
});
