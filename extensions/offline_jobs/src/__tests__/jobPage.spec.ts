import { describeFigure, fileName, sourceOf } from '../page/figures';
import { formatPlace, readPlace, tabAfter, TABS } from '../page/tabs';
import type { IPlace, Tab } from '../page/tabs';
import type { IFigure } from '../types';

const FIGURE: IFigure = {
  number: 3,
  cell: 15,
  type: 'image/png',
  width: 640,
  height: 480,
  alt: '',
  data: 'iVBORw0='
};

describe('what is looked at of a job', () => {
  it.each<[string, IPlace]>([
    ['', { tab: null, cell: null }],
    ['?tab=log', { tab: 'log', cell: null }],
    ['?tab=result', { tab: 'result', cell: null }],
    ['?cell=7', { tab: 'result', cell: 7 }]
  ])('stands in the address: %s', (address, place) => {
    expect(readPlace(address)).toEqual(place);
    expect(formatPlace(place)).toBe(address);
  });

  it.each<[string, IPlace]>([
    ['?tab=constructor', { tab: null, cell: null }],
    ['?cell=0', { tab: null, cell: null }],
    ['?cell=-1', { tab: null, cell: null }],
    ['?cell=7%23x', { tab: null, cell: null }],
    ['?cell=1e3', { tab: null, cell: null }],
    ['?tab=log&cell=7', { tab: 'log', cell: null }],
    ['?tab=result&cell=7', { tab: 'result', cell: 7 }]
  ])('is what is sound in %s', (address, place) => {
    expect(readPlace(address)).toEqual(place);
  });

  it('is gone through by arrows, in a circle', () => {
    const passed: (Tab | null)[] = TABS.map(tab => tabAfter(tab, 'ArrowRight'));
    expect(passed).toEqual(['cells', 'log', 'record', 'result']);
    for (const tab of TABS) {
      const next = tabAfter(tab, 'ArrowRight') ?? tab;
      expect(tabAfter(next, 'ArrowLeft')).toBe(tab);
      expect(tabAfter(tab, 'Home')).toBe('result');
      expect(tabAfter(tab, 'End')).toBe('record');
      expect(tabAfter(tab, 'Tab')).toBeNull();
      expect(tabAfter(tab, 'toString')).toBeNull();
    }
    // A guest has no log.
    const guests: Tab[] = ['result', 'cells', 'record'];
    expect(tabAfter('cells', 'ArrowRight', guests)).toBe('record');
    expect(tabAfter('result', 'ArrowLeft', guests)).toBe('record');
  });
});

describe('a figure', () => {
  it('is shown where it is a picture of points or lines', () => {
    expect(sourceOf(FIGURE)).toBe('data:image/png;base64,iVBORw0=');
    const lines = { ...FIGURE, type: 'image/svg+xml' };
    expect(sourceOf(lines)).toBe('data:image/svg+xml;base64,iVBORw0=');
    expect(fileName('a/b.ipynb', lines)).toMatch(/^b-figure-\d+\.svg$/);
    expect(sourceOf({ ...FIGURE, type: 'text/html' })).toBe('');
    expect(sourceOf({ ...FIGURE, type: 'constructor' })).toBe('');
    expect(sourceOf({ ...FIGURE, data: null })).toBe('');
  });

  it('has a name for those who do not see it', () => {
    expect(describeFigure(FIGURE)).toBe('Figure 3, cell 15');
    expect(describeFigure({ ...FIGURE, alt: 'the chip' })).toBe(
      'Figure 3, cell 15: the chip'
    );
  });

  it.each([
    ['a/brain 1.ipynb', 'image/png', 'brain 1-figure-3.png'],
    ['brain', 'image/jpeg', 'brain-figure-3.jpg'],
    ['.ipynb', 'image/png', 'notebook-figure-3.png']
  ])('of %s is saved under its name', (path, type, name) => {
    expect(fileName(path, { ...FIGURE, type })).toBe(name);
  });
});
