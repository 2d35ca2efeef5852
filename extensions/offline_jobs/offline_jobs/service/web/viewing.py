"""The executed notebook to look at, with no server running; of a running job what there is so far.

Whatever a user wrote is in it, markup too. So a program of its own makes the page (``viewer``),
with bounds of memory and time and none of the service's secrets; and the browser gives that page
an origin of its own, runs no script of it and fetches nothing for it. Its figures are found by the
same means, and leave as JSON.
"""

import asyncio
import html
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import anyio
from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from offline_jobs.service.errors import ServiceError, TooLarge
from offline_jobs.service.object_store import StoredObject
from offline_jobs.service.viewer.figures import MOST_FIGURES
from offline_jobs.service.web.door import Door
from offline_jobs.service.web.identity import CallerOf
from offline_jobs.service.web.kept import open_result
from offline_jobs.service.web.lane import in_lane

router = APIRouter(tags=["results"])

#: `sandbox`: an opaque origin, no scripts, no forms, no plugins. A link that somebody clicks opens
#: in a tab of its own; nothing else is asked of anybody.
CONTENT_SECURITY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-DNS-Prefetch-Control": "off",
}
#: What the reader chose, as all pages have it (`hub_config/platform/pages/theme.js`).
THEME_COOKIE, THEMES = "notebook-hpc-theme", ("light", "dark")
COMMAND = (sys.executable, "-s", "-P", "-m", "offline_jobs.service.viewer")
FIGURES_COMMAND = (*COMMAND[:-1], "offline_jobs.service.viewer.figures")
#: At a time, of all and of one person; others wait. The chart's limit has room for so many.
MOST, MOST_OF_ONE = 3, 1
WAIT_SECONDS = 30.0
#: A page that somebody takes longer to fetch is cut off: others wait for its place.
LONGEST_SECONDS = 120.0
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
        full = "Many results are being looked at now: try again."
        self.door = Door(MOST, MOST_OF_ONE, WAIT_SECONDS, full)

    @asynccontextmanager
    async def start(self, user: str, *command: str) -> AsyncIterator[Program]:
        """A program, once there is room for it; it ends with the block.

        Args:
            user: who looks.
            command: the program and its arguments.

        Raises:
            Unavailable: there is none for a long time.
        """
        async with self.door.pass_through(user):
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                # None of the service's secrets.
                env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},
            )
            program = Program(process)
            try:
                yield program
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                # A pipe that is full is not read, and while one is open a process is waited for.
                # Whoever went away cancels each wait, also these: the pipe would stay open.
                with anyio.CancelScope(shield=True):
                    while await program.stdout.read(_PIECE_BYTES):
                        pass
                    await process.wait()


@router.get("/jobs/{job_id}/view")
async def view_result(request: Request, caller: CallerOf, job_id: str) -> Response:
    """The executed notebook as a page without scripts; of a running job what there is so far."""
    try:
        _, kept = await open_result(request, caller.person, job_id, to_look=True)
        chosen = request.cookies.get(THEME_COOKIE)
        command = (*COMMAND, chosen if chosen in THEMES else "")
        pieces = _show(request, caller.name, kept, command, _CUT)
        # What goes wrong before the first piece is answered in words.
        return Made(await anext(pieces), pieces, "text/html; charset=utf-8", HEADERS)
    except ServiceError as e:
        if request.headers.get("sec-fetch-dest") not in ("iframe", "document"):
            raise
        words = f"<!doctype html><title>Result</title><p>{html.escape(e.message)}</p>"
        return HTMLResponse(words, e.status, headers=HEADERS)


@router.get("/jobs/{job_id}/figures")
async def list_figures(
    request: Request,
    caller: CallerOf,
    job_id: str,
    first: Annotated[int, Query(ge=1, le=MOST_FIGURES + 1)] = 1,
) -> Response:
    """The figures of the executed notebook, PNG, JPEG and SVG, with cells; ``next`` goes on."""
    _, kept = await open_result(request, caller.person, job_id, to_look=True)
    pieces = _show(request, caller.name, kept, (*FIGURES_COMMAND, str(first)), b"")
    begun = await anext(pieces)
    if not begun:
        raise TooLarge(
            "The figures take more memory or time than there is for it: "
            "download the notebook, or open it in JupyterLab."
        )
    return Made(begun, pieces, "application/json")


class Made(StreamingResponse):
    """What a program makes, as it does; whoever goes away, or takes too long, ends the program."""

    def __init__(
        self,
        first: bytes,
        others: AsyncGenerator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(_chain(first, others), media_type=media_type, headers=headers)
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            with anyio.move_on_after(LONGEST_SECONDS):
                await super().__call__(scope, receive, send)
        finally:
            await self._others.aclose()


async def _chain(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


async def _show(
    request: Request, user: str, kept: StoredObject, command: Sequence[str], cut: bytes
) -> AsyncGenerator[bytes]:
    """What a program makes of a notebook; where it fails, what is said then."""
    viewers: Viewers = request.app.state.viewers
    with kept:
        async with viewers.start(user, *command) as program:
            await _feed(request, kept, program.stdin)
            while piece := await program.stdout.read(_PIECE_BYTES):
                yield piece
            if await program.wait():
                yield cut


async def _feed(request: Request, kept: StoredObject, pipe: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await in_lane(request, lambda: kept.read(_PIECE_BYTES)):
            pipe.write(piece)
            await pipe.drain()
        pipe.close()
        await pipe.wait_closed()
