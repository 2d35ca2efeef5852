"""What a job left: its log, the notebook as submitted, the executed notebook.

Notebooks are handed out here as attachments, logs as plain text: nothing that a user wrote is shown
on the hub's origin. ``viewing.py`` shows a notebook, on an origin of its own.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from offline_jobs.contract.names import notebook_stem
from offline_jobs.contract.run import MAX_LOG_TAIL_CHARACTERS, ResultRecord
from offline_jobs.service.errors import NoResult
from offline_jobs.service.object_store import StoredObject, log_key
from offline_jobs.service.rules.advice import advise_class
from offline_jobs.service.rules.methods import describe_methods
from offline_jobs.service.web.answers import list_classes
from offline_jobs.service.web.identity import CallerOf
from offline_jobs.service.web.kept import open_result
from offline_jobs.service.web.lane import in_lane
from offline_jobs.service.web.rooms import rooms_of

router = APIRouter(tags=["results"])

NOTEBOOK_TYPE = "application/x-ipynb+json"
_PIECE_BYTES = 256 * 1024
_WHOLE_LATER = "[the end of the log; all of it is here once the job has ended]\n"
_ONLY_THE_END = "[the end of the log; no more of it was kept]\n"
#: Of a longer line the end is shown.
_LONGEST_LINE = 2_000
_GAP = b"\n[some lines of this log are missing]\n"
_UNSAFE = re.compile(r"[^A-Za-z0-9._ -]+")


@router.get("/jobs/{job_id}/log")
async def show_log(request: Request, caller: CallerOf, job_id: str) -> Response:
    """The log: whole once the job has ended, before that the end of it.

    Of a runner that vanished, what it had copied, and what it had said since.
    """
    rooms = rooms_of(request)
    job = await run_in_threadpool(rooms.access.find_visible, caller.person, job_id)
    attempt = await run_in_threadpool(rooms.store.attempt, job.id, job.attempt)
    has_said = attempt is not None and attempt.result is not None
    is_over = has_said or job.state.is_terminal
    key = log_key(job.id, job.attempt)
    kept = await in_lane(request, lambda: rooms.objects.open(key)) if is_over else None
    tail = attempt.log_tail if attempt else ""
    if kept is None:
        return PlainTextResponse(word_tail(tail, is_over=is_over))
    if not has_said:
        with kept:
            earlier = await in_lane(request, kept.read)
        return PlainTextResponse(join_log(earlier, tail.encode()))
    return StreamingResponse(
        _pieces(request, kept),
        media_type="text/plain; charset=utf-8",
        headers={"Content-Length": str(kept.size)},
    )


@router.get("/jobs/{job_id}/notebook")
def download_snapshot(request: Request, caller: CallerOf, job_id: str) -> Response:
    """The notebook as it was submitted, without outputs."""
    rooms = rooms_of(request)
    job = rooms.access.find_visible(caller.person, job_id)
    headers = {"Content-Disposition": attachment(f"{notebook_stem(job.request.path)}.ipynb")}
    return Response(rooms.store.snapshot(job.id), media_type=NOTEBOOK_TYPE, headers=headers)


@router.get("/jobs/{job_id}/result")
async def download_result(request: Request, caller: CallerOf, job_id: str) -> Response:
    """The executed notebook; of a job that ended badly, what there is of it."""
    job, kept = await open_result(request, caller.person, job_id)
    headers = {
        "Content-Disposition": attachment(f"{notebook_stem(job.request.path)}-{job.id}.ipynb"),
        "Content-Length": str(kept.size),
    }
    return StreamingResponse(_pieces(request, kept), media_type=NOTEBOOK_TYPE, headers=headers)


@router.get("/jobs/{job_id}/record")
def show_record(request: Request, caller: CallerOf, job_id: str) -> Response:
    """What was run, with what and on what, by its runner's word, and the same in five lines.

    And which lesser class would have done, where that is known. Guests get the lines alone,
    without the owner's environment.
    """
    rooms = rooms_of(request)
    job = rooms.access.find_shown(caller.person, job_id)
    attempt = rooms.store.attempt(job.id, job.attempt)
    record = attempt.result if attempt else None
    if record is None or not job.state.is_terminal:
        raise NoResult("There is no record of this job: its run has not ended, or could not tell.")
    image = rooms.catalogue.images.get(job.request.image)
    machine_class = rooms.catalogue.classes.get(job.request.machine_class)
    record = replace(record, request=job.request)
    is_guest = not rooms.access.may_see(caller.person, job)
    if is_guest:
        record = hide_environment(record)
    methods = describe_methods(
        record,
        image=image.name if image else "",
        machine_class=machine_class.name if machine_class else "",
    )
    if is_guest:
        own = {"notebook_parameters": record.notebook_parameters}
        return JSONResponse({"record": own, "methods": methods, "advice": None})
    advice = advise_class(job, record, machine_class, list_classes(job, rooms))
    content = {
        "record": record.to_json(),
        "methods": methods,
        "advice": advice and {"class": advice.machine.slug, "sentence": advice.sentence},
    }
    return JSONResponse(content)


def hide_environment(record: ResultRecord) -> ResultRecord:
    """A record without what only its owner's home has: its environment, the list of packages."""
    kernel = {name: value for name, value in record.kernel.items() if name != "environment"}
    return replace(record, kernel=kernel, packages_sha256="")


def word_tail(tail: str, *, is_over: bool) -> str:
    """The end of a log in whole lines, with a line that says what is missing before it."""
    if len(tail) < MAX_LOG_TAIL_CHARACTERS:
        return tail
    lines = tail[tail.find("\n", 0, _LONGEST_LINE) + 1 :]
    return (_ONLY_THE_END if is_over else _WHOLE_LATER) + lines


def join_log(kept: bytes, tail: bytes) -> bytes:
    """A whole log from an earlier copy of it, and its end at another time.

    Where something is missing between the two, a line says so.
    """
    if tail in kept:
        return kept
    common = min(len(kept), len(tail))
    while common and not kept.endswith(tail[:common]):
        common -= 1
    return kept + (tail[common:] if common else _GAP + tail)


def attachment(name: str) -> str:
    """A Content-Disposition that saves under ``name``, whatever is in it.

    A plain ASCII name for old clients, the true one in the encoded form.

    Source: https://www.rfc-editor.org/rfc/rfc6266 and https://www.rfc-editor.org/rfc/rfc5987
    """
    plain = _UNSAFE.sub("_", name).strip(" .")[-120:] or "notebook.ipynb"
    whole = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"


async def _pieces(request: Request, kept: StoredObject) -> AsyncIterator[bytes]:
    """The object, piece by piece; what cannot be had ends the answer before its length."""
    with kept:
        while piece := await in_lane(request, lambda: kept.read(_PIECE_BYTES)):
            yield piece
