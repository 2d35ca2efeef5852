/**
 * The extension's icon: a window with a clock.
 */

import { LabIcon } from '@jupyterlab/ui-components';

import offlineJobsSvg from '../style/offline-jobs.svg';

export const offlineJobsIcon = new LabIcon({
  name: 'offline-jobs:icon',
  svgstr: offlineJobsSvg
});
