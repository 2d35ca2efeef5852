/** What Lab's packages expect of a browser and jsdom lacks. */

import { TextDecoder, TextEncoder } from 'util';

Object.assign(globalThis, {
  TextDecoder,
  TextEncoder,
  DragEvent: class extends Event {},
  matchMedia: () => new EventTarget(),
  requestIdleCallback: (callback: () => void) => setTimeout(callback)
});

Object.defineProperty(navigator, 'clipboard', { value: {} });
