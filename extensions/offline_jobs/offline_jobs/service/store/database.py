"""The database's connections: SQLite settings, short transactions, errors turned into ours.

Only :mod:`~offline_jobs.service.store.store` uses it.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from offline_jobs.service.errors import Damaged, StorageFull, Unavailable
from offline_jobs.service.metrics import DATABASE_FAILURES

_log = logging.getLogger(__name__)
#: So long a write waits for another program that holds the database. Our own writers wait in a line
#: of their own, which gets on.
_BUSY_MILLISECONDS = 1_500
#: After a wait in vain those in the line do not wait once more, for so long.
_LOCKED_SECONDS = 2.0
#: Option of a connection that may write: so many milliseconds it waits for another program.
_WRITE = "offline_jobs_write"


class Database:
    """One engine and its two kinds of transaction."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, pool_size=8, max_overflow=40)
        self._writer = threading.Lock()
        self._locked = 0.0
        #: Why the last write failed, where that was not its caller's fault.
        self.trouble: Unavailable | None = None
        #: Whether it could be used once; before that, who starts the service says what is wrong.
        self._is_open = False
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    def migrate(self) -> None:
        """Bring the tables to the newest version."""
        with self.write() as connection:
            if _read_revisions(connection) != [find_head()]:
                _upgrade(connection)
        self._is_open = True

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            Unavailable: the database cannot be read now.
        """
        try:
            with _errors_turned(), self._engine.connect() as connection, connection.begin():
                yield connection
        except Unavailable as error:
            DATABASE_FAILURES.labels("read", error.code).inc()
            raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; durable when it was left without an error.

        There is one writer at a time: waiting for a lock of our own is fair, and quicker than
        SQLite's busy handler.

        Raises:
            Unavailable: the database cannot be written now; nothing was.
        """
        try:
            with self._writer, _errors_turned(), self._engine.connect() as plain:
                connection = plain.execution_options(**{_WRITE: self._choose_wait()})
                with self._noting_locks(), connection.begin():
                    yield connection
        except Unavailable as error:
            self._note(error)
            raise
        if self.trouble is not None:
            _log.info("the database takes changes again")
            self.trouble = None

    def _note(self, error: Unavailable) -> None:
        """Remember, count and, when it begins, log that nothing can be written."""
        DATABASE_FAILURES.labels("write", error.code).inc()
        is_news = self.trouble is None or self.trouble.code != error.code
        if is_news and self._is_open:
            cause = type(error.__cause__).__name__
            _log.warning(
                "the database takes no changes", extra={"error": error.code, "cause": cause}
            )
        self.trouble = error

    def _choose_wait(self) -> int:
        is_locked = time.monotonic() - self._locked < _LOCKED_SECONDS
        return 0 if is_locked else _BUSY_MILLISECONDS

    @contextmanager
    def _noting_locks(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                self._locked = time.monotonic()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def find_head() -> str:
    """The newest revision; the files of the migrations begin with theirs, which are in order."""
    folder = Path(__file__).with_name("migrations") / "versions"
    return max(file.name.partition("_")[0] for file in folder.glob("*.py"))


def _read_revisions(connection: Connection) -> list[str]:
    """What Alembic noted of the tables; empty in a new database."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.scalars(text("SELECT version_num FROM alembic_version")))


def _upgrade(connection: Connection) -> None:
    # Imported here: most starts find the newest tables, and its import takes long.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "offline_jobs.service.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _errors_turned() -> Iterator[None]:
    """Turn what is nobody's mistake into errors of ours; integrity and programming errors stay."""
    try:
        yield
    except PoolTimeout as e:
        raise _away() from e
    except DatabaseError as e:
        # What fails while a connection is set up comes as the driver's own error.
        if (ours := _turn(e.orig)) is None:
            raise
        raise ours from e
    except sqlite3.DatabaseError as e:
        if (ours := _turn(e)) is None:
            raise
        raise ours from e


def _turn(error: BaseException | None) -> Unavailable | None:
    # An extended code keeps the primary one in its lowest byte.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull()
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Damaged()
    return _away() if isinstance(error, sqlite3.OperationalError) else None


def _away() -> Unavailable:
    return Unavailable("The jobs' database cannot be used now. Try again in a moment.")


def _set_up_sqlite(connection: Any, record: Any) -> None:
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


def _begin_sqlite(connection: Connection) -> None:
    wait = connection.get_execution_options().get(_WRITE)
    if wait is None:
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {wait}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
