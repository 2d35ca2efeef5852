"""What the start of a pod waits for, be it a session's or a job's.

One judgement for both kinds: the spawner and the jobs service's backend hand over what they see of
a pod, :func:`explain_pod` answers with a :class:`~hub_config.platform.waiting.Waiting`. Pure.

Source: states of pods and the kubelet's events:
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ (v1.35); a scheduler's last word,
Kubernetes' or Volcano's, is the message of the condition PodScheduled; Karpenter's events:
sigs.k8s.io/karpenter v1.14.1, pkg/controllers/provisioning/scheduling/events.go; conditions of node
claims: https://karpenter.sh/docs/concepts/nodeclaims/ (v1.14)
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hub_config.platform.catalogue import NodePool
from hub_config.platform.pool_limits import explain_limit
from hub_config.platform.waiting import Waiting, quote
from offline_jobs.contract.facts import Facts, Hindrance, PullFailure
from offline_jobs.contract.states import Reason

Object = Mapping[str, Any]

_NOMINATED = re.compile(r"\bnodeclaim/([a-z0-9.-]+)")
_KARPENTER = "karpenter"
#: What schedulers and Karpenter say of a claim that no machine mends; what they say of volumes on
#: single nodes reads otherwise. Names may have dots: only one before a space or at the end counts.
_NO_CLAIM = re.compile(
    r"unbound pvc [^(]*\w"
    r"|(?:pod has unbound immediate )?persistentvolumeclaim.*?(?=\.\s|\.?$|;| \()",
    re.IGNORECASE,
)
#: The first container of sessions and jobs, which makes the folders behind the mounts.
_FOLDERS = "folders"
_ENDED = frozenset({"Failed", "Succeeded"})
_IMAGE_EVENTS = frozenset({"Pulling", "Pulled", "Created", "Started"})
_MOUNT_FAILURES = frozenset({"FailedMount", "FailedAttachVolume"})
_CRASH_LOOP = "CrashLoopBackOff"
#: Why a container waits that has its image and yet does not start.
_START_FAILURES = frozenset(
    {_CRASH_LOOP, "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
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
#: What containerd and registries say -> why. The first that is found counts: a registry that tells
#: strangers nothing says "does not exist or may require authorization".
#: Source: containerd 1.6 and 1.7, remotes/docker; seen on real nodes.
_PULL_WORDS = (
    (
        re.compile(
            r"authorization|unauthorized|forbidden|no basic auth credentials|access denied"
            r"|: 40[13]\b|status(?: code)?:? 40[13]\b",
            re.IGNORECASE,
        ),
        PullFailure.REFUSED,
    ),
    (
        re.compile(r": not found\b|manifest unknown|name unknown", re.IGNORECASE),
        PullFailure.MISSING,
    ),
    (
        re.compile(
            r"failed to do request|connection re(?:fused|set)|no route to host|i/o timeout"
            r"|no such host|handshake timeout|deadline exceeded|unexpected EOF|status.*: 5\d\d\b",
            re.IGNORECASE,
        ),
        PullFailure.AWAY,
    ),
)


def explain_pod(
    pod: Object | None,
    events: Sequence[Object],
    claims: Iterable[Object] | None,
    *,
    facts: Facts,
    started: Reason,
    pool: NodePool | None,
) -> Waiting:
    """What a pod that does not run yet waits for.

    Args:
        pod: as the API gives it; ``None``: it is about to be made.
        events: the pod's, oldest first.
        claims: all node claims; ``None``: nobody looked at them.
        facts: go into the answer.
        started: the stage of a pod that has all it needs from the cluster.
        pool: where it may run; ``None``: nobody knows.
    """
    if pod is None:
        return Waiting(Reason.NO_NODE, {**facts, "asking": True})
    if has_ended(pod):
        end: Facts = {"object": _name("pod", pod), "hindrance": Hindrance.END}
        return Waiting(started, {**facts, **end, **_say(_tell_end(pod))})
    if not pod.get("spec", {}).get("nodeName"):
        return _explain_placing(pod, events, claims, facts, pool)
    return _explain_machine(pod, events, {**facts, "object": _name("pod", pod)}, started)


def has_ended(pod: Object) -> bool:
    """Whether nothing of a pod runs or will run: ended, evicted, or refused by its machine."""
    return pod.get("status", {}).get("phase") in _ENDED


def is_failing_to_pull(pod: Object) -> bool:
    """Whether the image that was chosen cannot be pulled at the moment."""
    return _find_pull_failure(pod) is not None


def _find_pull_failure(pod: Object) -> Object | None:
    """The state of the container whose chosen image cannot be pulled."""
    states = [each.get("state", {}).get("waiting", {}) for each in _list_chosen(pod)]
    return next((each for each in states if each.get("reason") in PULL_FAILURES), None)


def _explain_pull(waiting: Object) -> Facts:
    """Why an image cannot be pulled, as far as the words of the kubelet tell."""
    said = waiting.get("message") or ""
    why = next((why for words, why in _PULL_WORDS if words.search(said)), None)
    return {"failing": True, **({"pull": why} if why else {})}


def _say(text: object) -> Facts:
    """The fact of what the cluster said, if it said anything; sentences have no full stop."""
    said = quote(text or "").rstrip(". ")
    return {"said": said} if said else {}


def _tell_end(pod: Object) -> str:
    """Why a pod ended: the kubelet's words, else those of its containers' ends."""
    status = pod.get("status", {})
    if said := status.get("message") or status.get("reason"):
        return str(said)
    ends = [(each, each.get("state", {}).get("terminated")) for each in _list_containers(pod)]
    return ", ".join(
        f"{each['name']} ended with exit code {end.get('exitCode')}"
        for each, end in ends
        # A first container that did its work is no reason.
        if end and (end.get("exitCode") or each["name"] != _FOLDERS)
    )


def _list_containers(pod: Object) -> list[Object]:
    """The statuses of a pod's containers, in the order in which they start."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _list_chosen(pod: Object) -> list[Object]:
    """The statuses of those that have the image that was chosen."""
    return [each for each in _list_containers(pod) if each["name"] != _FOLDERS]


def _explain_machine(
    pod: Object, events: Sequence[Object], facts: Facts, started: Reason
) -> Waiting:
    """A pod that has its node."""
    if failed := _find_pull_failure(pod):
        return Waiting(Reason.IMAGE_PULL, {**facts, **_explain_pull(failed)})
    if failing := next(filter(_is_failing_to_start, _list_containers(pod)), None):
        return Waiting(started, {**facts, **_explain_failing(failing)})
    last = _find_last(events, _speaks_of_containers)
    reason = last.get("reason")
    if reason == "Pulling":
        return Waiting(Reason.IMAGE_PULL, facts)
    if reason in _IMAGE_EVENTS or any(map(_has_begun, _list_chosen(pod))):
        return Waiting(started, facts)
    # The first container has the volumes, too: with one that began they are there.
    if reason in _MOUNT_FAILURES and not any(map(_has_begun, _list_containers(pod))):
        facts = {**facts, "hindrance": Hindrance.VOLUME, **_say(last.get("message"))}
    return Waiting(Reason.IMAGE_PULL, {**facts, "asking": True})


def _has_begun(container: Object) -> bool:
    return bool(container.get("state", {}).keys() & {"running", "terminated"})


def _is_failing_to_start(container: Object) -> bool:
    """Whether a container does not start, or ended badly and has not done better since."""
    state = container.get("state", {})
    # The image of the first container is the platform's own, so nobody's choice cannot be pulled.
    failures = _START_FAILURES | (PULL_FAILURES if container.get("name") == _FOLDERS else set())
    if state.get("waiting", {}).get("reason") in failures:
        return True
    end = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
    return bool(end.get("exitCode"))


def _explain_failing(container: Object) -> Facts:
    """The facts of a container that does not start."""
    waiting = container.get("state", {}).get("waiting", {})
    # Of a container that ended it says only when it is tried again.
    said: Facts = {} if waiting.get("reason") == _CRASH_LOOP else _say(waiting.get("message"))
    if container.get("name") == _FOLDERS:
        return {"hindrance": Hindrance.FOLDERS, **said}
    return {"failing": True, **said}


def _explain_placing(
    pod: Object,
    events: Sequence[Object],
    claims: Iterable[Object] | None,
    facts: Facts,
    pool: NodePool | None,
) -> Waiting:
    """A pod without a node: one is coming, none can be had, or nobody has said yet."""
    scheduler, last = _get_schedulers_word(pod), _find_last(events, _speaks_of_machine)
    # With no node at all a scheduler says nothing of claims, Karpenter does.
    for word in (scheduler, last.get("message") or ""):
        if no_claim := _NO_CLAIM.search(word):
            hindered: Facts = {"object": _name("pod", pod), "hindrance": Hindrance.VOLUME}
            return Waiting(Reason.NO_NODE, {**facts, **hindered, **_say(no_claim[0])})
    claims = None if claims is None else list(claims)
    is_refused = last.get("reason") == "FailedScheduling"
    limited = None
    if is_refused and pool:
        limited = explain_limit(last.get("message") or "", pod, claims, pool)
    if claims is None:
        # Nobody can tell whether the claim is still there, so a later word ends the hope for it.
        claim = _find_nominated([last])
    else:
        # Whoever stands in the line of a full pool is not meant by machines that come for others.
        selector = {} if limited else pod.get("spec", {}).get("nodeSelector", {})
        claim = _find_claim(claims, _find_nominated(events), selector)
    if claim:
        return Waiting(Reason.NODE_STARTING, {**facts, "object": f"nodeclaim/{claim}"})
    facts = {**facts, "object": _name("pod", pod)}
    if is_refused:
        limited = limited or Waiting(Reason.NO_NODE)
        return Waiting(limited.reason, {**facts, **limited.facts})
    # A scheduler says so of each pod for which a machine must be bought, too; where nobody knows of
    # machines to be bought, it may be all that is ever said.
    if claims is None and not last and scheduler:
        facts = {**facts, "full": True}
    return Waiting(Reason.NO_NODE, {**facts, "asking": True})


def _get_schedulers_word(pod: Object) -> str:
    """Why the scheduler, whichever it is, found no node for a pod; empty: it has not said."""
    for each in pod.get("status", {}).get("conditions", []):
        if (each["type"], each.get("reason")) == ("PodScheduled", "Unschedulable"):
            return each.get("message") or ""
    return ""


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


def _speaks_of_containers(event: Object) -> bool:
    """Of volumes, or of a container with the image that was chosen."""
    place = event["involvedObject"].get("fieldPath") or ""
    return event.get("reason") in _IMAGE_EVENTS | _MOUNT_FAILURES and _FOLDERS not in place


def _speaks_of_machine(event: Object) -> bool:
    source = event.get("source") or {}
    speaker = source.get("component") or event.get("reportingComponent") or ""
    return speaker == _KARPENTER and event.get("reason") in ("Nominated", "FailedScheduling")


def _find_last(events: Sequence[Object], is_meant: Callable[[Object], bool]) -> Object:
    """The last event that is meant; empty when there is none."""
    return next(filter(is_meant, reversed(events)), {})


def _name(kind: str, found: Object) -> str:
    return f"{kind}/{found['metadata']['name']}"
