"""Where an attempt stands, from objects that a real API server had; a test says what it changes.

The situations as they were recorded are in `test_situations.py`.
"""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hub_config.platform.sentences import describe_start
from hub_config.platform.waiting import Waiting
from offline_jobs.contract.states import Reason
from offline_jobs.service.backends.kubernetes.objects import Seen, get_attempt, sort_out
from offline_jobs.service.backends.volcano.explain import count_ahead, observe
from offline_jobs.service.model import Evidence, Observation
from tests.unit.backends.recorded import load, look, see


def say(found: Observation) -> str:
    assert found.reason is not None
    return describe_start(Waiting(found.reason, found.facts))


def keep_events(objects: dict[str, Any], *reasons: str, by: str = "") -> None:
    """Leave only events of these reasons, of one reporter if it is named."""
    objects["events"] = [
        each
        for each in objects["events"]
        if each["reason"] in reasons and by in ("", each["source"]["component"])
    ]


# ---- phases


def test_nothing_there_is_absent() -> None:
    for nothing in (None, Seen()):
        found = observe(nothing, claims=[], ahead={}, facts={}, pool=None)
        assert found.phase == "absent"


def test_a_running_pod_runs_and_its_job_is_known_again() -> None:
    objects = load("running")
    (status,) = objects["pod"]["status"]["containerStatuses"]

    assert look(objects) == Observation(
        "running",
        handle={"uid": objects["job"]["metadata"]["uid"]},
        begun=datetime.fromisoformat(status["state"]["running"]["startedAt"]),
    )


@pytest.mark.parametrize("situation", ["job-being-deleted", "job-deleted-unscheduled"])
def test_a_pod_on_its_way_out_still_runs_and_waits_for_nothing(situation: str) -> None:
    objects = load(situation)

    assert look(objects).phase == "running"
    gone = look(objects, is_pod_gone=True)
    assert gone.phase == "ended"
    assert gone.evidence is not None
    assert gone.evidence.removed


def test_a_pod_that_is_deleted_before_it_ran_waits_for_nothing() -> None:
    objects = load("real-pulling")
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


@pytest.mark.parametrize("last", ["nobody saw its pod", "its pod was seen running last"])
def test_a_job_that_volcano_counts_as_done_is_done(last: str) -> None:
    objects = load("completed")
    if last == "nobody saw its pod":
        del objects["pod"]
    else:
        objects["pod"] = load("running")["pod"]
    found = look(objects, is_pod_gone=True)

    assert (found.phase, found.evidence) == ("ended", Evidence(exit_code=0))


def test_a_pod_that_never_began_is_as_old_as_it_is() -> None:
    objects = load("real-pulling")
    objects["pod"]["metadata"] |= {
        "creationTimestamp": "2026-11-24T10:00:00Z",
        "deletionTimestamp": "2026-11-24T11:00:00Z",
    }

    assert look(objects).begun == datetime(2026, 11, 24, 10, tzinfo=UTC)


# ---- reasons


def test_before_anybody_answered() -> None:
    objects = load("over-quota")
    objects["events"] = []

    for who in ("scheduler", "controllers"):
        found = look(objects)
        assert say(found) == "Asking for room in the share of teaching"
        assert found.facts["unanswered"] is True, who
        assert ("object" in found.facts) is (who == "scheduler")
        objects.pop("pod_group", None)


def test_only_the_word_on_the_share_tells_of_the_line() -> None:
    objects = load("over-quota")
    told, other = objects["events"]
    line = "Waiting until teaching has room in its share, next in line"

    assert say(look(objects | {"events": [told, other]})) == line
    assert say(look(objects | {"events": [other]})) == "Asking for room in the share of teaching"
    # But it is one, from the scheduler.
    for events in ([told, other], [other]):
        assert "unanswered" not in look(objects | {"events": events}).facts


def test_the_share_of_another_attempt_says_nothing_of_this_one() -> None:
    objects = load("over-quota")
    mine = see(objects)
    others = copy.deepcopy(mine.events)
    for each in others:
        each["involvedObject"]["uid"] = "another"
    seen = replace(mine, events=others)

    found = observe(seen, claims=[], ahead={}, facts={"group": "teaching"}, pool=None)

    assert say(found) == "Asking for room in the share of teaching"


@pytest.mark.parametrize("phase", ["Inqueue", "Running"])
def test_who_was_let_in_waits_in_no_line(phase: str) -> None:
    objects = load("over-quota")
    objects["pod_group"]["status"]["phase"] = phase

    found = look(objects)

    assert found.reason is Reason.NO_NODE
    assert "ahead" not in found.facts
    assert "share" not in say(found)


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

    assert count_ahead([*groups, elsewhere]) == {
        "earlier": 0,
        "a-at-the-same-time": 1,
        "b": 2,
        "later": 3,
        "elsewhere": 0,
    }


def test_a_machine_of_another_pool_is_not_meant() -> None:
    objects = load("waiting-for-machine")
    objects["node_claim"]["metadata"]["labels"]["notebook-hpc/pool"] = "jobs-general"
    objects["events"] = []

    assert say(look(objects)) == "Asking for a machine of class gpu"


def test_a_machine_of_the_other_capacity_type_is_not_meant() -> None:
    objects = load("waiting-for-machine")
    for each in objects["node_claim"]["spec"]["requirements"]:
        if each["key"] == "karpenter.sh/capacity-type":
            each["values"] = ["spot"]
    # Once the machine is chosen, labels say it too.
    objects["node_claim"]["metadata"]["labels"]["karpenter.sh/capacity-type"] = "spot"
    objects["events"] = []

    assert look(objects).reason is Reason.NO_NODE


def test_a_machine_that_is_given_up_is_not_on_its_way() -> None:
    objects = load("waiting-for-machine")
    objects["node_claim"]["metadata"]["deletionTimestamp"] = "2026-11-24T11:00:00Z"
    objects["events"] = []

    assert look(objects).reason is Reason.NO_NODE


def test_a_machine_that_is_there_is_not_on_its_way() -> None:
    objects = load("waiting-for-machine")
    running = load("running")["node_claim"]
    running["metadata"]["labels"] |= objects["pod"]["spec"]["nodeSelector"]

    assert look(objects, claims=[running]).reason is Reason.NO_NODE


def test_the_machine_that_was_meant_for_it_counts_more_than_another() -> None:
    objects = load("waiting-for-machine")
    meant = objects["node_claim"]
    earlier = copy.deepcopy(meant)
    earlier["metadata"] |= {"name": "earlier", "creationTimestamp": "2026-11-24T01:00:00Z"}
    both = [earlier, meant]

    assert look(objects, claims=both).facts["object"] == f"nodeclaim/{meant['metadata']['name']}"
    # It could not be launched after all, and went.
    assert look(objects, claims=[earlier]).facts["object"] == "nodeclaim/earlier"
    assert look(objects, claims=[]).reason is Reason.NO_NODE
    # Karpenter does not say it of each pod.
    objects["events"] = []
    assert look(objects, claims=both).facts["object"] == "nodeclaim/earlier"


def test_no_machine_can_be_had_when_karpenter_says_so() -> None:
    objects = load("no-machine")
    keep_events(objects, "FailedScheduling", by="volcano")

    assert objects["events"]
    assert say(look(objects)) == "Asking for a machine of class gpu"


def test_without_karpenter_the_schedulers_word_is_all_there_is() -> None:
    objects = load("no-machine")
    keep_events(objects, "FailedScheduling", by="volcano")
    seen = see(objects)

    found = observe(seen, claims=None, ahead={}, facts={"class": "gpu"}, pool=None)

    assert say(found) == "Asking for a machine of class gpu, none is free yet"


def test_a_claim_that_is_missing_is_a_jobs_hindrance_too() -> None:
    objects = load("waiting-for-machine")
    (condition,) = objects["pod"]["status"]["conditions"]
    condition["message"] = (
        "0/1 nodes are unavailable: 1 plugin VolumeZone pre-predicates failed"
        ' persistentvolumeclaim "homes" not found.'
    )

    found = look(objects)

    assert found.reason is Reason.NO_NODE
    assert say(found) == (
        "The volume cannot be mounted at the moment, still trying:"
        ' persistentvolumeclaim "homes" not found'
    )
    assert found.facts["object"] == "pod/analysis-run-0"


def test_facts_that_hinder_can_be_stored() -> None:
    objects = load("real-pulling")
    keep_events(objects, "Scheduled")
    (scheduled,) = objects["events"]
    objects["events"].append({**scheduled, "reason": "FailedMount", "message": "no such server"})

    found = look(objects)

    assert found.reason is Reason.IMAGE_PULL
    stored = json.loads(json.dumps(dict(found.facts)))
    assert stored == found.facts
    assert say(replace(found, facts=stored)) == (
        "The volume cannot be mounted at the moment, still trying: no such server"
    )


def test_before_and_after_an_image_is_pulled() -> None:
    objects = load("real-pulling")
    keep_events(objects, "Scheduled")

    assert say(look(objects)) == "Preparing the machine"

    objects = load("real-making-folders")
    del objects["pod"]["status"]["initContainerStatuses"]
    keep_events(objects, "Pulled")
    # That is the platform's own image, of the first container.
    assert say(look(objects)) == "Preparing the machine"
    (pulled,) = objects["events"]
    pulled["involvedObject"]["fieldPath"] = "spec.containers{notebook}"
    assert look(objects).reason is Reason.KERNEL_START


def test_events_count_by_their_times() -> None:
    objects = load("real-making-folders")
    del objects["pod"]["status"]["initContainerStatuses"]
    pulled = next(each for each in objects["events"] if each["reason"] == "Pulled")
    pulled["involvedObject"]["fieldPath"] = "spec.containers{notebook}"
    pulling = {**copy.deepcopy(pulled), "reason": "Pulling"}
    pulling["lastTimestamp"] = "2026-11-24T01:00:00Z"

    objects["events"] = [pulled, pulling]
    assert look(objects).reason is Reason.KERNEL_START
    pulled["lastTimestamp"] = "2026-11-24T00:00:00Z"
    assert look(objects).reason is Reason.IMAGE_PULL


def test_a_first_container_that_began_says_nothing_of_the_image_that_was_chosen() -> None:
    objects = load("real-making-folders")
    objects["events"] = []

    assert say(look(objects)) == "Preparing the machine"


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
    for each in objects["events"]:
        each["involvedObject"]["uid"] = "another"

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
