"""How an attempt ended, and why, from pods that a real API server had."""

from datetime import timedelta
from typing import Any

import pytest

from offline_jobs.contract.exits import Exit
from offline_jobs.contract.run import Termination
from offline_jobs.contract.states import Cause, State
from offline_jobs.service.backends.kubernetes.evidence import build_evidence, to_process_code
from offline_jobs.service.model import Evidence
from offline_jobs.service.rules.causes import judge, may_try_again
from tests.service.core.factories import NOON, make_attempt, make_job
from tests.unit.backends.recorded import load

#: Situation → state, cause and whether another attempt is made, when the first cell never began.
ENDINGS: dict[str, tuple[State, Cause | None, bool]] = {
    "completed": (State.SUCCEEDED, None, False),
    "failed": (State.FAILED, Cause.CELL_ERROR, False),
    "out-of-memory": (State.FAILED, Cause.OUT_OF_MEMORY, False),
    "evicted": (State.FAILED, Cause.INTERRUPTED, False),
    "node-lost": (State.FAILED, Cause.INTERRUPTED, True),
    "refused": (State.FAILED, Cause.INTERRUPTED, True),
}


def end(pod: dict[str, Any], code: int, reason: str = "Error", message: str = "") -> None:
    """Change how the container of a recorded pod ended."""
    (status,) = pod["status"]["containerStatuses"]
    (state,) = status["state"].values()
    status["state"] = {
        "terminated": {**state, "exitCode": code, "reason": reason, "message": message}
    }


@pytest.mark.parametrize("situation", ENDINGS)
def test_recorded_endings_are_judged(situation: str) -> None:
    evidence = build_evidence(load(situation)["pod"])
    job, attempt = make_job(), make_attempt()

    ending = judge(job, attempt, evidence)

    again = may_try_again(job, attempt, evidence, ending)
    assert (ending.state, ending.cause, again) == ENDINGS[situation]


def test_the_last_words_are_read() -> None:
    evidence = build_evidence(load("failed")["pod"])

    assert evidence == Evidence(
        exit_code=1,
        termination=Termination(cell=3, total=7, outcome="cell-error", exit_code=1),
    )


@pytest.mark.parametrize("message", ["", "{", "killed", '{"cell": "three"}', '{"cell": -1}', "[]"])
def test_words_that_a_user_put_there_are_none(message: str) -> None:
    pod = load("failed")["pod"]
    end(pod, 137, message=message)

    assert build_evidence(pod).termination is None


@pytest.mark.parametrize(
    ("code", "process"), [(0, 0), (10, 10), (137, -9), (143, -15), (128, 128), (255, 255)]
)
def test_signals_are_negative_as_with_processes(code: int, process: int) -> None:
    assert to_process_code(code) == process


def test_a_kernel_that_was_killed_for_memory_alone() -> None:
    # With cgroup v1 only the process that asked for too much dies, and the runner lives.
    pod = load("out-of-memory")["pod"]
    message = Termination(cell=3, total=7, outcome="kernel-died", exit_code=11).dumps()
    end(pod, Exit.KERNEL_DIED, "OOMKilled", message)

    ending = judge(make_job(), make_attempt(), build_evidence(pod))

    assert (ending.cause, ending.cell) == (Cause.OUT_OF_MEMORY, 3)


def test_a_child_that_was_killed_for_memory_does_not_fail_what_succeeded() -> None:
    pod = load("completed")["pod"]
    message = Termination(cell=7, total=7, outcome="succeeded", exit_code=0).dumps()
    end(pod, 0, "OOMKilled", message)

    assert judge(make_job(), make_attempt(), build_evidence(pod)).state is State.SUCCEEDED


@pytest.mark.parametrize("outcome", ["", "interrupted"])
def test_a_pod_that_somebody_deleted(outcome: str) -> None:
    pod = load("evicted")["pod"]
    pod["status"]["conditions"] = [
        each for each in pod["status"]["conditions"] if each["type"] != "DisruptionTarget"
    ]
    message = Termination(cell=3, total=7, outcome=outcome, exit_code=13).dumps()
    end(pod, Exit.INTERRUPTED if outcome else 137, message=message)
    evidence = build_evidence(pod)
    job, attempt = make_job(), make_attempt()

    ending = judge(job, attempt, evidence)

    assert (ending.cause, ending.cell) == (Cause.REMOVED, 3)
    assert not may_try_again(job, attempt, evidence, ending)


def test_a_pod_that_had_ended_before_somebody_deleted_it() -> None:
    pod = load("failed")["pod"]
    pod["metadata"]["deletionTimestamp"] = "2026-11-24T11:00:00Z"
    message = Termination(cell=3, total=7, outcome="cell-error", exit_code=10).dumps()
    end(pod, Exit.CELL_FAILED, message=message)

    evidence = build_evidence(pod, was_ours_to_end=True)

    assert not evidence.removed
    assert judge(make_job(), make_attempt(), evidence).cause is Cause.CELL_ERROR


def test_a_job_that_was_deleted_because_its_owner_wished_is_cancelled() -> None:
    pod = load("running")["pod"]
    job = make_job(cancel_requested=NOON)

    for evidence in (
        build_evidence(pod, was_ours_to_end=True),
        build_evidence(None, was_ours_to_end=True),
    ):
        assert judge(job, make_attempt(), evidence).state is State.CANCELLED


def test_a_job_that_was_deleted_for_its_overtime_ran_too_long() -> None:
    pod = load("running")["pod"]
    end(pod, 137)
    attempt = make_attempt(first_cell=NOON - timedelta(hours=1))

    ending = judge(make_job(), attempt, build_evidence(pod, was_ours_to_end=True), overtime=True)

    assert ending.cause is Cause.TIME_LIMIT


def test_a_home_that_could_not_be_made_is_tried_again() -> None:
    pod = load("refused")["pod"]
    pod["status"] |= {
        "message": "",
        "initContainerStatuses": [
            {"name": "folders", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
        ],
        "containerStatuses": [
            {"name": "notebook", "state": {"waiting": {"reason": "PodInitializing"}}}
        ],
    }
    evidence = build_evidence(pod)
    job, attempt = make_job(), make_attempt()

    ending = judge(job, attempt, evidence)

    assert ending.facts == {"message": "the home folder could not be made"}
    assert may_try_again(job, attempt, evidence, ending)


def test_an_end_that_the_kubelet_did_not_see() -> None:
    pod = load("running")["pod"]
    end(pod, 137, "ContainerStatusUnknown")

    assert build_evidence(pod).exit_code is None


def test_another_container_s_end_is_not_the_runner_s() -> None:
    pod = load("failed")["pod"]
    pod["status"]["containerStatuses"][0]["name"] = "sidecar"

    assert build_evidence(pod).exit_code is None
