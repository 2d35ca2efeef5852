"""When a session is over by its class: had its longest time since it ran, or is not used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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


class Spawner(ChoosingSpawner):
    """One of whose catalogue the class `gpu` allows two hours, and half an hour of idleness."""

    @property
    def catalogue(self) -> Catalogue:
        plain = make_class("plain", longest_session_seconds=7200)
        return make_catalogue(
            classes=(plain, replace(plain, slug="gpu", idle_session_seconds=1800))
        )


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


def use(spawner: Spawner, ago: timedelta) -> None:
    """Let somebody have used it last so long ago; JupyterHub keeps times without a zone."""
    spawner.orm_spawner.last_activity = (datetime.now(UTC) - ago).replace(tzinfo=None)


def begin(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, ago: timedelta, slug: str = "gpu"
) -> None:
    """Note that a session has begun to start, hours before it runs, some time ago."""
    choice: Any = [SimpleNamespace(slug=each) for each in ("lab", "notebook", slug)]
    for before, note in (
        (ago + 9 * HOUR, lambda: spawner.book.begin("ada", Choice(*choice))),
        (ago, lambda: spawner.book.note(SessionState.RUNNING)),
    ):
        monkeypatch.setattr(sessions, "_now", (datetime.now(UTC) - before).isoformat)
        note()


@pytest.mark.parametrize(("hours", "over"), [(1.9, False), (2.1, True)])
def test_time_counts_from_when_it_runs(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, hours: float, over: bool
) -> None:
    """Not from when somebody asked for it: a machine may take long to come."""
    begin(spawner, monkeypatch, hours * HOUR)
    use(spawner, 0 * HOUR)

    assert bool(spawner.why_over()) is over


def test_who_has_no_session_has_no_time(spawner: Spawner, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not spawner.why_over()
    begin(spawner, monkeypatch, 3 * HOUR)
    spawner.book.note(SessionState.ENDED)
    assert not spawner.why_over()


def test_a_start_is_bounded_by_other_means(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(spawner, monkeypatch, 3 * HOUR)
    spawner.book.note(SessionState.STARTING)

    assert not spawner.why_over()


def test_a_class_that_is_no_longer_offered_ends_nothing(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(spawner, monkeypatch, 3 * HOUR, "gone")

    assert not spawner.why_over()


@pytest.mark.parametrize(
    ("slug", "used_minutes", "over"),
    [("gpu", 29, False), ("gpu", 31, True), ("plain", 31, False)],
)
def test_a_session_that_nobody_uses_ends_with_the_idle_time_of_its_class(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, slug: str, used_minutes: int, over: bool
) -> None:
    begin(spawner, monkeypatch, HOUR, slug)
    use(spawner, used_minutes * HOUR / 60)

    assert bool(spawner.why_over()) is over


def test_nobody_has_used_what_has_just_begun_to_run(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(spawner, monkeypatch, HOUR / 60)
    spawner.orm_spawner.last_activity = None
    assert not spawner.why_over()
    use(spawner, 9 * HOUR)
    assert not spawner.why_over()
