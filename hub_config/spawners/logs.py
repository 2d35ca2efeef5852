"""Logs that do not grow without bound.

A program writes on into a file that it has open, so the file is emptied in place and its end kept
beside it. The programs must append (``O_APPEND``). Used by the local spawner and, for the programs
of ``make run``, by :mod:`hub_config.embedded.children`.
"""

import os
from pathlib import Path

LARGEST_LOG_BYTES = 20 * 1024**2
KEPT_BYTES = LARGEST_LOG_BYTES // 2


def bound_log(log: Path, largest: int = LARGEST_LOG_BYTES, kept: int = KEPT_BYTES) -> bool:
    """Empty a log of more than ``largest`` bytes; its last ``kept`` go to ``NAME.old.log``.

    What is written in the moment between the two is lost.

    Returns:
        Whether it was emptied.
    """
    try:
        with log.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size <= largest:
                return False
            file.seek(size - kept)
            tail = file.read(kept)
            # Not in the middle of a line, where there are lines.
            log.with_suffix(".old.log").write_bytes(tail[tail.find(b"\n") + 1 :])
            file.truncate(0)
    except FileNotFoundError:
        return False
    return True
