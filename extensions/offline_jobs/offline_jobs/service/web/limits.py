"""Bounds of every request's body, as a plain ASGI layer around both applications.

A body over its limit is refused before anything parses it; what is left of it is read and dropped
for a while, so that the sender can read the answer.
"""

import asyncio
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from offline_jobs.service.errors import ServiceError, TooLarge
from offline_jobs.service.rules import amounts
from offline_jobs.service.web.errors import answer_error

BODY_SECONDS = 60.0
_DROPPED_BYTES = 200 * 1024**2
_DROPPING_SECONDS = 10.0

LimitOf = Callable[[str, str], int]


class BodyLimit:
    """Bounds the size of a body, and the time in which it has to come.

    Args:
        app: what is bounded.
        limit_of: (method, path) to the most bytes of a body.
    """

    def __init__(self, app: ASGIApp, limit_of: LimitOf) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body bounded."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["method"], scope["path"])
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > limit:
            await _drop(receive)
            await answer_error(_too_large(limit))(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, limit), send)


def _bounded(receive: Receive, limit: int) -> Receive:
    seen = 0
    complete = False
    # From when somebody reads: a large body may have waited at the door.
    deadline: float | None = None

    async def receive_bounded() -> Message:
        nonlocal seen, complete, deadline
        if complete:
            return await receive()
        deadline = deadline or time.monotonic() + BODY_SECONDS
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                message = await receive()
        except TimeoutError as e:
            raise ServiceError(
                "The body took too long to arrive.", code="too-slow", status=408
            ) from e
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > limit:
                if not complete:
                    await _drop(receive)
                raise _too_large(limit)
        else:
            complete = True
        return message

    return receive_bounded


async def _drop(receive: Receive) -> None:
    dropped = 0
    try:
        async with asyncio.timeout(_DROPPING_SECONDS):
            while dropped < _DROPPED_BYTES:
                message = await receive()
                dropped += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is over {amounts.size(limit)}. Clear the notebook's outputs and attachments, "
        "or move large data into files."
    )
