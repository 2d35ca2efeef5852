"""How long a start may be hindered, by want of a machine, an image or what else a pod needs.

Place in the path: :mod:`~offline_jobs.service.rules.steps` stores where a job stands with
:func:`measure`'s facts, so the clock is in the store and outlives the service; once a hindrance has
stood too long, that is stored first, and then acted on: what was given up stays given up, whatever
is seen of its object on its way out. :mod:`~offline_jobs.service.rules.causes` reads
:func:`why_given_up`. Time in a line, of a queue or of
a pool at its limit, is nobody's fault and has no deadline; that nobody keeps the line is told
(:func:`tell_silence`), and ends no job. Pure.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from offline_jobs.contract.facts import Facts, Hindrance
from offline_jobs.contract.states import Cause, Reason
from offline_jobs.service.model import Job, Standing


def measure(
    job: Job, standing: Standing, now: datetime, limits: Mapping[Cause | Hindrance, float]
) -> Standing:
    """``standing`` with since when what hinders the start does, if something does.

    Args:
        job: as stored; while the same hindrance stands, its clock goes on.
        standing: where the job is seen to stand now.
        now: the time.
        limits: seconds after which a job is given up, by what hinders it or else by cause.
    """
    cause = _find_hindrance(standing.reason, standing.facts)
    if cause is None:
        return standing
    since = _find_since(job, now, goes_on=_find_hindrance(job.reason, job.facts) is cause)
    facts: Facts = {**standing.facts, "since": since.isoformat()}
    waited = (now - since).total_seconds()
    if waited >= limits.get(standing.facts.get("hindrance", cause), limits[cause]):
        facts["waited_seconds"] = int(waited)
    return replace(standing, facts=facts)


def tell_silence(job: Job, standing: Standing, now: datetime, patience_seconds: float) -> Standing:
    """``standing`` with since when nobody answers, and that it is to be told, once it is.

    The figure is that of the patience, so that what is stored does not change any more.
    """
    seen = standing.facts
    if seen.get("unanswered") is not True:
        return standing
    # With the object another one is asked.
    is_same = job.facts.get("unanswered") is True and job.facts.get("object") == seen.get("object")
    since = _find_since(job, now, goes_on=is_same)
    facts: Facts = {**seen, "since": since.isoformat()}
    if (now - since).total_seconds() >= patience_seconds:
        facts["unanswered_seconds"] = int(patience_seconds)
    return replace(standing, facts=facts)


def _find_since(job: Job, now: datetime, *, goes_on: bool) -> datetime:
    """When the clock of what is measured began: what is stored, while it goes on."""
    since = job.facts.get("since") if goes_on else None
    return now if since is None else datetime.fromisoformat(since)


def why_given_up(job: Job) -> Cause | None:
    """The cause for which a job that has not ended was given up; ``None``: it was not."""
    return _find_hindrance(job.reason, job.facts) if "waited_seconds" in job.facts else None


def _find_hindrance(reason: Reason | None, facts: Facts) -> Cause | None:
    """What a job fails for if this lasts; a machine that comes and goes is none all the while."""
    if facts.get("hindrance") or (reason is Reason.KERNEL_START and facts.get("failing") is True):
        return Cause.INTERNAL
    match reason:
        case Reason.NO_NODE | Reason.NODE_STARTING:
            return Cause.NO_CAPACITY
        case Reason.IMAGE_PULL if facts.get("failing") is True:
            return Cause.IMAGE_PULL
    return None
