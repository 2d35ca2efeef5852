"""The service's two applications on real ports, over a real store, for callers that tests name.

``Authorization: token NAME`` is a caller by token, ``Authorization: cookie NAME`` one by the page's
session with the XSRF value ``xsrf-of-NAME``; who is asked for is in :data:`PEOPLE`.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI, Request

from hub_config.platform.catalogue import GIB, Price
from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.contract.states import State
from offline_jobs.service.access import Access
from offline_jobs.service.app import build_server
from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import Unauthorized
from offline_jobs.service.hub import Hub
from offline_jobs.service.intake import Intake
from offline_jobs.service.model import Ending, Standing
from offline_jobs.service.object_store import FolderStore, ObjectStore
from offline_jobs.service.publishing import Publishing
from offline_jobs.service.pulse import Pulse
from offline_jobs.service.store.store import Store
from offline_jobs.service.store.tables import metadata
from offline_jobs.service.tokens import Tokens
from offline_jobs.service.web.applications import build_public_app, build_runs_app
from offline_jobs.service.web.identity import Caller, Identify
from offline_jobs.service.web.rooms import Rooms
from tests.factories import (
    make_catalogue,
    make_class,
    make_group,
    make_image,
    make_machine,
    make_person,
)
from tests.plain import NO_TLS
from tests.site import wait_until

HUB_TOKEN = "what hub and service share"
KEY = b"a key of at least sixteen bytes"
API = f"{SERVICE_PREFIX}api/v1/"
PEOPLE = {
    "ada": make_person("ada", ["lab"]),
    "ben": make_person("ben", ["teaching"]),
    "lea": make_person("lea", ["lab"]),
    "root": make_person("root", ["lab"], admin=True),
    "eve": make_person("eve", ["nobody-knows"]),
}
CATALOGUE = make_catalogue(
    images=[make_image(default=True, kernels=("python3", "ir")), make_image("stomics")],
    classes=[
        make_class(default=True, groups=("lab", "teaching")),
        make_class("large", cores=16, memory_bytes=16 * GIB, price=Price(0.4, "EUR", "2026-11-01")),
        make_class("huge", memory_bytes=256 * GIB),
    ],
    groups=[make_group(leads=("lea",)), make_group("teaching")],
)
#: What a runner says of half an hour on the class ``large``, of which it took little.
LITTLE = {
    "started": "2026-11-24T06:15:00+00:00",
    "ended": "2026-11-24T06:45:00+00:00",
    "memory_peak_bytes": 2 * GIB,
    "cpu_seconds": 1800.0,
    "cores_peak": 1.0,
}


async def identify(request: Request) -> Caller:
    """The caller that the request's Authorization header names."""
    kind, _, name = request.headers.get("authorization", "").partition(" ")
    if name not in PEOPLE or kind not in ("token", "cookie"):
        raise Unauthorized
    return Caller(PEOPLE[name], f"xsrf-of-{name}" if kind == "cookie" else None)


def make_notebook(*sources: str, parameters: str = "", **changes: Any) -> dict[str, Any]:
    """A Python notebook; ``parameters`` is the source of its parameters cell."""
    cells = [
        {
            "cell_type": "code",
            "execution_count": 3,
            "id": f"c{number}",
            "metadata": {"tags": ["parameters"]} if parameters and number == 0 else {},
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "old"}],
            "source": source,
        }
        for number, source in enumerate([parameters, *sources] if parameters else sources)
    ]
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return {**notebook, **changes}


def make_submission(**changes: Any) -> dict[str, Any]:
    """A submission of a member of ``lab``."""
    submission = {
        "name": "markers",
        "notebook": make_notebook("print(1)"),
        "path": "stereo/markers.ipynb",
        "group": "lab",
        "image": "notebook",
        "class": "standard",
        "kernel": {"name": "python3", "source": "image"},
        "parameters": {},
        "time_limit_seconds": 3600,
        "interruptible": False,
    }
    return {**submission, **changes}


@dataclass
class Client:
    """Somebody who calls the service."""

    http: httpx.Client
    name: str
    kind: str = "token"

    def headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Authorization": f"{self.kind} {self.name}", **(more or {})}

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(API + path, headers=self.headers(headers))

    def delete(self, path: str, **headers: str) -> httpx.Response:
        return self.http.delete(API + path, headers=self.headers(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        content = json.dumps({} if body is None else body)
        said = {"Content-Type": "application/json", **headers}
        return self.http.post(API + path, content=content, headers=self.headers(said))

    def submit(self, key: str = "key-00000001", **changes: Any) -> httpx.Response:
        return self.post("jobs", make_submission(**changes), **{"Idempotency-Key": key})


@dataclass
class Service:
    """A running service, without a reconciler: tests play its part by ``finish``."""

    rooms: Rooms
    public: str
    runs: str
    app: FastAPI
    runs_app: FastAPI
    wakes: list[None]
    clients: ExitStack

    @property
    def store(self) -> Store:
        return self.rooms.store

    def empty(self) -> None:
        """Forget everything, as a service that has just begun."""
        streams = self.app.state.streams
        wait_until(lambda: not streams._open, "the end of the streams that were left")
        with self.store._database.write() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        self.store.departures._closed.clear()
        self.wakes.clear()

    def client(self, name: str, kind: str = "token") -> Client:
        http = httpx.Client(base_url=self.public, trust_env=False, timeout=30, verify=NO_TLS)
        return Client(self.clients.enter_context(http), name, kind)

    def runner(self, job_id: str, attempt: int = 1) -> httpx.Client:
        """A client with the attempt's token, at the base of the attempt's addresses."""
        token = self.rooms.tokens.make(job_id, attempt)
        http = httpx.Client(
            base_url=f"{self.runs}/internal/v1/runs/{job_id}/{attempt}",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=30,
            verify=NO_TLS,
        )
        return self.clients.enter_context(http)

    def stand(self, job_id: str, state: State, **changes: Any) -> None:
        """Store a state as the reconciler does."""
        standing = Standing(state=state, **changes)
        self.store.states.set_standings({(job_id, 1): standing})

    def finish(self, job_id: str, state: State = State.SUCCEEDED, **changes: Any) -> None:
        """End a job as the reconciler does."""
        assert self.store.states.finish(job_id, 1, Ending(state=state, **changes))

    def end(self, job_id: str, **said: Any) -> None:
        """End a job that succeeded, with what its runner recorded."""
        told = {"job": job_id, "attempt": 1, "outcome": "succeeded", "exit_code": 0, **said}
        assert self.runner(job_id).post("/result", json=told).is_success
        self.finish(job_id)


def begin_upload(url: str, user: str, path: str, size: int) -> socket.socket:
    """Send the head and the first byte of a JSON body of some bytes, and no more of it."""
    place = urlsplit(url)
    raw = socket.create_connection((place.hostname or "", place.port or 0), timeout=20)
    head = (
        f"POST {API}{path} HTTP/1.1\r\nHost: x\r\nAuthorization: token {user}\r\n"
        "Content-Type: application/json\r\nIdempotency-Key: key-12345678\r\n"
        f"Content-Length: {size}\r\n\r\n{{"
    )
    raw.sendall(head.encode())
    return raw


@contextmanager
def running_service(
    folder: Path,
    *,
    who: Identify = identify,
    open_limit: int = 200,
    objects: ObjectStore | None = None,
    database_url: str = "",
) -> Iterator[Service]:
    """A service in this process, on two free ports."""
    changes = Changes()
    store = Store(database_url or f"sqlite:///{folder / 'jobs.sqlite'}", changes)
    store.migrate()
    wakes: list[None] = []

    def wake() -> None:
        wakes.append(None)

    rooms = Rooms(
        store=store,
        objects=objects or FolderStore(folder / "objects"),
        tokens=Tokens(KEY),
        changes=changes,
        catalogue=CATALOGUE,
        intake=Intake(store, CATALOGUE, partial(make_machine, gpus=2), open_limit, wake),
        access=Access(store, CATALOGUE),
        publishing=Publishing(),
        pulse=Pulse(300),
        wake=wake,
    )
    hub = Hub("http://127.0.0.1:9", HUB_TOKEN)
    public, runs = build_public_app(rooms, who, hub=hub), build_runs_app(rooms)
    with served(public) as public_url, served(runs) as runs_url, ExitStack() as clients:
        yield Service(rooms, public_url, runs_url, public, runs, wakes, clients)
    public.state.reader.close()
    store.close()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """An application on a free port, in a thread of its own."""
    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)
    server = build_server(app)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        if hasattr(app.state, "streams"):
            app.state.streams.closing.set()
        server.should_exit = True
        thread.join(20)
        bound.close()
        assert not thread.is_alive()
