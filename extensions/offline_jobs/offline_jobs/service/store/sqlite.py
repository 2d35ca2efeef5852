"""SQLite, where hub and service are on one machine: its settings, its locks, its errors.

Only :mod:`~offline_jobs.service.store.database` uses it.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import OperationalError

from offline_jobs.service.errors import Damaged, DatabaseAway, StorageFull, Unavailable

#: So long a write waits for another program that holds the database. Our own writers wait in a line
#: of their own, which gets on.
_BUSY_MILLISECONDS = 1_500
#: After a wait in vain those in the line do not wait once more, for so long.
_LOCKED_SECONDS = 2.0
#: Option of a connection that may write: so many milliseconds it waits for another program.
_WRITE = "offline_jobs_write"


class Sqlite:
    """A database file; the state folder's own lock says who may write it."""

    def __init__(self, url: URL) -> None:
        self.name = str(url.database)
        self.readers = self.writer = create_engine(url, pool_size=8, max_overflow=40)
        self.error = sqlite3.DatabaseError
        self._locked = 0.0
        event.listen(self.writer, "connect", _set_up)
        event.listen(self.writer, "begin", _begin)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; there is one at a time."""
        with self.writer.connect() as plain:
            connection = plain.execution_options(**{_WRITE: self._choose_wait()})
            with self._noting_locks(), connection.begin():
                yield connection

    def _choose_wait(self) -> int:
        is_locked = time.monotonic() - self._locked < _LOCKED_SECONDS
        return 0 if is_locked else _BUSY_MILLISECONDS

    @contextmanager
    def _noting_locks(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            if _read_code(error.orig) == sqlite3.SQLITE_BUSY:
                self._locked = time.monotonic()
            raise

    def check(self, connection: Connection) -> None:
        """See that the database is one that can be used; each is."""

    def turn(self, error: BaseException | None) -> Unavailable | None:
        """The driver's error as one of ours, where it is nobody's mistake."""
        code = _read_code(error)
        if code == sqlite3.SQLITE_FULL:
            return StorageFull()
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Damaged()
        return DatabaseAway() if isinstance(error, sqlite3.OperationalError) else None

    def explain(self, error: BaseException) -> str:
        """What an administrator has to mend of it; nothing."""
        return ""

    def close(self) -> None:
        """Close all connections."""
        self.writer.dispose()


def _read_code(error: BaseException | None) -> int:
    # An extended code keeps the primary one in its lowest byte.
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _set_up(connection: Any, record: Any) -> None:
    # The driver's own transaction handling is switched off: it begins transactions late and
    # deferred, so that two writers that both have read can only fail.
    connection.isolation_level = None
    cursor = connection.cursor()
    for setting in (
        f"busy_timeout = {_BUSY_MILLISECONDS}",
        "journal_mode = WAL",
        "synchronous = FULL",  # accepted means durable, also when the machine loses power
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin(connection: Connection) -> None:
    wait = connection.get_execution_options().get(_WRITE)
    if wait is None:
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {wait}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
