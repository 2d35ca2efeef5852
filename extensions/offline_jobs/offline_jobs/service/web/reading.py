"""Bodies that hold a notebook: bounded, parsed and inspected, while everybody else is answered.

A large body is read in a process of its own, for parsing one holds up every thread of a Python
process; memory that it took goes with that process. Only so many large ones are taken in at a time,
of one user and of all; the others wait at the door. The routes of ``web/submissions.py`` call this.
"""

import asyncio
import ctypes
import hashlib
import json
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.process import BaseProcess
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from hub_config.platform.choices import Offer
from offline_jobs.contract.job import CHANGE_FIELDS, SUBMISSION_FIELDS
from offline_jobs.service import notebooks
from offline_jobs.service.errors import ServiceError, Unavailable, Unsound
from offline_jobs.service.intake import Sent
from offline_jobs.service.model import Job
from offline_jobs.service.rules.cells import list_first_lines
from offline_jobs.service.rules.submission import usual_kernel
from offline_jobs.service.web.door import Door
from offline_jobs.service.web.identity import is_json
from offline_jobs.service.web.schema import Changes, Submission, parse

LARGE_BYTES = 256 * 1024
#: A source as a list of lines is a value a line: the largest body has fewer of ordinary lines.
MOST_VALUES = 1_000_000
MOST_LARGE = 8
MOST_LARGE_OF_ONE = 2
WAIT_SECONDS = 60.0
#: After so many a process is replaced, and the memory that it kept is free again.
_BODIES_OF_A_PROCESS = 20
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')

ReadT = TypeVar("ReadT")


def read(body: bytes, offer: Offer) -> Sent:
    """Read a submission's body.

    Args:
        body: as it came.
        offer: what the sender may choose; it tells which kernel runs a notebook that names none.

    Raises:
        Unsound: not JSON, not of this shape, or of too many values.
    """
    check_values(body)
    submission = parse(Submission, body, SUBMISSION_FIELDS)
    asked = submission.request()
    kernel = asked.kernel.get("name", "")
    try:
        inspected = notebooks.inspect(submission.notebook, kernel, usual_kernel(asked, offer))
    except Unsound as problem:
        return Sent(asked, problem)
    asked = submission.request(inspected.carried)
    digest = hashlib.sha256(submission.canonical(inspected.text, asked.parameters)).hexdigest()
    return Sent(asked, inspected, digest)


def read_again(body: bytes, job: Job, snapshot: str, offer: Offer) -> Sent:
    """Read what is to be changed when a job's snapshot is run again.

    The values of that run come with it, as with a result that is submitted.

    Args:
        body: as it came; an empty one changes nothing.
        job: the job.
        snapshot: its notebook.
        offer: what the sender may choose.

    Raises:
        Unsound: not JSON, or not of this shape.
    """
    changes = parse(Changes, body or b"{}", CHANGE_FIELDS)
    asked = changes.apply(job.request)
    kernel = asked.kernel.get("name", "")
    digest = hashlib.sha256(f"rerun {job.id}{changes.canonical()}".encode()).hexdigest()
    try:
        inspected = notebooks.inspect(json.loads(snapshot), kernel, usual_kernel(asked, offer))
    except Unsound as problem:
        return Sent(asked, problem, digest)
    return Sent(asked, notebooks.carry(inspected, job.request.parameters), digest)


def read_lines(snapshot: str, is_given: bool) -> list[str]:
    """The first lines of a snapshot's cells; ``is_given``: there are parameters to inject."""
    return list_first_lines(json.loads(snapshot), is_given=is_given)


def check_values(body: bytes) -> None:
    """Refuse a body of more values than any notebook has, before each becomes an object.

    Raises:
        Unsound: with the field ``body``.
    """
    if _count_marks(body) > MOST_VALUES and _count_marks(_STRING.sub(b"", body)) > MOST_VALUES:
        raise Unsound(
            f"The body holds more than {MOST_VALUES} values. Clear the notebook's outputs, "
            "or move data into files.",
            code="too-many-values",
            field="body",
        )


def _count_marks(text: bytes) -> int:
    """At least as many as there are values: each but the first of something follows a mark."""
    return sum(text.count(mark) for mark in (b",", b"[", b"{"))


class Reader:
    """Reads bodies for one application."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        full = "Too many large notebooks are being sent now: try again."
        self.door = Door(MOST_LARGE, MOST_LARGE_OF_ONE, WAIT_SECONDS, full)

    async def read(self, request: Request, user: str, offer: Offer) -> Sent:
        """Read the submission in a request's body.

        Raises:
            ServiceError: not JSON (415, 422), not of this shape (422), or too many at once (503).
        """
        _check_media_type(request)
        if int(request.headers.get("content-length") or LARGE_BYTES + 1) <= LARGE_BYTES:
            return await run_in_threadpool(read, await request.body(), offer)
        async with self.door.pass_through(user):
            try:
                return await self._read_apart(read, await request.body(), offer)
            finally:
                _give_back()

    async def read_again(self, request: Request, job: Job, snapshot: str, offer: Offer) -> Sent:
        """Read what is to be changed of a job that its owner runs again.

        Raises:
            ServiceError: as :meth:`read`.
        """
        body = await request.body()
        if body:
            _check_media_type(request)
        if len(snapshot) <= LARGE_BYTES:
            return await run_in_threadpool(read_again, body, job, snapshot, offer)
        async with self.door.pass_through(job.owner):
            return await self._read_apart(read_again, body, job, snapshot, offer)

    async def read_lines(self, user: str, job: Job, snapshot: str) -> list[str]:
        """The first lines of the cells that a job runs.

        Raises:
            Unavailable: too many large notebooks at once.
        """
        is_given = bool(job.request.parameters)
        if len(snapshot) <= LARGE_BYTES:
            return await run_in_threadpool(read_lines, snapshot, is_given)
        async with self.door.pass_through(user):
            return await self._read_apart(read_lines, snapshot, is_given)

    async def _read_apart(self, how: Callable[..., ReadT], *what: object) -> ReadT:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._get_pool(), how, *what)
        except BrokenProcessPool as e:
            self.close()
            raise Unavailable(
                "The notebook could not be read: it takes more memory than there is. "
                "Clear its outputs, or move data into files."
            ) from e

    def _get_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max_workers=1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin_process,
                max_tasks_per_child=_BODIES_OF_A_PROCESS,
            )
        return self._pool

    def close(self) -> None:
        """End the process, if there is one."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def reader_of(request: Request) -> Reader:
    """What reads the bodies of this application."""
    reader: Reader = request.app.state.reader
    return reader


def _check_media_type(request: Request) -> None:
    if not is_json(request):
        raise ServiceError(
            "Send the body as JSON: 'Content-Type: application/json'.",
            code="unsupported-media-type",
            status=415,
        )


def _give_back() -> None:
    """Give free memory back to the system, where the C library knows how (glibc).

    It keeps blocks of the size of such bodies for the next ones, in each thread's share.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _begin_process() -> None:
    """End with the service, however that ends, and not by a Ctrl-C that is meant for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent: BaseProcess | None = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this is a child
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(0)
