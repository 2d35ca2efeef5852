"""Jobs that are to be made: check, submit, run again.

Each route reads top to bottom: caller, body, call, answer. What makes a job is ``intake.py``'s.
"""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from hub_config.platform.choices import Offer
from offline_jobs.service.errors import Unsound
from offline_jobs.service.intake import Sent, look_through
from offline_jobs.service.model import Job
from offline_jobs.service.rules.submission import Problem, foretell
from offline_jobs.service.web.answers import answer_job
from offline_jobs.service.web.identity import Caller, CallerOf
from offline_jobs.service.web.reading import reader_of
from offline_jobs.service.web.rooms import Rooms, rooms_of
from offline_jobs.service.web.schema import Changes, Submission

router = APIRouter(tags=["jobs"])

_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Submission.model_json_schema()}},
    }
}
_CHANGES = {
    "requestBody": {"content": {"application/json": {"schema": Changes.model_json_schema()}}}
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
    offered = rooms_of(request).intake.offer(caller.person)
    sent = await reader_of(request).read(request, caller.name, offered)
    return JSONResponse(_answer_check(sent, offered))


@router.post("/jobs", status_code=202, openapi_extra=_BODY)
async def submit_job(request: Request, caller: CallerOf, key: Key) -> Response:
    """Take a notebook for an offline job; durable when this answers."""
    rooms = rooms_of(request)
    offered = rooms.intake.offer(caller.person)
    sent = await reader_of(request).read(request, caller.name, offered)
    made = await run_in_threadpool(rooms.intake.accept, caller.person, offered, sent, key)
    return await run_in_threadpool(_answer_made, rooms, *made)


@router.post("/jobs/{job_id}/rerun/check", openapi_extra=_CHANGES)
async def check_again(request: Request, caller: CallerOf, job_id: str) -> Response:
    """Say what running a job again would do, with changes or without; create nothing."""
    _, sent, offered = await _read_again(request, caller, job_id)
    return JSONResponse(_answer_check(sent, offered))


@router.post("/jobs/{job_id}/rerun", status_code=202, openapi_extra=_CHANGES)
async def rerun_job(request: Request, caller: CallerOf, job_id: str, key: Key) -> Response:
    """Run the same snapshot again, as a new job; what one may use is checked anew."""
    rooms = rooms_of(request)
    job, sent, offered = await _read_again(request, caller, job_id)
    made = await run_in_threadpool(rooms.intake.repeat, caller.person, offered, job, sent, key)
    return await run_in_threadpool(_answer_made, rooms, *made)


async def _read_again(request: Request, caller: Caller, job_id: str) -> tuple[Job, Sent, Offer]:
    """The job that is to run again, what is asked of it, and what its owner may choose."""
    rooms = rooms_of(request)
    job = await run_in_threadpool(rooms.access.find_repeatable, caller.person, job_id)
    offered = rooms.intake.offer(caller.person)
    snapshot = await run_in_threadpool(rooms.store.snapshot, job.id)
    return job, await reader_of(request).read_again(request, job, snapshot, offered), offered


def _answer_made(rooms: Rooms, job: Job, is_new: bool) -> Response:
    return JSONResponse(answer_job(job, rooms), 202 if is_new else 200)


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


def _answer_problem(problem: Problem) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "field": problem.field,
        "code": problem.code,
        "message": problem.message,
    }
    if problem.allowed is not None:
        answer["allowed"] = list(problem.allowed)
    return answer
