"""Jobs that there are: list, count, look at, history, cancel, share, delete.

Each route reads top to bottom: caller, call, answer. Who may do what with a job is ``access.py``'s.
"""

import hashlib
import json
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import JSONResponse

from offline_jobs.contract.facts import Facts
from offline_jobs.contract.states import State
from offline_jobs.service.errors import ServiceError
from offline_jobs.service.web.answers import answer_job, answer_shown, answer_turn
from offline_jobs.service.web.identity import CallerOf
from offline_jobs.service.web.rooms import rooms_of
from offline_jobs.service.web.schema import Cancel, Sharing, parse
from offline_jobs.service.web.wanted import Wanted

router = APIRouter(tags=["jobs"])

MOST_LISTED = 500
_CANCEL = {"requestBody": {"content": {"application/json": {"schema": Cancel.model_json_schema()}}}}

_SHARE = {"requestBody": {"content": {"application/json": {"schema": Sharing.model_json_schema()}}}}


@router.get("/jobs")
def list_jobs(
    request: Request,
    caller: CallerOf,
    wanted: Annotated[Wanted, Depends()],
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """One's jobs, newest first; the parameters narrow them.

    An administrator may name another user, or ``*`` for all; a lead or an administrator a group,
    for everybody's jobs that are charged to it; everybody a group with oneself as the user.
    """
    rooms = rooms_of(request)
    selection = wanted.select(rooms.access, caller.person)
    version = rooms.store.version(selection.owner)
    said = [caller.name, selection.owner, wanted.spell(), limit, cursor, version]
    etag = f'"{hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]}"'
    tags = (tag.strip() for tag in request.headers.get("if-none-match", "").split(","))
    # A proxy that compresses makes a tag weak; for a comparison of this kind both are the same.
    if etag in (tag.removeprefix("W/") for tag in tags):
        return Response(status_code=304, headers={"ETag": etag})
    jobs, next_cursor = rooms.store.jobs(selection, limit, cursor)
    content = {"jobs": [answer_job(job, rooms) for job in jobs], "next_cursor": next_cursor}
    return JSONResponse(content, headers={"ETag": etag})


@router.get("/jobs/counts")
def count_jobs(
    request: Request, caller: CallerOf, wanted: Annotated[Wanted, Depends()]
) -> Response:
    """How many jobs a list with these parameters has in each state, on all its pages."""
    rooms = rooms_of(request)
    counts = rooms.store.count_jobs(wanted.select(rooms.access, caller.person))
    return JSONResponse({"states": {state.value: number for state, number in counts.items()}})


@router.get("/jobs/{job_id}")
def show_job(request: Request, caller: CallerOf, job_id: str) -> Response:
    """One job; of another's that is shared, what a guest may know."""
    rooms = rooms_of(request)
    job = rooms.access.find_shown(caller.person, job_id)
    return JSONResponse(answer_shown(job, rooms, caller.person))


@router.get("/jobs/{job_id}/history")
def show_history(request: Request, caller: CallerOf, job_id: str) -> Response:
    """What a job waited for, and what became of it: every change of its state, in order."""
    rooms = rooms_of(request)
    job = rooms.access.find_visible(caller.person, job_id)
    turns = [answer_turn(job, turn, rooms.catalogue) for turn in rooms.store.turns(job.id)]
    return JSONResponse({"turns": turns})


async def read_cancel(request: Request) -> Cancel:
    """The body of a cancel, which may be empty.

    Raises:
        Unsound: of another shape.
    """
    return parse(Cancel, await request.body() or b"{}", tuple(Cancel.model_fields))


@router.post("/jobs/{job_id}/cancel", status_code=202, openapi_extra=_CANCEL)
def cancel_job(
    request: Request,
    caller: CallerOf,
    job_id: str,
    said: Annotated[Cancel, Depends(read_cancel)],
) -> Response:
    """Ask for the end of a job; its finished cells are kept. Asking twice is fine.

    Its owner is told who did, where it was somebody else, and why.
    """
    rooms = rooms_of(request)
    job = rooms.access.find_visible(caller.person, job_id)
    if job.state in (State.SUCCEEDED, State.FAILED):
        raise ServiceError(
            "The job has ended by itself: there is nothing to cancel.",
            code="already-ended",
            status=409,
            id=job.id,
        )
    facts: Facts = {}
    if job.owner != caller.name:
        facts["cancelled_by"] = caller.name
        if because := " ".join(said.because.split()):
            facts["because"] = because
    job = rooms.store.request_cancel(job.id, facts)
    rooms.wake()
    return JSONResponse(answer_job(job, rooms), 202)


async def read_sharing(request: Request) -> Sharing:
    """The body of a sharing.

    Raises:
        Unsound: of another shape.
    """
    return parse(Sharing, await request.body(), tuple(Sharing.model_fields))


@router.post("/jobs/{job_id}/share", openapi_extra=_SHARE)
def share_job(
    request: Request,
    caller: CallerOf,
    job_id: str,
    said: Annotated[Sharing, Depends(read_sharing)],
) -> Response:
    """Let members of the group that is charged look at result and record, or do so no longer."""
    rooms = rooms_of(request)
    job = rooms.access.find_shareable(caller.person, job_id)
    return JSONResponse(answer_job(rooms.store.set_shared(job.id, said.shared), rooms))


@router.delete("/jobs/{job_id}", status_code=204)
def delete_job(request: Request, caller: CallerOf, job_id: str) -> Response:
    """Delete the record of a job that has ended; files in the home stay."""
    rooms = rooms_of(request)
    rooms.store.delete_job(rooms.access.find_changeable(caller.person, job_id).id)
    rooms.wake()
    return Response(status_code=204)
