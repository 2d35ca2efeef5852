"""How an attempt's pod ended, in neutral words.

Place in the path: ``volcano/explain.py`` asks here when an attempt has ended;
:mod:`~offline_jobs.service.rules.causes` judges. The kubelet's codes of signals (128 + n) become
negative numbers, as processes' are. Pure.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodStatus and
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions (v1.35)
"""

from typing import Any

from hub_config.platform.pods import CONTAINER
from offline_jobs.contract.exits import Exit
from offline_jobs.contract.facts import Hindrance
from offline_jobs.service.backends.kubernetes.objects import Object, has_condition
from offline_jobs.service.model import Evidence
from offline_jobs.service.rules.records import parse_termination

_KILLED_FOR_MEMORY = "OOMKilled"
#: The last word when a node went or was started anew while the container ran (the kubelet's, then
#: containerd's): nobody knows how it ended.
_UNKNOWN_ENDS = frozenset({"ContainerStatusUnknown", "Unknown"})
#: Set on a pod that Kubernetes itself takes away: drained, evicted, its node lost, preempted.
_DISRUPTED = "DisruptionTarget"
#: The kubelet's words for a pod that wrote more to the node's disk than it may: to its volume, or
#: to that and elsewhere in its container.
#: Source: kubernetes v1.35 pkg/kubelet/eviction/helpers.go
_EVICTED = "Evicted"
_DISK_WORDS = (
    'EmptyDir volume "scratch"',
    "ephemeral local storage usage exceeds",
    "exceeded its local ephemeral storage limit",
)
_SIGNALS = range(129, 129 + 64)


def build_evidence(pod: Object | None, *, was_ours_to_end: bool = False) -> Evidence:
    """What is known of the end.

    Args:
        pod: as it was seen last; ``None``: nobody saw one.
        was_ours_to_end: the Job was deleted, by whomever, or Volcano was told to end it.
    """
    if pod is None:
        return Evidence(removed=was_ours_to_end)
    status = pod.get("status", {})
    removed = was_ours_to_end or (
        "deletionTimestamp" in pod["metadata"] and not has_condition(pod, _DISRUPTED)
    )
    message = status.get("message") or ""
    is_evicted = status.get("reason") == _EVICTED
    filled = is_evicted and any(words in message for words in _DISK_WORDS)
    end = _find_end(status.get("containerStatuses", []))
    if end is None:
        failed = [
            each
            for each in status.get("initContainerStatuses", [])
            if each.get("state", {}).get("terminated", {}).get("exitCode")
        ]
        if failed and not removed:
            return Evidence(exit_code=Exit.INFRASTRUCTURE, hindrance=Hindrance.FOLDERS)
        return Evidence(removed=removed, filled_scratch=filled, message=message)
    code = end.get("exitCode")
    reason = end.get("reason")
    return Evidence(
        exit_code=None if reason in _UNKNOWN_ENDS else to_process_code(code),
        killed_for_memory=reason == _KILLED_FOR_MEMORY,
        # It had ended by itself before somebody deleted it.
        removed=removed and _was_stopped(code),
        filled_scratch=filled,
        message=message,
        termination=parse_termination((end.get("message") or "").encode()),
    )


def to_process_code(code: int | None) -> int | None:
    """A container's exit code as a process': negative for a signal."""
    return 128 - code if code in _SIGNALS and code is not None else code


def _was_stopped(code: int | None) -> bool:
    """Whether the runner ended because it was told or forced to."""
    return code is None or code in _SIGNALS or code == Exit.INTERRUPTED


def _find_end(statuses: list[Any]) -> Object | None:
    """The runner's ``terminated`` state, if it has ended."""
    for each in statuses:
        if each.get("name") == CONTAINER and (end := each.get("state", {}).get("terminated")):
            found: Object = end
            return found
    return None
