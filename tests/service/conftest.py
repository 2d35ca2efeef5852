"""Fixtures of the whole ring: databases, and a server that speaks S3.

A database is a file of each test's, or one on the session's server; buckets are each test's, too.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from offline_jobs.service.changes import Changes
from offline_jobs.service.store.store import Store
from tests import bucket_server as buckets
from tests import database_server as databases
from tests.bucket_server import BucketServer
from tests.database_server import DatabaseServer
from tests.skips import require


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    """The server; tests have a bucket each."""
    require("the object store's server")
    with buckets.running_server(tmp_path_factory.mktemp("bucket-server")) as server:
        yield server


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """A PostgreSQL server, with a template that has the newest tables."""
    require("PostgreSQL")
    with databases.running_server() as server:
        yield server


@pytest.fixture(scope="session")
def template(database_server: DatabaseServer) -> str:
    """A database with the newest tables and nothing in it."""
    name = database_server.create()
    store = Store(database_server.url(name), Changes())
    store.migrate()
    store.close()
    return name


@pytest.fixture
def server_database(database_server: DatabaseServer, template: str) -> Iterator[str]:
    """The address of a database on the server, for one test."""
    name = database_server.create(template)
    yield database_server.url(name)
    database_server.drop(name)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """The address of a database: a file."""
    return f"sqlite:///{tmp_path / 'jobs.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def either_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database; the test runs once on a file and once on the server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    address: str = request.getfixturevalue("server_database")
    return address
