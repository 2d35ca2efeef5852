"""Jobs: check, submit, list, look at, cancel, run again, delete.

Each route reads top to bottom: caller, body, call, answer. What makes a job is ``intake.py``'s, who
may do what with one is ``access.py``'s.
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
from offline_jobs.contract.states import State
from offline_jobs.service.errors import ServiceError, Unsound
from offline_jobs.service.intake import Sent, look_through
from offline_jobs.service.model import Job
from offline_jobs.service.rules.submission import Problem, foretell
from offline_jobs.service.web.answers import answer_job
from offline_jobs.service.web.identity import CallerOf
from offline_jobs.service.web.reading import Reader
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
    offered = services_of(request).intake.offer(caller.person)
    sent = await reader_of(request).read(request, caller.name, offered)
    return JSONResponse(_answer_check(sent, offered))


@router.post("/jobs", status_code=202, openapi_extra=_BODY)
async def submit_job(request: Request, caller: CallerOf, key: Key) -> Response:
    """Take a notebook for an offline job; durable when this answers."""
    services = services_of(request)
    offered = services.intake.offer(caller.person)
    sent = await reader_of(request).read(request, caller.name, offered)
    made = await run_in_threadpool(services.intake.accept, caller.person, offered, sent, key)
    return await run_in_threadpool(_answer_made, services, *made)


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
    owner = services.access.choose_owner(caller.person, whose.user, whose.group)
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
    return JSONResponse(answer_job(services.access.find_visible(caller.person, job_id), services))


@router.post("/jobs/{job_id}/cancel", status_code=202)
def cancel_job(request: Request, caller: CallerOf, job_id: str) -> Response:
    """Ask for the end of a job; its finished cells are kept. Asking twice is fine."""
    services = services_of(request)
    job = services.access.find_changeable(caller.person, job_id)
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
    job = services.access.find_repeatable(caller.person, job_id)
    return _answer_made(services, *services.intake.repeat(caller.person, job, key))


@router.delete("/jobs/{job_id}", status_code=204)
def delete_job(request: Request, caller: CallerOf, job_id: str) -> Response:
    """Delete the record of a job that has ended; files in the home stay."""
    services = services_of(request)
    services.store.delete_job(services.access.find_changeable(caller.person, job_id).id)
    services.wake()
    return Response(status_code=204)


def _answer_made(services: Services, job: Job, is_new: bool) -> Response:
    return JSONResponse(answer_job(job, services), 202 if is_new else 200)


def _answer_check(sent: Sent, offered: Offer) -> dict[str, Any]:
    found = look_through(sent, offered)
    inspected = None if isinstance(sent.notebook, Unsound) else sent.notebook
    sentence = ""
    # Said only of what would really run: with a problem left, its limit would be a guess.
    if found.choice and not found.problems:
        slug = found.choice.instance_class.slug
        note = next((c.note for c in offered.classes if c.instance_class.slug == slug), "")
        sentence = foretell(found.choice, found.request.time_limit_seconds, note)
    return {
        "problems": [_answer_problem(p) for p in found.problems],
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
        "kernel": dict(found.request.kernel),
        "sentence": sentence,
        # With values to give the run has one more: the cell that they are injected in.
        "cells": inspected.cells + bool(sent.asked.parameters) if inspected else 0,
    }


def reader_of(request: Request) -> Reader:
    """What reads the bodies of this application."""
    reader: Reader = request.app.state.reader
    return reader


def _answer_problem(problem: Problem) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "field": problem.field,
        "code": problem.code,
        "message": problem.message,
    }
    if problem.allowed is not None:
        answer["allowed"] = list(problem.allowed)
    return answer
