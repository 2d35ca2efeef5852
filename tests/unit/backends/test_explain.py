"""Where an attempt stands, from objects that a real API server had; a test says what it changes."""

import copy
from datetime import datetime
from typing import Any

import pytest

from hub_config.sentences import describe_start
from hub_config.waiting import Stage, Waiting
from offline_jobs.contract.states import Reason
from offline_jobs.service.backends.kubernetes.objects import Seen, get_attempt, sort_out
from offline_jobs.service.backends.volcano.explain import count_ahead, observe
from offline_jobs.service.model import Observation
from tests.unit.backends.recorded import as_list, load, see

FACTS = {"class": "gpu", "image": "notebook", "group": "lab"}


def look(
    objects: dict[str, Any], *, is_pod_gone: bool = False, claims: list[Any] | None = None
) -> Observation:
    return observe(
        see(objects, is_pod_gone=is_pod_gone),
        claims=as_list(objects.get("node_claim")) if claims is None else claims,
        pod_groups=as_list(objects.get("pod_group")),
        facts=FACTS,
    )


def say(found: Observation) -> str:
    assert found.reason is not None
    return describe_start(Waiting(Stage(found.reason.value), found.facts))


def make_event(reason: str, message: str, about: dict[str, Any], component: str) -> dict[str, Any]:
    """An event as the API has it, of what no pretended kubelet says."""
    metadata = about["metadata"]
    return {
        "reason": reason,
        "message": message,
        "type": "Normal",
        "involvedObject": {"kind": about["kind"], "name": metadata["name"], "uid": metadata["uid"]},
        "lastTimestamp": "2026-11-24T10:52:36Z",
        "eventTime": None,
        "source": {"component": component},
        "reportingComponent": component,
    }


# ---- phases


def test_nothing_there_is_absent() -> None:
    assert observe(None, claims=[], pod_groups=[], facts={}).phase == "absent"
    assert observe(Seen(), claims=[], pod_groups=[], facts={}).phase == "absent"


def test_a_running_pod_runs_and_its_job_is_known_again() -> None:
    objects = load("running")
    (status,) = objects["pod"]["status"]["containerStatuses"]

    assert look(objects) == Observation(
        "running",
        handle={"uid": objects["job"]["metadata"]["uid"]},
        begun=datetime.fromisoformat(status["state"]["running"]["startedAt"]),
    )


@pytest.mark.parametrize("situation", ["completed", "failed", "out-of-memory", "refused"])
def test_a_pod_that_ended_has_ended(situation: str) -> None:
    found = look(load(situation))

    assert found.phase == "ended"
    assert found.evidence is not None


@pytest.mark.parametrize("situation", ["evicted", "node-lost"])
def test_a_pod_that_went_has_ended(situation: str) -> None:
    assert look(load(situation), is_pod_gone=True).phase == "ended"


def test_a_pod_on_its_way_out_still_runs() -> None:
    objects = load("running")
    del objects["job"], objects["pod_group"]
    objects["pod"]["metadata"]["deletionTimestamp"] = "2026-11-24T11:00:00Z"

    assert look(objects).phase == "running"
    gone = look(objects, is_pod_gone=True)
    assert gone.phase == "ended"
    assert gone.evidence is not None
    assert gone.evidence.removed


def test_a_pod_that_is_deleted_before_it_ran_waits_for_nothing() -> None:
    objects = load("waiting-for-machine")
    objects["pod"]["metadata"]["deletionTimestamp"] = "2026-11-24T11:00:00Z"

    assert look(objects).phase == "running"


def test_a_job_that_ended_before_its_pod_still_runs() -> None:
    objects = load("running")
    objects["job"]["status"]["state"]["phase"] = "Terminated"

    assert look(objects).phase == "running"


def test_a_job_that_ended_without_a_pod_has_ended() -> None:
    objects = load("failed")
    del objects["pod"]
    found = look(objects)

    assert found.phase == "ended"
    assert found.evidence is not None
    assert found.evidence.exit_code is None
    assert not found.evidence.removed


# ---- reasons


def test_over_the_quota() -> None:
    found = look(load("over-quota"))

    assert (found.phase, found.reason) == ("waiting", Reason.QUEUE_QUOTA)
    assert say(found) == "Waiting until lab has room in its share, next in line"
    assert str(found.facts["object"]).startswith("podgroup/analysis-")


def test_before_anybody_answered() -> None:
    objects = load("over-quota")
    del objects["event"]

    assert say(look(objects)) == "Asking for room in the share of lab"
    del objects["pod_group"]
    assert say(look(objects)) == "Asking for room in the share of lab"


def test_the_place_in_the_line() -> None:
    group = load("over-quota")["pod_group"]

    def another(name: str, created: str, **status: str) -> dict[str, Any]:
        other: dict[str, Any] = copy.deepcopy(group)
        other["metadata"] |= {"name": name, "creationTimestamp": created}
        other["status"] |= status
        return other

    mine = another("b", "2026-11-24T10:00:00Z")
    groups = [
        mine,
        another("earlier", "2026-11-24T09:00:00Z"),
        another("a-at-the-same-time", "2026-11-24T10:00:00Z"),
        another("later", "2026-11-24T11:00:00Z"),
        another("earlier-and-let-in", "2026-11-24T09:00:00Z", phase="Inqueue"),
    ]
    elsewhere = another("elsewhere", "2026-11-24T09:00:00Z")
    elsewhere["spec"] = {**elsewhere["spec"], "queue": "another"}

    assert count_ahead(mine, [*groups, elsewhere]) == 2


def test_a_machine_is_on_its_way() -> None:
    objects = load("waiting-for-machine")
    claim = objects["node_claim"]["metadata"]["name"]

    found = look(objects)

    assert found.reason is Reason.NODE_STARTING
    assert found.facts["object"] == f"nodeclaim/{claim}"
    assert say(found) == "Starting a machine of class gpu"


def test_a_machine_of_another_pool_is_not_meant() -> None:
    objects = load("waiting-for-machine")
    objects["node_claim"]["metadata"]["labels"]["notebook-hpc/pool"] = "jobs-general"

    assert say(look(objects)) == "Asking for a machine of class gpu"


def test_a_machine_of_the_other_capacity_type_is_not_meant() -> None:
    objects = load("waiting-for-machine")
    for each in objects["node_claim"]["spec"]["requirements"]:
        if each["key"] == "karpenter.sh/capacity-type":
            each["values"] = ["spot"]
    # Once the machine is chosen, labels say it too.
    objects["node_claim"]["metadata"]["labels"]["karpenter.sh/capacity-type"] = "spot"

    assert look(objects).reason is Reason.NO_NODE


def test_a_machine_that_is_given_up_is_not_on_its_way() -> None:
    objects = load("waiting-for-machine")
    objects["node_claim"]["metadata"]["deletionTimestamp"] = "2026-11-24T11:00:00Z"

    assert look(objects).reason is Reason.NO_NODE


def test_a_machine_that_is_there_is_not_on_its_way() -> None:
    objects = load("waiting-for-machine")
    running = load("running")["node_claim"]
    running["metadata"]["labels"] |= objects["pod"]["spec"]["nodeSelector"]

    assert look(objects, claims=[running]).reason is Reason.NO_NODE


def test_the_machine_that_was_meant_for_it_counts_more_than_another() -> None:
    objects = load("waiting-for-machine")
    first = objects["node_claim"]
    second = copy.deepcopy(first)
    second["metadata"]["name"] = "jobs-gpu-second"
    objects["events"] = [
        make_event(
            "Nominated",
            "Pod should schedule on: nodeclaim/jobs-gpu-second",
            objects["pod"],
            "karpenter",
        )
    ]

    assert look(objects, claims=[first, second]).facts["object"] == "nodeclaim/jobs-gpu-second"
    # It could not be launched after all, and went.
    objects["node_claim"] = None
    assert look(objects, claims=[]).reason is Reason.NO_NODE


def test_no_machine_can_be_had_when_karpenter_says_so() -> None:
    objects = load("waiting-for-machine")
    said = make_event("FailedScheduling", "Failed to schedule pod", objects["pod"], "karpenter")
    other = make_event("FailedScheduling", "0/1 nodes", objects["pod"], "default-scheduler")

    objects["events"] = [other]
    assert say(look(objects, claims=[])) == "Asking for a machine of class gpu"
    objects["events"] = [other, said]
    assert say(look(objects, claims=[])) == (
        "No machine of class gpu can be had at the moment, still trying"
    )


def test_an_image_that_is_not_there() -> None:
    found = look(load("image-missing"))

    assert found.reason is Reason.IMAGE_PULL
    assert say(found) == "Pulling the image notebook fails at the moment, still trying"


def test_an_image_that_is_pulled_and_then_there() -> None:
    objects = load("image-missing")
    (status,) = objects["pod"]["status"]["containerStatuses"]
    status["state"] = {"waiting": {"reason": "ContainerCreating"}}
    pulling = make_event("Pulling", "Pulling image", objects["pod"], "kubelet")
    pulled = make_event("Pulled", "Successfully pulled", objects["pod"], "kubelet")
    pulled["lastTimestamp"] = "2026-11-24T10:52:40Z"

    assert say(look(objects)) == "Preparing the machine"
    objects["events"] = [pulling]
    assert say(look(objects)) == "Pulling the image notebook"
    # Whatever the order in which they come.
    objects["events"] = [pulled, pulling]
    assert (look(objects).reason, say(look(objects))) == (
        Reason.KERNEL_START,
        "Starting the kernel",
    )


def test_a_first_container_that_began_tells_that_the_image_is_there() -> None:
    objects = load("image-missing")
    status = objects["pod"]["status"]
    status["containerStatuses"][0]["state"] = {"waiting": {"reason": "PodInitializing"}}
    status["initContainerStatuses"] = [{"name": "folders", "state": {"terminated": {}}}]

    assert look(objects).reason is Reason.KERNEL_START


# ---- what belongs together


def test_a_pod_that_is_there_counts_more_than_one_that_went() -> None:
    objects = load("running")
    old = copy.deepcopy(objects["pod"])
    old["metadata"] |= {"uid": "old", "creationTimestamp": "2026-11-24T01:00:00Z"}

    found = sort_out(jobs=[objects["job"]], pod_groups=[], pods=[objects["pod"]], gone_pods=[old])[
        "analysis"
    ]

    assert found.pod == objects["pod"]
    assert not found.is_pod_gone


def test_events_of_others_are_not_of_it() -> None:
    objects = load("over-quota")
    objects["event"]["involvedObject"]["uid"] = "another"

    assert see(objects).events == ()


def test_only_what_says_so_is_of_an_attempt() -> None:
    job = load("running")["job"]

    assert get_attempt(job) == ""
    job["metadata"]["labels"] = {
        "notebook-hpc/job-id": "a1b2c3d4e5f6",
        "notebook-hpc/attempt": "1",
    }
    assert get_attempt(job) == "job-a1b2c3d4e5f6-1"
    job["metadata"]["labels"]["notebook-hpc/attempt"] = "one"
    assert get_attempt(job) == ""
