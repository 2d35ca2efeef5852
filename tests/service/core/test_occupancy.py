"""Who has machines now or waits for one, read from a real database."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.model import Ending, SessionTurn, Standing
from offline_jobs.service.rules.queues import Crowd, OpenSession
from offline_jobs.service.store.store import Store
from tests.service.core.factories import NOON, create_job, make_new_job

MINUTE = timedelta(minutes=1)
TURN = SessionTurn(
    session="ada-1",
    number=1,
    at=NOON,
    owner="ada",
    group="lab",
    image="notebook",
    machine_class="small",
    state=SessionState.STARTING,
    reason=None,
)
RUNS = replace(TURN, number=2, at=NOON + MINUTE, state=SessionState.RUNNING)
EARLIER = NOON - 9 * MINUTE


@pytest.fixture
def database_url(either_url: str) -> str:
    """All of it holds of both."""
    return either_url


def submit(store: Store, **changes: object) -> str:
    return create_job(store, make_new_job("1", **changes))[0].id


def stand(store: Store, job: str, state: State, attempt: int = 1) -> None:
    reason = Reason.KERNEL_START if state is State.STARTING else None
    store.states.set_standings({(job, attempt): Standing(state, reason)})


def count(store: Store, groups: list[str] | None = None) -> list[tuple[str, str, bool, int]]:
    found: Counter[tuple[str, str, bool]] = Counter()
    for each in store.occupancy.count_jobs(groups):
        found[each.owner, each.machine_class, each.waits] += each.count
    return sorted((*alike, number) for alike, number in found.items())


def test_jobs_are_counted_by_person_class_and_whether_they_wait(store: Store) -> None:
    waits, starts, runs, leaves, ended = (submit(store) for _ in range(5))
    other = submit(store, owner="ben", machine_class="large")
    stand(store, starts, State.STARTING)
    for job in (runs, leaves, ended):
        stand(store, job, State.RUNNING)
    stand(store, leaves, State.CANCELLING)
    store.states.finish(ended, 1, Ending(State.SUCCEEDED))
    assert count(store) == [
        ("ada", "small", False, 3),
        ("ada", "small", True, 1),
        ("ben", "large", True, 1),
    ]
    assert {waits, other}.isdisjoint({starts, runs, leaves})


def test_a_group_is_that_alone(store: Store) -> None:
    submit(store, group="lab")
    submit(store, owner="ben", group="teaching")
    assert [each[0] for each in count(store, ["lab"])] == ["ada"]
    assert [each[0] for each in count(store, ["lab", "teaching"])] == ["ada", "ben"]
    assert count(store, []) == []


def test_one_that_is_tried_again_waits_since_then(store: Store) -> None:
    job = submit(store)
    stand(store, job, State.RUNNING)
    store.states.add_attempt(job, 1, Ending(State.FAILED, Cause.INTERRUPTED))
    first, second = store.attempt(job, 1), store.attempt(job, 2)
    assert first is not None
    assert second is not None
    crowds = store.occupancy.count_jobs(None)
    assert crowds == [Crowd("spatial-lab", "ada", "small", True, 1, second.created)]
    assert second.created > first.created


def test_a_session_is_told_until_it_ends(store: Store) -> None:
    store.keep_turns([TURN])
    starts = OpenSession(
        "ada-1", "ada", "lab", "notebook", "small", SessionState.STARTING, NOON, None
    )
    assert store.occupancy.read_sessions(EARLIER, None) == [starts]
    store.keep_turns([RUNS, replace(RUNS, number=3, at=NOON + 5 * MINUTE)])
    runs = replace(starts, state=SessionState.RUNNING, running=NOON + MINUTE)
    assert store.occupancy.read_sessions(EARLIER, None) == [runs]
    store.keep_turns([replace(TURN, number=4, state=SessionState.ENDED)])
    assert store.occupancy.read_sessions(EARLIER, None) == []


def test_sessions_are_of_the_groups_the_newest_first(store: Store) -> None:
    later = replace(TURN, session="ben-1", owner="ben", at=NOON + MINUTE)
    store.keep_turns([TURN, later, replace(TURN, session="eve-1", owner="eve", group="other")])
    owners = [each.owner for each in store.occupancy.read_sessions(EARLIER, ["lab"])]
    assert owners == ["ben", "ada"]
    assert len(store.occupancy.read_sessions(EARLIER, None)) == 3
    assert store.occupancy.read_sessions(EARLIER, []) == []


def test_one_of_which_the_hub_said_nothing_for_too_long_is_not_told(store: Store) -> None:
    store.keep_turns([TURN, RUNS])
    assert store.occupancy.read_sessions(RUNS.at, None) == []
    (found,) = store.occupancy.read_sessions(RUNS.at - MINUTE / 2, None)
    assert found.begun == NOON


def test_a_line_is_of_a_group_by_place_whoever_came_first(store: Store) -> None:
    late, soon, new, tried = (submit(store) for _ in range(4))
    submit(store, group="other")
    stand(store, submit(store), State.STARTING)
    store.states.set_standings(
        {
            (job, 1): Standing(State.QUEUED, Reason.QUEUE_QUOTA, {"ahead": ahead})
            for job, ahead in ((late, 11), (soon, 2))
        }
    )
    stand(store, tried, State.RUNNING)
    store.states.add_attempt(tried, 1, Ending(State.FAILED, Cause.INTERRUPTED))
    again = store.attempt(tried, 2)
    assert again is not None
    line, waiting = store.occupancy.read_line("spatial-lab", 9)
    assert [(job.id, each.place) for job, each in line] == [
        (soon, 3),
        (late, 12),
        (new, None),
        (tried, None),
    ]
    assert (waiting, line[-1][1].since) == (4, again.created)
    first, waiting = store.occupancy.read_line("spatial-lab", 1)
    assert ([job.id for job, _ in first], waiting) == ([soon], 4)
    assert store.occupancy.read_line("nobody", 9) == ([], 0)
