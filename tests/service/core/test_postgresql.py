"""The store on a real PostgreSQL server: who may write, what is refused, what passes."""

import time
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg2
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import (
    Damaged,
    DatabaseAway,
    ServiceError,
    StartRefused,
    StateInUse,
    StorageFull,
    Superseded,
    Unavailable,
)
from offline_jobs.service.model import Selection
from offline_jobs.service.store.postgresql import Postgresql
from offline_jobs.service.store.store import Store
from tests.database_server import MOST_CONNECTIONS, PASSWORD, DatabaseServer
from tests.service.core.factories import create_job, make_new_job
from tests.site import wait_until


@pytest.fixture
def database_url(server_database: str) -> str:
    return server_database


@pytest.fixture
def other(database_url: str) -> Iterator[Store]:
    """Another service on the same database, which has not begun."""
    other = Store(database_url, Changes())
    yield other
    other.close()


def submit(store: Store) -> str:
    return create_job(store, make_new_job("1"))[0].id


def list_ids(store: Store) -> list[str]:
    return [job.id for job in store.jobs(Selection(), 99, None)[0]]


def end_sessions(server: DatabaseServer, store: Store) -> None:
    """End all sessions of a store, as an administrator or a network may."""
    place = store._database._place
    assert isinstance(place, Postgresql)
    server.end_sessions(str(place.writer.url.database), place._application)


def test_a_second_service_is_refused_until_the_first_has_ended(store: Store, other: Store) -> None:
    with pytest.raises(StateInUse, match=r"Another jobs service \(offline-jobs .*stop it first"):
        other.migrate()
    with pytest.raises(Superseded):
        submit(other)
    store.close()
    other.migrate()
    assert submit(other) in list_ids(other)


def test_a_lost_connection_is_made_anew_with_the_lock(
    store: Store, other: Store, database_server: DatabaseServer
) -> None:
    job = submit(store)
    end_sessions(database_server, store)
    assert list_ids(store) == [job]
    submit(store)
    with pytest.raises(StateInUse):
        other.migrate()


def test_a_write_of_who_lost_the_lock_does_not_get_through(
    store: Store, other: Store, database_server: DatabaseServer
) -> None:
    job = submit(store)
    with pytest.raises(Unavailable), store._database.write() as connection:  # noqa: PT012
        connection.exec_driver_sql("UPDATE jobs SET state = 'failed'")
        end_sessions(database_server, store)
        other.migrate()
    [stored] = other.jobs(Selection(), 9, None)[0]
    assert stored.state == "queued"
    with pytest.raises(StateInUse):
        store.keep()
    with pytest.raises(Superseded):
        store.request_cancel(job)
    # Nor by any other connection that it has.
    with (
        pytest.raises(DBAPIError, match="read-only transaction"),
        store._database._place.readers.begin() as connection,
    ):
        connection.exec_driver_sql("UPDATE jobs SET state = 'failed'")
    assert other.job(job) == stored
    assert store.job(job) == stored
    other.request_cancel(job)


def test_a_session_of_ours_that_the_server_still_has_is_ended(store: Store, other: Store) -> None:
    pooled = store._database._place.writer.raw_connection()
    lost = pooled.driver_connection
    assert lost is not None
    pooled.detach()  # as after a network's fault: the server does not know, and keeps the lock
    with closing(lost):
        wait_until(lambda: is_kept(store), "the lock", 10)
        with pytest.raises(StateInUse):
            other.migrate()
        with pytest.raises(psycopg2.OperationalError), lost.cursor() as cursor:
            cursor.execute("UPDATE jobs SET state = 'failed'")


def is_kept(store: Store) -> bool:
    try:
        store.keep()
    except Unavailable:
        return False
    return True


def test_reads_go_on_while_another_program_holds_the_tables(
    store: Store, database_url: str
) -> None:
    job = submit(store)
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")
        begin = time.monotonic()
        with pytest.raises(DatabaseAway):
            submit(store)
        assert time.monotonic() - begin < 5
        assert list_ids(store) == [job]
    assert submit(store) in list_ids(store)


@pytest.mark.parametrize(
    ("state", "ours"),
    [
        ("53100", StorageFull),  # disk full
        ("53200", DatabaseAway),  # out of memory
        ("40001", DatabaseAway),  # not serializable
        ("40P01", DatabaseAway),  # deadlock
        ("57014", DatabaseAway),  # an operator cancelled it
        ("25006", DatabaseAway),  # read only
        ("58030", DatabaseAway),  # the server's disk
        ("XX001", Damaged),
    ],
)
def test_what_is_nobodys_mistake_is_one_of_our_errors(
    store: Store, state: str, ours: type[ServiceError]
) -> None:
    with pytest.raises(ServiceError) as told, store._database.write() as connection:
        fail_with(connection, state)
    assert type(told.value) is ours
    assert submit(store)


def test_what_is_a_mistake_stays_one(store: Store) -> None:
    with pytest.raises(IntegrityError), store._database.write() as connection:
        fail_with(connection, "23505")
    with pytest.raises(DBAPIError), store._database.write() as connection:
        fail_with(connection, "42703")


def fail_with(connection: Connection, state: str) -> None:
    connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE='{state}'; END $$")


def test_more_connections_than_the_server_admits_is_no_end(store: Store, database_url: str) -> None:
    job = submit(store)
    held: list[psycopg2.extensions.connection] = []
    try:
        with suppress(psycopg2.OperationalError):
            while len(held) < MOST_CONNECTIONS:
                held.append(psycopg2.connect(database_url))
        store._database._place.readers.dispose()
        with pytest.raises(DatabaseAway):
            store.job(job)
    finally:
        for each in held:
            each.close()
    wait_until(lambda: can_read(store), "a connection", 10)


def can_read(store: Store) -> bool:
    try:
        return bool(list_ids(store))
    except Unavailable:
        return False


def test_accepted_means_durable_whatever_the_server_is_told(
    database_server: DatabaseServer, template: str
) -> None:
    name = database_server.create(template)
    database_server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = Store(database_server.url(name), Changes())
    with store._database.write() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    store.close()
    database_server.drop(name)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://ada:secret@host/jobs",
        "postgresql+psycopg://ada:secret@host/jobs",
        "postgresql://ada:secret@host",
        "postgresql://ada:sec@ret@host/jobs",
        "secret",
        "postgresql://ada:secret@host:port/jobs",
    ],
)
def test_an_address_that_none_can_have_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(StartRefused, match="postgresql://USER:PASSWORD@HOST") as refused:
        Store(address, Changes())
    assert "sec" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"password": "wrong"}, "password authentication failed for user .ada.*mend the addre"),
        ({"database": "nowhere"}, "database .nowhere. does not exist.*mend the address"),
        ({"user": "nobody"}, "role .nobody. does not exist.*mend the address"),
        ({}, "permission denied for schema public.*must own the database"),
    ],
)
def test_who_is_not_let_in_is_told_what_to_mend(
    database_server: DatabaseServer, options: dict[str, str], words: str
) -> None:
    name = database_server.create()
    user = options.get("user", "ada")
    url = database_server.url(
        options.get("database", name), user, options.get("password", PASSWORD)
    )
    store = Store(url, Changes())
    with pytest.raises(StartRefused, match=words) as refused:
        store.migrate()
    store.close()
    database_server.drop(name)
    assert "\n" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert f"{user}:***@" in str(refused.value)


@pytest.fixture(scope="module", autouse=True)
def _role(database_server: DatabaseServer) -> None:
    database_server.make_role("ada")


def test_an_owner_with_a_password_needs_no_more(database_server: DatabaseServer) -> None:
    name = database_server.create(options="OWNER ada")
    store = Store(database_server.url(name, "ada", PASSWORD), Changes())
    store.migrate()
    assert submit(store) in list_ids(store)
    store.close()
    database_server.drop(name)


def test_a_database_that_does_not_hold_all_text_is_refused(
    database_server: DatabaseServer,
) -> None:
    name = database_server.create(options="ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc")
    store = Store(database_server.url(name), Changes())
    with pytest.raises(StartRefused, match="encoding LATIN1: make it anew with ENCODING 'UTF8'"):
        store.migrate()
    store.close()
    database_server.drop(name)
