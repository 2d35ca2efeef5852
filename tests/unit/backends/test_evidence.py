"""How an attempt ended, and why, from pods that a real API server had; a test says what it changes.

The situations as they were recorded are in `test_situations.py`.
"""

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


def end(pod: dict[str, Any], code: int, reason: str = "Error", message: str = "") -> None:
    """Change how the container of a recorded pod ended."""
    (status,) = pod["status"]["containerStatuses"]
    (state,) = status["state"].values()
    status["state"] = {
        "terminated": {**state, "exitCode": code, "reason": reason, "message": message}
    }


def test_the_last_words_are_read() -> None:
    evidence = build_evidence(load("failed")["pod"])

    assert evidence == Evidence(
        exit_code=Exit.CELL_FAILED,
        termination=Termination(cell=3, total=7, outcome="cell-error", exit_code=10),
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


def test_a_pod_that_somebody_deleted_and_that_was_killed_after_its_grace() -> None:
    pod = load("real-pod-deleted")["pod"]
    end(pod, 137, message=Termination(cell=3, total=7).dumps())
    job, attempt = make_job(), make_attempt()

    ending = judge(job, attempt, evidence := build_evidence(pod))

    assert (ending.cause, ending.cell) == (Cause.REMOVED, 3)
    assert not may_try_again(job, attempt, evidence, ending)


@pytest.mark.parametrize(
    ("words", "is_full"),
    [
        ('Usage of EmptyDir volume "scratch" exceeds the limit "50Gi". ', True),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 54Gi. ", True),
        ('Container notebook exceeded its local ephemeral storage limit "54Gi". ', True),
        # What its neighbours wrote; it is moved elsewhere.
        ("The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi. ", False),
        ('Usage of EmptyDir volume "shared-memory" exceeds the limit "1Gi". ', False),
    ],
)
def test_a_pod_that_wrote_more_to_the_disk_than_it_may(words: str, is_full: bool) -> None:
    pod = load("real-scratch-full")["pod"]
    assert pod["status"]["reason"] == "Evicted"
    pod["status"]["message"] = words

    assert build_evidence(pod).filled_scratch is is_full


def test_a_pod_that_had_ended_before_somebody_deleted_it_was_not_ended_by_that() -> None:
    pod = load("job-deleted-after-end")["pod"]

    assert "deletionTimestamp" in pod["metadata"]
    assert not build_evidence(pod, was_ours_to_end=True).removed


def test_a_job_that_was_deleted_before_anybody_saw_a_pod() -> None:
    evidence = build_evidence(None, was_ours_to_end=True)

    assert judge(make_job(), make_attempt(), evidence).cause is Cause.REMOVED
    wanted = make_job(cancel_requested=NOON)
    assert judge(wanted, make_attempt(), evidence).state is State.CANCELLED


def test_a_home_that_could_not_be_made_as_its_job_was_deleted() -> None:
    pod = load("real-folders-failed")["pod"]

    assert build_evidence(pod, was_ours_to_end=True) == Evidence(removed=True)


@pytest.mark.parametrize(
    ("code", "reason"), [(137, "ContainerStatusUnknown"), (255, "Unknown")], ids=["gone", "anew"]
)
def test_an_end_that_the_node_did_not_see(code: int, reason: str) -> None:
    pod = load("running")["pod"]
    end(pod, code, reason)

    assert build_evidence(pod).exit_code is None


def test_another_container_s_end_is_not_the_runner_s() -> None:
    pod = load("failed")["pod"]
    pod["status"]["containerStatuses"][0]["name"] = "sidecar"

    assert build_evidence(pod).exit_code is None
