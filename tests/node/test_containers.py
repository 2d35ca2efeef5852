"""What becomes of a real container is seen through the API, whatever way it ends."""

from __future__ import annotations

import pytest

from tests.bed.client import NAMESPACE, POD, ApiError, Client
from tests.node.pods import Pods, get_end, get_phase

pytestmark = [pytest.mark.upstream, pytest.mark.usefixtures("real")]

#: Keeps a pod that was deleted in sight until the test has read how it ended.
FINALIZER = "notebook-hpc.test/seen"


def test_the_exit_code_and_the_termination_message_are_there(pods: Pods) -> None:
    pods.start("failed", "message", "cell 3 of 7", "7")
    pods.start("good", "message", "all done", "0")
    failed, good = pods.wait_for_end("failed"), pods.wait_for_end("good")

    assert (failed["exitCode"], failed["reason"]) == (7, "Error")
    assert failed["message"] == "cell 3 of 7"
    assert (good["exitCode"], good["reason"]) == (0, "Completed")
    assert good["message"] == "all done"
    assert [get_phase(pods.get(name)) for name in ("failed", "good")] == ["Failed", "Succeeded"]


def test_a_container_over_its_memory_limit_is_killed_and_the_api_says_why(pods: Pods) -> None:
    limits = {"limits": {"memory": "64Mi"}}
    end = pods.run("greedy", "allocate", "256", container={"resources": limits})

    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")


def test_a_container_within_its_memory_limit_goes_on(pods: Pods) -> None:
    limits = {"limits": {"memory": "128Mi"}}
    pods.start("modest", "allocate", "32", container={"resources": limits})

    pods.wait_for_line("modest", "holding 32 MiB")
    # The log is there a moment before the API says so.
    pods.wait("modest", lambda pod: get_phase(pod) == "Running")


def test_a_deleted_pod_gets_sigterm_and_time_and_its_last_words_can_be_read(
    pods: Pods, client: Client
) -> None:
    pods.start("patient", "term", "1", "143")
    pods.wait_for_line("patient", "waiting")
    finalizers = {"metadata": {"finalizers": [FINALIZER]}}
    client.patch(*POD, "patient", finalizers, pods.namespace)

    client.delete(*POD, "patient", pods.namespace)
    pod = pods.wait("patient", lambda pod: get_phase(pod) in ("Failed", "Succeeded"))
    client.patch(*POD, "patient", {"metadata": {"finalizers": None}}, pods.namespace)

    assert get_phase(pod) == "Failed"
    assert get_end(pod)["exitCode"] == 143
    assert get_end(pod)["message"] == "terminated"


def test_who_takes_longer_than_the_grace_is_killed(pods: Pods, client: Client) -> None:
    pods.start("slow", "term", "60", "0", terminationGracePeriodSeconds=1)
    pods.wait_for_line("slow", "waiting")
    client.patch(*POD, "slow", {"metadata": {"finalizers": [FINALIZER]}}, pods.namespace)

    client.delete(*POD, "slow", pods.namespace)
    pod = pods.wait("slow", lambda pod: get_phase(pod) in ("Failed", "Succeeded"))
    client.patch(*POD, "slow", {"metadata": {"finalizers": None}}, pods.namespace)

    assert get_end(pod)["exitCode"] == 137


def test_the_log_can_be_read_while_it_runs_and_afterwards(pods: Pods) -> None:
    pods.start("talker", "serve", "8080", "hello")
    pods.start("ended", "lookup", "kubernetes.default.svc.cluster.local")

    pods.wait_for_line("talker", "serving on")
    pods.wait_for_end("ended")
    assert pods.read_log("ended").strip().count(".") == 3


def test_an_image_that_the_node_has_not_is_told(pods: Pods) -> None:
    pods.start("lost", "exit", "0", container={"image": "localhost/no-such-image:test"})

    pod = pods.wait("lost", lambda pod: get_waiting_reason(pod) == "ErrImageNeverPull")
    assert get_phase(pod) == "Pending"


def test_a_restricted_namespace_refuses_a_careless_pod_and_runs_a_careful_one(
    pods: Pods, client: Client
) -> None:
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.patch(*NAMESPACE, pods.namespace, {"metadata": {"labels": enforce}})

    with pytest.raises(ApiError) as refusal:
        pods.start("careless", "exit", "0", container={"securityContext": {}})
    assert refusal.value.status == 403
    assert "runAsNonRoot" in str(refusal.value)

    assert pods.run("careful", "exit", "0")["exitCode"] == 0


def get_waiting_reason(pod: dict[str, object]) -> str:
    """Why a pod's only container waits."""
    status = pod["status"]
    assert isinstance(status, dict)
    states = [each["state"].get("waiting", {}) for each in status.get("containerStatuses", [])]
    return states[0].get("reason", "") if states else ""
