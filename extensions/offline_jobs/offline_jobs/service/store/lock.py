"""One writer: a lock on the state folder that only one service can hold.

The kernel frees it when its holder dies, however it dies, so nothing stale remains to be removed.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from offline_jobs.service.errors import StateInUse

LOCK_FILE = "lock"


@contextmanager
def hold_state(folder: Path) -> Iterator[None]:
    """Hold the lock of the state folder ``folder`` (it exists) for the length of the context.

    Raises:
        StateInUse: another service holds it.
        OSError: the folder cannot be written.
    """
    handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            raise StateInUse(
                f"Another jobs service (process {holder}) works on {folder}: "
                "stop it first, or choose another state folder."
            ) from e
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)
