"""What kwok plays on pretended nodes is what its annotations say, in a kubelet's words.

Other tests believe in these stages; here they are held against what a kubelet writes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bed.client import NODE, POD, Client, Object, find_condition, is_true, wait
from tests.bed.jobs import Jobs, Wish, build_session, get_phase
from tests.bed.situations import get_waiting_reason

SMALL = Wish("spatial-lab", "small")
Start = Callable[..., Object]

pytestmark = [pytest.mark.upstream, pytest.mark.usefixtures("pretended")]


@pytest.fixture
def start(jobs: Jobs, client: Client) -> Start:
    """Creates a session's pod with annotations and, perhaps, more containers."""

    def start(name: str, stages: dict[str, str], *, more: int = 0, first: int = 0) -> Object:
        pod = build_session(jobs.catalogue, name, SMALL, stages=stages)
        pod["spec"]["containers"] += [{"name": f"more-{n}", "image": "none"} for n in range(more)]
        pod["spec"]["initContainers"] = [
            {"name": f"first-{n}", "image": "none"} for n in range(first)
        ]
        return client.create(pod, jobs.namespace)

    return start


def wait_for(
    jobs: Jobs, name: str, pleases: Callable[[Object], object], seconds: float = 30.0
) -> Object:
    return wait(
        f"pod {name}", lambda: jobs.client.get(*POD, name, jobs.namespace), seconds, until=pleases
    )


def list_states(pod: Object, key: str = "containerStatuses") -> dict[str, Object]:
    return {each["name"]: each["state"] for each in pod["status"][key]}


def test_all_containers_are_named_and_the_first_ends_as_told(jobs: Jobs, start: Start) -> None:
    stages = {
        "bed/fail-after": "1s",
        "bed/exit-code": "30",
        "bed/termination-message": '{"a": "b"}',
    }
    start("pod", stages, more=1, first=2)

    running = wait_for(jobs, "pod", lambda pod: get_phase(pod) == "Running")
    assert list(list_states(running)) == ["notebook", "more-0"]
    done = list_states(running, "initContainerStatuses")
    assert [state["terminated"]["exitCode"] for state in done.values()] == [0, 0]
    assert is_true(running, "Ready")
    assert running["status"]["podIP"]

    failed = wait_for(jobs, "pod", lambda pod: get_phase(pod) == "Failed")
    states = {name: state["terminated"] for name, state in list_states(failed).items()}
    assert (states["notebook"]["exitCode"], states["notebook"]["reason"]) == (30, "Error")
    assert states["notebook"]["message"] == '{"a": "b"}'
    assert states["more-0"]["exitCode"] == 0
    assert find_condition(failed, "Ready")["status"] == "False"


def test_a_missing_image_is_waited_for_until_it_is_there(
    jobs: Jobs, start: Start, client: Client
) -> None:
    start("pod", {"bed/image-missing": "true", "bed/pull": "300ms"})
    wait_for(jobs, "pod", lambda pod: get_waiting_reason(pod) == "ErrImagePull")
    wait_for(jobs, "pod", lambda pod: get_waiting_reason(pod) == "ImagePullBackOff")

    healed = {"metadata": {"annotations": {"bed/image-missing": None}}}
    client.patch(*POD, "pod", healed, jobs.namespace)

    wait_for(jobs, "pod", lambda pod: get_phase(pod) == "Running")


def test_pulling_takes_as_long_as_told(jobs: Jobs, start: Start) -> None:
    start("slow", {"bed/pull": "1h"})
    start("quick", {"bed/pull": "10ms"})

    wait_for(jobs, "quick", lambda pod: get_phase(pod) == "Running")
    slow = wait_for(jobs, "slow", lambda pod: get_waiting_reason(pod) == "ContainerCreating")
    assert get_phase(slow) == "Pending"


def test_a_refused_pod_has_failed_without_a_container(jobs: Jobs, start: Start) -> None:
    start("pod", {"bed/refuse": "UnexpectedAdmissionError", "bed/refuse-message": "no such GPU"})

    pod = wait_for(jobs, "pod", lambda pod: get_phase(pod) == "Failed")

    assert pod["status"]["reason"] == "UnexpectedAdmissionError"
    assert pod["status"]["message"] == "Pod was rejected: no such GPU"
    assert "containerStatuses" not in pod["status"]


def test_a_node_loses_its_readiness_and_gets_it_back(
    jobs: Jobs, start: Start, client: Client
) -> None:
    start("pod", {})
    node = wait_for(jobs, "pod", lambda pod: get_phase(pod) == "Running")["spec"]["nodeName"]

    def mark(value: str | None) -> None:
        client.patch(*NODE, node, {"metadata": {"annotations": {"bed/not-ready": value}}})

    def is_node_ready() -> bool:
        return is_true(client.get(*NODE, node), "Ready")

    mark("true")
    wait("the node to fail", is_node_ready, until=lambda ready: not ready)
    mark(None)
    wait("the node to be back", is_node_ready)
