"""When a session has had its time: counted from when it ran, by the class that it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from sqlalchemy.orm import Session

from hub_config import sessions
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Choice
from hub_config.spawners.choosing import ChoosingSpawner
from offline_jobs.contract.session import SessionState
from tests.factories import make_catalogue, make_class

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)


class Spawner(ChoosingSpawner):
    """One of whose catalogue the class `gpu` allows two hours."""

    @property
    def catalogue(self) -> Catalogue:
        return make_catalogue(classes=(make_class("gpu", longest_session_seconds=7200),))


@pytest.fixture
def db() -> Iterator[Session]:
    with orm.new_session_factory("sqlite:///:memory:")() as session:
        yield session


@pytest.fixture
def spawner(db: Session) -> Spawner:
    row = orm.Spawner(name="")
    db.add(row)
    db.commit()
    made = Spawner()
    made.orm_spawner, made.user = row, SimpleNamespace(db=db, name="ada")
    return made


def begin(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, ago: timedelta, slug: str = "gpu"
) -> None:
    """Note that a session has begun to start, hours before it runs, some time ago."""
    choice: Any = [SimpleNamespace(slug=each) for each in ("lab", "notebook", slug)]
    for before, note in (
        (ago + 9 * HOUR, lambda: spawner.book.begin("ada", Choice(*choice))),
        (ago, lambda: spawner.book.note(SessionState.RUNNING)),
    ):
        monkeypatch.setattr(sessions, "_now", (NOW - before).isoformat)
        note()


@pytest.mark.parametrize(("hours", "over"), [(1.9, False), (2.1, True)])
def test_time_counts_from_when_it_runs(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, hours: float, over: bool
) -> None:
    """Not from when somebody asked for it: a machine may take long to come."""
    begin(spawner, monkeypatch, hours * HOUR)

    assert spawner.has_had_its_time() is over


def test_who_has_no_session_has_no_time(spawner: Spawner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not spawner.has_had_its_time()
    begin(spawner, monkeypatch, 3 * HOUR)
    spawner.book.note(SessionState.ENDED)
    assert not spawner.has_had_its_time()


def test_a_start_is_bounded_by_other_means(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(spawner, monkeypatch, 3 * HOUR)
    spawner.book.note(SessionState.STARTING)

    assert not spawner.has_had_its_time()


def test_a_class_that_is_no_longer_offered_ends_nothing(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(spawner, monkeypatch, 3 * HOUR, "gone")

    assert not spawner.has_had_its_time()
