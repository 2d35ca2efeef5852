import { Content, prepareResult } from '../resultCells';
import { makeJob } from './factories';

/** A notebook of cells `kind:source`; one that papermill added begins with `!`. */
function make(...cells: string[]): Content {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: { kernelspec: { name: 'python3', display_name: 'Python 3' } },
    cells: cells.map(text => {
      const [kind, source] = text.replace('!', '').split(':');
      const tags = text.startsWith('!') ? ['papermill-error-cell-tag'] : [];
      return { cell_type: kind, source, metadata: { tags } };
    })
  };
}

const CONTENT = make(
  '!markdown:failed below',
  'markdown:title',
  'code:first',
  'code: ',
  'raw:text',
  '!markdown:failed here',
  'code:second'
);

it('leaves out what papermill added, and lets nothing be changed', () => {
  const { content } = prepareResult(makeJob(), CONTENT, true);
  expect(content.cells.map(({ source }) => source)).toEqual([
    'title',
    'first',
    ' ',
    'text',
    'second'
  ]);
  for (const cell of content.cells) {
    expect(cell.metadata.editable).toBe(false);
    expect(cell.metadata.trusted).toBe(true);
  }
  expect(content.metadata).toEqual(CONTENT.metadata);
  // What was read stays as it was.
  expect(CONTENT.cells[1].metadata).toEqual({ tags: [] });
});

it.each([
  ['failed', 1, 1],
  ['failed', 2, 4],
  ['failed', 3, -1],
  ['failed', 0, -1],
  ['succeeded', 2, -1],
  ['cancelled', 2, -1]
] as const)(
  'of a job that %s in cell %i the index is %i',
  (state, number, at) => {
    const job = makeJob({ state, cell: { number, total: 2 } });
    expect(prepareResult(job, CONTENT, true).failed).toBe(at);
  }
);

it('takes sources and tags as notebooks may have them', () => {
  const odd = make('code:x', 'code:y');
  odd.cells[0].source = ['', 'x'];
  odd.cells[0].metadata = {};
  const job = makeJob({ state: 'failed', cell: { number: 2, total: 2 } });
  expect(prepareResult(job, odd, true).failed).toBe(1);
});

it('trusts nothing that somebody changed, whatever its cells say', () => {
  const cells = CONTENT.cells.map(cell => ({
    ...cell,
    metadata: { trusted: true }
  }));
  const { content } = prepareResult(makeJob(), { ...CONTENT, cells }, false);
  expect(content.cells.map(cell => cell.metadata.trusted)).toEqual(
    content.cells.map(() => false)
  );
});
