/**
 * What narrows the panel's list: a search that is always there, and filters that are folded away.
 */

import { InputGroup } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { ChoiceField, SwitchField } from './fields';
import { LONGEST_SEARCH, offer } from './filters';
import type { IFilters } from './filters';
import { ALL } from './jobsReader';
import { isSearchKey } from './keys';
import type { JobsModel } from './model';
import { STATES, stateWord } from './words';

const TYPING_MILLISECONDS = 300;
const ID = 'jp-OfflineJobs-filter';

interface IProps {
  model: JobsModel;
  trans: TranslationBundle;
  /** The notebook that is open, relative to the home; null: none. */
  notebook: string | null;
}

export function JobFilters(props: IProps): JSX.Element {
  const { model, trans } = props;
  const [isOpen, setOpen] = React.useState(false);
  const { filters, path } = model.wanted;
  const number = [filters.state, filters.class, filters.image, path].filter(
    Boolean
  ).length;
  return (
    <div className="jp-OfflineJobs-filters">
      <div className="jp-OfflineJobs-find" role="search">
        <Search {...props} />
        <button
          className="jp-mod-styled jp-mod-minimal"
          aria-expanded={isOpen}
          aria-controls={ID}
          onClick={() => setOpen(!isOpen)}
        >
          {number ? trans.__('Filter (%1)', number) : trans.__('Filter')}
        </button>
      </div>
      <div id={ID} hidden={!isOpen}>
        <Fields {...props} />
      </div>
    </div>
  );
}

/** The search field: asks once somebody has stopped typing; Escape clears it. */
function Search({ model, trans }: IProps): JSX.Element {
  const { q } = model.wanted.filters;
  const [text, setText] = React.useState(q);
  const field = React.useRef<HTMLInputElement>(null);
  const typing = React.useRef<number | undefined>(undefined);
  const search = (words: string): void => {
    window.clearTimeout(typing.current);
    const { filters, path } = model.wanted;
    model.narrow({ filters: { ...filters, q: words.trim() }, path });
  };
  // Cleared from elsewhere; what is being typed stays.
  React.useEffect(() => {
    setText(before => (before.trim() === q ? before : q));
  }, [q]);
  React.useEffect(() => {
    const panel = field.current?.closest<HTMLElement>('.jp-OfflineJobs-panel');
    const onKey = (event: KeyboardEvent): void => {
      if (isSearchKey(event)) {
        event.preventDefault();
        field.current?.focus();
      }
    };
    panel?.addEventListener('keydown', onKey);
    return () => {
      window.clearTimeout(typing.current);
      panel?.removeEventListener('keydown', onKey);
    };
  }, []);
  return (
    <InputGroup
      inputRef={field}
      type="search"
      rightIcon="ui-components:search"
      aria-label={trans.__('Search in name, notebook and values')}
      title={trans.__('Words of name, notebook or values, such as seed=4')}
      placeholder={trans.__('Search, such as seed=4')}
      autoComplete="off"
      spellCheck={false}
      maxLength={LONGEST_SEARCH}
      dir="auto"
      value={text}
      onChange={event => {
        const words = event.target.value;
        setText(words);
        window.clearTimeout(typing.current);
        typing.current = window.setTimeout(
          () => search(words),
          TYPING_MILLISECONDS
        );
      }}
      onKeyDown={event => {
        if (event.key === 'Enter') {
          search(text);
        } else if (event.key === 'Escape' && (text || q)) {
          event.preventDefault();
          event.stopPropagation();
          setText('');
          search('');
        }
      }}
    />
  );
}

function Fields({ model, trans, notebook }: IProps): JSX.Element {
  const { filters, path } = model.wanted;
  const set = (change: Partial<IFilters>): void =>
    model.narrow({ filters: { ...filters, ...change }, path });
  const choice = (
    key: 'state' | 'class' | 'image',
    label: string,
    any: string,
    names: readonly (readonly [string, string])[]
  ): JSX.Element | null =>
    // A choice of one is none.
    names.length > 1 || filters[key] ? (
      <ChoiceField
        id={`${ID}-${key}`}
        label={label}
        value={filters[key]}
        options={[['', any] as const, ...names].map(([value, words]) => ({
          value,
          label: words,
          disabled: false
        }))}
        onChange={value => set({ [key]: value })}
      />
    ) : null;
  const names = (key: 'class' | 'image', kind: 'classes' | 'images') =>
    offer(key, model.names(kind), model.jobs, filters[key]);
  return (
    <>
      {choice(
        'state',
        trans.__('State'),
        trans.__('Any state'),
        STATES.map(state => [state, trans.__(stateWord(state))] as const)
      )}
      {choice(
        'class',
        trans.__('Machine'),
        trans.__('Any machine'),
        names('class', 'classes')
      )}
      {choice(
        'image',
        trans.__('Image'),
        trans.__('Any image'),
        names('image', 'images')
      )}
      {notebook !== null && (
        <SwitchField
          id={`${ID}-path`}
          label={trans.__('This notebook only')}
          help={notebook}
          value={path !== ''}
          onChange={isOn =>
            model.narrow({ filters, path: isOn ? notebook : '' })
          }
        />
      )}
    </>
  );
}

/** Nothing is shown for what is asked: what that is, and the way back. */
export function NothingFound({
  model,
  trans
}: Pick<IProps, 'model' | 'trans'>): JSX.Element {
  const { filters, path } = model.wanted;
  const { q } = filters;
  const isFiltered = Boolean(filters.state || filters.class || filters.image);
  const [words, label] = isFiltered
    ? q
      ? [
          trans.__('No job matches “%1” and the filter.', q),
          trans.__('Clear search and filter')
        ]
      : [trans.__('No job matches the filter.'), trans.__('Clear the filter')]
    : q
      ? path
        ? [
            trans.__('No job of this notebook matches “%1”.', q),
            trans.__('Clear the search')
          ]
        : [trans.__('No job matches “%1”.', q), trans.__('Clear the search')]
      : [
          trans.__(
            'No job of this notebook yet. Choose Run ▸ Run as Offline Job… for the first.'
          ),
          trans.__('Show all jobs')
        ];
  return (
    <div className="jp-OfflineJobs-empty" role="status">
      <p>{words}</p>
      <button
        className="jp-mod-styled jp-mod-minimal"
        onClick={() => model.narrow(q && !isFiltered ? { ...ALL, path } : ALL)}
      >
        {label}
      </button>
    </div>
  );
}
