"""Which lesser class would have done for a job that succeeded, where its own was far too large.

Said on the page of that job alone, and only where what the run took is known: it must fit the
lesser class with room to spare. Pure.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from hub_config.platform.catalogue import InstanceClass
from offline_jobs.contract.run import ResultRecord
from offline_jobs.contract.states import State
from offline_jobs.service.model import Job
from offline_jobs.service.rules import amounts

#: Less than this part of the memory, or of the cores on average, is little.
LITTLE_MEMORY = 1 / 3
LITTLE_CORES = 1 / 4
#: The lesser class has so many times of what the run took at most.
MARGIN = 1.5
#: A shorter run tells too little, and costs too little.
SHORTEST_SECONDS = 60.0


@dataclass(frozen=True)
class Advice:
    """``machine`` would have done; ``sentence`` says why, without what it costs and a full stop."""

    machine: InstanceClass
    sentence: str


def advise_class(
    job: Job, record: ResultRecord, own: InstanceClass | None, classes: Collection[InstanceClass]
) -> Advice | None:
    """Say which class would do for such a job; ``None`` where its own is right, or nobody knows.

    Nothing is said of a class with GPUs: how much they did is not known.

    Args:
        job: the job.
        record: its runner's, of the attempt that ended it.
        own: the class that it ran on, if the catalogue still has it.
        classes: those that work with its image and that its group may have.
    """
    seconds = _find_seconds(record)
    is_known = job.state is State.SUCCEEDED and record.memory_peak_bytes > 0
    if own is None or own.gpus or not is_known or seconds < SHORTEST_SECONDS:
        return None
    reasons = _find_reasons(record, own, seconds)
    fitting = [each for each in classes if _fits(job, record, own, each)]
    if not reasons or not fitting:
        return None
    machine = min(fitting, key=lambda each: _rank(each, interruptible=job.request.interruptible))
    would_do = f"{machine.name} would do"
    if machine.scratch_bytes < own.scratch_bytes:
        # How much of it the run needed, nobody looked at.
        room = amounts.size(machine.scratch_bytes)
        would_do = f"where {room} of scratch space are enough, {would_do}"
    return Advice(machine, f"{' and '.join(reasons)}: {would_do}")


def _find_reasons(record: ResultRecord, own: InstanceClass, seconds: float) -> list[str]:
    """What it took little of, in words; a sentence's beginning."""
    reasons = []
    if record.memory_peak_bytes < LITTLE_MEMORY * own.memory_bytes:
        peak = amounts.size(record.memory_peak_bytes)
        reasons.append(f"peak memory was {peak} of {amounts.size(own.memory_bytes)}")
    busy = record.cpu_seconds / seconds
    if 0 < busy < LITTLE_CORES * own.cores:
        reasons.append(f"{amounts.cores_of(busy, own.cores)} were busy on average")
    return [reasons[0][0].upper() + reasons[0][1:], *reasons[1:]] if reasons else []


def _fits(job: Job, record: ResultRecord, own: InstanceClass, other: InstanceClass) -> bool:
    """Whether the run fits into another class, which is the lesser one."""
    # A runner of an earlier version does not say how many cores it took.
    cores = min(MARGIN * record.cores_peak, own.cores) if record.cores_peak else own.cores
    return (
        _is_lesser(other, own, interruptible=job.request.interruptible)
        and other.gpus == 0
        and other.memory_bytes >= MARGIN * record.memory_peak_bytes
        and other.cores >= cores
        and other.longest_job_seconds >= job.request.time_limit_seconds
        and (other.job.spot or not job.request.interruptible)
    )


def _is_lesser(other: InstanceClass, own: InstanceClass, *, interruptible: bool) -> bool:
    """Whether it costs less; where that is not known, whether it is smaller."""
    if other.price and own.price and other.price.currency == own.price.currency:
        return _find_price(other, interruptible) < _find_price(own, interruptible)
    mine, its = (own.memory_bytes, own.cores), (other.memory_bytes, other.cores)
    return its[0] <= mine[0] and its[1] <= mine[1] and its != mine


def _rank(machine: InstanceClass, *, interruptible: bool) -> tuple[float, float, float]:
    return _find_price(machine, interruptible), machine.memory_bytes, machine.cores


def _find_price(machine: InstanceClass, interruptible: bool) -> float:
    """What an hour costs; 0 where nobody knows."""
    price = machine.price
    return price.find_per_hour(interruptible=interruptible) if price else 0.0


def _find_seconds(record: ResultRecord) -> float:
    """How long the run took by its runner's word; 0 where that makes no sense."""
    try:
        took = datetime.fromisoformat(record.ended) - datetime.fromisoformat(record.started)
    except (ValueError, TypeError):
        return 0.0
    return took.total_seconds()
