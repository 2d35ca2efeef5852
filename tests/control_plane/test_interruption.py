"""A pod or its machine is taken away under a running job: what Volcano makes of it.

Without a policy it starts the pod again and tells nobody: the same notebook runs twice and no count
says so. With the platform's policy the attempt ends, and whoever counts attempts decides.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.bed.client import NODE_CLAIM, NODE_POOL, Client, Object, find_condition, wait
from tests.bed.jobs import Jobs, Wish, build_message, get_phase
from tests.control_plane.lost_machine import NAME, LostMachine, follow_to_the_end

MESSAGE = build_message("", 143)
STAGES = {"bed/termination-message": MESSAGE}
NO_POLICY: tuple[Mapping[str, Any], ...] = ()


def read_message(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The runner's words in a pod's first container."""
    (container,) = pod["status"]["containerStatuses"]
    message: dict[str, Any] = json.loads(container["state"]["terminated"]["message"])
    return message


def find_claim(client: Client, pod: Object) -> Object:
    """The claim of the machine that a pod runs on."""
    (claim,) = (
        each
        for each in client.list(*NODE_CLAIM)
        if each.get("status", {}).get("nodeName") == pod["spec"]["nodeName"]
    )
    return claim


def wait_for_another(jobs: Jobs, name: str, pod: Object) -> Object:
    """Wait until a job has a running pod that is not this one."""
    pods = wait(
        f"another pod of job {name}",
        lambda: jobs.list_pods(name),
        until=lambda pods: any(
            each["metadata"]["uid"] != pod["metadata"]["uid"] and get_phase(each) == "Running"
            for each in pods
        ),
    )
    (another,) = pods
    return another


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended")
def test_without_a_policy_an_evicted_pod_is_silently_made_again(jobs: Jobs, client: Client) -> None:
    """Nothing in the job tells the second run from the first: why the platform has a policy."""
    jobs.submit("careless", policies=NO_POLICY, stages=STAGES)
    first = jobs.wait_for_pod("careless")
    before = jobs.get("careless")["status"]

    client.evict(jobs.namespace, first["metadata"]["name"])

    second = wait_for_another(jobs, "careless", first)
    assert second["metadata"]["name"] == first["metadata"]["name"]
    after = jobs.wait_for("careless", "Running")["status"]
    for key in ("retryCount", "version"):
        assert after.get(key) == before.get(key)
    for key in ("volcano.sh/job-retry-count", "volcano.sh/job-version"):
        annotations = [pod["metadata"]["annotations"][key] for pod in (first, second)]
        assert annotations[0] == annotations[1]


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize(("exit_code", "phase"), [("143", "Failed"), ("0", "Succeeded")])
def test_with_our_policy_an_evicted_pod_ends_the_job(
    jobs: Jobs, client: Client, exit_code: str, phase: str
) -> None:
    """The attempt ends, nothing starts by itself, and a watch still sees the runner's last words.

    Also where the program ends with 0 at SIGTERM: the job is not taken for completed. The pod's
    object goes with the eviction, whatever the policy; a watch is handed its last state when it
    goes, so whoever watches needs no luck to read it.
    """
    jobs.submit("careful", stages={**STAGES, "bed/stop-exit-code": exit_code})
    first = jobs.wait_for_pod("careful")

    client.evict(jobs.namespace, first["metadata"]["name"])

    states = follow_to_the_end(client, first)
    assert find_condition(states[-1], "DisruptionTarget")["reason"] == "EvictionByEvictionAPI"
    assert get_phase(states[-1]) == phase
    assert read_message(states[-1]) == json.loads(MESSAGE)
    ended = jobs.wait_for("careful")
    assert get_phase(ended) == "Terminated"
    assert ended["status"].get("retryCount") in (None, 0)
    assert jobs.list_pods("careful") == []
    assert jobs.find_group("careful") is None


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended")
def test_with_our_policy_a_pod_that_failed_stays_readable(jobs: Jobs) -> None:
    """Also the kubelet's own evictions and refusals end like this: the pod fails and is kept."""
    message = build_message("cell-error", 1)
    stages = {"bed/fail-after": "1s", "bed/exit-code": "1", "bed/termination-message": message}
    jobs.submit("failing", stages=stages)
    first = jobs.wait_for_pod("failing", "Failed")

    ended = jobs.wait_for("failing")

    assert get_phase(ended) == "Terminated"
    (kept,) = jobs.list_pods("failing")
    assert kept["metadata"]["uid"] == first["metadata"]["uid"]
    assert kept["metadata"].get("deletionTimestamp") is None
    assert read_message(kept) == json.loads(message)


@pytest.mark.usefixtures("pretended")
def test_a_node_claim_that_is_deleted_waits_for_its_job(jobs: Jobs, client: Client) -> None:
    """Whoever takes a machine away by hand does not end what runs on it: `do-not-disrupt` holds."""
    jobs.submit("calm", stages={"bed/complete-after": "6s"})
    pod = jobs.wait_for_pod("calm")
    claim = find_claim(client, pod)

    client.delete(*NODE_CLAIM, claim["metadata"]["name"])

    jobs.wait_for("calm", "Completed")
    (kept,) = jobs.list_pods("calm")
    assert kept["metadata"]["uid"] == pod["metadata"]["uid"]
    wait(
        "the machine to go",
        lambda: client.find(*NODE_CLAIM, claim["metadata"]["name"]),
        until=lambda found: found is None,
    )


@pytest.mark.usefixtures("pretended")
def test_a_spot_machine_that_is_taken_away_gives_its_job_time_to_save(
    jobs: Jobs, client: Client
) -> None:
    """What Karpenter does at EC2's notice is delete the claim, two minutes before the end."""
    jobs.submit("spot", Wish(interruptible=True), stages={**STAGES, "bed/stop-exit-code": "13"})
    pod = jobs.wait_for_pod("spot")
    claim = find_claim(client, pod)
    assert claim["metadata"]["labels"]["karpenter.sh/capacity-type"] == "spot"

    client.delete(*NODE_CLAIM, claim["metadata"]["name"])

    states = follow_to_the_end(client, pod)
    assert find_condition(states[-1], "DisruptionTarget")["reason"] == "EvictionByEvictionAPI"
    assert read_message(states[-1]) == json.loads(MESSAGE)
    assert get_phase(jobs.wait_for("spot")) == "Terminated"


@pytest.mark.usefixtures("pretended")
def test_a_machine_that_its_pool_has_grown_out_of_is_not_taken_from_a_spot_job(
    jobs: Jobs, client: Client
) -> None:
    """As after a newer Kubernetes or image: nothing on the pod says that it is not to be cut."""
    jobs.submit("kept", Wish(interruptible=True))
    pod = jobs.wait_for_pod("kept")
    assert "karpenter.sh/do-not-disrupt" not in pod["metadata"]["annotations"]
    claim = find_claim(client, pod)
    pool = claim["metadata"]["labels"]["karpenter.sh/nodepool"]

    def change(value: str | None) -> None:
        labels = {"metadata": {"labels": {"bed/generation": value}}}
        client.patch(*NODE_POOL, pool, {"spec": {"template": labels}})

    def list_refusals() -> list[Object]:
        return [
            each
            for each in client.list_events("default")
            if each["involvedObject"].get("name") == pool and "reason Drifted" in each["message"]
        ]

    change("another")
    try:
        wait(
            "Karpenter to look whether it may replace the machine",
            list_refusals,
            until=bool,
        )
        now = client.get(*NODE_CLAIM, claim["metadata"]["name"])
    finally:
        change(None)

    assert find_condition(now, "Drifted")["status"] == "True"
    assert "deletionTimestamp" not in now["metadata"]
    (kept,) = jobs.list_pods("kept")
    assert kept["metadata"]["uid"] == pod["metadata"]["uid"]
    assert "deletionTimestamp" not in kept["metadata"]


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended")
def test_a_node_that_vanishes_ends_the_job(
    bereft: LostMachine, record_property: Callable[[str, object], None]
) -> None:
    """The machine dies, as a spot machine does whose notice nobody handled.

    After 40 s or more Kubernetes gives the pod up: it marks it failed, then deletes it, and this is
    why the policy names both events. There are no runner's words: nobody could ask.
    """
    states = bereft.states.result(timeout=120)

    assert get_phase(states[-1]) == "Failed"
    assert find_condition(states[-1], "DisruptionTarget")["reason"] == "DeletionByPodGC"
    (container,) = states[-1]["status"]["containerStatuses"]
    assert "running" in container["state"]
    ended = bereft.jobs.wait_for(NAME)
    seconds = round(time.monotonic() - bereft.started, 1)
    record_property("seconds until this was seen", seconds)
    assert get_phase(ended) == "Terminated"
    assert bereft.jobs.list_pods(NAME) == []
