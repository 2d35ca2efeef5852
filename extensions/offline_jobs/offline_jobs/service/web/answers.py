"""A job as its owner sees it: the fields of ``contract/job.py``, with words made on the way out."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hub_config.platform.catalogue import Catalogue, Group, Image, InstanceClass
from hub_config.platform.people import Person, build_person
from offline_jobs.contract.names import notebook_stem
from offline_jobs.service.model import Job, Turn
from offline_jobs.service.rules.cures import CURED_BY_CLASS, advise, find_larger
from offline_jobs.service.rules.sentences import describe, describe_turn
from offline_jobs.service.web.rooms import Rooms

_LONGEST_FACT = 2_000
Named = Group | InstanceClass | Image


def answer_job(job: Job, rooms: Rooms) -> dict[str, Any]:
    """The JSON of a job; keys are ``contract.job.JOB_FIELDS``."""
    # Whole lists of jobs come here, and most that failed did so by their own cells.
    classes = list_classes(job, rooms) if job.cause in CURED_BY_CLASS else []
    words = describe(spell_out(job, rooms.catalogue), find_larger(job, classes))
    return {
        **job.request.to_rest(),
        "id": job.id,
        "owner": job.owner,
        "state": job.state.value,
        "reason": job.reason.value if job.reason else None,
        "facts": _bounded(job.facts),
        "sentence": words.sentence,
        "cause": job.cause.value if job.cause else None,
        "next_step": words.next_step,
        "attempt": job.attempt,
        "cell": {"number": job.cell, "total": job.total},
        "cell_seconds": list(job.cell_seconds),
        "memory": {
            "bytes": job.memory_bytes,
            "peak_bytes": job.memory_peak_bytes,
            "limit_bytes": job.memory_limit_bytes,
        },
        "created": answer_time(job.created),
        "started": answer_time(job.started),
        "ended": answer_time(job.ended),
        "output_path": output_path(job),
        "has_result": job.has_result,
        "rerun_of": job.rerun_of,
        "shared": job.shared,
        "again": _answer_again(job, classes),
    }


def answer_shown(job: Job, rooms: Rooms, person: Person) -> dict[str, Any]:
    """The same for whoever may look at it: a guest is not told of the owner's home, nor advised."""
    answer = answer_job(job, rooms)
    if rooms.access.may_see(person, job):
        return answer
    return {**answer, "output_path": "", "again": None, "next_step": None}


def answer_turn(job: Job, turn: Turn, catalogue: Catalogue) -> dict[str, Any]:
    """The JSON of a change of the job's state."""
    return {
        "at": answer_time(turn.at),
        "attempt": turn.attempt,
        "state": turn.state.value,
        "reason": turn.reason.value if turn.reason else None,
        "cause": turn.cause.value if turn.cause else None,
        "facts": _bounded(turn.facts),
        "sentence": describe_turn(spell_out(job, catalogue), turn),
    }


def spell_out(job: Job, catalogue: Catalogue) -> Job:
    """The job with what people call its group, class and image in the places of their slugs.

    For sentences only. What the catalogue has no longer keeps its slug.
    """

    def name(entries: Mapping[str, Named], slug: str) -> str:
        return entries[slug].name if slug in entries else slug

    named = replace(
        job.request,
        group=name(catalogue.groups, job.request.group),
        machine_class=name(catalogue.classes, job.request.machine_class),
        image=name(catalogue.images, job.request.image),
    )
    return replace(job, request=named)


def output_path(job: Job) -> str:
    """Path of the executed notebook, relative to the home."""
    return f"{job.output}/{notebook_stem(job.request.path)}.ipynb"


def list_classes(job: Job, rooms: Rooms) -> list[InstanceClass]:
    """Classes that a job of its group and image could have now; none where these are gone."""
    if job.request.group not in rooms.catalogue.groups:
        return []
    offered = rooms.intake.offer(build_person(job.owner, [job.request.group]))
    return [
        c.instance_class
        for c in offered.classes
        if (job.request.image, c.instance_class.slug) in offered.pairs
    ]


def _answer_again(job: Job, classes: Collection[InstanceClass]) -> dict[str, Any] | None:
    if not job.state.is_terminal:
        return None
    found = advise(job, classes)
    return {"label": found.label, "changes": dict(found.changes), "unchanged": found.unchanged}


def _bounded(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value[:_LONGEST_FACT] if isinstance(value, str) else value
        for key, value in facts.items()
    }


def answer_time(moment: datetime | None) -> str | None:
    """A moment as answers have it: ISO 8601, in UTC, to the millisecond."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
