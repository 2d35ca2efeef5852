/**
 * The Offline Jobs page of the hub: the list of jobs, one job, what was used, or how groups stand.
 *
 * A page without a server behind it: it talks to the jobs service itself. What a job looks like is
 * `../view.ts`, which the panel in Lab draws as well. Everything that a user or a notebook wrote is
 * put in as text, never as markup.
 */

import { showGroups } from './groups';
import { showJob } from './job';
import { showList } from './list';
import { showUsage } from './usage';

const article = document.getElementById('job');
if (article) {
  showJob(article.dataset.job ?? '');
} else if (document.getElementById('usage')) {
  showUsage();
} else if (document.getElementById('groups')) {
  showGroups();
} else {
  showList();
}
