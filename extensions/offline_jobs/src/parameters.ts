/**
 * A parameter's input: of which kind it is, how a value is written, what a text stands for. Pure.
 */

import type { ReadonlyJSONValue } from '@lumino/coreutils';

import type { IParameter } from './types';

/** `any`: the notebook tells no type, so JSON is taken as such and anything else as text. */
export type InputKind =
  'integer' | 'number' | 'boolean' | 'text' | 'json' | 'any';

const KINDS: Readonly<Record<string, InputKind>> = {
  int: 'integer',
  integer: 'integer',
  float: 'number',
  number: 'number',
  bool: 'boolean',
  boolean: 'boolean',
  str: 'text',
  string: 'text',
  list: 'json',
  tuple: 'json',
  dict: 'json',
  array: 'json',
  object: 'json'
};

/** The input for a parameter: by its declared type, else by its default. */
export function inputKind(parameter: IParameter): InputKind {
  const declared = KINDS[parameter.type.toLowerCase().replace(/\[.*/, '')];
  if (declared) {
    return declared;
  }
  switch (typeof parameter.default) {
    case 'number':
      return Number.isInteger(parameter.default) ? 'integer' : 'number';
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'text';
    default:
      return parameter.default === null ? 'any' : 'json';
  }
}

/** A value as the input shows it. */
export function parameterText(
  parameter: IParameter,
  value: ReadonlyJSONValue
): string {
  if (value === null) {
    return '';
  }
  return typeof value === 'string' && inputKind(parameter) !== 'json'
    ? value
    : JSON.stringify(value);
}

/** The value that a text stands for, or what is wrong with the text. */
export function parseParameter(
  parameter: IParameter,
  text: string
): { value: ReadonlyJSONValue } | { message: string } {
  const trimmed = text.trim();
  if (trimmed === '' && parameter.default === null) {
    return { value: null };
  }
  switch (inputKind(parameter)) {
    case 'integer':
      return /^[+-]?\d+$/.test(trimmed) && Number.isSafeInteger(Number(trimmed))
        ? { value: Number(trimmed) }
        : { message: 'Give a whole number.' };
    case 'number':
      return trimmed !== '' && Number.isFinite(Number(trimmed))
        ? { value: Number(trimmed) }
        : { message: 'Give a number, with a point before the decimals.' };
    case 'boolean':
      return { value: trimmed === 'true' };
    case 'text':
      return { value: text };
    case 'json':
      return parseJson(trimmed);
    case 'any': {
      const parsed = parseJson(trimmed);
      return 'value' in parsed ? parsed : { value: text };
    }
  }
}

function parseJson(
  text: string
): { value: ReadonlyJSONValue } | { message: string } {
  try {
    return { value: JSON.parse(text) as ReadonlyJSONValue };
  } catch {
    return {
      message:
        'Give a value as JSON, such as 3, "text", true, [1, 2] or {"a": 1}.'
    };
  }
}
