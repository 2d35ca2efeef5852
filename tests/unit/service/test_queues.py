"""What groups have now, sorted by person and class; what a session costs and when it stops."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hub_config.platform.catalogue import GIB
from offline_jobs.contract.session import SessionState
from offline_jobs.service.rules.queues import (
    Amounts,
    Crowd,
    OpenSession,
    Part,
    find_cost,
    find_end,
    sort_out,
)
from tests.factories import make_class

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLASSES = {
    each.slug: each
    for each in (
        make_class(cores=2, memory_bytes=4 * GIB),
        make_class("gpu", cores=8, memory_bytes=32 * GIB, gpus=2),
    )
}
RUNS = Crowd("lab", "ada", "standard", False, 3, NOON)
SESSION = OpenSession(
    "s1", "ada", "lab", "notebook", "gpu", SessionState.RUNNING, NOON, NOON + HOUR
)


def test_what_runs_has_machines_and_what_waits_has_none() -> None:
    waits = replace(RUNS, waits=True, count=2, since=NOON + HOUR)
    (use,) = sort_out(["lab"], [RUNS, waits], [], CLASSES).values()
    assert use.all == Part(3, 2, NOON + HOUR, 0, Amounts(6, 12 * GIB, 0), Amounts())
    assert use.people == {"ada": use.all}
    assert use.classes == {"standard": use.all}


def test_sessions_have_machines_beside_those_of_jobs() -> None:
    (use,) = sort_out(["lab"], [RUNS], [SESSION], CLASSES).values()
    assert use.all.by_jobs == Amounts(6, 12 * GIB, 0)
    assert use.all.by_sessions == Amounts(8, 32 * GIB, 2)
    assert (use.all.running, use.all.sessions) == (3, 1)
    assert (use.classes["gpu"].sessions, use.classes["standard"].sessions) == (1, 0)


def test_the_first_that_waits_is_told() -> None:
    waits = [
        replace(RUNS, owner=owner, waits=True, since=NOON + hours * HOUR)
        for owner, hours in (("ada", 2), ("ben", 1), ("eve", 3))
    ]
    (use,) = sort_out(["lab"], waits, [], CLASSES).values()
    assert use.all.waiting_since == NOON + HOUR
    assert use.people["eve"].waiting_since == NOON + 3 * HOUR


def test_groups_stand_in_their_order_and_one_that_is_gone_is_told_while_it_has_something() -> None:
    gone = replace(SESSION, group="gone")
    uses = sort_out(["lab", "empty"], [replace(RUNS, group="old")], [gone], CLASSES)
    assert list(uses) == ["lab", "empty", "old", "gone"]
    assert uses["lab"].all == uses["empty"].all == Part()


def test_a_class_that_is_gone_counts_without_amounts() -> None:
    (use,) = sort_out(["lab"], [replace(RUNS, machine_class="gone")], [], CLASSES).values()
    assert (use.all.running, use.all.by_jobs) == (3, Amounts())


@pytest.mark.parametrize(("hours", "cost"), [(0, 0.0), (1, 0.0), (3, 0.2), (13, 1.2), (20, 1.2)])
def test_a_session_costs_from_when_it_runs_and_no_longer_than_it_may(
    hours: int, cost: float
) -> None:
    amount, currency = find_cost(SESSION, CLASSES["gpu"], NOON + hours * HOUR)
    assert amount == pytest.approx(cost)
    assert currency == "EUR"


def test_a_session_that_starts_costs_nothing_yet_and_has_no_end() -> None:
    starts = replace(SESSION, state=SessionState.STARTING, running=None)
    assert find_cost(starts, CLASSES["gpu"], NOON + 9 * HOUR) == (0.0, "EUR")
    assert find_end(starts, CLASSES["gpu"]) is None


def test_what_is_not_known_of_a_session_is_none() -> None:
    assert find_cost(SESSION, None, NOON + 9 * HOUR) == (None, None)
    assert find_cost(SESSION, make_class(price=None), NOON + 9 * HOUR) == (None, None)
    assert find_end(SESSION, None) is None
    assert find_end(SESSION, make_class(longest_session_seconds=0)) is None


def test_a_session_stops_after_the_longest_time_of_its_class() -> None:
    assert find_end(SESSION, CLASSES["gpu"]) == NOON + 13 * HOUR
