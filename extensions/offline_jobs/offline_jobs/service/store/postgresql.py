"""PostgreSQL, where the database is on a server: one writer, its settings, its errors.

All writes go through one connection, whose session holds an advisory lock. The server frees the
lock only with the session, and a session that ends takes its open transaction back: who does not
hold the lock cannot write, however late it notices. All other connections are read-only. This
needs sessions of our own: a pooler that shares them among clients (PgBouncer in transaction mode)
would share the lock as well. Only :mod:`~offline_jobs.service.store.database` uses it.

Sources: https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS,
https://www.postgresql.org/docs/15/errcodes-appendix.html
"""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from offline_jobs.service.errors import (
    Damaged,
    DatabaseAway,
    StartRefused,
    StorageFull,
    Superseded,
    Unavailable,
)

#: The lock's number, of the service's database alone: "jobs" in ASCII.
LOCK = 0x6A6F6273
#: Connections that read, beside the one that writes. The server admits 100 unless told otherwise.
_READERS, _MORE_READERS = 4, 6
#: So long a read waits for one of them.
_POOL_SECONDS = 10
#: So long a statement waits for what another program has locked.
_LOCK_MILLISECONDS = 1_500
_CONNECT_SECONDS = 5
#: A server or client that vanished (a machine that was lost) is noticed after about half a minute,
#: on both sides: as long as the lock is held for a service that is no more.
_IDLE_SECONDS, _INTERVAL_SECONDS, _PROBES = 15, 5, 3
#: Accepted means durable; a setting that is stronger than ``on`` stays.
_SET_UP = f"""
SET lock_timeout = {_LOCK_MILLISECONDS};
SET tcp_keepalives_idle = {_IDLE_SECONDS};
SET tcp_keepalives_interval = {_INTERVAL_SECONDS};
SET tcp_keepalives_count = {_PROBES};
SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local');
"""
_FIND_HOLDER = """
SELECT l.pid, coalesce(a.application_name, '')
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = %s
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# SQLSTATEs, by their class (two characters) or whole.
_NO_ROOM = ("53100",)
_DAMAGED = ("XX001", "XX002")
#: Connection lost · rolled back · out of something · other programs' locks · operator's doing ·
#: read only, as a server is after another took its place · rights that were taken away.
_PASSING = ("08", "40", "53", "55", "57", "58", "25006", "42501")
_NO_RIGHTS = "42501"
#: What a server that was reached says to an address that no wait makes right.
#: Source: PostgreSQL 15, src/backend/libpq/auth.c, src/backend/utils/init/{postinit,miscinit}.c
_MISTAKES = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "rejects connection",
    "is not permitted to log in",
    "permission denied for database",
    "server does not support SSL",
    "no password supplied",
)


class Postgresql:
    """A database on a server."""

    def __init__(self, url: URL) -> None:
        # Without the options, of which some are secrets.
        self.name = url.set(drivername="postgresql", query={}).render_as_string()
        #: By it we know our own sessions, also one that the server has not given up yet.
        self._application = (
            f"offline-jobs {socket.gethostname()[:30]} {os.getpid()} {secrets.token_hex(4)}"
        )
        self.writer = self._make_engine(url, pool_size=1, max_overflow=0)
        self.readers = self._make_engine(
            url,
            pool_size=_READERS,
            max_overflow=_MORE_READERS,
            pool_timeout=_POOL_SECONDS,
            # One state of affairs for all that a transaction reads, as SQLite has it.
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
        )
        driver: Any = self.writer.dialect.loaded_dbapi
        self.error: type[Exception] = driver.Error
        self._mistake: type[Exception] = driver.ProgrammingError
        event.listen(self.writer, "connect", self._take_lock)

    def _make_engine(self, url: URL, **options: Any) -> Engine:
        waits = {
            "connect_timeout": _CONNECT_SECONDS,
            "keepalives_idle": _IDLE_SECONDS,
            "keepalives_interval": _INTERVAL_SECONDS,
            "keepalives_count": _PROBES,
            "tcp_user_timeout": (_IDLE_SECONDS + _INTERVAL_SECONDS * _PROBES) * 1_000,
        }
        try:
            engine = create_engine(
                url,
                pool_pre_ping=True,
                connect_args={
                    # What the address says outranks ours.
                    **{name: wait for name, wait in waits.items() if name not in url.query},
                    "application_name": self._application,
                },
                **options,
            )
        except ModuleNotFoundError as e:
            raise StartRefused(
                "A database on a PostgreSQL server needs psycopg2, which is not installed: "
                "install offline-jobs[service], or psycopg2-binary."
            ) from e
        event.listen(engine, "connect", _set_up)
        return engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction of the session that holds the lock."""
        with self.writer.begin() as connection:
            yield connection

    def _take_lock(self, connection: Any, record: Any) -> None:
        """Take the lock for a new session, or refuse it.

        Raises:
            Superseded: another service has it.
            Unavailable: a session of our own has it, which the server was told to end.
        """
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
            has_it = cursor.fetchone()[0]
            if not has_it:
                cursor.execute(_FIND_HOLDER, (LOCK,))
                holder = cursor.fetchone()
                if holder is not None and holder[1] != self._application:
                    connection.close()
                    raise Superseded(holder[1])
                if holder is not None:
                    cursor.execute("SELECT pg_terminate_backend(%s)", (holder[0],))
        connection.commit()
        if not has_it:
            connection.close()
            raise DatabaseAway

    def check(self, connection: Connection) -> None:
        """See that the database holds any text.

        Raises:
            StartRefused: it was made for another encoding.
        """
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise StartRefused(
                f"The jobs' database {self.name} has the encoding {encoding}: make it anew with "
                "ENCODING 'UTF8' TEMPLATE template0."
            )

    def turn(self, error: BaseException | None) -> Unavailable | None:
        """The driver's error as one of ours, where it is nobody's mistake."""
        state: str | None = getattr(error, "pgcode", None)
        if state is None:
            # Of a connection that failed or was lost the server says nothing.
            is_lost = isinstance(error, self.error) and not isinstance(error, self._mistake)
            return DatabaseAway() if is_lost else None
        if state in _NO_ROOM:
            return StorageFull()
        if state in _DAMAGED:
            return Damaged()
        return DatabaseAway() if state.startswith(_PASSING) else None

    def explain(self, error: BaseException) -> str:
        """What an administrator has to mend of it before the service starts; empty: it may pass."""
        said = str(error).strip().replace("\n", " ")
        if getattr(error, "pgcode", None) == _NO_RIGHTS:
            return (
                f"{said}: the user must own the database, or be granted CREATE on its schema "
                "(ALTER DATABASE … OWNER TO …)"
            )
        # All else may pass: a server that starts, ends or recovers says so by the same code.
        if getattr(error, "pgcode", None) is None and is_mistake(said):
            return f"{said}: mend the address in OFFLINE_JOBS_DATABASE_URL_FILE, or the server"
        return ""

    def close(self) -> None:
        """Close all connections; the lock is free."""
        self.readers.dispose()
        self.writer.dispose()


def is_mistake(said: str) -> bool:
    """Whether a server that was reached refuses an address for what no wait makes right."""
    return any(words in said for words in _MISTAKES)


def _set_up(connection: Any, record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SET_UP)
    connection.commit()
