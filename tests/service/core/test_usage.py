"""What ran when, read from the ledger of a real database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from offline_jobs.contract.run import Progress
from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.model import Ending, SessionTurn, Standing
from offline_jobs.service.rules.usage import Account, Kind, Run
from offline_jobs.service.store.store import Store
from offline_jobs.service.store.usage import Period
from tests.service.core.factories import NOON, create_job, make_new_job

LATER = NOON + timedelta(hours=9)
ALWAYS = Period(NOON - timedelta(hours=9), LATER)
WHENEVER = ALWAYS.since, ALWAYS.until
DONE = Ending(State.SUCCEEDED)
TURN = SessionTurn(
    session="ada-1",
    number=1,
    at=NOON,
    owner="ada",
    group="spatial-lab",
    image="notebook",
    machine_class="small",
    state=SessionState.STARTING,
    reason=None,
)


def submit(store: Store, **changes: object) -> str:
    return create_job(store, make_new_job("1", **changes))[0].id


def run(store: Store, job: str, attempt: int = 1) -> datetime:
    """Let a job run; when that began."""
    store.states.set_standings({(job, attempt): Standing(State.RUNNING)})
    return store.turns(job)[-1].at


def finish(store: Store, job: str, attempt: int = 1) -> datetime:
    store.states.finish(job, attempt, DONE)
    return store.turns(job)[-1].at


def test_a_job_runs_from_the_turn_that_says_so_to_the_next(store: Store) -> None:
    job = submit(store)
    store.states.set_standings({(job, 1): Standing(State.STARTING, Reason.KERNEL_START)})
    begin = run(store, job)
    end = finish(store, job)
    account = Account("spatial-lab", "ada", "small", Kind.JOB, False)
    assert store.usage.read(ALWAYS) == [Run(account, job, begin, end)]


def test_a_job_that_runs_has_no_end_and_one_that_waits_no_run(store: Store) -> None:
    submit(store)
    job = submit(store, interruptible=True, machine_class="large")
    begin = run(store, job)
    account = Account("spatial-lab", "ada", "large", Kind.JOB, True)
    assert store.usage.read(ALWAYS) == [Run(account, job, begin, None)]


def test_each_try_is_a_run_and_the_time_between_is_none(store: Store) -> None:
    job = submit(store)
    first = run(store, job)
    store.states.add_attempt(job, 1, Ending(State.FAILED, Cause.INTERRUPTED))
    lost = store.turns(job)[-1].at
    second = run(store, job, 2)
    end = finish(store, job, 2)
    times = [(each.begin, each.end) for each in store.usage.read(ALWAYS)]
    assert times == [(first, lost), (second, end)]


def test_a_job_that_is_being_cancelled_still_runs(store: Store) -> None:
    job, waiting = submit(store), submit(store)
    begin = run(store, job)
    for each in (job, waiting):
        store.request_cancel(each)
        store.states.set_standings({(each, 1): Standing(State.CANCELLING)})
    store.states.finish(job, 1, Ending(State.CANCELLED))
    end = store.turns(job)[-1].at
    runs = store.usage.read(ALWAYS)
    assert {each.name for each in runs} == {job}
    assert (runs[0].begin, runs[-1].end) == (begin, end)
    assert runs[0].end == runs[-1].begin


def test_a_job_whose_record_is_deleted_is_still_told(store: Store) -> None:
    job = submit(store)
    run(store, job)
    finish(store, job)
    before = store.usage.read(ALWAYS)
    store.delete_job(job)
    assert store.usage.read(ALWAYS) == before


def test_a_session_runs_from_its_first_turn_that_says_so_to_its_end(store: Store) -> None:
    running = replace(TURN, number=2, at=NOON + timedelta(minutes=2), state=SessionState.RUNNING)
    ended = replace(TURN, number=4, at=NOON + timedelta(hours=1), state=SessionState.ENDED)
    store.keep_turns([TURN, running, replace(running, number=3, at=NOON + timedelta(minutes=5))])
    account = Account("spatial-lab", "ada", "small", Kind.SESSION, False)
    assert store.usage.read(ALWAYS) == [Run(account, "ada-1", running.at, None)]
    store.keep_turns([ended])
    assert store.usage.read(ALWAYS) == [Run(account, "ada-1", running.at, ended.at)]


def test_a_session_that_never_ran_used_nothing(store: Store) -> None:
    store.keep_turns([TURN, replace(TURN, number=2, state=SessionState.ENDED)])
    assert store.usage.read(ALWAYS) == []


@pytest.fixture
def two(store: Store) -> tuple[str, str]:
    """A job of Ada's that has run, and one of Ben's in another group; a session of each."""
    names = []
    for owner, group in (("ada", "spatial-lab"), ("ben", "imaging-core")):
        job = submit(store, owner=owner, group=group)
        run(store, job)
        finish(store, job)
        whose = replace(TURN, session=f"{owner}-1", owner=owner, group=group)
        end = replace(whose, number=2, at=NOON + timedelta(hours=1), state=SessionState.RUNNING)
        store.keep_turns([whose, end])
        names.append(job)
    return names[0], names[1]


def read(store: Store, period: Period) -> set[str]:
    return {each.name for each in store.usage.read(period)}


def test_somebodys_or_a_groups_use_is_that_alone(store: Store, two: tuple[str, str]) -> None:
    assert read(store, ALWAYS) == {*two, "ada-1", "ben-1"}
    assert read(store, replace(ALWAYS, owner="ada")) == {two[0], "ada-1"}
    assert read(store, replace(ALWAYS, group="imaging-core")) == {two[1], "ben-1"}
    assert read(store, replace(ALWAYS, group="imaging-core", owner="ada")) == set()


def test_what_ran_before_or_after_is_not_told(store: Store, two: tuple[str, str]) -> None:
    job = store.job(two[0])
    assert job is not None
    assert job.started is not None
    assert job.ended is not None
    assert two[0] not in read(store, Period(ALWAYS.since, job.started))
    assert two[0] not in read(store, Period(job.ended, LATER))
    assert two[0] in read(store, Period(job.ended - timedelta(microseconds=1), LATER))
    assert "ada-1" not in read(store, Period(ALWAYS.since, NOON + timedelta(hours=1)))
    assert "ada-1" in read(store, Period(NOON + timedelta(hours=5), LATER))


def test_a_run_that_nobody_looked_at_is_told(store: Store) -> None:
    job = submit(store)
    store.states.set_standings({(job, 1): Standing(State.STARTING, Reason.KERNEL_START)})
    store.record_progress(job, 1, Progress("running", 1, 2))
    finish(store, job)
    (found,) = store.usage.read(ALWAYS)
    stored = store.job(job)
    assert stored is not None
    assert (found.begin, found.end) == (stored.started, stored.ended)


def test_a_job_ends_once_whatever_was_tried_before_and_is_told_when_it_is_deleted(
    store: Store,
) -> None:
    tried, waiting, gone = (submit(store) for _ in range(3))
    run(store, tried)
    store.states.add_attempt(tried, 1, Ending(State.FAILED, Cause.INTERRUPTED))
    assert store.usage.count_ends(NOON, LATER, None) == {}
    run(store, tried, 2)
    finish(store, tried, 2)
    # One that never ran ended as well.
    store.states.finish(waiting, 1, Ending(State.CANCELLED))
    store.states.finish(gone, 1, Ending(State.FAILED, Cause.REFUSED))
    store.delete_job(gone)
    alone = dict.fromkeys((State.SUCCEEDED, State.CANCELLED, State.FAILED), 1)
    assert store.usage.count_ends(*WHENEVER, None) == {("spatial-lab", "ada"): alone}


def test_ends_are_counted_in_their_time_and_group(store: Store, two: tuple[str, str]) -> None:
    done = {State.SUCCEEDED: 1}
    whole = {("imaging-core", "ben"): done, ("spatial-lab", "ada"): done}
    assert store.usage.count_ends(*WHENEVER, None) == whole
    assert list(store.usage.count_ends(*WHENEVER, ["spatial-lab"])) == [("spatial-lab", "ada")]
    assert store.usage.count_ends(*WHENEVER, []) == {}
    ended = store.turns(two[0])[-1].at
    later = ended + timedelta(microseconds=1)
    for since, until, count in ((ended, later, 1), (later, LATER, 0), (NOON, ended, 0)):
        assert len(store.usage.count_ends(since, until, ["spatial-lab"])) == count
