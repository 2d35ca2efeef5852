"""A small HTTP server that keeps the runner's side of the contract and remembers what it was told.

For tests of the runner alone; the service ring uses the real service. It can go away and come back
on the same port.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "6f0c2d9e1b7a4853"


@dataclass
class Seen:
    """What the runner said, in order."""

    progress: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    notebook: bytes | None = None
    log: bytes | None = None
    result: dict[str, Any] | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)


class RecordingService:
    """One attempt's endpoints below ``url``."""

    def __init__(self, specification: dict[str, Any]) -> None:
        self.specification = specification
        self.seen = Seen()
        self.is_cancelled = False
        self.refusals: dict[str, int] = {}
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        job, attempt = self.specification["job"], self.specification["attempt"]
        return f"http://127.0.0.1:{self._port}/internal/v1/runs/{job}/{attempt}"

    def start(self) -> None:
        service = self

        class Handler(_Handler):
            owner = service

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Handler(BaseHTTPRequestHandler):
    owner: RecordingService

    def do_GET(self) -> None:
        if self._may("GET"):
            self._answer(200, self.owner.specification)

    def do_POST(self) -> None:
        self._take("POST")

    def do_PUT(self) -> None:
        self._take("PUT")

    def log_message(self, *_: object) -> None:
        pass

    def _take(self, method: str) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._may(method):
            return
        seen, name = self.owner.seen, self.path.rpartition("/")[2]
        answer: dict[str, Any] = {}
        if name == "progress":
            seen.progress.append(json.loads(content))
            seen.times.append(time.monotonic())
            answer = {"cancel": self.owner.is_cancelled, "later": "a field of the future"}
        elif name == "notebook":
            seen.notebook = content
        elif name == "log":
            seen.log = content
        else:
            seen.result = json.loads(content)
        self._answer(200, answer)

    def _may(self, method: str) -> bool:
        seen, name = self.owner.seen, self.path.rpartition("/")[2]
        seen.calls.append((method, name))
        seen.tokens.add(self.headers.get("Authorization", ""))
        status = self.owner.refusals.get(name)
        if status is not None:
            self._answer(status, {"code": "refused"})
            return False
        return True

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
