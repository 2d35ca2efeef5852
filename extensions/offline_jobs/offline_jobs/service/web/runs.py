"""The runner's side, on a port of its own that the hub's proxy does not route.

An attempt's token opens that attempt's endpoints and nothing else. What the runner says is stored
and nothing is decided here; the reconciler judges. Until the attempt's record is closed the runner
may hand over notebook, log and result as often as it likes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from offline_jobs.contract import run
from offline_jobs.contract.names import JOB_ID
from offline_jobs.service.errors import AttemptClosed, Unauthorized
from offline_jobs.service.model import Attempt, Job, build_specification
from offline_jobs.service.object_store import log_key, result_key
from offline_jobs.service.rules.records import ProgressBody, ResultBody
from offline_jobs.service.web.lane import in_lane
from offline_jobs.service.web.rooms import rooms_of
from offline_jobs.service.web.schema import ModelT, parse

router = APIRouter(tags=["runs"])

#: For so long after a job's end its checkpoints stay where its owner's other jobs clear them away.
CHECKPOINTS_STAY = timedelta(days=1)
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class Run:
    """The attempt that a request's token opens."""

    job: Job
    attempt: Attempt

    @property
    def is_closed(self) -> bool:
        """Whether the attempt's record takes nothing more."""
        return (
            self.job.state.is_terminal
            or self.attempt.ended is not None
            or self.job.attempt != self.attempt.number
        )


def identify_run(request: Request, job_id: str, number: str) -> Run:
    """The attempt of the address, for the bearer of its token.

    Raises:
        Unauthorized: no token, or not this attempt's.
        AttemptClosed: the attempt has ended.
    """
    rooms = rooms_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    attempt_number = int(number) if _NUMBER.fullmatch(number) else 0
    if (
        scheme.lower() != "bearer"
        or not JOB_ID.fullmatch(job_id)
        or not rooms.tokens.check(token, job_id, attempt_number)
    ):
        raise Unauthorized("This is not the token of this attempt.")
    job, attempt = rooms.store.job(job_id), rooms.store.attempt(job_id, attempt_number)
    if job is None or attempt is None:
        raise AttemptClosed  # deleted; the token was right, so it did exist
    found = Run(job, attempt)
    if found.is_closed:
        raise AttemptClosed
    return found


RunOf = Annotated[Run, Depends(identify_run)]


@router.get("/{job_id}/{number}")
def show_specification(request: Request, found: RunOf) -> Response:
    """What to run, until the first cell began: nothing runs a cell twice in one attempt."""
    if found.attempt.first_cell is not None:
        raise AttemptClosed
    job, rooms = found.job, rooms_of(request)
    image = rooms.catalogue.images.get(job.request.image)
    # A tag alone names another image tomorrow.
    reference = image.reference if image is not None and image.digest else ""
    snapshot = rooms.store.snapshot(job.id)
    since = datetime.now(UTC) - CHECKPOINTS_STAY
    specification = replace(
        build_specification(job, found.attempt.number, snapshot, reference),
        kept_checkpoints=rooms.store.list_recent(job.owner, since),
    )
    return JSONResponse(specification.to_json())


@router.post("/{job_id}/{number}" + run.PATH_PROGRESS)
async def take_progress(request: Request, found: RunOf) -> Response:
    """Keep how far the attempt is; the answer says whether it should stop."""
    body = await _read(request, ProgressBody)
    progress = run.Progress.from_json(
        {**body.model_dump(), "log_tail": body.log_tail[-run.MAX_LOG_TAIL_CHARACTERS :]}
    )
    store = rooms_of(request).store
    answer = await run_in_threadpool(
        store.record_progress, found.job.id, found.attempt.number, progress
    )
    return JSONResponse(answer.to_json())


@router.put("/{job_id}/{number}" + run.PATH_NOTEBOOK)
async def take_notebook(request: Request, found: RunOf) -> Response:
    """Keep the executed notebook, or what there is of it so far."""
    store, key = rooms_of(request).store, result_key(found.job.id, found.attempt.number)
    await _keep(request, found, key, store.note_notebook)
    return Response(status_code=204)


@router.put("/{job_id}/{number}" + run.PATH_LOG)
async def take_log(request: Request, found: RunOf) -> Response:
    """Keep the log, or what there is of it so far."""
    store, key = rooms_of(request).store, log_key(found.job.id, found.attempt.number)
    await _keep(request, found, key, store.check_open)
    return Response(status_code=204)


@router.post("/{job_id}/{number}" + run.PATH_RESULT)
async def take_result(request: Request, found: RunOf) -> Response:
    """Keep how the attempt ended, by its runner's word."""
    body = await _read(request, ResultBody)
    said = body.model_dump() | {"job": found.job.id, "attempt": found.attempt.number}
    record = run.ResultRecord.from_json(said)
    rooms = rooms_of(request)
    await run_in_threadpool(rooms.store.record_result, found.job.id, found.attempt.number, record)
    rooms.wake()
    return JSONResponse({})


async def _keep(request: Request, found: Run, key: str, note: Callable[[str, int], None]) -> None:
    """Store a body, unless the attempt has ended meanwhile, and note that it is there."""
    body = await request.body()
    rooms, attempt = rooms_of(request), (found.job.id, found.attempt.number)

    def keep() -> None:
        with rooms.publishing.under_way(attempt):
            rooms.store.check_open(*attempt)
            rooms.objects.put(key, body)
            note(*attempt)

    await in_lane(request, keep)


async def _read(request: Request, model: type[ModelT]) -> ModelT:
    return parse(model, await request.body(), tuple(model.model_fields))
