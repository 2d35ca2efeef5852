"""Executed notebooks and logs, kept so that they can be had with no server running.

A folder here; keys look like paths (``<job>/<attempt>/result.ipynb``). A key holds either a whole
object or none: writes go to a temporary name and are renamed. The web layer writes what the runner
hands over and reads what an owner downloads; housekeeping deletes.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

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
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, key: str, content: bytes) -> None:
        """Store ``content`` under ``key``, replacing what was there; durable on return."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".put-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

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
        """Delete everything below ``prefix`` (a job's id); nothing there is fine."""
        shutil.rmtree(self._path(prefix), ignore_errors=True)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not an object key: {key[:80]!r}")
        return self._folder / key
