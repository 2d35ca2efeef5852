"""A store on a real database."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from offline_jobs.service.changes import Changes
from offline_jobs.service.store.store import Store
from tests.service.core.factories import NOON


class Clock:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def store(database_url: str, changes: Changes) -> Iterator[Store]:
    store = Store(database_url, changes, Clock())
    store.migrate()
    yield store
    store.close()
