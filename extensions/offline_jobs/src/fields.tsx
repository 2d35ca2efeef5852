/**
 * The dialog's inputs: a label, the control, help, and the problem beside it.
 */

import { HTMLSelect } from '@jupyterlab/ui-components';
import React from 'react';

import type { IOption } from './form';

interface IFieldProps {
  id: string;
  label: string;
  help?: string;
  problem?: string;
  /** The control, given what ties it to label, help and problem. */
  children: (ties: React.AriaAttributes & { id: string }) => React.ReactNode;
}

/** A labelled control; help and problem are read out with it. */
export function Field(props: IFieldProps): JSX.Element {
  const { id, label, help, problem } = props;
  const described = [help && `${id}-help`, problem && `${id}-problem`];
  return (
    <div className="jp-OfflineJobs-field">
      <label htmlFor={id}>{label}</label>
      <div>
        {props.children({
          id,
          'aria-describedby': described.filter(Boolean).join(' ') || undefined,
          'aria-invalid': problem ? true : undefined
        })}
        {help && (
          <p id={`${id}-help`} className="jp-OfflineJobs-help">
            {help}
          </p>
        )}
        <Problem id={`${id}-problem`} message={problem} />
      </div>
    </div>
  );
}

/** What is wrong; read out when it appears. */
export function Problem(props: {
  id?: string;
  message?: string;
}): JSX.Element | null {
  return props.message ? (
    <p id={props.id} className="jp-OfflineJobs-problem" role="alert">
      {props.message}
    </p>
  ) : null;
}

interface IChoiceProps extends Omit<IFieldProps, 'children'> {
  value: string;
  options: readonly IOption[];
  onChange: (value: string) => void;
}

/** A choice from a list. */
export function ChoiceField(props: IChoiceProps): JSX.Element {
  const { value, options, onChange, ...field } = props;
  return (
    <Field {...field}>
      {ties => (
        <HTMLSelect
          {...ties}
          value={value}
          options={[...options]}
          onChange={event => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

interface ITextProps extends Omit<IFieldProps, 'children'> {
  value: string;
  onChange: (value: string) => void;
  numeric?: boolean;
  placeholder?: string;
  maxLength?: number;
}

/** A line of text, or a number. */
export function TextField(props: ITextProps): JSX.Element {
  const { value, onChange, numeric, placeholder, maxLength, ...field } = props;
  return (
    <Field {...field}>
      {ties => (
        <input
          {...ties}
          className="jp-mod-styled"
          type="text"
          inputMode={numeric ? 'decimal' : undefined}
          autoComplete="off"
          spellCheck={false}
          placeholder={placeholder}
          maxLength={maxLength}
          value={value}
          onChange={event => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

/** Yes or no. */
export function SwitchField(
  props: Omit<IFieldProps, 'children'> & {
    value: boolean;
    onChange: (value: boolean) => void;
  }
): JSX.Element {
  const { value, onChange, ...field } = props;
  return (
    <Field {...field}>
      {ties => (
        <input
          {...ties}
          type="checkbox"
          checked={value}
          onChange={event => onChange(event.target.checked)}
        />
      )}
    </Field>
  );
}
