"""The database's short transactions, its migrations, and its errors turned into ours.

What differs between a file and a server is in :mod:`~offline_jobs.service.store.sqlite` and
:mod:`~offline_jobs.service.store.postgresql`. Only :mod:`~offline_jobs.service.store.store` uses
this module.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from offline_jobs.service.errors import (
    DatabaseAway,
    StartRefused,
    StateInUse,
    Superseded,
    Unavailable,
    find_reason,
)
from offline_jobs.service.metrics import DATABASE_FAILURES
from offline_jobs.service.store.sqlite import Sqlite

if TYPE_CHECKING:
    from offline_jobs.service.store.postgresql import Postgresql

log = logging.getLogger(__name__)

#: SQLAlchemy 2.1 takes another driver unless one is named.
_SERVER_DRIVERS = ("postgresql+psycopg2", "postgresql")


class Database:
    """A database and its two kinds of transaction.

    Raises:
        StartRefused: no database can have this address.
    """

    def __init__(self, url: str) -> None:
        self._place = _find_place(_parse_url(url))
        self._writer = threading.Lock()
        #: How people call it; no password is in it.
        self.name = self._place.name
        #: Why the last write failed, where that was not its caller's fault.
        self.trouble: Unavailable | None = None
        self._told: set[str] = set()

    def migrate(self) -> None:
        """Bring the tables to the newest version.

        Raises:
            StartRefused: an administrator has to mend something before.
            StateInUse: another service writes the database.
            Unavailable: it cannot be used now.
        """
        try:
            with self._begin() as connection:
                self._place.check(connection)
                if (found := _read_revisions(connection)) != [find_head()]:
                    _upgrade(connection, found, self.name)
        except Superseded as e:
            raise self.in_use(e) from e
        except Unavailable as e:
            cause = e.__cause__
            said = getattr(cause, "orig", cause)
            if said is not None and (mend := self._place.explain(said)):
                raise StartRefused(f"The jobs' database {self.name} cannot be used. {mend}.") from e
            raise

    def in_use(self, error: Superseded) -> StateInUse:
        """What is told of a database that another service writes."""
        holder = error.holder or "unknown"
        return StateInUse(
            f"Another jobs service ({holder}) works on the database {self.name}: "
            "stop it first, or choose another database."
        )

    def keep(self) -> None:
        """See that it is still ours to write, and make it so again after a lost connection.

        Raises:
            StateInUse: another service has it now.
            Unavailable: it cannot be used now.
        """
        try:
            with self.write():
                pass
        except Superseded as e:
            raise self.in_use(e) from e

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads.

        Raises:
            Unavailable: the database cannot be read now.
        """
        try:
            with self._errors_turned(), self._place.readers.begin() as connection:
                yield connection
        except Unavailable as error:
            DATABASE_FAILURES.labels("read", error.code).inc()
            self._tell("read", error)
            raise
        self._tell("read", None)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; durable when it was left without an error.

        There is one writer at a time: waiting for a lock of our own is fair, and quicker than
        any database's.

        Raises:
            Unavailable: the database cannot be written now; nothing was.
        """
        try:
            with self._begin() as connection:
                yield connection
        except Unavailable as error:
            DATABASE_FAILURES.labels("write", error.code).inc()
            self.trouble = error
            self._tell("written", error)
            raise
        self.trouble = None
        self._tell("written", None)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._writer, self._errors_turned(), self._place.write() as connection:
            yield connection

    def _tell(self, what: str, trouble: Unavailable | None) -> None:
        """Tell the log, where it is news that the database cannot, or can, be read or written."""
        if trouble is not None and what not in self._told:
            said = {"error": trouble.code, "reason": find_reason(trouble)}
            log.warning("the database cannot be %s", what, extra=said)
            self._told.add(what)
        elif trouble is None and what in self._told:
            log.info("the database can be %s again", what)
            self._told.discard(what)

    def close(self) -> None:
        """Close all connections."""
        self._place.close()

    @contextmanager
    def _errors_turned(self) -> Iterator[None]:
        """Turn what is nobody's mistake into errors of ours; integrity and programming stay."""
        try:
            yield
        except PoolTimeout as e:
            raise DatabaseAway from e
        except DBAPIError as e:
            if (ours := self._place.turn(e.orig)) is None:
                raise
            raise ours from e
        except self._place.error as e:
            # What fails while a connection is set up comes as the driver's own error.
            if (ours := self._place.turn(e)) is None:
                raise
            raise ours from e


def _parse_url(address: str) -> URL:
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # The error quotes the address, and its password.
        raise StartRefused(_ADDRESS) from None
    if url.drivername == "sqlite":
        return url
    if url.drivername not in _SERVER_DRIVERS or not url.database or "@" in (url.host or ""):
        raise StartRefused(_ADDRESS)
    return url.set(drivername=_SERVER_DRIVERS[0])


_ADDRESS = (
    "OFFLINE_JOBS_DATABASE_URL_FILE must name a file with one address, "
    "postgresql://USER:PASSWORD@HOST:5432/DATABASE; in user and password write %40 for @, "
    "and so on for what else means something in an address."
)


def _find_place(url: URL) -> "Sqlite | Postgresql":
    if url.drivername == "sqlite":
        return Sqlite(url)
    # Imported here: one machine needs no server, nor its driver.
    from offline_jobs.service.store.postgresql import Postgresql  # noqa: PLC0415

    return Postgresql(url)


def find_head() -> str:
    """The newest revision; the files of the migrations begin with theirs, which are in order."""
    folder = Path(__file__).with_name("migrations") / "versions"
    return max(file.name.partition("_")[0] for file in folder.glob("*.py"))


def _read_revisions(connection: Connection) -> list[str]:
    """What Alembic noted of the tables; empty in a new database."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.scalars(text("SELECT version_num FROM alembic_version")))


def _upgrade(connection: Connection, found: list[str], name: str) -> None:
    # Imported here: most starts find the newest tables, and its import takes long.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "offline_jobs.service.store:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as e:
        raise StartRefused(
            f"The jobs' database {name} has tables of version {', '.join(found)}, which this "
            "service does not know: they are another program's (the hub needs a database of its "
            "own), or a newer service's."
        ) from e
