"""Fixtures of the whole ring: a server that speaks S3, started once in each process of tests."""

from collections.abc import Iterator

import pytest

from tests.bucket_server import BucketServer, running_server
from tests.skips import require


@pytest.fixture(scope="session")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    """The server; tests have a bucket each."""
    require("the object store's server")
    with running_server(tmp_path_factory.mktemp("bucket-server")) as server:
        yield server
