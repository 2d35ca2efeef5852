"""Where an attempt's Volcano Job stands, and what it waits for.

Place in the path: ``volcano/backend.py`` asks :func:`observe` for each open attempt; what a pod
waits for is :func:`hub_config.platform.pod_starts.explain_pod`'s to say, for sessions and jobs
alike. Here are the stages before there is a pod. Pure.

Source: volcano.sh/volcano v1.15.1, pkg/scheduler/plugins/capacity/capacity.go (the event of a pod
group over its queue's quota) and pkg/controllers/job/state/ (phases)
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hub_config.platform.catalogue import NodePool
from hub_config.platform.pod_starts import explain_pod
from hub_config.platform.pods import LABEL_PREFIX
from hub_config.platform.waiting import Waiting
from offline_jobs.contract.facts import Facts
from offline_jobs.contract.states import Reason
from offline_jobs.service.backends.kubernetes.evidence import build_evidence
from offline_jobs.service.backends.kubernetes.objects import (
    Object,
    Seen,
    get_begin,
    get_name,
    get_phase,
)
from offline_jobs.service.model import Evidence, Observation

#: Phases of a Job that nothing happens to any more.
_COMPLETED = "Completed"
FINAL_PHASES = frozenset({_COMPLETED, "Failed", "Terminated", "Aborted"})
_ENDED_POD = frozenset({"Succeeded", "Failed"})
_WAITING_GROUP = frozenset({"", "Pending"})
_QUOTA = "quota insufficient"


def observe(
    seen: Seen | None,
    *,
    claims: Sequence[Object] | None,
    ahead: Mapping[str, int],
    facts: Facts,
    pool: NodePool | None,
) -> Observation:
    """What is seen of an attempt.

    Args:
        seen: its objects; ``None``: there are none.
        claims: all node claims; ``None``: this cluster has none to look at.
        ahead: places in the lines, of :func:`count_ahead`.
        facts: slugs that sentences name: ``class``, ``image``, ``group``.
        pool: where its pod may run; ``None``: nobody knows.
    """
    if seen is None or (seen.job is None and seen.pod is None):
        return Observation("absent")
    handle = {"uid": seen.job["metadata"]["uid"]} if seen.job else {}
    if has_ended(seen):
        if get_phase(seen.job) == _COMPLETED and get_phase(seen.pod) not in _ENDED_POD:
            # Its end was missed, and the pod is gone: Volcano has counted it as a success.
            return Observation("ended", handle=handle, evidence=Evidence(exit_code=0))
        evidence = build_evidence(seen.pod, was_ours_to_end=is_being_removed(seen))
        return Observation("ended", handle=handle, evidence=evidence)
    if get_phase(seen.pod) == "Running" or seen.job is None or is_stopping(seen):
        return Observation("running", handle=handle, begun=get_begin(seen.pod))
    waiting = explain(seen, claims=claims, ahead=ahead, facts=facts, pool=pool)
    return Observation("waiting", waiting.reason, waiting.facts, handle)


def read_facts(seen: Seen | None) -> Facts:
    """Slugs that sentences name, from the labels that an attempt's Job gives its pod."""
    if seen is None or seen.job is None:
        return {}
    labels = seen.job["spec"]["tasks"][0]["template"]["metadata"]["labels"]
    return {
        "group": labels[f"{LABEL_PREFIX}/group"],
        "image": labels[f"{LABEL_PREFIX}/image"],
        "class": labels[f"{LABEL_PREFIX}/class"],
    }


def has_ended(seen: Seen) -> bool:
    """Whether nothing of the attempt runs or will run."""
    if get_phase(seen.pod) in _ENDED_POD or seen.is_pod_gone:
        return True
    # A Job that ended may still have a pod on its way out, which has its last words to say.
    return seen.pod is None and get_phase(seen.job) in FINAL_PHASES


def is_stopping(seen: Seen) -> bool:
    """Whether the pod is being taken away while it has not ended."""
    return seen.pod is not None and "deletionTimestamp" in seen.pod["metadata"]


def is_being_removed(seen: Seen) -> bool:
    """Whether the Job was deleted, or is being deleted."""
    return seen.job is None or "deletionTimestamp" in seen.job["metadata"]


def explain(
    seen: Seen,
    *,
    claims: Sequence[Object] | None,
    ahead: Mapping[str, int],
    facts: Facts,
    pool: NodePool | None,
) -> Waiting:
    """What an attempt that does not run yet waits for."""
    if seen.pod is None and get_phase(seen.pod_group) in _WAITING_GROUP:
        return _explain_line(seen, ahead, facts)
    return explain_pod(
        seen.pod,
        seen.events_of(seen.pod),
        claims,
        facts=facts,
        started=Reason.KERNEL_START,
        pool=pool,
    )


def _explain_line(seen: Seen, ahead: Mapping[str, int], facts: Facts) -> Waiting:
    """What is said of an attempt that has no pod.

    Volcano's controllers make its pod group at once. Its scheduler says in each cycle, once a
    second, why a pod group is not let in: events outlive the few minutes in which some of them are
    held back. So one without an event has had no answer.
    """
    group = seen.pod_group
    if group is None:
        return Waiting(Reason.QUEUE_QUOTA, {**facts, "asking": True, "unanswered": True})
    told: Facts = {**facts, "object": f"podgroup/{get_name(group)}"}
    answers = seen.events_of(group)
    if not answers:
        return Waiting(Reason.QUEUE_QUOTA, {**told, "asking": True, "unanswered": True})
    if not any(_QUOTA in (event.get("message") or "") for event in answers):
        return Waiting(Reason.QUEUE_QUOTA, {**told, "asking": True})
    return Waiting(Reason.QUEUE_QUOTA, {**told, "ahead": ahead.get(get_name(group), 0)})


def count_ahead(pod_groups: Iterable[Object]) -> dict[str, int]:
    """How many of the same queue have waited longer, for each pod group that waits in line."""
    waiting = [each for each in pod_groups if get_phase(each) in _WAITING_GROUP]
    waiting.sort(key=lambda each: (str(each["metadata"].get("creationTimestamp")), get_name(each)))
    lengths: Counter[str] = Counter()
    ahead = {}
    for each in waiting:
        queue = each["spec"].get("queue", "")
        ahead[get_name(each)] = lengths[queue]
        lengths[queue] += 1
    return ahead
