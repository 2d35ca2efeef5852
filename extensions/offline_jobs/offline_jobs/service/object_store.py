"""Executed notebooks and logs, kept so that they can be had with no server running.

A folder here; keys look like paths (``<job>/<attempt>/result.ipynb``). A key holds either a whole
object or none: what is written is staged first, and renamed. The web layer writes what the runner
hands over and reads what an owner downloads; housekeeping deletes.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: No key: keys begin with a letter or a digit.
_STAGING = ".staging"
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*")


def result_key(job_id: str, attempt: int) -> str:
    """Key of an attempt's executed notebook."""
    return f"{job_id}/{attempt}/result.ipynb"


def log_key(job_id: str, attempt: int) -> str:
    """Key of an attempt's log."""
    return f"{job_id}/{attempt}/log.txt"


class ObjectStore:
    """Objects in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staging = folder / _STAGING
        # What a killed service was about to put.
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True, mode=0o700)

    def put(self, key: str, content: bytes) -> None:
        """Store ``content`` under ``key``, replacing what was there; durable on return."""
        with self.staged(key, content) as publish:
            publish()

    @contextmanager
    def staged(self, key: str, content: bytes) -> Iterator[Callable[[], None]]:
        """Write ``content`` aside, durably; what this yields stores it under ``key`` at once.

        Unless that is called, nothing changes and nothing is left.
        """
        path = self._path(key)
        handle, name = tempfile.mkstemp(dir=self._staging)
        temporary = Path(name)

        def publish() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)

        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield publish
        finally:
            temporary.unlink(missing_ok=True)

    def open(self, key: str) -> BinaryIO | None:
        """The object opened for reading, or ``None`` when there is none."""
        try:
            return self._path(key).open("rb")
        except FileNotFoundError:
            return None

    def size(self, key: str) -> int | None:
        """Bytes of the object, or ``None`` when there is none."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def delete_prefix(self, prefix: str) -> None:
        """Delete everything below ``prefix`` (a job's id); nothing there is fine.

        Raises:
            OSError: something is still there.
        """
        with suppress(FileNotFoundError):
            shutil.rmtree(self._path(prefix))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not an object key: {key[:80]!r}")
        return self._folder / key
