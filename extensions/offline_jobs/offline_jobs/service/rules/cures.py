"""How a job that has ended is best run again: what to change, and whether it may go as it was.

:mod:`~offline_jobs.service.rules.sentences` says why it ended; this says what the button beside
that does. Only what its owner may have is named. Pure.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub_config.platform.catalogue import InstanceClass
from offline_jobs.contract.states import Cause
from offline_jobs.service.model import Job
from offline_jobs.service.rules import amounts

#: Causes whose cure may be another class; for the others nobody need know what classes there are.
CURED_BY_CLASS = frozenset({Cause.OUT_OF_MEMORY, Cause.TIME_LIMIT, Cause.INTERRUPTED})
#: A run that took too long gets so many times its limit.
LONGER = 2


@dataclass(frozen=True)
class Again:
    """What to do where a job is to run again.

    Attributes:
        label: words of a button; empty where nothing is to be changed.
        changes: what to change, as the REST API spells it.
        unchanged: whether it may end otherwise when nothing is changed.
    """

    label: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    unchanged: bool = True


def advise(job: Job, classes: Collection[InstanceClass]) -> Again:
    """Say how a job that has ended is best run again.

    Args:
        job: the job.
        classes: those that work with its image and that its group may have, its own among them
            where that can still be had; looked at for :data:`CURED_BY_CLASS` alone.
    """
    cure = _CURES.get(job.cause) if job.cause else None
    return cure(job, classes) if cure else Again()


def find_larger(job: Job, classes: Collection[InstanceClass]) -> InstanceClass | None:
    """The smallest class with more memory than the job's, for one that had too little."""
    own = _find_own(job, classes)
    if own is None or job.cause is not Cause.OUT_OF_MEMORY:
        return None
    larger = [each for each in classes if each.memory_bytes > own.memory_bytes]
    return min(larger, key=lambda each: (each.gpus, each.memory_bytes), default=None)


def _find_own(job: Job, classes: Collection[InstanceClass]) -> InstanceClass | None:
    return next((each for each in classes if each.slug == job.request.machine_class), None)


def _on(machine: InstanceClass | None) -> Again:
    if machine is None:
        return Again(unchanged=False)
    return Again(f"Run on {machine.name}", {"class": machine.slug}, unchanged=False)


def _with_memory(job: Job, classes: Collection[InstanceClass]) -> Again:
    return _on(find_larger(job, classes))


def _for_longer(job: Job, classes: Collection[InstanceClass]) -> Again:
    """With a longer limit, if need be on another machine with no less of anything."""
    limit, own = job.request.time_limit_seconds, _find_own(job, classes)
    if own is None:
        return Again(unchanged=False)
    machine = own if own.longest_job_seconds > limit else _find_patient(own, limit, classes)
    if machine is None:
        return Again(unchanged=False)
    longer = min(LONGER * limit, machine.longest_job_seconds)
    changes: dict[str, Any] = {"time_limit_seconds": longer}
    where = ""
    if machine is not own:
        changes["class"] = machine.slug
        where = f"on {machine.name} "
    return Again(f"Run {where}with {amounts.duration(longer)}", changes, unchanged=False)


def _find_patient(
    own: InstanceClass, limit: int, classes: Collection[InstanceClass]
) -> InstanceClass | None:
    patient = [
        each
        for each in classes
        if each.longest_job_seconds > limit
        and each.cores >= own.cores
        and each.memory_bytes >= own.memory_bytes
        and each.gpus >= own.gpus
    ]
    return min(patient, key=lambda each: (each.gpus, each.memory_bytes), default=None)


def _find_roomier(job: Job, classes: Collection[InstanceClass]) -> InstanceClass | None:
    own = _find_own(job, classes)
    if own is None:
        return None
    roomier = [
        each
        for each in classes
        if each.scratch_bytes > own.scratch_bytes
        and each.memory_bytes >= own.memory_bytes
        and each.gpus >= own.gpus
    ]
    return min(roomier, key=lambda each: (each.gpus, each.scratch_bytes), default=None)


def _interrupted(job: Job, classes: Collection[InstanceClass]) -> Again:
    if job.facts.get("filled_scratch") is True:
        return _on(_find_roomier(job, classes))
    if job.request.interruptible:
        return Again("Run on an on-demand machine", {"interruptible": False})
    return Again()


def _no_capacity(job: Job, classes: Collection[InstanceClass]) -> Again:
    return Again(unchanged=job.facts.get("beyond_limit") is not True)


def _refused(job: Job, classes: Collection[InstanceClass]) -> Again:
    is_known = job.facts.get("not_in_catalogue") or job.facts.get("not_member")
    return Again(unchanged=not is_known)


_CURES: Mapping[Cause, Callable[[Job, Collection[InstanceClass]], Again]] = {
    Cause.OUT_OF_MEMORY: _with_memory,
    Cause.TIME_LIMIT: _for_longer,
    Cause.INTERRUPTED: _interrupted,
    Cause.NO_CAPACITY: _no_capacity,
    Cause.REFUSED: _refused,
}
