"""``python -m offline_jobs.service.provision``: databases on a PostgreSQL server, each its user's.

Run once, before the service, by whoever installs it. Standard input is JSON::

    {"host": "...", "port": 5432, "user": "...", "password": "...",
     "databases": {"NAME": "PASSWORD", ...}}

Each name is that of a database and of the user who owns it; nobody else may enter it. What is
there stays, but for the password, which becomes the one that is said. The administrator need be no
superuser, as with Amazon's and others' managed servers; he may make users and databases.

Sources: https://www.postgresql.org/docs/15/sql-createdatabase.html,
https://www.postgresql.org/docs/16/role-attributes.html (who made a user may join it)
"""

import json
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from typing import IO, Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from offline_jobs.service.store.postgresql import is_mistake

#: A server that was just made, or a policy of the network, may take that long.
_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 2.0
_CONNECT_SECONDS = 10
_OWNER = """
SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding) FROM pg_database WHERE datname = %s
"""


class Refused(Exception):
    """The server does not let this be done; the message says what to mend."""


def provision(
    server: Mapping[str, Any],
    databases: Mapping[str, str],
    patience_seconds: float = _PATIENCE_SECONDS,
) -> list[str]:
    """Have these databases with their users.

    Args:
        server: ``host``, ``port``, ``user`` and ``password`` of an administrator.
        databases: passwords, by the name of database and user.
        patience_seconds: how long the server may be away.

    Returns:
        A sentence for each.

    Raises:
        Refused: the server is away, or does not let it be done.
    """
    said = []
    with closing(_connect(server, patience_seconds)) as connection:
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                for name, password in databases.items():
                    said.append(_make(cursor, name, password))
        except psycopg2.Error as error:
            raise Refused(_say(server, error)) from error
    return said


def _connect(server: Mapping[str, Any], patience_seconds: float) -> Any:
    until = time.monotonic() + patience_seconds
    while True:
        try:
            return psycopg2.connect(
                host=server["host"],
                port=server["port"],
                user=server["user"],
                password=server["password"],
                dbname="postgres",
                sslmode="require",
                connect_timeout=_CONNECT_SECONDS,
                application_name="offline-jobs provision",
            )
        except psycopg2.OperationalError as error:
            if is_mistake(str(error)) or time.monotonic() > until:
                raise Refused(_say(server, error)) from error
        time.sleep(_PAUSE_SECONDS)


def _make(cursor: Any, name: str, password: str) -> str:
    """One database and its user, as far as they are not there."""
    user = sql.Identifier(name)
    # What the server may log of a statement has no password in it.
    secret = sql.Literal(encrypt_password(password, name, cursor.connection, "scram-sha-256"))
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
    verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
    cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, user, secret))
    cursor.execute(_OWNER, (name,))
    found = cursor.fetchone()
    if found not in (None, (name, "UTF8")):
        owner, encoding = found
        raise Refused(
            f"A database {name} is there already, in {encoding} and owned by {owner}; it has to be"
            f" in UTF8 and owned by {name}: rename or drop it"
        )
    # Who gives something to another has to belong to it, unless he is a superuser.
    cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(user))
    if not found:
        make = "CREATE DATABASE {0} OWNER {0} ENCODING 'UTF8' TEMPLATE template0"
        cursor.execute(sql.SQL(make).format(user))
    cursor.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(user))
    cursor.execute(sql.SQL("REVOKE {} FROM CURRENT_USER").format(user))
    return f"database {name}: {'there' if found else 'made'}"


def _say(server: Mapping[str, Any], error: Exception) -> str:
    what = " ".join(str(error).split())
    return f"PostgreSQL at {server['host']}:{server['port']}, as {server['user']}: {what}"


def main(words: IO[str], out: IO[str], errors: IO[str]) -> int:
    """Do what standard input says; the exit code."""
    wanted = json.load(words)
    try:
        said = provision(wanted, wanted["databases"])
    except Refused as refused:
        errors.write(f"{refused}\n")
        return 1
    out.writelines(f"{each}\n" for each in said)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin, sys.stdout, sys.stderr))
