"""The store, on real SQLite and a real PostgreSQL server: what it keeps, refuses and tells."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine
from sqlalchemy import text as sql
from sqlalchemy.exc import IntegrityError

from offline_jobs.contract.facts import Facts, Hindrance
from offline_jobs.contract.names import JOB_ID
from offline_jobs.contract.run import Progress
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.changes import Change, Changes
from offline_jobs.service.errors import (
    AttemptClosed,
    Departing,
    IdempotencyConflict,
    NotFinished,
    NotFound,
    StartRefused,
    TooManyJobs,
    Unavailable,
    Unsound,
)
from offline_jobs.service.model import Ending, Job, Selection, Standing
from offline_jobs.service.rules.searching import read_terms
from offline_jobs.service.store import database
from offline_jobs.service.store.departures import CLOSED
from offline_jobs.service.store.store import Store
from offline_jobs.service.store.tables import metadata
from offline_jobs.service.web.identity import CACHE_SECONDS
from tests.database_server import DatabaseServer
from tests.service.core.conftest import Clock
from tests.service.core.factories import NOON, create_job, make_new_job, make_record

LIMIT = 1000
#: What could be asked for by the first version.
FIRST_REQUEST = (
    *("name", "path", "group", "image", "machine_class", "kernel", "parameters"),
    *("time_limit_seconds", "interruptible"),
)
#: What the records of the first version tell of their jobs' past.
FIRST_TURNS = {
    State.QUEUED: [State.QUEUED],
    State.STARTING: [State.QUEUED],
    State.RUNNING: [State.QUEUED, State.RUNNING],
    State.SUCCEEDED: [State.QUEUED, State.RUNNING, State.SUCCEEDED],
    State.FAILED: [State.QUEUED, State.RUNNING, State.FAILED],
    State.CANCELLED: [State.QUEUED, State.CANCELLED],
}
RECORDED = Path(__file__).parents[2] / "recorded"
DONE = Ending(State.SUCCEEDED)
FAILED = Ending(State.FAILED, Cause.INTERRUPTED)


@pytest.fixture
def database_url(either_url: str) -> str:
    """All of it holds of both."""
    return either_url


def submit(store: Store, **changes: object) -> str:
    return create_job(store, make_new_job("1", **changes), open_limit=LIMIT)[0].id


def test_a_submission_is_job_snapshot_and_first_attempt(store: Store) -> None:
    new = make_new_job("print(1)")
    job, created = create_job(store, new, open_limit=LIMIT)
    assert created
    assert JOB_ID.fullmatch(job.id)
    assert (job.state, job.reason, job.attempt) == (State.QUEUED, Reason.SERVICE, 1)
    assert store.job(job.id) == job
    assert store.snapshot(job.id) == new.notebook
    attempt = store.attempt(job.id, 1)
    assert attempt is not None
    assert attempt.object_name == f"job-{job.id}-1"
    assert store.open_attempts() == [(job, attempt)]
    assert store.open_names() == [attempt.object_name]


def test_the_same_key_and_body_give_the_same_job(store: Store) -> None:
    new = make_new_job("1")
    first, _ = create_job(store, new, open_limit=1)
    assert create_job(store, new, open_limit=1) == (first, False)


def test_the_same_key_with_another_body_is_a_conflict_that_names_the_job(store: Store) -> None:
    new = make_new_job("1")
    first, _ = create_job(store, new, open_limit=LIMIT)
    with pytest.raises(IdempotencyConflict) as refused:
        create_job(store, replace(new, digest="f" * 64), open_limit=LIMIT)
    assert refused.value.id == first.id


def test_several_submissions_are_stored_together_or_not_at_all(
    store: Store, changes: Changes
) -> None:
    heard: list[Change] = []
    changes.listen(heard.append)
    news = [make_new_job("1") for _ in range(3)]
    (first, _), (second, _) = store.create_jobs(news[:2], open_limit=3)
    assert [change.job for change in heard] == [first.id, second.id]
    assert store.create_jobs(news[1:], open_limit=3)[0] == (second, False)
    more = make_new_job("1")
    with pytest.raises(TooManyJobs):
        store.create_jobs([more, make_new_job("1")], open_limit=4)
    with pytest.raises(IdempotencyConflict):
        store.create_jobs([more, replace(news[0], digest="f" * 64)], open_limit=LIMIT)
    assert len(store.jobs(Selection("ada"), LIMIT, None)[0]) == 3
    assert store.job_of_key("ada", more.idempotency_key, more.digest) is None


def list_turns(store: Store, job: str) -> list[tuple[object, ...]]:
    turns = store.turns(job)
    assert [turn.at for turn in turns] == sorted(turn.at for turn in turns)
    return [(t.attempt, t.previous, t.state, t.reason or t.cause) for t in turns]


def test_each_change_of_a_job_is_one_turn_of_the_ledger(store: Store) -> None:
    job = submit(store)
    for ahead in (2, 1):
        line = Standing(State.QUEUED, Reason.LOCAL_SLOTS, {"ahead": ahead})
        store.states.set_standings({(job, 1): line})
    store.states.mark_launched(job, 1, {})
    store.states.set_standings({(job, 1): Standing(State.STARTING, Reason.KERNEL_START)})
    store.states.add_attempt(job, 1, Ending(State.FAILED, Cause.INTERRUPTED, {"message": "gone"}))
    store.states.set_standings({(job, 2): Standing(State.RUNNING)})
    store.record_progress(job, 2, Progress("running", 1, 2))
    store.states.finish(job, 2, Ending(State.FAILED, Cause.CELL_ERROR, {"error_name": "E"}))
    assert list_turns(store, job) == [
        (1, None, State.QUEUED, Reason.SERVICE),
        (1, State.QUEUED, State.QUEUED, Reason.LOCAL_SLOTS),
        (1, State.QUEUED, State.STARTING, Reason.KERNEL_START),
        (2, State.STARTING, State.QUEUED, Reason.SERVICE),
        (2, State.QUEUED, State.RUNNING, None),
        (2, State.RUNNING, State.FAILED, Cause.CELL_ERROR),
    ]
    turns = store.turns(job)
    assert (turns[3].cause, turns[3].facts) == (Cause.INTERRUPTED, {"message": "gone"})
    assert turns[-1].facts == {"error_name": "E"}
    ended = store.job(job)
    assert ended is not None
    assert (turns[0].at, turns[-1].at) == (ended.created, ended.ended)
    whose = (turns[0].owner, turns[0].group, turns[0].image, turns[0].machine_class)
    assert whose == ("ada", "spatial-lab", "notebook", "small")


def test_the_ledger_tells_when_a_run_began_that_nobody_looked_at(store: Store) -> None:
    job = submit(store)
    store.states.set_standings({(job, 1): Standing(State.STARTING, Reason.KERNEL_START)})
    store.record_progress(job, 1, Progress("running", 1, 2))
    store.states.finish(job, 1, DONE)
    assert list_turns(store, job)[2:] == [
        (1, State.STARTING, State.RUNNING, None),
        (1, State.RUNNING, State.SUCCEEDED, None),
    ]
    attempt, ended = store.attempt(job, 1), store.job(job)
    assert attempt is not None
    assert ended is not None
    assert store.turns(job)[2].at == attempt.first_cell == ended.started


def test_the_ledger_tells_when_a_run_began_and_not_when_that_was_seen(store: Store) -> None:
    job = submit(store)
    store.record_progress(job, 1, Progress("running", 1, 2))
    store.states.set_standings({(job, 1): Standing(State.RUNNING)})
    attempt = store.attempt(job, 1)
    assert attempt is not None
    assert store.turns(job)[-1].at == attempt.first_cell


def test_what_a_job_waits_for_is_a_turn_though_its_reason_has_the_same_name(store: Store) -> None:
    job = submit(store)
    waits: list[Facts] = [
        {"asking": True},
        {},
        {"hindrance": Hindrance.VOLUME},
        {"hindrance": Hindrance.VOLUME, "said": "x"},
        {"asking": True},
        {"asking": True, "unanswered_seconds": 600},
    ]
    for facts in waits:
        store.states.set_standings({(job, 1): Standing(State.QUEUED, Reason.NO_NODE, facts)})
    assert [turn.facts for turn in store.turns(job)[1:]] == [
        {"asking": True},
        {},
        {"hindrance": "volume"},
        {"asking": True},
        {"asking": True, "unanswered_seconds": 600},
    ]


def test_the_ledger_stays_when_a_record_is_deleted(store: Store) -> None:
    job = submit(store)
    store.states.finish(job, 1, DONE)
    before = store.turns(job)
    store.delete_job(job)
    assert store.turns(job) == before
    assert [turn.state for turn in before] == [State.QUEUED, State.SUCCEEDED]


def test_the_ledger_of_a_departed_user_is_the_retired_ones(store: Store) -> None:
    job, other = submit(store), submit(store, owner="ben")
    store.states.finish(job, 1, DONE)
    store.departures.begin("ada")
    store.departures.complete("ada", ".retired/ada-1")
    assert {turn.owner for turn in store.turns(job)} == {".retired/ada-1"}
    assert {turn.owner for turn in store.turns(other)} == {"ben"}


#: Statements with which a database takes no more turns.
REFUSE_TURNS = {
    "sqlite": "CREATE TRIGGER no BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgresql": "ALTER TABLE ledger ADD CHECK (number < 0) NOT VALID",
}


def test_what_is_not_committed_is_not_in_the_ledger(store: Store) -> None:
    job = submit(store)
    with store._database.write() as connection:
        connection.exec_driver_sql(REFUSE_TURNS[connection.dialect.name])
    with pytest.raises(IntegrityError):
        store.states.finish(job, 1, DONE)
    stored = store.job(job)
    assert stored is not None
    assert stored.state is State.QUEUED
    assert len(store.turns(job)) == 1


def test_a_name_stays_closed_for_longer_than_an_old_token_counts(
    database_url: str, changes: Changes
) -> None:
    clock = Clock()
    store = Store(database_url, changes, clock)
    store.migrate()
    assert timedelta(seconds=CACHE_SECONDS) < CLOSED < timedelta(minutes=5)
    store.departures.begin("ada")
    clock.now += CLOSED / 2
    store.departures.complete("ada", ".retired/ada")
    clock.now += CLOSED - timedelta(seconds=5)
    with pytest.raises(Departing):
        submit(store)
    clock.now += timedelta(seconds=5)
    assert store.job(submit(store)).owner == "ada"  # type: ignore[union-attr]
    store.close()


def test_a_departure_is_told_to_those_who_listen(store: Store, changes: Changes) -> None:
    running, ended = submit(store), submit(store, idempotency_key="another")
    store.states.finish(ended, 1, DONE)
    heard: list[Change] = []
    changes.listen(heard.append)

    store.departures.begin("ada")
    asked = store.job(running)
    assert store.departures.begin("ada") == 1
    # Asked again it is not asked for anew: what does not listen is ended some time after the first.
    assert store.job(running) == asked
    store.states.finish(running, 1, FAILED)
    store.departures.complete("ada", ".retired/ada")

    assert [(each.job, each.owner) for each in heard[:1]] == [(running, "ada")]
    assert {(each.job, each.owner) for each in heard[2:]} == {
        (running, ".retired/ada"),
        (ended, ".retired/ada"),
    }


def test_two_owners_may_use_the_same_key(store: Store) -> None:
    new = make_new_job("1")
    first, _ = create_job(store, new, open_limit=LIMIT)
    second, created = create_job(store, replace(new, owner="ben"), open_limit=LIMIT)
    assert created
    assert second.id != first.id


def test_the_limit_counts_open_jobs_of_the_owner(store: Store) -> None:
    ids = [submit(store), submit(store)]
    submit(store, owner="ben")
    with pytest.raises(TooManyJobs) as refused:
        create_job(store, make_new_job("1"), open_limit=2)
    assert refused.value.limit == 2
    store.states.finish(ids[0], 1, DONE)
    assert create_job(store, make_new_job("1"), open_limit=2)[1]


def test_a_hundred_submissions_at_once_with_repeats_make_each_job_once(store: Store) -> None:
    news = [make_new_job("1") for _ in range(50)] * 2
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda new: create_job(store, new, open_limit=LIMIT), news))
    assert sum(created for _, created in made) == 50
    assert len({job.id for job, _ in made}) == 50
    versions = [job.version for job in store.jobs(Selection(), 100, None)[0]]
    assert len(set(versions)) == 50


def test_the_limit_holds_under_a_burst(store: Store) -> None:
    def attempt(_: int) -> bool:
        try:
            return create_job(store, make_new_job("1"), open_limit=5)[1]
        except TooManyJobs:
            return False

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(attempt, range(40))) == 5


def test_pages_hold_every_job_once_newest_first_while_more_arrive(store: Store) -> None:
    ids = [submit(store) for _ in range(7)]
    submit(store, owner="ben")
    seen: list[str] = []
    page, cursor = store.jobs(Selection("ada"), 3, None)
    while True:
        seen += [job.id for job in page]
        if cursor is None:
            break
        submit(store)
        page, cursor = store.jobs(Selection("ada"), 3, cursor)
    assert seen == ids[::-1]


def test_a_page_of_one_state(store: Store) -> None:
    ids = [submit(store) for _ in range(3)]
    store.states.finish(ids[1], 1, DONE)
    done = Selection("ada", states=frozenset({State.SUCCEEDED}))
    assert [job.id for job in store.jobs(done, 9, None)[0]] == [ids[1]]


def test_pages_hold_jobs_of_the_same_instant_once_in_an_order_of_their_own(
    database_url: str, changes: Changes
) -> None:
    store = Store(database_url, changes, lambda: NOON)
    store.migrate()
    ids = [submit(store) for _ in range(12)]
    seen: list[str] = []
    cursor = None
    while len(seen) < len(ids):
        page, cursor = store.jobs(Selection("ada"), 5, cursor)
        seen += [job.id for job in page]
    store.close()
    assert seen == sorted(ids, reverse=True)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_text_that_a_database_may_not_hold_is_no_trouble(store: Store, text: str) -> None:
    job = submit(store)
    store.record_progress(job, 1, Progress(text, 1, 2, log_tail=text))
    told = Ending(State.FAILED, Cause.CELL_ERROR, {"error_value": text})
    store.states.finish(job, 1, told)
    attempt, ended = store.attempt(job, 1), store.job(job)
    assert attempt is not None
    assert ended is not None
    assert attempt.log_tail == "a\ufffdb"
    assert ended.facts == {"error_value": text}
    assert store.jobs(Selection(text), 9, None)[0] == []
    assert store.departures.begin(text) == 0


def test_large_numbers_and_long_words_are_kept(store: Store) -> None:
    huge = 2**53
    job = submit(store, owner="ä" * 255, machine_class="c" * 63, parameters={"n": 10**400})
    store.record_progress(job, 1, Progress("p" * 40, 100_000, 100_000, [1e300], huge, huge, huge))
    stored = store.job(job)
    assert stored is not None
    assert (stored.cell, stored.memory_bytes, stored.cell_seconds) == (100_000, huge, (1e300,))
    assert stored.request.parameters == {"n": 10**400}
    assert stored.owner == "ä" * 255


@pytest.mark.parametrize(
    "cursor", ["", "x", "%%%", "é", "MTIz", "LTEuYWJj", "OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ"]
)
def test_a_forged_cursor_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(Unsound) as refused:
        store.jobs(Selection("ada"), 3, cursor)
    assert refused.value.field == "cursor"


CHANGES: dict[str, Callable[[Store, str], object]] = {
    "progress": lambda store, job: store.record_progress(job, 1, Progress("running", 1, 2)),
    "result": lambda store, job: store.record_result(job, 1, make_record()),
    "result stored": lambda store, job: store.note_notebook(job, 1),
    "cancel": lambda store, job: store.request_cancel(job),
    "launched": lambda store, job: store.states.mark_launched(job, 1, {"pid": 1}),
    "standing": lambda store, job: store.states.set_standings(
        {(job, 1): Standing(State.QUEUED, Reason.LOCAL_SLOTS, {"ahead": 1})}
    ),
    "another attempt": lambda store, job: store.states.add_attempt(job, 1, FAILED),
    "end": lambda store, job: store.states.finish(job, 1, DONE),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_gives_a_new_version_and_is_told_after_the_commit(
    store: Store, changes: Changes, change: str
) -> None:
    job = submit(store)
    others = store.version("ben")
    before = store.version("ada")
    told: list[tuple[Change, int]] = []
    changes.listen(lambda item: told.append((item, store.version(None))))
    CHANGES[change](store, job)
    after = store.version("ada")
    stored = store.job(job)
    assert stored is not None
    assert after > before
    assert store.version("ben") == others
    assert stored.version == after
    assert told == [(Change(job, "ada", after), after)]


def test_who_is_told_of_a_submission_or_deletion_finds_it_by_another_connection(
    store: Store, changes: Changes, database_url: str
) -> None:
    elsewhere = Store(database_url, Changes())
    found: list[Job | None] = []
    changes.listen(lambda item: found.append(elsewhere.job(item.job)))
    job, _ = create_job(store, make_new_job("1"), open_limit=LIMIT)
    assert found == [job]
    store.states.finish(job.id, 1, DONE)
    store.delete_job(job.id)
    assert found[2:] == [None]
    elsewhere.close()


def test_nothing_changes_a_job_that_has_ended(store: Store, changes: Changes) -> None:
    job = submit(store)
    assert store.states.finish(job, 1, FAILED)
    before = store.job(job)
    told: list[Change] = []
    changes.listen(told.append)
    assert not store.states.finish(job, 1, DONE)
    assert not store.states.add_attempt(job, 1, FAILED)
    store.states.set_standings({(job, 1): Standing(State.RUNNING)})
    store.states.mark_launched(job, 1, {})
    store.request_cancel(job)
    for late in ("progress", "result", "result stored"):
        with pytest.raises(AttemptClosed):
            CHANGES[late](store, job)
    assert store.job(job) == before
    assert told == []


def test_progress_is_kept_and_an_older_message_does_not_turn_it_back(store: Store) -> None:
    job = submit(store)
    store.record_progress(job, 1, Progress("kernel-start"))
    attempt = store.attempt(job, 1)
    assert attempt is not None
    assert attempt.contacted is not None
    assert attempt.first_cell is None
    store.record_progress(job, 1, Progress("running", 3, 9, [0.5, 1.0], 10, 20, 30, "tail"))
    store.record_progress(job, 1, Progress("running", 2, 9, [0.5]))
    stored = store.job(job)
    assert stored is not None
    assert (stored.cell, stored.total, stored.cell_seconds) == (3, 9, (0.5, 1.0))
    assert (stored.memory_bytes, stored.memory_peak_bytes, stored.memory_limit_bytes) == (
        10,
        20,
        30,
    )
    attempt = store.attempt(job, 1)
    assert attempt is not None
    assert attempt.first_cell is not None
    assert attempt.log_tail == "tail"
    assert stored.state is State.QUEUED, "the reconciler alone changes states"


def test_the_answer_to_progress_says_cancel_once_the_owner_wants_it(store: Store) -> None:
    job = submit(store)
    assert not store.record_progress(job, 1, Progress("running", 1, 2)).cancel
    store.request_cancel(job)
    assert store.record_progress(job, 1, Progress("running", 1, 2)).cancel


def test_the_first_result_record_stays(store: Store) -> None:
    job = submit(store)
    store.record_result(job, 1, make_record(outcome="cell-error", exit_code=10, cell=1))
    store.record_result(job, 1, make_record())
    attempt = store.attempt(job, 1)
    assert attempt is not None
    assert attempt.result is not None
    assert (attempt.result.outcome, attempt.cell) == ("cell-error", 1)


def test_another_attempt_is_refused_where_the_first_cell_began(store: Store) -> None:
    told, found = submit(store), submit(store)
    store.record_progress(told, 1, Progress("running", 1, 2))
    assert not store.states.add_attempt(told, 1, FAILED)
    assert not store.states.add_attempt(found, 1, replace(FAILED, cell=1))
    assert store.attempt(told, 2) is None
    assert store.attempt(found, 2) is None


def test_a_job_that_may_be_interrupted_is_tried_again_after_a_cell(store: Store) -> None:
    new = make_new_job("spot", interruptible=True)
    job = create_job(store, new, open_limit=LIMIT)[0].id
    store.record_progress(job, 1, Progress("running", 3, 9, [0.5, 0.5]))

    assert store.states.add_attempt(job, 1, replace(FAILED, cell=3))

    stored = store.job(job)
    assert stored is not None
    assert (stored.state, stored.attempt, stored.cell) == (State.QUEUED, 2, 0)
    # That it ran is told, though nobody looked while it did.
    turns = [(turn.state, turn.attempt) for turn in store.turns(job)]
    assert turns == [(State.QUEUED, 1), (State.RUNNING, 1), (State.QUEUED, 2)]
    assert stored.started == store.turns(job)[1].at


def test_another_attempt_closes_the_first_and_starts_from_nothing(store: Store) -> None:
    job = submit(store)
    store.states.mark_launched(job, 1, {"pid": 1})
    assert store.states.add_attempt(job, 1, FAILED)
    stored, second = store.job(job), store.attempt(job, 2)
    assert stored is not None
    assert second is not None
    assert (stored.state, stored.attempt) == (State.QUEUED, 2)
    assert (second.object_name, second.launched) == (f"job-{job}-2", None)
    with pytest.raises(AttemptClosed):
        store.record_progress(job, 1, Progress("running", 1, 2))
    assert not store.states.finish(job, 1, DONE)


@pytest.mark.parametrize(
    "started", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59-23:59", "2026-11-24T12:30+00:00"]
)
def test_a_run_began_within_its_jobs_life_whatever_its_record_says(
    store: Store, started: str
) -> None:
    job = submit(store)
    record = make_record(started=started)
    store.states.finish(job, 1, replace(DONE, cell=2, total=2, record=record))
    [stored] = store.jobs(Selection("ada"), 9, None)[0]
    assert stored.started is not None
    assert stored.ended is not None
    assert stored.created <= stored.started <= stored.ended


def test_a_record_found_beside_the_object_fills_what_was_never_heard(store: Store) -> None:
    job = submit(store)
    began = store.job(job)
    assert began is not None
    started = (began.created + timedelta(milliseconds=500)).isoformat()
    record = make_record(started=started, cell_seconds=[1.0, 2.0])
    store.states.finish(job, 1, replace(DONE, cell=2, total=2, record=record))
    stored = store.job(job)
    assert stored is not None
    assert stored.started is not None
    assert stored.started.isoformat() == record.started
    assert (stored.cell, stored.cell_seconds) == (2, (1.0, 2.0))


def test_objects_of_attempts_that_ended_a_while_ago_are_found(
    changes: Changes, database_url: str
) -> None:
    clock = Clock()
    store = Store(database_url, changes, clock)
    store.migrate()
    old, young, running = (submit(store) for _ in range(3))
    store.states.finish(old, 1, DONE)
    clock.now += timedelta(seconds=60)
    store.states.finish(young, 1, DONE)

    names = [f"job-{job}-1" for job in (old, young, running)]
    found = store.states.find_closed([*names, "job-of-nobody-1"], timedelta(minutes=1))
    store.close()

    assert found == [names[0]]


def test_only_an_ended_job_is_deleted_and_its_files_are_remembered(
    store: Store, changes: Changes
) -> None:
    job = submit(store)
    with pytest.raises(NotFinished):
        store.delete_job(job)
    store.states.add_attempt(job, 1, FAILED)
    store.states.finish(job, 2, DONE)
    before = store.version("ada")
    told: list[Change] = []
    changes.listen(told.append)
    store.delete_job(job)
    assert store.job(job) is None
    assert store.attempt(job, 1) is None
    with pytest.raises(NotFound):
        store.snapshot(job)
    assert store.version("ada") > before
    assert [item.removed for item in told] == [True]
    assert store.states.removals() == [(job, 2)]
    store.states.note_removed(job)
    assert store.states.removals() == []


@pytest.mark.parametrize("change", ["progress", "result", "result stored", "cancel"])
def test_what_does_not_exist_is_not_found(store: Store, change: str) -> None:
    with pytest.raises(NotFound):
        CHANGES[change](store, "abcabcabcabc")
    with pytest.raises(NotFound):
        store.record_progress(submit(store), 7, Progress("running"))


def test_migrated_tables_are_the_tables(store: Store) -> None:
    with store._database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database without tables; none for a file."""
    if request.param == "sqlite":
        yield ""
        return
    server: DatabaseServer = request.getfixturevalue("database_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


def fill_first_version(file: Path) -> dict[str, dict[str, Any]]:
    """A database that the first version wrote, with a job in every state and one deleted.

    Returns:
        its jobs' rows, by their ids.
    """
    with closing(sqlite3.connect(file)) as database:
        database.executescript((RECORDED / "jobs-0001.sql").read_text(encoding="utf-8"))
        database.execute(
            "UPDATE jobs SET cause = 'internal', facts = json_object('message', ?)"
            " WHERE owner = 'ben'",
            ("could not be started: No space left",),
        )
        database.commit()
        database.row_factory = sqlite3.Row
        return {row["id"]: dict(row) for row in database.execute("SELECT * FROM jobs")}


def upgrade(place: Store, revision: str) -> None:
    """Bring a database's tables to a version."""
    config = Config()
    config.set_main_option("script_location", "offline_jobs.service.store:migrations")
    with place._database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def move_rows(file: Path, place: Store) -> None:
    """Write all rows of a database of the first version into another's tables of that version."""
    upgrade(place, "0001")
    source = create_engine(f"sqlite:///{file}")
    with place._database.write() as target, source.connect() as connection:
        tables = MetaData()
        tables.reflect(target)
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            if rows := [row._asdict() for row in connection.execute(table.select())]:
                target.execute(table.insert(), rows)
    source.dispose()


@pytest.mark.parametrize(
    "through", ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009"]
)
def test_a_database_of_an_earlier_version_is_migrated_with_all_its_jobs(
    tmp_path: Path, empty_url: str, through: str
) -> None:
    file = tmp_path / "first.sqlite"
    before = fill_first_version(file)
    store = Store(empty_url or f"sqlite:///{file}", Changes())
    if empty_url:
        move_rows(file, store)
    upgrade(store, through)
    store.migrate()
    with store._database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    jobs, _ = store.jobs(Selection(), 99, None)
    assert {job.state for job in jobs} == set(State)
    assert len(jobs) == len(before) == len(State)
    for job in jobs:
        old = before[job.id]
        old |= {key: json.loads(old[key]) for key in ("kernel", "parameters")}
        asked = job.request.to_json()
        assert {key: asked[key] for key in FIRST_REQUEST} == {
            key: old[key] for key in FIRST_REQUEST
        }
        assert (job.state, job.digest, job.output) == (old["state"], old["digest"], old["output"])
        assert store.attempt(job.id, job.attempt) is not None
        assert "Pecam1" in store.snapshot(job.id)
    (bens,) = (job for job in jobs if job.owner == "ben")
    assert bens.facts == {"never_started": "No space left"}
    queued = jobs[-1].request
    assert queued.parameters == {"gene": "Kdr", "n": [1, 2.5, None, True], "é": {"a": "“x”"}}
    assert queued.interruptible is True
    for job in jobs:
        said = {turn.interruptible for turn in store.turns(job.id)}
        assert said == {job.request.interruptible}
    assert store.jobs(Selection(group="imaging-core"), 99, None)[0][0].request.image == "stomics"
    for job in jobs:
        found = Selection(
            image=job.request.image,
            machine_class=job.request.machine_class,
            terms=read_terms(f"{job.request.name} {job.request.path}"),
        )
        assert job in store.jobs(found, 99, None)[0]
    assert store.jobs(Selection(terms=read_terms("GENE=kdr é")), 99, None)[0] == [jobs[-1]]
    assert store.states.removals() == [("t0a1b2c3d4e5", 1)]
    by_state = {job.state: job for job in jobs}
    for state, turns in FIRST_TURNS.items():
        job = by_state[state]
        assert [turn.state for turn in store.turns(job.id)] == turns
        assert store.turns(job.id)[0].at == job.created
        assert store.turns(job.id)[0].owner == job.owner
    failed = store.turns(by_state[State.FAILED].id)[-1]
    assert (failed.attempt, failed.cause, failed.facts["error_name"]) == (
        2,
        Cause.CELL_ERROR,
        "ValueError",
    )
    assert failed.at == by_state[State.FAILED].ended
    for old in before.values():
        earlier = store.job_of_key(old["owner"], old["idempotency_key"], old["digest"])
        assert earlier is not None
        assert earlier.id == old["id"]
    store.close()


def test_migrating_twice_keeps_everything(store: Store, database_url: str) -> None:
    job = store.job(submit(store))
    assert job is not None
    store.close()
    again = Store(database_url, Changes())
    again.migrate()
    assert again.job(job.id) == job
    again.close()


@pytest.mark.parametrize(
    ("either_url", "driver"), [("sqlite", False), ("postgresql", True)], indirect=["either_url"]
)
def test_the_newest_tables_need_no_alembic_and_a_file_no_server_s_driver(
    store: Store, database_url: str, driver: bool
) -> None:
    store.close()
    program = (
        "import sys; from offline_jobs.service.changes import Changes\n"
        "from offline_jobs.service.store.store import Store\n"
        f"store = Store({database_url!r}, Changes()); store.migrate(); store.close()\n"
        "print(*(name in sys.modules for name in ('alembic', 'psycopg2')))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert told.stdout.split() == ["False", str(driver)]


@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_tables_of_another_version_are_refused_in_words(
    store: Store, database_url: str, revision: str
) -> None:
    with store._database.write() as connection:
        connection.execute(sql("UPDATE alembic_version SET version_num = :new"), {"new": revision})
    store.close()
    other = Store(database_url, Changes())
    with pytest.raises(StartRefused, match=f"version {revision}, .* database of its own"):
        other.migrate()
    other.close()


def test_the_newest_version_is_alembics_head() -> None:
    folder = Path(database.__file__).with_name("migrations")
    assert ScriptDirectory(folder).get_heads() == [database.find_head()]


@pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)
def test_a_commit_is_durable(store: Store) -> None:
    with store._database.read() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


@pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)
def test_a_database_that_cannot_be_written_is_unavailable_and_keeps_nothing_half(
    store: Store, tmp_path: Path
) -> None:
    job = submit(store)
    for connection in (store._database.read(), store._database.write()):
        with connection as inside:  # both pooled connections lose their patience
            inside.exec_driver_sql("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        submit(store)
    assert [each.id for each in store.jobs(Selection(), 9, None)[0]] == [job]
    other.execute("ROLLBACK")
    other.close()
    submit(store)
    assert len(store.open_attempts()) == 2
