"""Jobs: check, submit, list, look at, cancel, run again, delete.

Each route reads top to bottom: caller, body, call, answer. Who may see a job: its owner, an
administrator, a lead of its group; who may end or delete it: owner and administrator; who may run
it again: the owner. To all others there is no such job.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from hub_config.choices import Offer
from offline_jobs.contract.names import JOB_ID
from offline_jobs.contract.states import State
from offline_jobs.service.errors import Forbidden, NotFound, ServiceError, Unsound
from offline_jobs.service.model import Job, NewJob
from offline_jobs.service.notebooks import Inspected
from offline_jobs.service.rules.submission import (
    Asked,
    Notebook,
    Problem,
    examine,
    foretell,
)
from offline_jobs.service.web.answers import answer_job
from offline_jobs.service.web.errors import refusal_of
from offline_jobs.service.web.identity import Caller, CallerOf
from offline_jobs.service.web.reading import Read, Reader
from offline_jobs.service.web.schema import Submission
from offline_jobs.service.web.services import Services, services_of

router = APIRouter(tags=["jobs"])

MOST_LISTED = 500
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Submission.model_json_schema()}},
    }
}


async def read_key(idempotency_key: Annotated[str, Header()] = "") -> str:
    """The request's Idempotency-Key.

    Raises:
        Unsound: missing or of another shape.
    """
    if not _KEY.fullmatch(idempotency_key):
        raise Unsound(
            "Send a header Idempotency-Key of 8 to 64 letters, digits, '_' and '-'; "
            "use the same one when you repeat a submission.",
            code="bad-idempotency-key",
            field="Idempotency-Key",
        )
    return idempotency_key


Key = Annotated[str, Depends(read_key)]


@router.post("/jobs/check", openapi_extra=_BODY)
async def check_job(request: Request, caller: CallerOf) -> Response:
    """Say what a submission would do and what keeps it from running; create nothing."""
    services = services_of(request)
    offer = services.offer(caller.person)
    sent = await reader_of(request).read(request, caller.name, offer)
    return JSONResponse(_check(offer, sent))


@router.post("/jobs", status_code=202, openapi_extra=_BODY)
async def submit_job(request: Request, caller: CallerOf, key: Key) -> Response:
    """Take a notebook for an offline job; durable when this answers."""
    services = services_of(request)
    offer = services.offer(caller.person)
    sent = await reader_of(request).read(request, caller.name, offer)
    return await run_in_threadpool(_submit, services, caller, offer, sent, key)


@dataclass(frozen=True)
class Whose:
    """Whose jobs a list is to hold."""

    user: Annotated[str | None, Query(max_length=255)] = None
    group: Annotated[str | None, Query(max_length=100)] = None


@router.get("/jobs")
def list_jobs(
    request: Request,
    caller: CallerOf,
    whose: Annotated[Whose, Depends()],
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """One's jobs, newest first.

    An administrator may name another user, or ``*`` for all; a lead or an administrator a group,
    for everybody's jobs that are charged to it.
    """
    services = services_of(request)
    owner = _owner_listed(services, caller, whose)
    version = services.store.version(owner)
    said = json.dumps([caller.name, owner, state, limit, cursor, whose.group, version])
    etag = f'"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'
    tags = (tag.strip() for tag in request.headers.get("if-none-match", "").split(","))
    # A proxy that compresses makes a tag weak; for a comparison of this kind both are the same.
    if etag in (tag.removeprefix("W/") for tag in tags):
        return Response(status_code=304, headers={"ETag": etag})
    jobs, next_cursor = services.store.jobs(owner, state, limit, cursor, group=whose.group)
    content = {"jobs": [answer_job(job, services) for job in jobs], "next_cursor": next_cursor}
    return JSONResponse(content, headers={"ETag": etag})


@router.get("/jobs/{job_id}")
def show_job(request: Request, caller: CallerOf, job_id: str) -> Response:
    """One job."""
    services = services_of(request)
    return JSONResponse(answer_job(visible_job(services, caller, job_id), services))


@router.post("/jobs/{job_id}/cancel", status_code=202)
def cancel_job(request: Request, caller: CallerOf, job_id: str) -> Response:
    """Ask for the end of a job; its finished cells are kept. Asking twice is fine."""
    services = services_of(request)
    job = _own_job(services, caller, job_id)
    if job.state in (State.SUCCEEDED, State.FAILED):
        raise ServiceError(
            "The job has ended by itself: there is nothing to cancel.",
            code="already-ended",
            status=409,
            id=job.id,
        )
    job = services.store.request_cancel(job.id)
    services.wake()
    return JSONResponse(answer_job(job, services), 202)


@router.post("/jobs/{job_id}/rerun", status_code=202)
def rerun_job(request: Request, caller: CallerOf, job_id: str, key: Key) -> Response:
    """Run the same snapshot again, as a new job; what one may use is checked anew."""
    services = services_of(request)
    job = visible_job(services, caller, job_id)
    if job.owner != caller.name:
        raise Forbidden("Only its owner can run a job again.", code="not-owner")
    digest = hashlib.sha256(f"rerun {job.id}".encode()).hexdigest()
    if (earlier := services.store.job_of_key(caller.name, key, digest)) is not None:
        return JSONResponse(answer_job(earlier, services))
    asked = Asked(
        name=job.name,
        path=job.path,
        options={"group": job.group, "image": job.image, "class": job.machine_class},
        kernel=job.kernel,
        parameters={},  # were sound for this snapshot, and still are
        time_limit_seconds=job.time_limit_seconds,
    )
    sound = examine(asked, services.offer(caller.person), None)
    if sound.problems:
        raise refusal_of(sound.problems[0])
    new = NewJob(
        owner=caller.name,
        name=job.name,
        path=job.path,
        group=job.group,
        image=job.image,
        machine_class=job.machine_class,
        kernel=job.kernel,
        parameters=job.parameters,
        time_limit_seconds=job.time_limit_seconds,
        interruptible=job.interruptible,
        notebook=services.store.snapshot(job.id),
        idempotency_key=key,
        digest=digest,
        rerun_of=job.id,
    )
    return _create(services, new)


@router.delete("/jobs/{job_id}", status_code=204)
def delete_job(request: Request, caller: CallerOf, job_id: str) -> Response:
    """Delete the record of a job that has ended; files in the home stay."""
    services = services_of(request)
    services.store.delete_job(_own_job(services, caller, job_id).id)
    services.wake()
    return Response(status_code=204)


def owner_asked_for(caller: Caller, user: str | None) -> str | None:
    """Whose jobs are asked for; ``None`` for everybody's.

    Raises:
        Forbidden: another user's, and the caller is no administrator.
    """
    if user in (None, "", caller.name):
        return caller.name
    if not caller.admin:
        raise Forbidden("Only an administrator can see the jobs of other users.")
    return None if user == "*" else user


def _owner_listed(services: Services, caller: Caller, whose: Whose) -> str | None:
    """Whose jobs are listed; of a group, everybody's unless a user is named.

    Raises:
        Forbidden: the caller may not see them; alike for groups that do not exist.
    """
    if whose.group is None:
        return owner_asked_for(caller, whose.user)
    if not caller.admin and whose.group not in services.leads(caller.name):
        raise Forbidden("Only its leads and an administrator can see the jobs of a group.")
    return None if whose.user in (None, "", "*") else whose.user


def visible_job(services: Services, caller: Caller, job_id: str) -> Job:
    """A job that the caller may see.

    Raises:
        NotFound: there is none.
    """
    job = services.store.job(job_id) if JOB_ID.fullmatch(job_id) else None
    if job is None or not may_see(services, caller, job):
        raise NotFound
    return job


def may_see(services: Services, caller: Caller, job: Job) -> bool:
    """Whether the caller may see a job."""
    return job.owner == caller.name or caller.admin or job.group in services.leads(caller.name)


def _own_job(services: Services, caller: Caller, job_id: str) -> Job:
    job = visible_job(services, caller, job_id)
    if job.owner != caller.name and not caller.admin:
        raise Forbidden("Only its owner can change a job.", code="not-owner")
    return job


def _check(offer: Offer, sent: Read) -> dict[str, Any]:
    inspected: Inspected | None = None
    problems: list[Problem] = []
    if isinstance(e := sent.notebook, Unsound):
        problems.append(Problem(e.field or "notebook", e.code, e.message, e.allowed))
    else:
        inspected = e
    asked = sent.submission.asked(inspected.carried if inspected else {})
    sound = examine(asked, offer, _known_of(inspected))
    problems += sound.problems
    sentence = ""
    # Said only of what would really run: with a problem left, its limit would be a guess.
    if sound.choice and not problems:
        slug = sound.choice.instance_class.slug
        note = next((c.note for c in offer.classes if c.instance_class.slug == slug), "")
        sentence = foretell(sound.choice, sound.time_limit_seconds, note)
    return {
        "problems": [_answer_problem(p) for p in problems],
        "parameters": [
            {
                "name": p.name,
                "type": p.type,
                "default": p.default,
                "help": p.help,
                "source": p.source,
                "carried": p.is_carried,
            }
            for p in ((inspected and inspected.parameters) or ())
        ],
        "kernel": dict(sound.kernel),
        "sentence": sentence,
        # With values to give the run has one more: the cell that they are injected in.
        "cells": inspected.cells + bool(asked.parameters) if inspected else 0,
    }


def _submit(services: Services, caller: Caller, offer: Offer, sent: Read, key: str) -> Response:
    submission, inspected = sent.submission, sent.notebook
    if isinstance(inspected, Unsound):
        raise inspected
    asked = submission.asked(inspected.carried)
    # What was accepted once is answered alike, whatever may be chosen by now.
    if (earlier := services.store.job_of_key(caller.name, key, sent.digest)) is not None:
        return JSONResponse(answer_job(earlier, services))
    sound = examine(asked, offer, _known_of(inspected))
    if sound.problems or sound.choice is None:
        raise refusal_of(sound.problems[0])
    new = NewJob(
        owner=caller.name,
        name=sound.name,
        path=submission.path,
        group=sound.choice.group.slug,
        image=sound.choice.image.slug,
        machine_class=sound.choice.instance_class.slug,
        kernel=sound.kernel,
        parameters=asked.parameters,
        time_limit_seconds=sound.time_limit_seconds,
        interruptible=submission.interruptible,
        notebook=inspected.text,
        idempotency_key=key,
        digest=sent.digest,
    )
    return _create(services, new)


def _create(services: Services, new: NewJob) -> Response:
    job, created = services.store.create_job(new, open_limit=services.open_limit)
    services.wake()
    return JSONResponse(answer_job(job, services), 202 if created else 200)


def reader_of(request: Request) -> Reader:
    """What reads the bodies of this application."""
    reader: Reader = request.app.state.reader
    return reader


def _known_of(inspected: Inspected | None) -> Notebook | None:
    if inspected is None:
        return None
    names = inspected.parameters
    return Notebook(
        language=inspected.language,
        kernel=inspected.kernel,
        parameters=None if names is None else frozenset(p.name for p in names),
    )


def _answer_problem(problem: Problem) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "field": problem.field,
        "code": problem.code,
        "message": problem.message,
    }
    if problem.allowed is not None:
        answer["allowed"] = list(problem.allowed)
    return answer
