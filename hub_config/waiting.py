"""What the start of a session or a job waits for.

One judgement for both kinds: the spawners and the jobs service's backends look at their world and
hand over a :class:`Waiting`; :mod:`hub_config.sentences` words it. :func:`explain_pod` judges a pod
of either kind. Pure.

Source: the events are the kubelet's (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/,
v1.35) and Karpenter's (sigs.k8s.io/karpenter v1.14.1,
pkg/controllers/provisioning/scheduling/events.go); conditions of node claims:
https://karpenter.sh/docs/concepts/nodeclaims/ (v1.14)
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Object = Mapping[str, Any]


class Stage(StrEnum):
    """Where a start is; the words are those of the jobs' waiting reasons."""

    SERVICE = "service"
    LOCAL_SLOTS = "local-slots"
    QUEUE_QUOTA = "queue-quota"
    NO_NODE = "no-node"
    NODE_STARTING = "node-starting"
    IMAGE_PULL = "image-pull"
    KERNEL_START = "kernel-start"
    CLUSTER_UNREACHABLE = "cluster-unreachable"
    JUPYTER_START = "jupyter-start"


@dataclass(frozen=True)
class Waiting:
    """A stage with its facts.

    Attributes:
        stage: what is waited for.
        facts: numbers and slugs that the sentence uses: ``ahead`` (jobs before this one),
            ``class``, ``image``, ``group``; ``asking``: true as long as nobody has said whether it
            can be had; ``failing``: true when the image cannot be pulled; ``object``: what in the
            cluster tells so, such as ``nodeclaim/NAME``. All may be missing.
        expected_seconds: median of starts seen before; ``None`` when there were none.
    """

    stage: Stage
    facts: Mapping[str, object] = field(default_factory=dict)
    expected_seconds: float | None = None


_NOMINATED = re.compile(r"\bnodeclaim/([a-z0-9.-]+)")
_KARPENTER = "karpenter"
#: Why a container waits when its image cannot be had.
PULL_FAILURES = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)


def explain_pod(
    pod: Object | None,
    events: Sequence[Object],
    claims: Iterable[Object] | None,
    *,
    facts: Mapping[str, object],
    started: Stage,
) -> Waiting:
    """What a pod that does not run yet waits for.

    Args:
        pod: as the API gives it; ``None``: it is about to be made.
        events: the pod's, oldest first.
        claims: all node claims; ``None``: nobody looked at them.
        facts: go into the answer.
        started: the stage of a pod that has all it needs from the cluster.
    """
    if pod is None:
        return Waiting(Stage.NO_NODE, {**facts, "asking": True})
    if not pod.get("spec", {}).get("nodeName"):
        return _explain_placing(pod, events, claims, facts)
    facts = {**facts, "object": _name("pod", pod)}
    if is_failing_to_pull(pod):
        return Waiting(Stage.IMAGE_PULL, {**facts, "failing": True})
    last = _find_last(events, _speaks_of_image)
    if last == "Pulling":
        return Waiting(Stage.IMAGE_PULL, facts)
    # All containers have one image, so the first one that began tells that it is there.
    if last or any(each.keys() & {"running", "terminated"} for each in _list_states(pod)):
        return Waiting(started, facts)
    return Waiting(Stage.IMAGE_PULL, {**facts, "asking": True})


def is_failing_to_pull(pod: Object) -> bool:
    """Whether a container of a pod has no image at the moment because it cannot be pulled."""
    return any(each.get("waiting", {}).get("reason") in PULL_FAILURES for each in _list_states(pod))


def _list_states(pod: Object) -> list[Object]:
    """The states of a pod's containers."""
    status = pod.get("status", {})
    statuses = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return [each.get("state", {}) for each in statuses]


def _explain_placing(
    pod: Object,
    events: Sequence[Object],
    claims: Iterable[Object] | None,
    facts: Mapping[str, object],
) -> Waiting:
    """A pod without a node: one is coming, none can be had, or nobody has said yet."""
    claim = _find_nominated(events)
    if claims is not None:
        claim = _find_claim(claims, claim, pod.get("spec", {}).get("nodeSelector", {}))
    if claim:
        return Waiting(Stage.NODE_STARTING, {**facts, "object": f"nodeclaim/{claim}"})
    facts = {**facts, "object": _name("pod", pod)}
    if _find_last(events, _speaks_of_machine) == "FailedScheduling":
        return Waiting(Stage.NO_NODE, facts)
    return Waiting(Stage.NO_NODE, {**facts, "asking": True})


def _find_nominated(events: Sequence[Object]) -> str:
    """The node claim that Karpenter meant for a pod, by its last word; empty when there is none."""
    for event in reversed(events):
        if event.get("reason") == "Nominated":
            found = _NOMINATED.search(event.get("message") or "")
            return found[1] if found else ""
    return ""


def _find_claim(claims: Iterable[Object], nominated: str, selector: Mapping[str, str]) -> str:
    """The claim for a pod's machine: the nominated one, else one that is on its way and fits.

    Karpenter limits its events, so it does not say of each pod of a burst where it is meant to go.
    """
    names = [
        claim["metadata"]["name"]
        for claim in sorted(claims, key=lambda each: str(each["metadata"].get("creationTimestamp")))
        if claim["metadata"]["name"] == nominated or _is_coming_for(claim, selector)
    ]
    return nominated if nominated in names else next(iter(names), "")


def _is_coming_for(claim: Object, selector: Mapping[str, str]) -> bool:
    """Whether this machine is on its way and a pod with the selector may run there."""
    metadata, conditions = claim["metadata"], claim.get("status", {}).get("conditions", [])
    if any((each["type"], each["status"]) == ("Initialized", "True") for each in conditions):
        return False
    values = {key: [value] for key, value in metadata.get("labels", {}).items()}
    for each in claim.get("spec", {}).get("requirements", []):
        if each.get("operator") == "In":
            values.setdefault(each["key"], each.get("values", []))
    return (
        bool(selector)
        and "deletionTimestamp" not in metadata
        and all(value in values.get(key, []) for key, value in selector.items())
    )


def _speaks_of_image(event: Object) -> bool:
    return event.get("reason") in ("Pulling", "Pulled", "Created", "Started")


def _speaks_of_machine(event: Object) -> bool:
    source = event.get("source") or {}
    speaker = source.get("component") or event.get("reportingComponent") or ""
    return speaker == _KARPENTER and event.get("reason") in ("Nominated", "FailedScheduling")


def _find_last(events: Sequence[Object], is_meant: Callable[[Object], bool]) -> str:
    """The reason of the last event that is meant; empty when there is none."""
    return next((str(event["reason"]) for event in reversed(events) if is_meant(event)), "")


def _name(kind: str, found: Object) -> str:
    return f"{kind}/{found['metadata']['name']}"
