"""Executed notebooks and logs, kept so that they can be had with no server running.

Keys look like paths (``<job>/<attempt>/result.ipynb``). A key holds either a whole object or none.
The web layer writes what the runner hands over and reads what an owner downloads; housekeeping
deletes. Here is the store in a folder; ``bucket.py`` has the one in S3.
"""

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

#: No key: keys begin with a letter or a digit.
_STAGING = ".staging"
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*")


def result_key(job_id: str, attempt: int) -> str:
    """Key of an attempt's executed notebook."""
    return f"{job_id}/{attempt}/result.ipynb"


def log_key(job_id: str, attempt: int) -> str:
    """Key of an attempt's log."""
    return f"{job_id}/{attempt}/log.txt"


def check_key(key: str) -> str:
    """The key itself, if it is one.

    Raises:
        ValueError: it is none, or would lead elsewhere.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key[:80]!r}")
    return key


class Stream(Protocol):
    """What an object's bytes are read from."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, at most ``size``; empty at the end."""
        ...

    def close(self) -> None:
        """Read no more."""
        ...


class StoredObject:
    """An object opened for reading: it stays what it is, whatever is put under its key now.

    ``size`` is in bytes.
    """

    def __init__(self, size: int, stream: Stream) -> None:
        self.size = size
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size``; empty at the end.

        Raises:
            Unavailable: the rest cannot be had now.
        """
        return self._stream.read(size)

    def close(self) -> None:
        """Read no more."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ObjectStore(Protocol):
    """Objects by key; all methods may be called from any thread and end within seconds."""

    @property
    def trouble(self) -> str:
        """Why it could not be used at the last call; empty: it could."""
        ...

    def look(self) -> None:
        """Find out whether it can be used again.

        Raises:
            Unavailable: it cannot.
        """
        ...

    def put(self, key: str, content: bytes) -> None:
        """Store ``content`` under ``key``, replacing what was there; durable on return.

        Whatever goes wrong, ``key`` holds what it held before.

        Raises:
            Unavailable: it cannot be stored now.
            OSError: the disk takes no more.
        """
        ...

    def open(self, key: str) -> StoredObject | None:
        """The object opened for reading, or ``None`` when there is none.

        Raises:
            Unavailable: it cannot be read now.
        """
        ...

    def delete_prefix(self, prefix: str) -> None:
        """Delete everything below ``prefix`` (a job's id); nothing there is fine.

        Raises:
            Unavailable: something is still there.
            OSError: the same.
        """
        ...


class FolderStore:
    """Objects in a folder of their own: what is written is staged first, and renamed."""

    trouble = ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staging = folder / _STAGING
        # What a killed service was about to put.
        shutil.rmtree(self._staging, ignore_errors=True)
        self._staging.mkdir(parents=True, mode=0o700)

    def look(self) -> None:
        """A folder is there."""

    def put(self, key: str, content: bytes) -> None:
        """Store an object."""
        path = self._path(key)
        handle, name = tempfile.mkstemp(dir=self._staging)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def open(self, key: str) -> StoredObject | None:
        """Open an object."""
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError:
            return None
        return StoredObject(os.fstat(file.fileno()).st_size, file)

    def delete_prefix(self, prefix: str) -> None:
        """Delete a job's objects."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._path(prefix))

    def _path(self, key: str) -> Path:
        return self._folder / check_key(key)
