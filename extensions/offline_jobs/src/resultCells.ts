/**
 * Which cells of an executed notebook are shown, and which of them failed. Pure.
 */

import type { NotebookModel } from '@jupyterlab/notebook';

import type { IJob } from './types';

/** Of cells that papermill adds; the panel says the same. */
const PAPERMILLS_TAG = 'papermill-error-cell-tag';

/** A notebook as it lies in its file. */
export type Content = Parameters<NotebookModel['fromJSON']>[0];
type Cell = Content['cells'][number];

/**
 * What is shown of an executed notebook, and the index in it of the cell that failed; -1: none did.
 *
 * The service counts cells with code alone.
 *
 * @param isTrusted - whether outputs may run what they hold, as those of one's own cells do in Lab.
 */
export function prepareResult(
  job: Pick<IJob, 'state' | 'cell'>,
  content: Content,
  isTrusted: boolean
): { content: Content; failed: number } {
  const cells = content.cells
    .filter(({ metadata }) => !tagsOf(metadata).includes(PAPERMILLS_TAG))
    .map(cell => ({
      ...cell,
      metadata: { ...cell.metadata, editable: false, trusted: isTrusted }
    }));
  const withCode = cells.flatMap((cell, index) =>
    hasCode(cell) ? [index] : []
  );
  const failed =
    job.state === 'failed' ? (withCode[job.cell.number - 1] ?? -1) : -1;
  return { content: { ...content, cells }, failed };
}

function tagsOf(metadata: Cell['metadata']): readonly unknown[] {
  return Array.isArray(metadata.tags) ? metadata.tags : [];
}

function hasCode(cell: Cell): boolean {
  return (
    cell.cell_type === 'code' && [cell.source].flat().join('').trim() !== ''
  );
}
