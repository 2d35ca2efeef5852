"""From the cluster's objects to the words that people read, for each situation that was recorded.

As in the service: the objects are sorted out, looked at, judged and worded.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from hub_config.platform.catalogue import GIB
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.model import Job, Observation
from offline_jobs.service.rules.sentences import describe
from offline_jobs.service.rules.steps import (
    Finish,
    Patience,
    Stand,
    Step,
    Stop,
    TryAgain,
    View,
    decide,
)
from tests.bed.real_situations import REAL_SITUATIONS
from tests.bed.situations import SITUATIONS
from tests.service.core.factories import NOON, make_attempt, make_job
from tests.unit.backends.recorded import load, look

SINCE = {"since": NOON.isoformat()}
STANDARD = {"class": "standard", "group": "spatial-lab", "image": "notebook"}
TEACHING = {"class": "standard", "group": "teaching", "image": "notebook"}
SMALL = {"class": "small", "group": "spatial-lab", "image": "notebook"}
LARGE = {"class": "large-memory", "group": "spatial-lab", "image": "notebook"}
GPU = {"class": "gpu", "group": "gpu-users", "image": "gpu"}
POD = {"object": "pod/analysis-run-0"}

#: Situation → state, reason, facts, sentence; a role in braces stands for the object's name.
WAITING: dict[str, tuple[State, Reason, dict[str, object], str]] = {
    "over-quota": (
        State.QUEUED,
        Reason.QUEUE_QUOTA,
        {**TEACHING, "object": "podgroup/{pod_group}", "ahead": 0},
        "Waiting until teaching has room in its share, next in line",
    ),
    "second-in-line": (
        State.QUEUED,
        Reason.QUEUE_QUOTA,
        {**TEACHING, "object": "podgroup/{pod_group}", "ahead": 1},
        "Waiting until teaching has room in its share, 1 job ahead",
    ),
    "no-machine": (
        State.STARTING,
        Reason.NO_NODE,
        {**GPU, **POD, **SINCE, "beyond_limit": True},
        "No machine of class gpu can be had: the limit of its pool leaves no room for one, still"
        " trying",
    ),
    # The limit that the recorder set is none of the catalogue's, so how full it is is not said.
    "pool-full": (
        State.QUEUED,
        Reason.POOL_LIMIT,
        {**STANDARD, **POD},
        "Waiting for a machine of class standard: its pool is at its limit",
    ),
    "pool-nearly-full": (
        State.QUEUED,
        Reason.POOL_LIMIT,
        {**LARGE, **POD, "resource": "cpu", "used": 30.0, "limit": 36},
        "Waiting for a machine of class large-memory: its pool is at its limit, 30 of 36 cores in"
        " use",
    ),
    "waiting-for-machine": (
        State.STARTING,
        Reason.NODE_STARTING,
        {**GPU, "object": "nodeclaim/{node_claim}", **SINCE},
        "Starting a machine of class gpu",
    ),
    "pulling": (
        State.STARTING,
        Reason.IMAGE_PULL,
        {**STANDARD, **POD},
        "Pulling the image notebook",
    ),
    "real-pulling": (
        State.STARTING,
        Reason.IMAGE_PULL,
        {**SMALL, **POD},
        "Pulling the image notebook",
    ),
    "image-missing": (
        State.STARTING,
        Reason.IMAGE_PULL,
        {**STANDARD, **POD, "failing": True, "pull": "missing", **SINCE},
        "The registry does not have the image notebook, still trying: tell an administrator, who"
        " can push it",
    ),
    "real-image-missing": (
        State.STARTING,
        Reason.IMAGE_PULL,
        {**SMALL, **POD, "failing": True, "pull": "away", **SINCE},
        "The registry of the image notebook does not answer at the moment, still trying: it goes on"
        " when that is back",
    ),
    "real-making-folders": (
        State.STARTING,
        Reason.IMAGE_PULL,
        {**SMALL, **POD, "asking": True},
        "Preparing the machine",
    ),
}


#: Situation → the limits of its pool, where its machines are all that there may be.
LIMITS: dict[str, dict[str, float]] = {"pool-nearly-full": {"cpu": 36, "memory": 300 * GIB}}


@dataclass(frozen=True)
class End:
    """How a situation ends a job; the runner was never heard unless ``attempt`` says so."""

    state: State
    cause: Cause | None
    sentence: str
    is_pod_gone: bool = False
    is_tried_again: bool = False
    job: dict[str, Any] = field(default_factory=dict)
    attempt: dict[str, Any] = field(default_factory=dict)
    #: What the reconciler remembers: when it was stopped for its overtime.
    stopped_for_overtime: bool = False


BEGUN = {"contacted": NOON, "first_cell": NOON, "last_contact": NOON}
CANCELLED = {"state": State.CANCELLING, "reason": None, "cancel_requested": NOON}
NO_MACHINE_FOR_LONG = {
    "state": State.STARTING,
    "reason": Reason.NO_NODE,
    "facts": {"waited_seconds": 1800},
    "machine_class": "gpu",
}

#: Situation (and what else is the case) → end.
ENDS: dict[str, End] = {
    "completed": End(State.SUCCEEDED, None, "7 cells finished"),
    "real-completed": End(State.SUCCEEDED, None, "7 cells finished"),
    "real-child-out-of-memory": End(State.SUCCEEDED, None, "7 cells finished"),
    "failed": End(State.FAILED, Cause.CELL_ERROR, "Cell 3 raised an error"),
    "real-failed": End(State.FAILED, Cause.CELL_ERROR, "Cell 3 raised an error"),
    "kernel-died": End(State.FAILED, Cause.KERNEL_DIED, "The kernel died in cell 3"),
    "real-kernel-died": End(State.FAILED, Cause.KERNEL_DIED, "The kernel died in cell 3"),
    "out-of-memory": End(State.FAILED, Cause.OUT_OF_MEMORY, "Out of memory in cell 3"),
    "real-out-of-memory": End(State.FAILED, Cause.OUT_OF_MEMORY, "Out of memory in cell 3"),
    "real-kernel-out-of-memory": End(State.FAILED, Cause.OUT_OF_MEMORY, "Out of memory in cell 3"),
    "time-limit": End(State.FAILED, Cause.TIME_LIMIT, "Time limit of 10 min reached in cell 3"),
    "real-time-limit": End(
        State.FAILED, Cause.TIME_LIMIT, "Time limit of 10 min reached in cell 3"
    ),
    "evicted": End(State.FAILED, Cause.INTERRUPTED, "Interrupted in cell 3", is_pod_gone=True),
    "real-evicted": End(State.FAILED, Cause.INTERRUPTED, "Interrupted in cell 3", is_pod_gone=True),
    "real-scratch-full": End(
        State.FAILED, Cause.INTERRUPTED, "Its disk space was used up in cell 3"
    ),
    "node-lost": End(
        State.FAILED,
        Cause.INTERRUPTED,
        "Interrupted in cell 3",
        is_pod_gone=True,
        attempt={**BEGUN, "cell": 3},
    ),
    "node-lost, before the first cell": End(
        State.FAILED, Cause.INTERRUPTED, "Interrupted", is_pod_gone=True, is_tried_again=True
    ),
    "refused": End(State.FAILED, Cause.INTERRUPTED, "Interrupted", is_tried_again=True),
    "real-folders-failed": End(
        State.FAILED,
        Cause.INTERNAL,
        "It could not be run: the folders of the home could not be prepared",
        is_tried_again=True,
    ),
    "pod-deleted": End(State.FAILED, Cause.REMOVED, "Removed in cell 3", is_pod_gone=True),
    "real-pod-deleted": End(State.FAILED, Cause.REMOVED, "Removed in cell 3", is_pod_gone=True),
    "job-deleted": End(State.FAILED, Cause.REMOVED, "Removed in cell 3", is_pod_gone=True),
    "real-job-deleted": End(State.FAILED, Cause.REMOVED, "Removed in cell 3", is_pod_gone=True),
    "job-deleted-unscheduled": End(State.FAILED, Cause.REMOVED, "Removed", is_pod_gone=True),
    "job-deleted-after-end": End(
        State.FAILED, Cause.CELL_ERROR, "Cell 3 raised an error", is_pod_gone=True
    ),
    "job-deleted, as its owner wished": End(
        State.CANCELLED, None, "Cancelled in cell 3", is_pod_gone=True, job=CANCELLED
    ),
    "real-job-deleted, as its owner wished": End(
        State.CANCELLED, None, "Cancelled in cell 3", is_pod_gone=True, job=CANCELLED
    ),
    "job-deleted-unscheduled, as its owner wished": End(
        State.CANCELLED, None, "Cancelled before it began", is_pod_gone=True, job=CANCELLED
    ),
    "job-deleted, as it ran too long": End(
        State.FAILED,
        Cause.TIME_LIMIT,
        "Time limit of 10 min reached in cell 3",
        is_pod_gone=True,
        attempt=BEGUN,
        stopped_for_overtime=True,
    ),
    "job-deleted-unscheduled, as it was given up": End(
        State.FAILED,
        Cause.NO_CAPACITY,
        "No machine of class gpu could be had for 30 min",
        is_pod_gone=True,
        job=NO_MACHINE_FOR_LONG,
    ),
    "job-deleted-unscheduled, as nobody ever said why": End(
        State.FAILED,
        Cause.NO_CAPACITY,
        "No machine of class gpu could be had for 30 min: nobody said why",
        is_pod_gone=True,
        job=NO_MACHINE_FOR_LONG | {"facts": {"waited_seconds": 1800, "asking": True}},
    ),
    "job-deleted-unscheduled, as its pool never had room": End(
        State.FAILED,
        Cause.NO_CAPACITY,
        "No machine of class gpu could be had for 30 min: the limit of its pool leaves no room for"
        " one",
        is_pod_gone=True,
        job=NO_MACHINE_FOR_LONG | {"facts": {"waited_seconds": 1800, "beyond_limit": True}},
    ),
}

RUNNING = {"running", "job-being-deleted"}
#: Nothing of an attempt.
OTHERS = {"root-queue-refused"}


def test_each_situation_has_its_place() -> None:
    placed = WAITING.keys() | {name.partition(",")[0] for name in ENDS} | RUNNING | OTHERS

    assert placed == SITUATIONS.keys() | REAL_SITUATIONS.keys()


@pytest.mark.parametrize("situation", WAITING)
def test_what_a_job_waits_for(situation: str) -> None:
    objects = load(situation)
    state, reason, facts, sentence = WAITING[situation]
    names = {
        role: found["metadata"]["name"]
        for role, found in objects.items()
        if isinstance(found, dict) and "metadata" in found
    }
    expected = {
        key: value.format(**names) if isinstance(value, str) else value
        for key, value in facts.items()
    }
    job = make_job(
        group=facts["group"], machine_class=facts["class"], image=facts["image"], reason=None
    )

    step = pass_once(job, look(objects, limits=LIMITS.get(situation)))

    assert isinstance(step, Stand)
    standing = step.standing
    assert (standing.state, standing.reason, standing.facts) == (state, reason, expected)
    job = replace(job, state=state, reason=reason, facts=standing.facts)
    assert describe(job).sentence == sentence


@pytest.mark.parametrize("name", ENDS)
def test_how_a_job_ends(name: str) -> None:
    end = ENDS[name]
    job = make_job(**end.job)
    seen = look(load(name.partition(",")[0]), is_pod_gone=end.is_pod_gone)
    assert seen.phase == "ended"

    step = pass_once(job, seen, end.attempt, stopped=end.stopped_for_overtime)

    assert isinstance(step, TryAgain if end.is_tried_again else Finish)
    ending = step.ending
    assert (ending.state, ending.cause) == (end.state, end.cause)
    job = replace(
        job,
        state=ending.state,
        reason=None,
        cause=ending.cause,
        facts=ending.facts,
        cell=ending.cell,
        total=ending.total,
    )
    assert describe(job).sentence == end.sentence


def test_a_pod_that_runs_starts_the_kernel_until_the_runner_has_said_more() -> None:
    job, seen = make_job(), look(load("running"))
    assert seen.phase == "running"

    step = pass_once(job, seen)
    assert isinstance(step, Stand)
    standing = step.standing
    assert (standing.state, standing.reason) == (State.STARTING, Reason.KERNEL_START)
    said = replace(job, state=standing.state, reason=standing.reason)
    assert describe(said).sentence == "Starting the kernel"

    step = pass_once(job, seen, BEGUN)
    assert isinstance(step, Stand)
    assert step.standing.state is State.RUNNING


def test_a_job_that_was_deleted_is_not_over_before_its_pod_is() -> None:
    seen = look(load("job-being-deleted"))

    assert seen.phase == "running"
    assert pass_once(make_job(**CANCELLED), seen, BEGUN) is None
    # Given up a moment before its pod began: it stays given up until the pod went.
    assert pass_once(make_job(**NO_MACHINE_FOR_LONG), seen) == Stop(force=True)


def pass_once(
    job: Job,
    seen: Observation,
    attempt: dict[str, Any] | None = None,
    *,
    stopped: bool = False,
) -> Step | None:
    """The step of a pass at noon."""
    view = View(
        job,
        make_attempt(launched=NOON - timedelta(minutes=1), **(attempt or {})),
        seen,
        stopped=NOON if stopped else None,
    )
    return decide(view, NOON, Patience())
