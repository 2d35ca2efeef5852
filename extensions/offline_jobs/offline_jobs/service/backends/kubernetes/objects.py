"""Objects of the API, sorted out by attempt.

Place in the path: ``watch.py`` keeps what the API server has, as plain mappings; here they become
one :class:`Seen` per attempt, from which ``evidence.py`` and ``volcano/explain.py`` judge. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub_config.platform.pods import CONTAINER
from offline_jobs.contract.names import object_name
from offline_jobs.service.backends.kubernetes.pod import ATTEMPT_LABEL, JOB_LABEL

Object = Mapping[str, Any]

#: Volcano's label on a pod: the name of its Job.
JOB_NAME_LABEL = "volcano.sh/job-name"
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Seen:
    """Everything of one attempt.

    Attributes:
        job: the Volcano Job; ``None``: there is none (any more).
        pod_group: Volcano's admission of it; it goes when the Job ends.
        pod: the pod as it was seen last, also after it went.
        is_pod_gone: it went.
        events: of the pod and of the pod group, oldest first.
    """

    job: Object | None = None
    pod_group: Object | None = None
    pod: Object | None = None
    is_pod_gone: bool = False
    events: tuple[Object, ...] = ()

    def events_of(self, found: Object | None) -> list[Object]:
        """Those of one object."""
        uid = found["metadata"]["uid"] if found else None
        return [event for event in self.events if event["involvedObject"].get("uid") == uid]


def sort_out(
    *,
    jobs: Iterable[Object],
    pod_groups: Iterable[Object],
    pods: Iterable[Object],
    gone_pods: Iterable[Object] = (),
    events: Iterable[Object] = (),
) -> dict[str, Seen]:
    """What belongs together, by the Job's name.

    ``gone_pods`` are those that were deleted, as they were seen last; one that is there counts more
    than one that went, a later more than an earlier one.
    """
    jobs_by_name = {get_name(job): job for job in jobs}
    groups = {owner: group for group in pod_groups if (owner := _get_owner(group))}
    gone = _by_job(gone_pods)
    there = _by_job(pods)
    by_object: dict[str, list[Object]] = {}
    for event in sorted(events, key=get_time):
        by_object.setdefault(event["involvedObject"].get("uid", ""), []).append(event)
    found: dict[str, Seen] = {}
    for name in jobs_by_name.keys() | groups.keys() | gone.keys() | there.keys():
        pod = there.get(name) or gone.get(name)
        group = groups.get(name)
        found[name] = Seen(
            job=jobs_by_name.get(name),
            pod_group=group,
            pod=pod,
            is_pod_gone=name not in there and name in gone,
            events=tuple(
                event
                for each in (group, pod)
                if each
                for event in by_object.get(each["metadata"]["uid"], [])
            ),
        )
    return found


def get_name(found: Object) -> str:
    """An object's name."""
    name: str = found["metadata"]["name"]
    return name


def get_phase(found: Object | None) -> str:
    """The phase of a Volcano Job, a pod group or a pod; empty at first."""
    status = (found or {}).get("status", {})
    phase: str = status.get("state", {}).get("phase") or status.get("phase") or ""
    return phase


def get_time(event: Object) -> datetime:
    """When an event was seen last, by whichever of its fields its reporter fills."""
    series = event.get("series") or {}
    texts = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
    )
    text = next((each for each in texts if each), None)
    return datetime.fromisoformat(text) if text else _NEVER


def get_begin(pod: Object | None) -> datetime | None:
    """When the runner's container began, if it runs; else when the pod was made."""
    for each in (pod or {}).get("status", {}).get("containerStatuses") or []:
        text = each.get("state", {}).get("running", {}).get("startedAt")
        if each.get("name") == CONTAINER and text:
            return datetime.fromisoformat(text)
    made = (pod or {}).get("metadata", {}).get("creationTimestamp")
    return datetime.fromisoformat(made) if made else None


def get_attempt(found: Object) -> str:
    """The object name of the attempt that something says it is of; empty: it says none."""
    labels = found["metadata"].get("labels") or {}
    try:
        return object_name(labels[JOB_LABEL], int(labels[ATTEMPT_LABEL]))
    except (KeyError, ValueError):
        return ""


def has_condition(found: Object, kind: str, status: str = "True") -> bool:
    """Whether an object has a condition of this type and status."""
    conditions = found.get("status", {}).get("conditions") or []
    return any((each["type"], each["status"]) == (kind, status) for each in conditions)


def _by_job(pods: Iterable[Object]) -> dict[str, Object]:
    ordered = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    labelled = ((pod["metadata"].get("labels", {}).get(JOB_NAME_LABEL), pod) for pod in ordered)
    return {name: pod for name, pod in labelled if name}


def _get_owner(group: Object) -> str:
    """The Job that a pod group is of."""
    owners = group["metadata"].get("ownerReferences", [])
    return next((str(owner["name"]) for owner in owners if owner["kind"] == "Job"), "")
