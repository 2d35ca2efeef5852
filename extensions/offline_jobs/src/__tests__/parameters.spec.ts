import { inputKind, parameterText, parseParameter } from '../parameters';
import { makeParameter } from './factories';

describe('a parameter', () => {
  it.each([
    ['int', 50, 'integer'],
    ['float', 1, 'number'],
    ['', 0.5, 'number'],
    ['', 3, 'integer'],
    ['bool', true, 'boolean'],
    ['str', 'a', 'text'],
    ['List[int]', [1], 'json'],
    ['Optional[int]', null, 'any'],
    ['', null, 'any']
  ])('of type "%s" with default %j gets the input %s', (type, value, kind) => {
    expect(inputKind(makeParameter({ type, default: value }))).toBe(kind);
  });

  it.each([
    ['int', 50, ' 20 ', 20],
    ['float', 0.5, '1e-3', 0.001],
    ['bool', true, 'false', false],
    ['str', 'a', ' b ', ' b '],
    ['list', [1], '[1, "x"]', [1, 'x']],
    ['', null, '7', 7],
    ['', null, 'mouse', 'mouse'],
    ['', null, '', null]
  ])('of type "%s" (default %j) reads %j', (type, standard, text, value) => {
    const parameter = makeParameter({ type, default: standard });
    expect(parseParameter(parameter, text)).toEqual({ value });
  });

  it.each([
    ['int', 50, '2.5'],
    ['int', 50, ''],
    ['int', 50, '12345678901234567890'],
    ['float', 0.5, '0,5'],
    ['list', [1], '[1,']
  ])(
    'of type "%s" (default %j) refuses %j in words',
    (type, standard, text) => {
      const parameter = makeParameter({ type, default: standard });
      expect(parseParameter(parameter, text)).toEqual({
        message: expect.stringMatching(/^Give /)
      });
    }
  );

  it.each([
    ['int', 50],
    ['float', 0.25],
    ['bool', false],
    ['str', ' two words '],
    ['dict', { a: [1, null] }]
  ])('of type %s shows its default so that it reads back', (type, value) => {
    const parameter = makeParameter({ type, default: value });
    const text = parameterText(parameter, value);
    expect(parseParameter(parameter, text)).toEqual({ value });
  });
});
