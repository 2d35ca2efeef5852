"""Steps, causes and the line as tables."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from offline_jobs.contract.exits import Exit
from offline_jobs.contract.facts import Facts, Hindrance, PullFailure
from offline_jobs.contract.run import Termination
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.model import Ending, Evidence, Job, Observation, Standing
from offline_jobs.service.rules.causes import judge, may_try_again
from offline_jobs.service.rules.kept import count_finished
from offline_jobs.service.rules.line import form_line
from offline_jobs.service.rules.steps import (
    Adopt,
    Finish,
    Held,
    Patience,
    Slots,
    Stand,
    Start,
    Step,
    Stop,
    TryAgain,
    View,
    arrange,
    decide,
)
from offline_jobs.service.rules.tries import Tries
from tests.service.core.factories import NOON, make_attempt, make_job, make_record

GIB = 1024**3
PATIENCE = Patience(cancel_seconds=10, stop_seconds=5, overtime_seconds=60, goodbye_seconds=30)
ABSENT = Observation("absent")
WAITING = Observation("waiting")
RUNNING = Observation("running", handle={"pid": 7})


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def ended(**evidence: Any) -> Observation:
    return Observation("ended", evidence=Evidence(**evidence))


# Causes.

CAUSES: dict[str, tuple[dict[str, Any], dict[str, Any], State, Cause | None]] = {
    # name: (changes of the attempt, evidence, state, cause)
    "record: success": ({"result": make_record()}, {}, State.SUCCEEDED, None),
    "record found beside": ({}, {"result": make_record()}, State.SUCCEEDED, None),
    "record before the exit code": (
        {"result": make_record()},
        {"exit_code": -9},
        State.SUCCEEDED,
        None,
    ),
    "record: a cell raised": (
        {"result": make_record(outcome="cell-error", exit_code=10)},
        {},
        State.FAILED,
        Cause.CELL_ERROR,
    ),
    "record of a later version's word": (
        {"result": make_record(outcome="eaten-by-a-grue", exit_code=99)},
        {},
        State.FAILED,
        Cause.INTERRUPTED,
    ),
    "termination message": (
        {},
        {"exit_code": 15, "termination": Termination(17, 30, "out-of-memory", 15)},
        State.FAILED,
        Cause.OUT_OF_MEMORY,
    ),
    "killed for memory by the container": (
        {"cell": 3},
        {"exit_code": 137, "killed_for_memory": True, "termination": Termination(3, 9)},
        State.FAILED,
        Cause.OUT_OF_MEMORY,
    ),
    "killed, nearly full": (
        {"cell": 3, "memory_bytes": int(3.9 * GIB), "memory_limit_bytes": 4 * GIB},
        {"exit_code": -9},
        State.FAILED,
        Cause.OUT_OF_MEMORY,
    ),
    "killed with its parent, nearly full by the message": (
        {},
        {"termination": Termination(3, 9, "", None, 4 * GIB, 4 * GIB)},
        State.FAILED,
        Cause.OUT_OF_MEMORY,
    ),
    "killed, as full as counts": (
        {"cell": 3, "memory_bytes": 95 * GIB, "memory_limit_bytes": 100 * GIB},
        {"exit_code": -9},
        State.FAILED,
        Cause.OUT_OF_MEMORY,
    ),
    "killed, not as full": (
        {"cell": 3, "memory_bytes": 94 * GIB, "memory_limit_bytes": 100 * GIB},
        {"exit_code": -9},
        State.FAILED,
        Cause.INTERRUPTED,
    ),
    "killed, far from full": (
        {"cell": 3, "memory_bytes": GIB, "memory_limit_bytes": 4 * GIB},
        {"exit_code": -9},
        State.FAILED,
        Cause.INTERRUPTED,
    ),
    "crashed, nearly full": (
        {"cell": 3, "memory_bytes": 4 * GIB, "memory_limit_bytes": 4 * GIB},
        {"exit_code": -11},
        State.FAILED,
        Cause.INTERRUPTED,
    ),
    "vanished": ({"cell": 1}, {}, State.FAILED, Cause.INTERRUPTED),
    "removed from outside": ({}, {"removed": True}, State.FAILED, Cause.REMOVED),
    "removed from outside, and the runner saw a signal only": (
        {"result": make_record(outcome="interrupted", exit_code=13)},
        {"removed": True},
        State.FAILED,
        Cause.REMOVED,
    ),
    "its kernel died, and the place says for memory": (
        {"result": make_record(outcome="kernel-died", exit_code=11)},
        {"killed_for_memory": True},
        State.FAILED,
        Cause.OUT_OF_MEMORY,
    ),
    "exit code alone: success": ({}, {"exit_code": 0}, State.SUCCEEDED, None),
    "exit code alone: unknown": ({}, {"exit_code": 1}, State.FAILED, Cause.INTERNAL),
    "cancelled, by nobody's wish": ({}, {"exit_code": 16}, State.FAILED, Cause.INTERRUPTED),
}


@pytest.mark.parametrize("name", CAUSES)
def test_causes(name: str) -> None:
    attempt, evidence, state, cause = CAUSES[name]
    ending = judge(make_job(), make_attempt(**attempt), Evidence(**evidence))
    assert (ending.state, ending.cause) == (state, cause)


@pytest.mark.parametrize("exit_code", list(Exit))
def test_each_exit_code_has_a_cause_of_its_own(exit_code: Exit) -> None:
    ending = judge(make_job(), make_attempt(cell=1), Evidence(exit_code=exit_code))
    expected = {
        Exit.SUCCEEDED: None,
        Exit.CELL_FAILED: Cause.CELL_ERROR,
        Exit.KERNEL_DIED: Cause.KERNEL_DIED,
        Exit.TIME_LIMIT: Cause.TIME_LIMIT,
        Exit.INTERRUPTED: Cause.INTERRUPTED,
        Exit.OUTPUT_LOST: Cause.OUTPUT_LOST,
        Exit.OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
        Exit.CANCELLED: Cause.INTERRUPTED,
        Exit.BAD_SPECIFICATION: Cause.REFUSED,
        Exit.INFRASTRUCTURE: Cause.INTERNAL,
    }
    assert ending.cause == expected[exit_code]


@pytest.mark.parametrize(
    ("evidence", "state"),
    [
        ({"exit_code": 16}, State.CANCELLED),
        ({"exit_code": 13}, State.CANCELLED),
        ({}, State.CANCELLED),
        ({"removed": True}, State.CANCELLED),
        ({"exit_code": 0}, State.SUCCEEDED),
        ({"exit_code": 10}, State.FAILED),
    ],
)
def test_a_wanted_end_is_cancelled_unless_it_ended_by_itself(
    evidence: dict[str, Any], state: State
) -> None:
    said: Facts = {"cancelled_by": "ben", "because": "the budget is spent"}
    job = make_job(cancel_requested=NOON, cancel_facts=said)
    ending = judge(job, make_attempt(cell=1), Evidence(**evidence))
    assert ending.state is state
    assert (ending.facts == said) is (state is State.CANCELLED)


def test_the_ending_names_cell_error_and_memory() -> None:
    record = make_record(
        outcome="cell-error", cell=5, total=9, error={"name": "KeyError", "value": "'bin50'"}
    )
    termination = Termination(5, 9, "cell-error", 10, GIB, 4 * GIB)
    ending = judge(make_job(), make_attempt(result=record), Evidence(10, termination=termination))
    assert ending == Ending(
        State.FAILED,
        Cause.CELL_ERROR,
        {"error_name": "KeyError", "error_value": "'bin50'"},
        cell=5,
        total=9,
        memory_bytes=GIB,
        memory_limit_bytes=4 * GIB,
        record=record,
    )


@pytest.mark.parametrize(
    ("number", "facts"),
    [("2", {"error_cell": 2}), ("5", {}), ("0", {}), ("", {}), ("-1", {}), ("x", {})],
)
def test_a_cell_that_showed_an_error_and_did_not_end_the_run_is_named(
    number: str, facts: dict[str, Any]
) -> None:
    error = {"name": "E", "value": "v", "cell": number}
    record = make_record(outcome="cell-error", cell=5, total=9, error=error)
    ending = judge(make_job(), make_attempt(result=record), Evidence(10))
    assert ending.facts == {"error_name": "E", "error_value": "v", **facts}
    assert ending.cell == 5


@pytest.mark.parametrize(
    ("cell", "facts"), [(2, {"ended_itself": True}), (10, {}), (0, {})], ids=["amid", "end", "none"]
)
def test_a_notebook_that_ended_itself_is_known_from_its_record(
    cell: int, facts: dict[str, Any]
) -> None:
    record = make_record(outcome="succeeded", cell=cell, total=10)
    ending = judge(make_job(), make_attempt(result=record), Evidence(0))
    assert (ending.state, ending.facts) == (State.SUCCEEDED, facts)


def test_a_long_error_is_cut() -> None:
    record = make_record(outcome="cell-error", error={"name": "E", "value": "x" * 100_000})
    ending = judge(make_job(), make_attempt(result=record), Evidence(10))
    assert len(ending.facts["error_value"]) == 500


LAUNCHED = {"launched": NOON}
BEGUN = {"launched": NOON, "contacted": NOON, "first_cell": NOON, "last_contact": NOON}

TRY_AGAIN: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], bool]] = {
    # name: (changes of the job, of the attempt, evidence, whether)
    "infrastructure before the first cell": ({}, {}, {"exit_code": 30}, True),
    "the same, by its record": (
        {},
        {"result": make_record(outcome="internal", exit_code=30, cell=0)},
        {"exit_code": 30},
        True,
    ),
    "vanished before the first cell": ({}, {}, {}, True),
    "killed before the first cell": ({}, {}, {"exit_code": -9}, True),
    "killed while the kernel started": (
        {},
        {"contacted": NOON},
        {"termination": Termination(0, 9)},
        True,
    ),
    "first cell, by its word to the service": ({}, {"first_cell": NOON}, {}, False),
    "first cell, by the termination message alone": (
        {},
        {},
        {"termination": Termination(1, 9)},
        False,
    ),
    "first cell, by the record beside alone": (
        {},
        {},
        {"result": make_record(outcome="internal", exit_code=30, cell=1)},
        False,
    ),
    "it ended by itself": ({}, {}, {"exit_code": 20}, False),
    "a signal before the first cell": ({}, {}, {"exit_code": 13}, True),
    "that signal, by its record": (
        {},
        {"result": make_record(outcome="interrupted", exit_code=13, cell=0)},
        {"exit_code": 13},
        True,
    ),
    "that signal, by its last words alone": (
        {},
        {},
        {"termination": Termination(0, 0, "interrupted", 13)},
        True,
    ),
    "a signal in the first cell": (
        {},
        {},
        {"exit_code": 13, "termination": Termination(1, 9, "interrupted", 13)},
        False,
    ),
    "a signal that the owner sent": ({"cancel_requested": NOON}, {}, {"exit_code": 13}, False),
    "its exit code was lost, its outcome not": (
        {},
        {},
        {"termination": Termination(0, 0, "refused", 20)},
        False,
    ),
    "amid the cells of a job that may be interrupted": (
        {"interruptible": True},
        BEGUN,
        {"exit_code": 13, "termination": Termination(3, 9, "interrupted", 13)},
        True,
    ),
    "such a job's machine was lost": ({"interruptible": True}, BEGUN, {}, True),
    "such a job is cancelled": (
        {"interruptible": True, "cancel_requested": NOON},
        BEGUN,
        {"exit_code": 13},
        False,
    ),
    "such a job was deleted": ({"interruptible": True}, BEGUN, {"removed": True}, False),
    "such a job filled its disk": (
        {"interruptible": True},
        BEGUN,
        {"exit_code": -9, "filled_scratch": True},
        False,
    ),
    "such a job's cell raised": ({"interruptible": True}, BEGUN, {"exit_code": 10}, False),
    "such a job's memory was full": (
        {"interruptible": True},
        BEGUN,
        {"exit_code": -9, "killed_for_memory": True},
        False,
    ),
    "such a job's infrastructure failed": (
        {"interruptible": True},
        BEGUN,
        {"exit_code": 30},
        False,
    ),
    "removed from outside": ({}, {}, {"removed": True}, False),
    "the owner wants an end": ({"cancel_requested": NOON}, {}, {"exit_code": 30}, False),
    "success": ({}, {}, {"exit_code": 0}, False),
}


@pytest.mark.parametrize("name", TRY_AGAIN)
def test_trying_again(name: str) -> None:
    job_changes, attempt_changes, evidence_changes, expected = TRY_AGAIN[name]
    job, attempt = make_job(**job_changes), make_attempt(**attempt_changes)
    evidence = Evidence(**evidence_changes)
    ending = judge(job, attempt, evidence)
    assert may_try_again(job, attempt, evidence, ending) is expected


# Steps.

STARTING = {"state": State.STARTING, "reason": Reason.KERNEL_START}
SINCE_NOON: Facts = {"since": "2026-11-24T12:00:00+00:00"}
CANCELLING = {"state": State.CANCELLING, "reason": None, "cancel_requested": NOON}
STANDING_CANCELLING = Standing(State.CANCELLING)

STEPS: dict[str, tuple[dict[str, Any], dict[str, Any], Observation, float, Step | None]] = {
    # name: (changes of the job, of the attempt, seen, seconds after noon, step)
    "accepted": ({}, {}, ABSENT, 0, Start()),
    "claimed by a service that died": ({}, {}, WAITING, 0, Start()),
    "started by a service that died": ({}, {}, RUNNING, 0, Adopt()),
    "process made": (
        {},
        LAUNCHED,
        RUNNING,
        0,
        Stand(Standing(State.STARTING, Reason.KERNEL_START)),
    ),
    "nothing new": (STARTING, LAUNCHED, RUNNING, 0, None),
    "first cell": (STARTING, BEGUN, RUNNING, 0, Stand(Standing(State.RUNNING))),
    "still running": ({"state": State.RUNNING, "reason": None}, BEGUN, RUNNING, 99, None),
    "waiting for a node": (
        STARTING,
        LAUNCHED,
        Observation("waiting", Reason.NO_NODE, {"class": "gpu"}),
        0,
        Stand(Standing(State.STARTING, Reason.NO_NODE, {"class": "gpu", **SINCE_NOON})),
    ),
    "cancelled in the line": (
        {"cancel_requested": NOON},
        {},
        ABSENT,
        0,
        Finish(Ending(State.CANCELLED)),
    ),
    "cancelled while it waits for a machine": (
        {"cancel_requested": NOON},
        LAUNCHED,
        Observation("waiting", Reason.NO_NODE),
        0,
        Stop(force=True, standing=Standing(State.CANCELLING)),
    ),
    "still told to end": (
        CANCELLING,
        LAUNCHED,
        Observation("waiting", Reason.NODE_STARTING),
        1,
        Stop(force=True),
    ),
    "cancelled when claimed": (
        {"cancel_requested": NOON},
        {},
        WAITING,
        0,
        Stop(force=True, standing=STANDING_CANCELLING),
    ),
    "cancelled before adoption": ({"cancel_requested": NOON}, {}, RUNNING, 0, Adopt()),
    "cancelled": (
        {"cancel_requested": NOON, "state": State.RUNNING},
        BEGUN,
        RUNNING,
        0,
        Stand(STANDING_CANCELLING),
    ),
    "cancelling": (CANCELLING, BEGUN, RUNNING, 9, None),
    "cancelling, no answer": (CANCELLING, BEGUN, RUNNING, 10, Stop(force=False)),
    "cancelling, deaf": (CANCELLING, BEGUN, RUNNING, 15, Stop(force=True)),
    "record stored, process ending": (
        {"state": State.RUNNING, "reason": None},
        {**BEGUN, "result": make_record()},
        RUNNING,
        29,
        None,
    ),
    "record stored, process stays": (
        {"state": State.RUNNING, "reason": None},
        {**BEGUN, "result": make_record()},
        RUNNING,
        30,
        Stop(force=True),
    ),
    "time limit, runner's patience": (
        {"state": State.RUNNING, "reason": None, "time_limit_seconds": 100},
        BEGUN,
        RUNNING,
        159,
        None,
    ),
    "time limit, backstop": (
        {"state": State.RUNNING, "reason": None, "time_limit_seconds": 100},
        BEGUN,
        RUNNING,
        160,
        Stop(force=False, overtime=True),
    ),
    "time limit, the runner can be heard": (
        {"state": State.RUNNING, "reason": None, "time_limit_seconds": 100},
        {**BEGUN, "last_contact": after(941)},
        RUNNING,
        1000,
        None,
    ),
    "time limit, not heard for a minute": (
        {"state": State.RUNNING, "reason": None, "time_limit_seconds": 100},
        {**BEGUN, "last_contact": after(940)},
        RUNNING,
        1000,
        Stop(force=False, overtime=True),
    ),
    "it cannot be looked at": (
        {"cancel_requested": NOON},
        LAUNCHED,
        Observation("unknown"),
        9999,
        None,
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps(name: str) -> None:
    job, attempt, seen, seconds, expected = STEPS[name]
    view = View(make_job(**job), make_attempt(**attempt), seen)
    assert decide(view, after(seconds), PATIENCE) == expected


LIMITED = make_job(state=State.RUNNING, reason=None, time_limit_seconds=100)


def test_after_the_machine_slept_the_runner_has_a_minute_to_be_heard() -> None:
    """Silent for an hour, yet nobody could have heard it."""
    view = View(LIMITED, make_attempt(**BEGUN), RUNNING, listening=after(3600))
    assert decide(view, after(3601), PATIENCE) is None
    heard = replace(view, attempt=make_attempt(**BEGUN | {"last_contact": after(3610)}))
    assert decide(heard, after(3669), PATIENCE) is None
    assert decide(view, after(3660), PATIENCE) == Stop(force=False, overtime=True)


def test_deaf_to_the_end_of_its_time_it_is_killed() -> None:
    view = View(LIMITED, make_attempt(**BEGUN), RUNNING, stopped=after(200))
    assert decide(view, after(204), PATIENCE) == Stop(force=False, overtime=True)
    assert decide(view, after(205), PATIENCE) == Stop(force=True, overtime=True)


def test_stopped_for_its_time_it_may_be_heard_again_before_it_ends() -> None:
    attempt = make_attempt(
        **BEGUN | {"last_contact": after(169), "result": make_record(outcome="interrupted")}
    )
    view = View(LIMITED, attempt, ended(exit_code=13), stopped=after(165))
    step = decide(view, after(170), PATIENCE)
    assert isinstance(step, Finish)
    assert (step.ending.state, step.ending.cause) == (State.FAILED, Cause.TIME_LIMIT)


def test_time_in_the_line_and_until_a_machine_is_there_does_not_count() -> None:
    """In a cluster an object may be there for days before its runner begins."""
    attempt = make_attempt(launched=NOON)
    late = after(10 * 24 * 3600)
    in_line = Observation("waiting", Reason.QUEUE_QUOTA, {"group": "lab"})
    just_begun = Observation("running", begun=late)
    never_ran = ended()

    assert decide(View(LIMITED, attempt, in_line), late, PATIENCE) == Stand(
        Standing(State.QUEUED, Reason.QUEUE_QUOTA, {"group": "lab"})
    )
    assert decide(View(LIMITED, attempt, just_begun), late, PATIENCE) == Stand(
        Standing(State.STARTING, Reason.KERNEL_START)
    )
    assert isinstance(decide(View(LIMITED, attempt, never_ran), late, PATIENCE), TryAgain)
    hung = after(10 * 24 * 3600 + 160)
    assert decide(View(LIMITED, attempt, just_begun), hung, PATIENCE) == Stop(
        force=False, overtime=True
    )


def test_what_waits_in_the_line_is_queued_and_what_waits_for_a_machine_is_starting() -> None:
    attempt = make_attempt(**LAUNCHED)
    for reason, state in (
        (Reason.QUEUE_QUOTA, State.QUEUED),
        (Reason.NO_NODE, State.STARTING),
        (Reason.POOL_LIMIT, State.QUEUED),
        (Reason.NODE_STARTING, State.STARTING),
        (Reason.IMAGE_PULL, State.STARTING),
    ):
        step = decide(View(make_job(), attempt, Observation("waiting", reason)), NOON, PATIENCE)
        assert isinstance(step, Stand)
        assert (step.standing.state, step.standing.reason) == (state, reason)


# Hindrances.

NO_MACHINE = Observation("waiting", Reason.NO_NODE, {"class": "gpu"})
MACHINE_COMES = Observation("waiting", Reason.NODE_STARTING, {"class": "gpu"})
NO_IMAGE = Observation("waiting", Reason.IMAGE_PULL, {"failing": True, "pull": PullFailure.MISSING})
PULLING = Observation("waiting", Reason.IMAGE_PULL)
NO_VOLUME = Observation(
    "waiting",
    Reason.IMAGE_PULL,
    {"asking": True, "hindrance": Hindrance.VOLUME, "said": "timed out"},
)
NO_START = Observation("waiting", Reason.KERNEL_START, {"failing": True})
POOL_IS_FULL = Observation("waiting", Reason.POOL_LIMIT, {"class": "gpu"})
IN_LINE = Observation("waiting", Reason.QUEUE_QUOTA, {"ahead": 0})

#: name: what is seen at which second after noon, in order; at which a job is given up, why, and
#: after how many seconds of hindrance.
GIVEN_UP: dict[str, tuple[list[tuple[int, Observation]], int, Cause, int]] = {
    "no machine": ([(0, NO_MACHINE)], 1800, Cause.NO_CAPACITY, 1800),
    "a machine never gets ready": ([(0, MACHINE_COMES)], 1800, Cause.NO_CAPACITY, 1800),
    "machines come and go": (
        [(0, NO_MACHINE), (600, MACHINE_COMES), (900, NO_MACHINE), (1200, MACHINE_COMES)],
        1800,
        Cause.NO_CAPACITY,
        1800,
    ),
    "a machine came, and went with a pod on it that had no image": (
        [(0, NO_MACHINE), (1000, PULLING), (1100, NO_MACHINE)],
        2900,
        Cause.NO_CAPACITY,
        1800,
    ),
    "its turn comes late": ([(0, IN_LINE), (90_000, NO_MACHINE)], 91_800, Cause.NO_CAPACITY, 1800),
    "a pool had room late": (
        [(0, NO_MACHINE), (1700, POOL_IS_FULL), (90_000, NO_MACHINE)],
        91_800,
        Cause.NO_CAPACITY,
        1800,
    ),
    "nobody could look meanwhile": (
        [(0, NO_MACHINE), (10, Observation("unknown")), (4000, NO_MACHINE)],
        4000,
        Cause.NO_CAPACITY,
        4000,
    ),
    "the image cannot be pulled": ([(0, NO_MACHINE), (60, NO_IMAGE)], 660, Cause.IMAGE_PULL, 600),
    "a volume cannot be mounted": (
        [(0, NO_MACHINE), (60, NO_VOLUME)],
        1860,
        Cause.INTERNAL,
        1800,
    ),
    "the container cannot be started": ([(0, NO_START)], 1800, Cause.INTERNAL, 1800),
    "the image can be pulled again": (
        [(0, NO_IMAGE), (590, PULLING), (595, NO_IMAGE)],
        1195,
        Cause.IMAGE_PULL,
        600,
    ),
}

#: What is told of a job that was given up, besides cause and time.
OBSTACLES: dict[str, Facts] = {
    "a volume cannot be mounted": {"hindrance": Hindrance.VOLUME, "message": "timed out"},
    "the container cannot be started": {"hindrance": Hindrance.END},
    "the image cannot be pulled": {"pull": PullFailure.MISSING},
    "the image can be pulled again": {"pull": PullFailure.MISSING},
}

NOT_GIVEN_UP: dict[str, list[tuple[int, Observation]]] = {
    "a large image": [(0, PULLING)],
    "the line": [(0, IN_LINE)],
    "a full pool": [(0, POOL_IS_FULL)],
    "the kernel": [(0, Observation("waiting", Reason.KERNEL_START))],
    "nobody could look meanwhile, and it runs": [
        (0, NO_MACHINE),
        (10, Observation("unknown")),
        (4000, RUNNING),
    ],
}


def stand(job: Job, step: Step | None) -> Job:
    """The job as the store has it after a step."""
    if not isinstance(step, Stand):
        return job
    standing = step.standing
    return replace(job, state=standing.state, reason=standing.reason, facts=standing.facts)


def follow(
    seen: list[tuple[int, Observation]], *, heard: bool = True, listening: datetime | None = None
) -> tuple[Job, int | None]:
    """A job after passes every 5 s, and at which second it was stopped."""
    job = make_job(time_limit_seconds=10**6)
    attempt = make_attempt(**LAUNCHED, contacted=NOON if heard else None)
    for begin, observed in seen:
        end = next((each for each, _ in seen if each > begin), begin + 4000)
        for second in range(begin, end, 5):
            step = decide(View(job, attempt, observed, listening), after(second), PATIENCE)
            if isinstance(step, Stop):
                assert step == Stop(force=True)
                return job, second
            job = stand(job, step)
    return job, None


def test_a_runner_that_never_reports_is_told_and_given_up() -> None:
    told, stopped = follow([(0, RUNNING)], heard=False)

    # A minute until it is told, ten until that is enough, and it is done in the next pass.
    assert stopped == 665
    assert told.facts["hindrance"] is Hindrance.SILENT
    attempt = make_attempt(**LAUNCHED)
    step = decide(View(told, attempt, ended(removed=True)), after(700), PATIENCE)
    facts: Facts = {"waited_seconds": 600, "hindrance": Hindrance.SILENT}
    assert step == Finish(Ending(State.FAILED, Cause.INTERNAL, facts))


def test_only_time_counts_in_which_a_runner_could_have_been_heard() -> None:
    came_late = Observation("running", begun=after(1000))
    assert follow([(1000, came_late)], heard=False)[1] == 1665
    assert follow([(3000, RUNNING)], heard=False, listening=after(3000))[1] == 3665


@pytest.mark.parametrize("name", GIVEN_UP)
def test_what_cannot_start_is_given_up_in_time(name: str) -> None:
    seen, second, cause, waited = GIVEN_UP[name]

    job, stopped = follow(seen)

    # It is stored in one pass and done in the next.
    assert stopped == second + 5
    # It is on its way out: whatever is seen of it now does not count any more.
    attempt = make_attempt(**LAUNCHED)
    assert decide(View(job, attempt, RUNNING), after(10**6), PATIENCE) == Stop(force=True)
    for last in (ended(removed=True), ended(exit_code=13), ended(), ABSENT):
        step = decide(View(job, attempt, last), after(10**6), PATIENCE)
        facts: Facts = {"waited_seconds": waited}
        facts |= OBSTACLES.get(name, {})
        assert step == Finish(Ending(State.FAILED, cause, facts))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"asking": True}, {"asking": True}),
        # The scheduler said that all machines are in use.
        ({"asking": True, "full": True}, {}),
        ({"beyond_limit": True}, {"beyond_limit": True}),
    ],
)
def test_why_no_machine_came_is_told_where_it_is_known(seen: Facts, said: Facts) -> None:
    job, _ = follow([(0, Observation("waiting", Reason.NO_NODE, seen))])

    step = decide(View(job, make_attempt(**LAUNCHED), ABSENT), after(10**6), PATIENCE)

    facts: Facts = {"waited_seconds": 1800}
    assert step == Finish(Ending(State.FAILED, Cause.NO_CAPACITY, facts | said))


NO_GROUP = Observation("waiting", Reason.QUEUE_QUOTA, {"asking": True, "unanswered": True})
NO_ANSWER = replace(NO_GROUP, facts=NO_GROUP.facts | {"object": "podgroup/x"})
ANSWERED = Observation("waiting", Reason.QUEUE_QUOTA, {"asking": True, "object": "podgroup/x"})


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ([(0, NO_ANSWER)], 600),
        ([(0, NO_GROUP)], 600),
        # Each is waited for by itself.
        ([(0, NO_GROUP), (595, NO_ANSWER)], 1195),
        ([(0, NO_MACHINE), (300, NO_GROUP)], 900),
        ([(0, NO_ANSWER), (300, ANSWERED), (400, IN_LINE), (500, NO_ANSWER)], 1100),
        ([(0, NO_ANSWER), (5, Observation("unknown")), (2000, NO_ANSWER)], 2000),
    ],
)
def test_that_nobody_keeps_the_line_is_told_in_time_and_ends_no_job(
    seen: list[tuple[int, Observation]], told: int
) -> None:
    before = [(begin, observed) for begin, observed in seen if begin < told]
    attempt = make_attempt(**LAUNCHED)
    job, _ = follow([*before, (told, Observation("unknown"))])
    assert "unanswered_seconds" not in job.facts

    job, stopped = follow(seen)

    assert stopped is None
    assert (job.state, job.reason) == (State.QUEUED, Reason.QUEUE_QUOTA)
    assert job.facts["unanswered_seconds"] == 600
    since = datetime.fromisoformat(job.facts["since"])
    assert max(since + timedelta(seconds=600), after(seen[-1][0])) == after(told)
    # Nothing else is stored of it, however long it lasts; the first answer ends it.
    assert decide(View(job, attempt, seen[-1][1]), after(10**6), PATIENCE) is None
    step = decide(View(job, attempt, IN_LINE), after(10**6), PATIENCE)
    assert step == Stand(Standing(State.QUEUED, Reason.QUEUE_QUOTA, {"ahead": 0}))


@pytest.mark.parametrize("name", NOT_GIVEN_UP)
def test_what_only_takes_long_is_not_given_up(name: str) -> None:
    assert follow(NOT_GIVEN_UP[name])[1] is None


def test_a_job_that_was_given_up_and_did_its_work_all_the_same_succeeded() -> None:
    job, _ = follow([(0, NO_MACHINE)])
    attempt = make_attempt(**BEGUN, result=make_record())

    step = decide(View(job, attempt, ended(exit_code=0)), after(2000), PATIENCE)

    assert isinstance(step, Finish)
    assert (step.ending.state, step.ending.facts) == (State.SUCCEEDED, {})


def test_an_owner_s_wish_counts_more_than_that_it_was_given_up() -> None:
    job, _ = follow([(0, NO_MACHINE)])
    job = replace(job, cancel_requested=after(2000))
    attempt = make_attempt(**LAUNCHED)

    assert decide(View(job, attempt, NO_MACHINE), after(2001), PATIENCE) == Stop(
        force=True, standing=STANDING_CANCELLING
    )
    step = decide(View(job, attempt, ended(removed=True)), after(2001), PATIENCE)
    assert step == Finish(Ending(State.CANCELLED))


def test_what_was_stopped_for_its_time_ends_as_time_limit() -> None:
    view = View(make_job(time_limit_seconds=100), make_attempt(**BEGUN), ended(exit_code=-9))
    step = decide(view, after(170), PATIENCE)
    assert isinstance(step, Finish)
    assert (step.ending.state, step.ending.cause) == (State.FAILED, Cause.TIME_LIMIT)


def test_a_launched_object_that_is_gone_was_removed() -> None:
    step = decide(View(make_job(), make_attempt(**LAUNCHED), ABSENT), NOON, PATIENCE)
    assert isinstance(step, Finish)
    assert step.ending.cause is Cause.REMOVED


@pytest.mark.parametrize(("number", "again"), [(1, True), (2, True), (3, False)])
def test_there_are_three_attempts(number: int, again: bool) -> None:
    attempt = make_attempt(**LAUNCHED, number=number)
    step = decide(View(make_job(attempt=number), attempt, ended(exit_code=30)), NOON, PATIENCE)
    if again:
        assert isinstance(step, TryAgain)
    else:
        assert isinstance(step, Finish)
        assert (step.ending.state, step.ending.cause) == (State.FAILED, Cause.INTERRUPTED)


def test_after_the_last_attempt_what_stood_in_the_way_is_the_cause() -> None:
    record = make_record(outcome="internal", exit_code=30, cell=0, message="why")
    seen = ended(exit_code=30, result=record)
    attempt = make_attempt(**LAUNCHED, number=3)
    step = decide(View(make_job(attempt=3), attempt, seen), NOON, PATIENCE)
    assert isinstance(step, Finish)
    assert step.ending.cause is Cause.INTERNAL
    assert step.ending.facts == {"message": "why", "attempts": 3}


# The line.


@pytest.mark.parametrize(
    ("waiting", "occupied", "slots", "start", "ahead"),
    [
        ([], 0, 2, (), {}),
        (["a", "b", "c"], 0, 2, ("a", "b"), {"c": 0}),
        (["a", "b", "c"], 2, 2, (), {"a": 0, "b": 1, "c": 2}),
        (["a", "b"], 5, 2, (), {"a": 0, "b": 1}),
    ],
)
def test_line(
    waiting: list[str],
    occupied: int,
    slots: int,
    start: tuple[str, ...],
    ahead: dict[str, int],
) -> None:
    line = form_line(waiting, occupied, slots)
    assert (line.start, line.ahead) == (start, ahead)


def make_view(name: str, seen: Observation, **job: Any) -> View:
    attempt = make_attempt(job=name, object_name=f"job-{name}-1")
    return View(make_job(id=name, **job), attempt, seen)


def planned(views: list[View], slots: int) -> dict[str, Step]:
    steps = {view.attempt.object_name: decide(view, NOON, PATIENCE) for view in views}
    return {view.job.id: step for view, step in arrange(views, steps, Slots(slots))}


def test_the_oldest_start_and_the_others_are_told_their_place() -> None:
    def waits(ahead: int) -> Step:
        return Stand(Standing(State.QUEUED, Reason.LOCAL_SLOTS, {"ahead": ahead}))

    views = [make_view(name, ABSENT) for name in "abcd"]
    assert planned(views, 2) == {"a": Start(), "b": Start(), "c": waits(0), "d": waits(1)}


def test_a_claimed_object_holds_its_slot_and_is_not_in_the_line() -> None:
    views = [make_view("a", ABSENT), make_view("b", WAITING), make_view("c", RUNNING)]
    steps = planned(views, 2)
    assert isinstance(steps["a"], Stand)
    assert (steps["b"], steps["c"]) == (Start(), Adopt())


def test_a_place_that_did_not_change_is_not_stored_again() -> None:
    waits = make_view("a", ABSENT, reason=Reason.LOCAL_SLOTS, facts={"ahead": 0})
    assert planned([waits], 0) == {}


def test_a_cancelled_job_leaves_the_line() -> None:
    views = [make_view("a", ABSENT, cancel_requested=NOON), make_view("b", ABSENT)]
    assert planned(views, 1) == {"a": Finish(Ending(State.CANCELLED)), "b": Start()}


def test_who_cancels_a_job_and_why_is_told_from_then_on() -> None:
    said: Facts = {"cancelled_by": "ben", "because": "the budget is spent"}
    job = make_job(cancel_requested=NOON, cancel_facts=said)
    cancelling = Standing(State.CANCELLING, facts=said)
    for attempt, seen, step in (
        (make_attempt(), ABSENT, Finish(Ending(State.CANCELLED, facts=said))),
        (make_attempt(), WAITING, Stop(force=True, standing=cancelling)),
        (make_attempt(**LAUNCHED), WAITING, Stop(force=True, standing=cancelling)),
        (make_attempt(**LAUNCHED), Observation("running"), Stand(cancelling)),
    ):
        assert decide(View(job, attempt, seen), NOON, PATIENCE) == step


def test_what_cannot_be_launched_holds_no_slot() -> None:
    """A claim of a service that died does; after a failed try of our own it does not."""
    views = [make_view("a", ABSENT), make_view("b", WAITING), make_view("c", ABSENT)]
    decided = {view.attempt.object_name: decide(view, NOON, PATIENCE) for view in views}
    failed = {"job-a-1", "job-b-1"}

    def arranged(held: Held) -> dict[str, Step]:
        return {view.job.id: step for view, step in arrange(views, decided, Slots(1), held)}

    assert arranged(Held(failed, failed)) == {"c": Start()}
    again = arranged(Held(failed, {"job-a-1"}))
    assert again["b"] == Start()
    assert isinstance(again["c"], Stand), "in its turn it is in the line like all others"


def test_what_cannot_be_looked_at_keeps_the_slot_that_it_has() -> None:
    lost = View(make_job(), make_attempt(**LAUNCHED), Observation("unknown"))
    assert isinstance(planned([lost, make_view("a", ABSENT)], 1)["a"], Stand)
    new = make_view("b", Observation("unknown"))
    assert planned([new, make_view("a", ABSENT)], 1) == {"a": Start()}


def test_a_launch_that_fails_is_tried_ever_more_rarely() -> None:
    tries, now = Tries(), 1000.0
    pauses = []
    for _ in range(9):
        failing = tries.note("job-a-1", now)
        assert failing == now - 1000
        began = now
        while "job-a-1" in tries.resting(now):
            now += 0.5
        pauses.append(now - began)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    tries.forget("job-a-1")
    assert not tries.failed
    tries.note("job-b-1", now)
    tries.keep({"job-c-1"})
    assert not tries.failed


def test_view_of_a_job_keeps_no_words() -> None:
    """No sentence is stored: what a standing holds is a state, a reason and facts."""
    assert {f for f in Standing.__dataclass_fields__} == {"state", "reason", "facts"}
    assert "sentence" not in Job.__dataclass_fields__


# What is kept.


def test_the_finished_cells_of_a_copy_are_counted() -> None:
    def cell(status: str, count: int | None, kind: str = "code") -> dict[str, Any]:
        return {
            "cell_type": kind,
            "execution_count": count,
            "metadata": {"papermill": {"status": status}},
        }

    cells = [
        cell("completed", None, "markdown"),
        cell("completed", 1),
        cell("completed", None),  # without source
        cell("failed", 2),
        cell("running", None),
        {"cell_type": "code", "execution_count": 3, "metadata": {}},
    ]
    assert count_finished(json.dumps({"cells": cells}).encode()) == 1
    for nothing in (b"", b"[]", b"{}", b'{"cells": [1]}', b"\xff"):
        assert count_finished(nothing) == 0
