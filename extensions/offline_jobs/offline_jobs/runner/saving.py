"""Keeps the notebook safe while it runs: often on local disk, now and then in the home.

The engine saves through :class:`LocalSaver`, at most once a second. :class:`HomeCopier` copies
notebook and log from there to the home in a thread of its own, at an interval that grows with what
a copy costs, so that a slow network file system neither stops a cell nor is flooded. Every file
appears by a rename: a reader sees the old or the new one, never half. Used by engine and execution.
"""

import errno
import hashlib
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

from offline_jobs.contract.run import ResultRecord
from offline_jobs.runner.record import PACKAGES_FILE, RUN_FILE, encode_record, read_attempt

LOG = logging.getLogger(__name__)

LOG_FILE = "log.txt"
_SAVE_SECONDS = 1.0
#: A save may take this share of the time, at most.
_SAVE_SHARE = 10
_COPY_SECONDS = 5.0
_COPY_SHARE = 20
_LAST_TRIES = 4


def describe_error(error: OSError) -> str:
    """What the system says of an error, without the paths of a machine that nobody knows."""
    return error.strerror or type(error).__name__


class OutputLostError(Exception):
    """The result cannot be written to the home."""


class LocalSaver:
    """Saves one notebook to local disk, at most once a second."""

    def __init__(self, save: Callable[[], None]) -> None:
        """``save`` writes the notebook; an ``OSError`` of it never ends a run that has begun."""
        self._save = save
        self._is_dirty = False
        self._is_begun = False
        self._next = 0.0

    def changed(self) -> None:
        """The notebook has changed: save it now, or when it is due."""
        self._is_dirty = True
        self.save_if_due()

    def save_if_due(self) -> None:
        """Save what changed, unless the last save is too young."""
        if self._is_dirty and time.monotonic() >= self._next:
            self.save_now()

    def save_now(self) -> None:
        """Save, whenever the last save was.

        Raises:
            OSError: nothing was ever saved, and so could no result be.
        """
        start = time.monotonic()
        self._is_dirty = False
        try:
            self._save()
            self._is_begun = True
        except OSError as error:
            if not self._is_begun:
                raise
            self._is_dirty = True
            LOG.warning("the notebook cannot be saved on local disk: %s", error)
        took = time.monotonic() - start
        self._next = start + took + max(_SAVE_SECONDS, _SAVE_SHARE * took)


def write_file(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file beside its place, then rename it there.

    A link stays one and leads where it led, and a file keeps its mode. What a rename would break is
    written in place: a file with several names, and what is no regular file, such as a device.

    Raises:
        OSError: it cannot be written; a regular file that was there before is untouched.
    """
    path = path.resolve()
    before = path.stat() if path.exists() else None
    if before and not (stat.S_ISREG(before.st_mode) and before.st_nlink == 1):
        path.write_bytes(content)
        return
    # Short, for a name may be as long as the file system takes.
    name = hashlib.sha256(path.name.encode(errors="surrogateescape")).hexdigest()[:12]
    temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            if before:
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class HomeCopier:
    """Copies notebook and log of one attempt to its folder in the home."""

    def __init__(
        self,
        home: Path,
        output: str,
        notebook: str,
        attempt: int,
        local: Path,
        log: Callable[[], bytes],
    ) -> None:
        """``local`` is the notebook on local disk, ``notebook`` its file name in ``output``."""
        self._home = home
        self._folder = home / output
        self._attempt = attempt
        self._notebook = notebook
        self._local = local
        self._log = log
        self._on_copied: Callable[[bytes], None] | None = None
        self._copied: tuple[int, int] | None = None
        self._is_prepared = False
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._copy_now_and_then, daemon=True)

    def start(self, on_copied: Callable[[bytes], None] | None = None) -> None:
        """Make the folder, put an earlier attempt's files aside, begin to copy.

        ``on_copied`` is given each copy that the home has taken while the notebook runs.

        Raises:
            OutputLostError: the folder cannot be written.
        """
        for is_last in (False, False, True):
            try:
                self._prepare()
                break
            except OSError as error:
                if is_last:
                    raise OutputLostError(describe_error(error)) from error
                time.sleep(0.5)
        self._on_copied = on_copied
        self._thread.start()

    def finish(self, record: ResultRecord, packages: bytes = b"", tries: int = _LAST_TRIES) -> None:
        """Copy what there is for the last time, the list of packages if any, and the record.

        Raises:
            OutputLostError: it cannot be written.
        """
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        for left in reversed(range(tries)):
            try:
                self._prepare()
                self._copy(durable=True)
                if packages:
                    write_file(self._folder / PACKAGES_FILE, packages)
                write_file(self._folder / RUN_FILE, encode_record(record))
                return
            except OSError as error:
                if not left:
                    raise OutputLostError(describe_error(error)) from error
                time.sleep(0.5)

    def _prepare(self) -> None:
        if not self._home.is_dir():
            # Where it should be mounted a folder would only hide that it is not.
            raise FileNotFoundError(errno.ENOENT, "the home is not there")
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._is_prepared:
            put_attempt_aside(
                self._folder, (self._notebook, LOG_FILE, PACKAGES_FILE, RUN_FILE), self._attempt
            )
            write_file(self._folder / LOG_FILE, self._log())
            self._is_prepared = True

    def _copy_now_and_then(self) -> None:
        pause = 0.2
        while not self._is_over.wait(pause):
            start = time.monotonic()
            try:
                is_copied = self._copy()
            except OSError as error:
                is_copied = True
                LOG.warning("the notebook cannot be copied to the home now: %s", error)
            took = time.monotonic() - start
            pause = max(_COPY_SECONDS, _COPY_SHARE * took) if is_copied else 0.2

    def _copy(self, *, durable: bool = False) -> bool:
        """Copy what is new. False where there is nothing to copy yet."""
        try:
            status = self._local.stat()
        except FileNotFoundError:
            return False
        stamp = (status.st_mtime_ns, status.st_size)
        if durable or stamp != self._copied:
            content = self._local.read_bytes()
            write_file(self._folder / self._notebook, content, durable=durable)
            self._copied = stamp
            if self._on_copied is not None and not durable:
                self._on_copied(content)
        write_file(self._folder / LOG_FILE, self._log(), durable=durable)
        return True


def put_attempt_aside(folder: Path, names: tuple[str, ...], attempt: int) -> None:
    """Move an earlier attempt's files to ``attempt-<n>/``; nothing is ever overwritten.

    Raises:
        OSError: they cannot be moved.
    """
    there = [folder / name for name in names if (folder / name).exists()]
    if not there:
        return
    number = read_attempt(folder) or max(attempt - 1, 1)
    while (aside := folder / f"attempt-{number}").exists():
        number += 1
    aside.mkdir()
    for path in there:
        path.rename(aside / path.name)
