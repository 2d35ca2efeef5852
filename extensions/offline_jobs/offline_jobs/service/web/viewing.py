"""The executed notebook to look at, with no server running; of a running job what there is so far.

Whatever a user wrote is in it, markup too. So a program of its own makes the page (``viewer``),
with bounds of memory and time and none of the service's secrets; and the browser gives that page
an origin of its own, runs no script of it and fetches nothing for it.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from offline_jobs.service.errors import NoResult, Unavailable
from offline_jobs.service.object_store import StoredObject, result_key
from offline_jobs.service.web.identity import CallerOf
from offline_jobs.service.web.lane import in_lane
from offline_jobs.service.web.rooms import rooms_of

router = APIRouter(tags=["results"])

#: `sandbox`: an opaque origin, no scripts, no forms, no plugins. A link that somebody clicks opens
#: in a tab of its own; nothing else is asked of anybody.
CONTENT_SECURITY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
)
COMMAND = (sys.executable, "-s", "-P", "-m", "offline_jobs.service.viewer")
#: At a time; others wait.
MOST = 2
WAIT_SECONDS = 30.0
_PIECE_BYTES = 256 * 1024
_CUT = (
    b'<p class="note"><b>The rest cannot be shown here: it takes more memory or time than there '
    b"is for it. Download the notebook, or open it in JupyterLab.</b></p>\n"
)


class Program:
    """One that shows a notebook: it reads all of it before it says a word."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        # Pipes, as they were asked for.
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
        self.stdin, self.stdout, self.wait = process.stdin, process.stdout, process.wait


class Viewers:
    """Programs that show notebooks for one application."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(MOST)

    @asynccontextmanager
    async def start(self) -> AsyncIterator[Program]:
        """A program, once there is room for it; it ends with the block.

        Raises:
            Unavailable: there is none for a long time.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._room.acquire()
        except TimeoutError as e:
            raise Unavailable("Many results are being looked at now: try again.") from e
        try:
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                # None of the service's secrets.
                env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},
            )
            try:
                yield Program(process)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        finally:
            self._room.release()


@router.get("/jobs/{job_id}/view")
async def view_result(request: Request, caller: CallerOf, job_id: str) -> Response:
    """The executed notebook as a page without scripts; of a running job what there is so far."""
    rooms = rooms_of(request)
    job = await run_in_threadpool(rooms.access.find_visible, caller.person, job_id)
    key = result_key(job.id, job.attempt)
    kept = await in_lane(request, lambda: rooms.objects.open(key))
    if kept is None:
        ended = "It ended before there was one." if job.state.is_terminal else "Wait for its end."
        raise NoResult(f"There is no executed notebook of this job. {ended}")
    viewers: Viewers = request.app.state.viewers
    pieces = _show(request, viewers, kept)
    # What goes wrong before the first piece is answered in words.
    first = await anext(pieces)
    return StreamingResponse(
        _chain(first, pieces),
        media_type="text/html; charset=utf-8",
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-DNS-Prefetch-Control": "off",
        },
    )


async def _chain(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


async def _show(request: Request, viewers: Viewers, kept: StoredObject) -> AsyncIterator[bytes]:
    """What a program makes of a notebook; where it fails, a line that says so."""
    with kept:
        async with viewers.start() as program:
            await _feed(request, kept, program.stdin)
            while piece := await program.stdout.read(_PIECE_BYTES):
                yield piece
            if await program.wait():
                yield _CUT


async def _feed(request: Request, kept: StoredObject, pipe: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await in_lane(request, lambda: kept.read(_PIECE_BYTES)):
            pipe.write(piece)
            await pipe.drain()
        pipe.close()
        await pipe.wait_closed()
