import { WARNING_SECONDS, watchEnd } from '../sessionEnd';

const HOUR = 3600;

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

it('warns ten minutes before the end, once', () => {
  const warn = jest.fn();
  watchEnd({ longest_seconds: 12 * HOUR, ends_in_seconds: 2 * HOUR }, warn);

  jest.advanceTimersByTime((2 * HOUR - WARNING_SECONDS) * 1000 - 1);
  expect(warn).not.toHaveBeenCalled();
  jest.advanceTimersByTime(1);
  expect(warn.mock.calls).toEqual([[600, 12 * HOUR]]);
  jest.advanceTimersByTime(HOUR * 1000);
  expect(warn).toHaveBeenCalledTimes(1);
});

it('warns at once when less than that is left', () => {
  const warn = jest.fn();
  watchEnd({ longest_seconds: HOUR, ends_in_seconds: 42 }, warn);
  expect(warn.mock.calls).toEqual([[42, HOUR]]);
});

it('waits for weeks, which a browser cannot at once', () => {
  const warn = jest.fn();
  const long = 40 * 24 * HOUR;
  watchEnd({ longest_seconds: long, ends_in_seconds: long }, warn);
  jest.advanceTimersByTime(39 * 24 * HOUR * 1000);
  expect(warn).not.toHaveBeenCalled();
  jest.advanceTimersByTime(24 * HOUR * 1000);
  expect(warn).toHaveBeenCalledTimes(1);
});

it('says nothing where nobody says when it ends, or after it is told to stop', () => {
  const warn = jest.fn();
  watchEnd({ longest_seconds: null, ends_in_seconds: null }, warn);
  watchEnd({ longest_seconds: HOUR, ends_in_seconds: HOUR }, warn)();
  jest.advanceTimersByTime(2 * HOUR * 1000);
  expect(warn).not.toHaveBeenCalled();
});
