"""Checkpoints of jobs that have ended: nobody goes on from them.

In a cluster a person's jobs alone see that person's checkpoints, so each of them clears away what
earlier ones left. Bottom of the runner; standard library only.
"""

import shutil
import time
from collections.abc import Collection
from pathlib import Path
from threading import Thread

#: What was changed since then is left alone: it may be of a job that is younger than the list of
#: those that are kept, and clocks of service, machine and file server differ.
_YOUNG_SECONDS = 86_400.0


def clear_checkpoints(folder: Path, kept: Collection[str]) -> Thread:
    """Remove what jobs left that have ended, in a thread beside the run, which it does not delay.

    What cannot be removed is left to the next job, which comes by here as well.

    Args:
        folder: has a folder for each job of this person, called as the job is.
        kept: those of the person's jobs that are wanted; empty: nobody said, and all stays.
    """
    thread = Thread(target=_clear, args=(folder, frozenset(kept)), daemon=True)
    thread.start()
    return thread


def _clear(folder: Path, kept: Collection[str]) -> None:
    before = time.time() - _YOUNG_SECONDS
    try:
        left = [
            each
            for each in folder.iterdir()
            if kept and each.name not in kept and each.lstat().st_mtime < before
        ]
    except OSError:
        return
    for each in left:
        # Links are no folders, and stay.
        shutil.rmtree(each, ignore_errors=True)
