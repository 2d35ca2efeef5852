"""A PostgreSQL server for tests: Debian's programs, a folder and a socket of its own.

It has a port only where it is told a :class:`Listener`, for programs that are not on this machine.

The fixture ``database_server`` (root ``conftest.py`` of the rings that use it) starts one for a
session; each test makes a database of its own in it. One that a test stops or breaks is its own::

    with running_server() as server:
        server.stop()
        server.start()

As root it runs as Debian's user ``postgres``, for PostgreSQL refuses root.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2

from tests.ports import find_free_port
from tests.site import wait_until

#: Where Debian has the programs of each version.
PLACES = Path("/usr/lib/postgresql")
#: Where a commit costs no wait for a disk, if there is such a place.
MEMORY = Path("/dev/shm")  # noqa: S108
USER = "postgres"
#: A killed test leaves no server behind.
ENDS_WITH_US = ("setpriv", "--pdeathsig=INT", "--")
#: A password that no output may show.
PASSWORD = "hush@/:%#?"
MOST_CONNECTIONS = 60
#: Far from UTC, sorted as people do, and a crash may lose what it likes: what is tested is the
#: service, and servers that are stopped.
CONFIGURATION = f"""
listen_addresses = ''
max_connections = {MOST_CONNECTIONS}
superuser_reserved_connections = 2
shared_buffers = 16MB
timezone = 'Pacific/Kiritimati'
lc_messages = 'C'
fsync = off
full_page_writes = off
autovacuum = off
"""
GUARDED = "guarded"
#: Whose members come by a password, and everybody else on this machine without.
ADMISSION = f"""
local all +{GUARDED} scram-sha-256
local all all trust
"""


def find_programs() -> Path | None:
    """The folder of the newest server's programs, if there is one."""
    found = sorted(PLACES.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@dataclass(frozen=True)
class Listener:
    """Where others come in, by TLS and password alone.

    Attributes:
        address: of this machine.
        peers: the range of their addresses.
        certificate: of the server, a file.
        key: of the certificate, a file.
    """

    address: str
    peers: str
    certificate: Path
    key: Path
    port: int = field(default_factory=find_free_port)


@dataclass
class DatabaseServer:
    """A server in a folder of its own."""

    programs: Path
    folder: Path
    listener: Listener | None = None
    process: subprocess.Popen[bytes] | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def _user(self) -> str | None:
        """Whom the programs run as, where it is somebody else."""
        return USER if os.geteuid() == 0 else None

    @property
    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "log").read_text(errors="replace")[-6000:]

    def make(self) -> None:
        """Make its data and configuration."""
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        data = self.folder / "data"
        words = ["--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8"]
        words += ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]
        subprocess.run(
            [self.programs / "initdb", *words, "-D", data],
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            check=True,
            capture_output=True,
        )
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{CONFIGURATION}unix_socket_directories = '{self.folder}'\n")
        (data / "pg_hba.conf").write_text(ADMISSION)
        if self.listener is not None:
            self._listen(self.listener, data)

    def _listen(self, listener: Listener, data: Path) -> None:
        """Let others in."""
        for name, source in (("server.crt", listener.certificate), ("server.key", listener.key)):
            (data / name).write_bytes(source.read_bytes())
            (data / name).chmod(0o600)
            shutil.chown(data / name, self._user or os.geteuid(), self._user)
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = '{listener.address}'\n")
            file.write(f"port = {listener.port}\nssl = on\n")
        with (data / "pg_hba.conf").open("a") as file:
            file.write(f"hostssl all all {listener.peers} scram-sha-256\n")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*ENDS_WITH_US, self.programs / "postgres", "-D", self.folder / "data"],
                cwd=self.folder,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user else None,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers, "the database server", 30)

    def make_role(self, name: str) -> None:
        """Make a user who may only come in, by the password; its databases are to be given."""
        self.execute(f"CREATE ROLE {name} LOGIN IN ROLE {GUARDED} PASSWORD '{PASSWORD}'")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it: at once (SIGINT), as in a crash (SIGQUIT)."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(30)
        self.process = None

    def answers(self) -> bool:
        """Whether it admits connections."""
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            self.execute("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def execute(
        self, statement: str, *values: str, database: str = USER
    ) -> list[tuple[object, ...]]:
        """Execute a statement as the administrator; its rows."""
        # The socket is named after the port.
        port = self.listener.port if self.listener else None
        words: Any = {"user": USER, "dbname": database, "host": str(self.folder), "port": port}
        with closing(psycopg2.connect(**words)) as own:
            own.autocommit = True
            with own.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []

    def create(self, template: str = "template0", options: str = "") -> str:
        """A new database's name."""
        name = f"jobs_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def end_sessions(self, database: str, application: str = "%") -> None:
        """End sessions of a database, as an administrator or a network may."""
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name LIKE %s",
            database,
            application,
        )

    def url(self, name: str, user: str = USER, password: str = "") -> str:
        """The address of a database."""
        said = f":{quote(password, safe='')}" if password else ""
        return f"postgresql://{user}{said}@/{name}?host={self.folder}"


@contextmanager
def running_server(listener: Listener | None = None) -> Iterator[DatabaseServer]:
    """A server with nothing in it; stopped and gone at the end."""
    programs = find_programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=MEMORY if MEMORY.is_dir() else None))
    server = DatabaseServer(programs, folder, listener)
    try:
        server.make()
        server.start()
        server.execute(f"CREATE ROLE {GUARDED}")
        yield server
    finally:
        if server.process is not None:
            server.stop()
        shutil.rmtree(folder)
