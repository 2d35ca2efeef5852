"""What a pod's start waits for, as a session asks, from pods and events that a real API server had.

Jobs ask the same; their pods' way through the service is in `tests/unit/backends`.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub_config.platform.catalogue import NodePool
from hub_config.platform.pod_starts import explain_pod, has_ended
from hub_config.platform.sentences import describe_start
from hub_config.platform.waiting import Waiting, quote
from offline_jobs.contract.facts import Facts, PullFailure
from offline_jobs.contract.states import Reason
from tests.bed.overlay import load_catalogue
from tests.bed.record import load

FACTS: Facts = {"class": "gpu", "image": "notebook"}
SESSION = Path(__file__).parents[2] / "golden" / "pods" / "session-small.json"

#: Situation → the sentence where nobody looked at node claims.
SENTENCES = {
    "no-machine": "No machine of class gpu can be had at the moment, still trying",
    "waiting-for-machine": "Starting a machine of class gpu",
    "pulling": "Pulling the image notebook",
    "real-pulling": "Pulling the image notebook",
    "image-missing": (
        "The registry does not have the image notebook, still trying: tell an administrator, who"
        " can push it"
    ),
    "real-image-missing": (
        "The registry of the image notebook does not answer at the moment, still trying: it goes on"
        " when that is back"
    ),
    "real-making-folders": "Preparing the machine",
    "running": "Starting JupyterLab",
    "refused": (
        "The start has failed: Pod was rejected: Node didn't have enough resource: cpu,"
        " requested: 1000, used: 3900, capacity: 4000"
    ),
    "real-folders-failed": "The start has failed: folders ended with exit code 1",
    "real-evicted": "The start has failed: notebook ended with exit code 13",
    "real-completed": "The start has failed: notebook ended with exit code 0",
}


def ask(
    situation: str,
    claims: list[Any] | None = None,
    *,
    last: str = "",
    pool: NodePool | None = None,
) -> Waiting:
    """What the pod of a situation waits for; ``last`` is the reason of the last event to count."""
    pod, events = take(situation)
    if last:
        reasons = [each["reason"] for each in events]
        events = events[: reasons.index(last) + 1]
    return explain(pod, events, claims, pool)


def take(situation: str) -> tuple[Any, list[Any]]:
    """The pod of a situation and its events, for a test to change."""
    objects = copy.deepcopy(dict(load(situation)))
    uid = objects["pod"]["metadata"]["uid"]
    return objects["pod"], [e for e in objects["events"] if e["involvedObject"]["uid"] == uid]


def explain(
    pod: Any, events: list[Any], claims: list[Any] | None = None, pool: NodePool | None = None
) -> Waiting:
    started = Reason.JUPYTER_START
    return explain_pod(pod, events, claims, facts=FACTS, started=started, pool=pool)


def say(pod: Any, events: list[Any], claims: list[Any] | None = None) -> str:
    return describe_start(explain(pod, events, claims))


@pytest.mark.parametrize("situation", SENTENCES)
def test_what_a_session_waits_for(situation: str) -> None:
    assert describe_start(ask(situation)) == SENTENCES[situation]


def test_before_there_is_a_pod_a_machine_is_asked_for() -> None:
    found = explain(None, [])

    assert found == Waiting(Reason.NO_NODE, {**FACTS, "asking": True})


def test_before_anybody_has_said_more_than_that_there_is_no_room() -> None:
    # Where nobody looked at node claims, there may be no Karpenter, and no more is ever said.
    found = ask("waiting-for-machine", last="FailedScheduling")
    assert describe_start(found) == "Asking for a machine of class gpu, none is free yet"
    assert found.facts["object"] == "pod/analysis-run-0"

    found = ask("waiting-for-machine", [], last="FailedScheduling")
    assert describe_start(found) == "Asking for a machine of class gpu"


def test_before_the_scheduler_looked() -> None:
    pod, _ = take("waiting-for-machine")
    gated = {"reason": "SchedulingGated", "message": "Scheduling is blocked"}
    pod["status"]["conditions"][0] |= gated
    assert say(pod, []) == "Asking for a machine of class gpu"

    del pod["status"]["conditions"]

    assert say(pod, []) == "Asking for a machine of class gpu"


def test_a_machine_that_karpenter_gave_up_is_not_awaited() -> None:
    pod, events = take("waiting-for-machine")
    events.append(take("no-machine")[1][-1])
    assert [each["reason"] for each in events[-2:]] == ["Nominated", "FailedScheduling"]

    assert say(pod, events) == "No machine of class gpu can be had at the moment, still trying"
    # Who sees the claim knows better.
    claim = load("waiting-for-machine")["node_claim"]
    assert say(pod, events, [claim]) == "Starting a machine of class gpu"


#: What the scheduler said (its condition of the pod), what Karpenter said, what people read. All
#: but the names were said by the real ones.
CLAIMS = {
    "kubernetes": (
        '0/1 nodes are available: persistentvolumeclaim "homes" not found. not found',
        "",
        'persistentvolumeclaim "homes" not found',
    ),
    "kubernetes, a bucket": (
        '0/1 nodes are available: persistentvolumeclaim "data-atlas.v2" not found. not found',
        "",
        'persistentvolumeclaim "data-atlas.v2" not found',
    ),
    "kubernetes, unbound": (
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
        "",
        "pod has unbound immediate PersistentVolumeClaims",
    ),
    "volcano": (
        "0/1 nodes are unavailable: 1 plugin VolumeZone pre-predicates failed"
        ' persistentvolumeclaim "homes" not found.',
        "",
        'persistentvolumeclaim "homes" not found',
    ),
    "no node": (
        "no nodes available to schedule pods",
        "Failed to schedule pod, getting persistent volume claim,"
        ' PersistentVolumeClaim "homes" not found (PersistentVolumeClaim=homes)',
        'PersistentVolumeClaim "homes" not found',
    ),
    "no node, unbound": (
        "no nodes available to schedule pods",
        "Failed to schedule pod, unbound pvc must define a storage class"
        " (PersistentVolumeClaim=hub/homes, StorageClass=)",
        "unbound pvc must define a storage class",
    ),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_a_claim_that_cannot_be_had_is_no_want_of_machines(case: str) -> None:
    scheduler, karpenter, said = CLAIMS[case]
    pod, events = take("no-machine")
    pod["status"]["conditions"][0]["message"] = scheduler
    *others, last = events
    events = [*others, {**last, "message": karpenter}] if karpenter else others

    # A machine that comes for another pod does not help, either.
    coming = load("waiting-for-machine")["node_claim"]
    for claims in (None, [], [coming]):
        sentence = f"The volume cannot be mounted at the moment, still trying: {said}"
        assert say(pod, events, claims) == sentence


@pytest.mark.parametrize(
    "message",
    [
        "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.",
        "0/3 nodes are available: 1 node(s) had volume node affinity conflict, 2 Insufficient cpu.",
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
        " no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not"
        " helpful for scheduling.",
    ],
)
def test_nodes_that_do_not_fit_do_not_hinder_that_a_machine_comes(message: str) -> None:
    pod, events = take("waiting-for-machine")
    pod["status"]["conditions"][0]["message"] = message

    assert say(pod, events) == "Starting a machine of class gpu"
    assert say(pod, []) == "Asking for a machine of class gpu, none is free yet"


def test_a_machine_that_was_meant_for_it_and_went_is_not_awaited() -> None:
    claim = load("waiting-for-machine")["node_claim"]
    name = claim["metadata"]["name"]

    assert ask("waiting-for-machine", [claim]).facts["object"] == f"nodeclaim/{name}"
    assert ask("waiting-for-machine", []).reason is Reason.NO_NODE


def test_machines_that_come_for_others_end_no_line() -> None:
    pod, events = take("pool-full")
    runs = load("pool-full")["node_claim"]
    comes = copy.deepcopy(dict(load("waiting-for-machine")["node_claim"]))
    comes["metadata"]["labels"] |= pod["spec"]["nodeSelector"] | runs["metadata"]["labels"]
    pool = load_catalogue(real=False).node_pools["jobs-general"]
    full = replace(pool, limits={"cpu": 36})

    assert explain(pod, events, [comes, runs]).reason is Reason.NODE_STARTING
    assert explain(pod, events, [comes, runs], full).reason is Reason.POOL_LIMIT


def test_the_kubelet_took_the_pod_and_has_not_said_what_it_does() -> None:
    assert describe_start(ask("real-pulling", last="Scheduled")) == "Preparing the machine"


def test_a_volume_that_cannot_be_mounted() -> None:
    pod, (scheduled, pulling) = take("real-pulling")
    message = (
        'MountVolume.SetUp failed for volume "homes" : mount failed: exit status 32\n'
        "Mounting command: mount\nOutput: mount.nfs4: access denied by server."
    )
    failed = {**pulling, "type": "Warning", "reason": "FailedMount", "message": message}
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}

    assert say(pod, [scheduled, failed]) == (
        "The volume cannot be mounted at the moment, still trying:"
        ' MountVolume.SetUp failed for volume "homes" : mount failed: exit status 32 Mounting'
        " command: mount Output: mount.nfs4: access denied by server"
    )
    # A service that gives up pulls that fail must not take this for one.
    assert "failing" not in explain(pod, [scheduled, failed]).facts
    assert say(pod, [scheduled, failed, pulling]) == "Pulling the image notebook"
    attach = {**failed, "reason": "FailedAttachVolume", "message": None}
    sentence = "The volume cannot be mounted at the moment, still trying"
    assert say(pod, [scheduled, attach]) == sentence


def test_what_runs_has_its_volumes() -> None:
    pod, events = take("real-making-folders")
    late = {**events[0], "reason": "FailedMount", "message": "a little late"}

    assert say(pod, [*events, late]) == "Preparing the machine"


BADLY = {"exitCode": 1, "reason": "Error"}
BACK_OFF = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}


@pytest.mark.parametrize(
    "status",
    [
        {"state": {"terminated": BADLY}},
        {"state": {"waiting": BACK_OFF}, "lastState": {"terminated": BADLY}},
        {"state": {"running": {}}, "lastState": {"terminated": BADLY}},
    ],
)
def test_folders_that_cannot_be_prepared(status: dict[str, Any]) -> None:
    pod, events = take("real-making-folders")
    (folders,) = pod["status"]["initContainerStatuses"]
    folders |= {"restartCount": 1, **status}

    sentence = "The folders of the home cannot be prepared at the moment, still trying"
    assert say(pod, events) == sentence
    # At last.
    folders |= {"state": {"terminated": {"exitCode": 0}}, "lastState": {"terminated": BADLY}}
    assert say(pod, events) == "Preparing the machine"
    # Its own image cannot be pulled: that is nobody's choice.
    folders |= {"state": {"waiting": {"reason": "ErrImagePull"}}, "lastState": {}}
    assert say(pod, events) == sentence


def test_the_folders_are_those_of_our_first_container() -> None:
    session = json.loads(SESSION.read_text(encoding="utf-8"))
    (first,) = session["spec"]["initContainers"]
    pod, events = take("real-making-folders")
    (status,) = pod["status"]["initContainerStatuses"]
    status |= {"name": first["name"], "state": {"waiting": BACK_OFF}}
    assert say(pod, events).startswith("The folders of the home cannot be prepared")

    status["name"] = "somebody-elses"
    assert say(pod, events) == "Starting JupyterLab fails at the moment, still trying"


def test_a_server_that_does_not_start() -> None:
    pod, events = take("running")
    (status,) = pod["status"]["containerStatuses"]
    sentence = "Starting JupyterLab fails at the moment, still trying"

    status["state"] = {"waiting": BACK_OFF}
    assert say(pod, events) == sentence
    message = 'failed to prepare subPath for volumeMount "home" of container "notebook"'
    status["state"] = {"waiting": {"reason": "CreateContainerConfigError", "message": message}}
    assert say(pod, events) == f"{sentence}: {message}"


def test_a_pod_that_ended_waits_for_nothing() -> None:
    assert has_ended(take("refused")[0])
    assert not has_ended(take("running")[0])
    pod, events = take("refused")
    # Evicted before the scheduler's word was cleared; some say no more than the reason.
    del pod["status"]["message"], pod["spec"]["nodeName"]
    assert say(pod, events) == "The start has failed: OutOfcpu"


def test_a_first_container_that_did_its_work_is_no_reason_for_an_end() -> None:
    pod, events = take("real-folders-failed")
    status = pod["status"]
    status["initContainerStatuses"][0]["state"] = {"terminated": {"exitCode": 0}}
    status["containerStatuses"][0]["state"] = {"terminated": BADLY}

    assert say(pod, events) == "The start has failed: notebook ended with exit code 1"


def test_foreign_text_is_one_bounded_line() -> None:
    assert quote("\x1b[31mred\x1b[0m\r\n\u202eline\u2028 end ") == "red line  end"
    assert quote("x" * 200) == "x" * 200
    assert quote("x" * 100_000) == "x" * 199 + "…"


def test_a_session_whose_pool_is_at_its_limit_waits_for_others() -> None:
    pool = load_catalogue(real=False).node_pools["jobs-general"]

    assert describe_start(ask("pool-full", pool=pool)) == (
        "Waiting for a machine of class gpu: its pool is at its limit"
    )
    # Its place is the pool's own, whatever there is beside.
    other = replace(pool, slug="sessions-general")
    assert ask("pool-full", pool=other).reason is Reason.NO_NODE


_RESOLVE = 'failed to pull and unpack image "R/x@D": failed to resolve reference "R/x@D": '


@pytest.mark.parametrize(
    ("said", "why"),
    [
        # What containerd said on real nodes (tests/node/test_pulls.py).
        (f"{_RESOLVE}R/x@D: not found", PullFailure.MISSING),
        (
            f'{_RESOLVE}failed to do request: Head "http://R/v2/x/manifests/D": dial tcp'
            " 10.205.0.1:5: connect: connection refused",
            PullFailure.AWAY,
        ),
        (
            f"{_RESOLVE}pulling from host R failed with status code [manifests D]: 401"
            " Unauthorized",
            PullFailure.REFUSED,
        ),
        # A registry that tells strangers nothing: it may be there.
        (
            f"{_RESOLVE}pull access denied, repository does not exist or may require authorization",
            PullFailure.REFUSED,
        ),
        (f"{_RESOLVE}unexpected status from HEAD request to https://R: 503", PullFailure.AWAY),
        ("failed to extract layer: no space left on device", None),
        ("", None),
    ],
)
def test_why_an_image_cannot_be_pulled_is_read_from_containerds_words(
    said: str, why: PullFailure | None
) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": said}
    pod = {
        "metadata": {"name": "ada"},
        "spec": {"nodeName": "node"},
        "status": {"containerStatuses": [{"name": "notebook", "state": {"waiting": waiting}}]},
    }
    found = explain_pod(pod, [], None, facts={}, started=Reason.JUPYTER_START, pool=None)
    assert found.facts.get("failing") is True
    assert found.facts.get("pull") is why
