/**
 * The figures of a job's result: a strip of them all, and one at a time large. They come as data,
 * PNG, JPEG and SVG alone, for images, in which nothing runs.
 */

import { RequestError } from '../requestError';
import type { IFigure, IFigures, IJob } from '../types';
import { isActive } from '../words';
import { byId, make, setText } from './parts';
import { request } from './service';
import { formatPlace } from './tabs';

/** While it runs new ones are asked for so often; where that takes long, less often. */
const ASK_MILLISECONDS = 15_000;
const ASK_TIMES = 30;
const ENDINGS: Readonly<Record<string, string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/svg+xml': 'svg'
};

/** The address of a figure as an image has it; '' where it cannot be shown. */
export function sourceOf({ type, data }: IFigure): string {
  return data && Object.hasOwn(ENDINGS, type)
    ? `data:${type};base64,${data}`
    : '';
}

/** What a figure is, for those who do not see it and as the name of its button. */
export function describeFigure({ number, cell, alt }: IFigure): string {
  return `Figure ${number}, cell ${cell}${alt ? `: ${alt}` : ''}`;
}

/** Under which name a figure is saved: of the notebook, with the figure's number. */
export function fileName(path: string, { number, type }: IFigure): string {
  const stem = (path.split('/').at(-1) ?? '').replace(/\.ipynb$/i, '');
  return `${stem || 'notebook'}-figure-${number}.${ENDINGS[type] ?? 'bin'}`;
}

/**
 * Show the figures of a job.
 *
 * @param goToCell - shows a cell of the result.
 * @returns what is told of each change of the job; it is done when the first figures are there.
 */
export function makeFigures(
  id: string,
  goToCell: (cell: number) => void
): (job: IJob) => Promise<void> {
  const dialog = byId<HTMLDialogElement>('figure');
  const list = byId('figures');
  let figures: IFigure[] = [];
  let path = '';
  /** Of which attempt, running or ended, they are. */
  let loaded = '';
  let timer: number | undefined;
  /** The one that is large. */
  let at = 0;

  async function fill(job: IJob): Promise<void> {
    path = job.path;
    setText(byId('figures-note'), isActive(job) ? 'so far' : '');
    const kind = `${job.attempt} ${isActive(job)}`;
    if (!job.has_result || kind === loaded) {
      return;
    }
    loaded = kind;
    await load(kind, 1, isActive(job));
  }

  /** Ask for figures from a number on, and later for those that come. */
  async function load(
    kind: string,
    first: number,
    isActive: boolean
  ): Promise<void> {
    clearTimeout(timer);
    const began = Date.now();
    let next: number | null = first;
    let hasMore = isActive;
    try {
      const address = `jobs/${id}/figures?first=${first}`;
      const answer = await request('GET', address);
      const found = (await answer.json()) as IFigures;
      if (kind !== loaded) {
        return;
      }
      draw(first, found);
      next = found.next ?? figures.length + 1;
      hasMore ||= found.next !== null;
      if (found.next !== null) {
        void load(kind, next, isActive);
        return;
      }
    } catch (error) {
      // Where there are too many, the notebook itself says so.
      hasMore ||= error instanceof RequestError && error.isTemporary;
    }
    const pause = Math.max(ASK_MILLISECONDS, ASK_TIMES * (Date.now() - began));
    const ask = (): void => {
      if (document.hidden) {
        timer = window.setTimeout(ask, pause);
      } else if (kind === loaded) {
        void load(kind, next ?? 1, isActive);
      }
    };
    if (hasMore && kind === loaded) {
      timer = window.setTimeout(ask, pause);
    }
  }

  /** Put figures into the strip; those that are there already are left alone. */
  function draw(first: number, found: IFigures): void {
    const known = figures.slice(0, first - 1);
    const before = figures;
    figures = [...known, ...found.figures];
    for (const [index, figure] of figures.entries()) {
      const old = before[index];
      const isSame = old?.data === figure.data && old.cell === figure.cell;
      if (!isSame) {
        const item = make('li');
        item.append(makeTile(figure, index));
        const place = list.children[index];
        if (place) {
          place.replaceWith(item);
        } else {
          list.append(item);
        }
      }
    }
    while (list.children.length > figures.length) {
      list.lastElementChild?.remove();
    }
    const part = byId('figures-part');
    part.hidden = !figures.length;
    part.classList.toggle('one', figures.length === 1);
    const rest = found.next === null ? found.total - figures.length : 0;
    const more = rest > 0 ? ` of ${found.total}` : '';
    setText(byId('figures-count'), `${figures.length}${more}`);
    if (dialog.open) {
      enlarge(Math.min(at, figures.length - 1));
    }
  }

  function makeTile(figure: IFigure, index: number): HTMLElement {
    const label = describeFigure(figure);
    const tile = make('button', undefined, {
      type: 'button',
      class: 'thumb',
      'aria-label': label,
      'aria-haspopup': 'dialog',
      title: figure.alt
    });
    tile.append(makePicture(figure, ''), make('span', `cell ${figure.cell}`));
    tile.addEventListener('click', () => {
      enlarge(index);
      if (figures.length && !dialog.open) {
        dialog.showModal();
      }
    });
    return tile;
  }

  function makePicture(figure: IFigure, alt: string): HTMLElement {
    const src = sourceOf(figure);
    if (!src) {
      return make('i', 'Too large to be shown here');
    }
    const picture = make('img', undefined, {
      src,
      alt,
      width: String(figure.width),
      height: String(figure.height)
    });
    picture.addEventListener('error', () =>
      picture.replaceWith(make('i', 'This picture cannot be read'))
    );
    return picture;
  }

  /** Show one large. */
  function enlarge(index: number): void {
    const figure = figures[index];
    if (!figure) {
      dialog.close();
      return;
    }
    at = index;
    const { number, cell } = figure;
    const title = `Figure ${number} of ${figures.length} · cell ${cell}`;
    setText(byId('figure-title'), title);
    setText(byId('figure-alt'), figure.alt);
    const picture = makePicture(figure, describeFigure(figure));
    byId('figure-paper').replaceChildren(picture);
    const link = byId<HTMLAnchorElement>('figure-cell');
    link.href = formatPlace({ tab: 'result', cell });
    setText(link, `Go to cell ${cell}`);
    const file = byId<HTMLAnchorElement>('figure-file');
    file.hidden = !figure.data;
    file.href = sourceOf(figure);
    file.download = fileName(path, figure);
    // One that is disabled would lose the focus, and with it the keys.
    setEnabled('figure-before', at > 0);
    setEnabled('figure-after', at < figures.length - 1);
  }

  function setEnabled(button: string, isEnabled: boolean): void {
    byId(button).setAttribute('aria-disabled', String(!isEnabled));
  }

  function step(by: number): void {
    if (figures[at + by]) {
      enlarge(at + by);
    }
  }

  byId('figure-before').addEventListener('click', () => step(-1));
  byId('figure-after').addEventListener('click', () => step(1));
  byId('figure-close').addEventListener('click', () => dialog.close());
  byId('figure-cell').addEventListener('click', event => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) {
      return;
    }
    event.preventDefault();
    dialog.close();
    goToCell(figures[at].cell);
  });
  dialog.addEventListener('click', event => {
    if (event.target === dialog) {
      dialog.close();
    }
  });
  dialog.addEventListener('keydown', event => {
    const by: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in by) {
      event.preventDefault();
      step(by[event.key]);
    }
  });
  dialog.addEventListener('close', () =>
    list.children[at]?.querySelector('button')?.focus()
  );
  return fill;
}
