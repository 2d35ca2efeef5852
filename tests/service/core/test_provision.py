"""Databases on a server whose administrator is no superuser, as managed servers have them."""

import io
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from offline_jobs.service.provision import Refused, main, provision
from tests.bed.pki import Authority
from tests.database_server import PASSWORD, DatabaseServer, Listener, running_server
from tests.ports import find_free_port
from tests.skips import require

FIRST = {"hub": "first of hub:/@", "jobs": "first of jobs"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    require("PostgreSQL")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    files = authority.issue_server("server", "localhost", ["localhost", "127.0.0.1"])
    with running_server(Listener("127.0.0.1", "127.0.0.1/32", *files)) as running:
        running.make_role("keeper")
        running.execute("ALTER ROLE keeper CREATEROLE CREATEDB")
        running.execute("ALTER SYSTEM SET log_statement = 'all'")
        running.execute("SELECT pg_reload_conf()")
        yield running


@pytest.fixture
def words(server: DatabaseServer) -> Iterator[dict[str, Any]]:
    """What leads to the server; afterwards it is as before."""
    assert server.listener is not None
    place = {"host": server.listener.address, "port": server.listener.port}
    yield place | {"user": "keeper", "password": PASSWORD}
    for name in FIRST:
        server.execute(f"DROP DATABASE IF EXISTS {name}")
        server.execute(f"DROP ROLE IF EXISTS {name}")


def ask(words: dict[str, Any], user: str, password: str, database: str, statement: str) -> Any:
    place = {"host": words["host"], "port": words["port"], "sslmode": "require"}
    with (
        closing(psycopg2.connect(**place, user=user, password=password, dbname=database)) as own,
        own,
        own.cursor() as cursor,
    ):
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


def test_each_user_enters_the_own_database_alone(
    server: DatabaseServer, words: dict[str, Any]
) -> None:
    assert provision(words, FIRST) == ["database hub: made", "database jobs: made"]

    for name, password in FIRST.items():
        ask(words, name, password, name, "CREATE TABLE own (a int); INSERT INTO own VALUES (1)")
        (other,) = FIRST.keys() - {name}
        with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
            ask(words, name, password, other, "SELECT 1")
    # Who made them does not stay among them.
    assert server.execute("SELECT pg_has_role('keeper', 'hub', 'MEMBER')") == [(False,)]
    assert "CREATE ROLE" in server.log
    assert not [each for each in FIRST.values() if each in server.log]


def test_what_is_there_stays_but_for_the_password(words: dict[str, Any]) -> None:
    provision(words, FIRST)
    ask(words, "hub", FIRST["hub"], "hub", "CREATE TABLE own (a int)")

    assert provision(words, {"hub": "second"}) == ["database hub: there"]

    assert ask(words, "hub", "second", "hub", "SELECT count(*) FROM own") == [(0,)]
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        ask(words, "hub", FIRST["hub"], "hub", "SELECT 1")
    assert ask(words, "jobs", FIRST["jobs"], "jobs", "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("options", "owner"), [("OWNER keeper ENCODING 'UTF8'", "keeper"), ("ENCODING 'SQL_ASCII'", "")]
)
def test_another_ones_database_is_left_alone(
    server: DatabaseServer, words: dict[str, Any], options: str, owner: str
) -> None:
    server.execute("CREATE ROLE jobs")
    locale = "LOCALE_PROVIDER libc LOCALE 'C'"
    server.execute(f"CREATE DATABASE jobs {options} TEMPLATE template0 {locale}")
    if not owner:
        server.execute("ALTER DATABASE jobs OWNER TO jobs")
        owner = "jobs"
    out, errors = io.StringIO(), io.StringIO()

    code = main(io.StringIO(json.dumps(words | {"databases": FIRST})), out, errors)

    assert (code, out.getvalue()) == (1, "")
    assert (
        f"A database jobs is there already, in {'UTF8' if owner == 'keeper' else 'SQL_ASCII'}"
        in (errors.getvalue())
    )
    assert f"owned by {owner}; it has to be in UTF8 and owned by jobs" in errors.getvalue()


def test_a_wrong_password_is_said_at_once_and_never_shown(words: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"as keeper: .*password authentication failed") as caught:
        provision(words | {"password": "wrong one"}, FIRST, patience_seconds=3600)
    assert "wrong one" not in str(caught.value)


def test_a_server_that_is_away_is_waited_for_only_so_long(words: dict[str, Any]) -> None:
    port = find_free_port()
    with pytest.raises(Refused, match=rf"PostgreSQL at 127\.0\.0\.1:{port}, as keeper: .*refused"):
        provision(words | {"port": port}, FIRST, patience_seconds=0)
