"""What every answer gets, its headers and a line in the log: plain ASGI layers."""

import logging
import time
from collections.abc import Collection, Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub_config.platform.waiting import quote
from offline_jobs.service.metrics import HTTP_SECONDS

log = logging.getLogger("offline_jobs.service.access")
_MISTAKE = 500
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")


class AnswerHeaders:
    """Sets headers on every answer, unless the route has set its own."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


class AccessLog:
    """One line of log for each request: no header, no query (a login's code is in one); a count.

    Args:
        app: what is logged.
        side: the application's name in the metrics.
        probes: paths that are asked for all the time.
    """

    def __init__(self, app: ASGIApp, side: str, probes: Collection[str]) -> None:
        self._app = app
        self._side = side
        self._probes = probes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer and log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 0
        answered: float | None = None

        async def send_and_note(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.monotonic() - began
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:
            # The layer around this one logs it and answers.
            status = status or _MISTAKE
            raise
        finally:
            took = time.monotonic() - began
            # The route, not the path: whoever asks does not choose a label.
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            HTTP_SECONDS.labels(self._side, method, route, str(status)).observe(
                took if answered is None else answered
            )
            level = logging.DEBUG if scope["path"] in self._probes else logging.INFO
            if status >= _MISTAKE:
                level = logging.WARNING
            log.log(
                level,
                "request",
                extra={
                    "method": scope["method"],
                    "path": quote(scope["path"]),
                    "status": status,
                    "milliseconds": round(1000 * took),
                    "user": quote(scope.get("state", {}).get("user", "")),
                },
            )
