"""The database's connections: SQLite settings, short transactions, errors turned into ours.

Only :mod:`~offline_jobs.service.store.store` uses it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from offline_jobs.service.errors import Unavailable

_BUSY_MILLISECONDS = 10_000
_WRITE = "offline_jobs_write"


class Database:
    """One engine and its two kinds of transaction."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, pool_size=8, max_overflow=40)
        self._writer = threading.Lock()
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _set_up_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    def migrate(self) -> None:
        """Bring the tables to the newest version."""
        with self.write() as connection:
            if _read_revisions(connection) != [find_head()]:
                _upgrade(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            Unavailable: the database cannot be read now.
        """
        with _errors_turned(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; durable when it was left without an error.

        There is one writer at a time: waiting for a lock of our own is fair, and quicker than
        SQLite's busy handler.

        Raises:
            Unavailable: the database cannot be written now; nothing was.
        """
        with self._writer, _errors_turned(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITE: True})
            with connection.begin():
                yield connection

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
    try:
        yield
    except (OperationalError, PoolTimeout) as e:
        raise Unavailable("The jobs' database cannot be used now. Try again in a moment.") from e
    except DatabaseError as e:
        if e.__class__ is not DatabaseError:  # integrity and programming errors are ours to see
            raise
        raise Unavailable("The jobs' database is damaged; the administrator must mend it.") from e


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
    immediate = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
