"""News of jobs as one stream of server-sent events: ``job``, ``removed``, ``resync``.

The store's changes come in through ``changes.py``; what somebody may not see is dropped here. Many
changes of one job within a moment become one event. The caller is checked anew while the stream is
open, so it ends soon after a logout.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from offline_jobs.service.changes import Change
from offline_jobs.service.errors import ServiceError
from offline_jobs.service.metrics import STREAMS
from offline_jobs.service.web.answers import answer_job, answer_shown
from offline_jobs.service.web.errors import answer_error
from offline_jobs.service.web.identity import Caller, CallerOf, identify_caller
from offline_jobs.service.web.rooms import Rooms, rooms_of
from offline_jobs.service.web.wanted import Whose

router = APIRouter(tags=["events"])

KEEP_ALIVE_SECONDS = 15.0
GATHERING_SECONDS = 0.2
MOST_STREAMS = 500
MOST_STREAMS_OF_ONE = 20


class Streams:
    """Counts open streams, so that nobody can open them without end; tells them to close."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self.closing = asyncio.Event()

    @contextmanager
    def entered(self, name: str) -> Iterator[None]:
        """Count a stream while it is open; counted and refused in one step of the event loop.

        Raises:
            ServiceError: the service's or the caller's limit is reached.
        """
        if self._open.total() >= MOST_STREAMS or self._open[name] >= MOST_STREAMS_OF_ONE:
            raise ServiceError(
                "Too many event streams are open: close other windows, or ask for the list.",
                code="too-many-streams",
                status=429,
            )
        self._open[name] += 1
        try:
            with STREAMS.track_inprogress():
                yield
        finally:
            self._open[name] -= 1
            if self._open[name] <= 0:
                del self._open[name]


class CountedStream(StreamingResponse):
    """A stream that counts from its first byte to its last, or the answer that says why not."""

    def __init__(self, content: AsyncIterator[str], streams: Streams, name: str) -> None:
        super().__init__(content, media_type="text/event-stream")
        self._streams, self._name = streams, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            with self._streams.entered(self._name):
                await super().__call__(scope, receive, send)
        except ServiceError as error:
            await answer_error(error)(scope, receive, send)


@dataclass(frozen=True)
class _Wanted:
    """Who listens, and to news of which jobs; ``None``: of all."""

    caller: Caller
    owner: str | None
    group: str | None
    job: str | None

    def may_have(self, change: Change) -> bool:
        return change.resync or (
            self.owner in (None, change.owner) and self.job in (None, change.job)
        )


@router.get("/events")
async def stream_events(
    request: Request,
    caller: CallerOf,
    whose: Annotated[Whose, Depends()],
    job: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """News of one's jobs; ``job`` narrows it to one job that the caller may look at.

    ``user`` and ``group`` as of a list.
    """
    rooms = rooms_of(request)
    streams: Streams = request.app.state.streams
    if job is None:
        owner = rooms.access.choose_owner(caller.person, whose.user, whose.group)
    else:
        owner = (await run_in_threadpool(rooms.access.find_shown, caller.person, job)).owner
    wanted = _Wanted(caller, owner, whose.group, job)
    return CountedStream(_stream(request, rooms, wanted), streams, caller.name)


async def _stream(request: Request, rooms: Rooms, wanted: _Wanted) -> AsyncIterator[str]:
    streams: Streams = request.app.state.streams
    async with rooms.changes.subscribe() as news:
        yield "retry: 2000\n: open\n\n"
        closing = asyncio.create_task(streams.closing.wait())
        waiting = asyncio.create_task(_next(news))
        checked = time.monotonic()
        try:
            while not closing.done():
                await asyncio.wait(
                    {waiting, closing},
                    timeout=KEEP_ALIVE_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if time.monotonic() - checked >= KEEP_ALIVE_SECONDS:
                    # Their groups may be others by now.
                    wanted = replace(wanted, caller=await identify_caller(request))
                    checked = time.monotonic()
                    yield ": still here\n\n"
                if waiting.done():
                    await asyncio.sleep(GATHERING_SECONDS)
                    changes = [waiting.result()]
                    waiting = asyncio.create_task(_next(news))
                    while (await asyncio.wait({waiting}, timeout=0))[0]:
                        changes.append(waiting.result())
                        waiting = asyncio.create_task(_next(news))
                    if news_of_these := [c for c in changes if wanted.may_have(c)]:
                        yield await run_in_threadpool(_events, rooms, wanted, news_of_these)
        except ServiceError:
            return  # logged out, or the hub is away: the browser comes back and is told so
        finally:
            waiting.cancel()
            closing.cancel()


async def _next(news: AsyncIterator[Change]) -> Change:
    return await anext(news)


def _events(rooms: Rooms, wanted: _Wanted, changes: list[Change]) -> str:
    """The text of the events: the last change of each job counts, its newest record is sent."""
    if any(c.resync for c in changes):
        return _event("resync", {})
    latest = {change.job: change for change in changes}
    parts = []
    for change in latest.values():
        if change.removed:
            # Of a group nobody knows any more whether it was one of its jobs.
            is_known = wanted.group is None
            parts.append(
                _event("removed", {"id": change.job}) if is_known else _event("resync", {})
            )
            continue
        job = rooms.store.job(change.job)
        if job is None:
            continue
        person = wanted.caller.person
        if wanted.job and rooms.access.may_look(person, job):
            parts.append(_event("job", answer_shown(job, rooms, person)))
        elif wanted.job:
            # Shared no longer.
            parts.append(_event("removed", {"id": job.id}))
        elif rooms.access.may_see(person, job) and wanted.group in (None, job.request.group):
            parts.append(_event("job", answer_job(job, rooms)))
    return "".join(parts)


def _event(kind: str, data: object) -> str:
    # JSON escapes line ends, so the data are one line.
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"
