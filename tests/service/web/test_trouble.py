"""Trouble around the service: a database or disk that takes nothing, callers that never end."""

import asyncio
import errno
import os
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import Connection, event

from offline_jobs.service.app import build_server
from offline_jobs.service.errors import Unavailable
from offline_jobs.service.hub import Hub, TokenOwner
from offline_jobs.service.object_store import FolderStore
from offline_jobs.service.web import connections
from offline_jobs.service.web.identity import TokenOwners
from tests.plain import NO_TLS
from tests.service.web.factories import Client, Service, make_notebook

ADA = TokenOwner("user", "ada", frozenset(), admin=False, scopes=frozenset())


@contextmanager
def locked(service: Service) -> Iterator[None]:
    """Another program holds the database for writing."""
    database = service.store._database._place.writer.url.database
    assert database
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def full(service: Service) -> Iterator[None]:
    """The database cannot grow."""

    def bound(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # as many as there are

    def unbound(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")

    engine = service.store._database._place.writer
    event.listen(engine, "begin", bound)
    try:
        yield
    finally:
        event.remove(engine, "begin", bound)
        event.listen(engine, "begin", unbound)


def health(service: Service) -> dict[str, str]:
    answer = httpx.get(f"{service.public}/health", trust_env=False, verify=NO_TLS)
    assert answer.status_code == 200
    said: dict[str, str] = answer.json()
    return said


def test_while_the_database_is_locked_reads_go_on_and_writes_are_told_to_come_back(
    service: Service, ada: Client
) -> None:
    first = ada.submit("key-00000000").json()["id"]
    with locked(service), ThreadPoolExecutor(8) as threads:
        # However many wait in the line: only the first waits for the other program.
        writes = list(threads.map(ada.submit, (f"key-1000000{n}" for n in range(8))))
        for answer in writes:
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert answer.elapsed.total_seconds() < 8
        assert [job["id"] for job in ada.get("jobs").json()["jobs"]] == [first]
        assert "cannot be used now" in health(service)["message"]
    assert ada.submit("key-10000000").status_code == 202
    assert health(service) == {"status": "ok"}


def test_health_is_good_again_when_the_lock_is_gone(service: Service, ada: Client) -> None:
    with locked(service):
        assert ada.submit().status_code == 503
        assert health(service)["status"] == "degraded"
    assert health(service) == {"status": "ok"}


def test_a_full_disk_is_said_to_people_and_to_runners(service: Service, ada: Client) -> None:
    job = ada.submit("key-00000000").json()["id"]
    large = make_notebook("x = 1  # " + 1_000_000 * "x")
    with full(service):
        answer = ada.submit("key-00000001", notebook=large)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage-full")
        assert answer.headers["retry-after"]
        assert "disk is full" in health(service)["message"]
        log = {"phase": "running", "cell": 1, "log_tail": 16_000 * "y"}
        told = service.runner(job).post("/progress", json=log)
        assert (told.status_code, told.json()["code"]) == (507, "storage-full")
        assert ada.get(f"jobs/{job}").json()["state"] == "queued"
    assert ada.submit("key-00000001", notebook=large).status_code == 202


def test_a_result_that_does_not_fit_leaves_what_was_there(
    service: Service, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ada.submit().json()["id"]
    runner = service.runner(job)
    assert runner.put("/notebook", content=b"earlier").status_code == 204
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_for_room)
        told = runner.put("/notebook", content=b"newer")
        assert (told.status_code, told.json()["code"]) == (507, "storage-full")
    assert ada.get(f"jobs/{job}/result").content == b"earlier"
    objects = service.rooms.objects
    assert isinstance(objects, FolderStore)
    assert not list((objects._folder / ".staging").iterdir())


def fail_for_room(_: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_answer_waits_for_no_acknowledgement(service: Service) -> None:
    server = build_server(service.app)
    server.config.load()

    def make_protocol() -> asyncio.Protocol:
        config = server.config
        made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
            config=config, server_state=server.server_state, app_state={}
        )
        return made

    async def accept(accepted: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(make_protocol, accepted)
        own: socket.socket = transport.get_extra_info("socket")
        value = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport.close()
        return value

    with (
        socket.create_server(("127.0.0.1", 0)) as bound,
        socket.create_connection(bound.getsockname()),
    ):
        assert asyncio.run(accept(bound.accept()[0])) != 0


def test_a_head_that_never_ends_ends_its_connection(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    place = urlsplit(service.public)
    address = (str(place.hostname), int(place.port or 0))
    head = b"GET /health HTTP/1.1\r\nHost: x\r\n"
    with (
        socket.create_connection(address, timeout=20) as patient,
        socket.create_connection(address, timeout=20) as first,
    ):
        patient.sendall(head.replace(b"GET", b"POST") + b"Content-Length: 2\r\n\r\n{")
        first.sendall(head)
        assert first.recv(100) == b""
        # A second request on a connection that has answered one.
        with socket.create_connection(address, timeout=20) as second:
            second.sendall(head + b"\r\n")
            answer = b""
            while not answer.endswith(b'{"status":"ok"}'):  # head and body may come apart
                piece = second.recv(10_000)
                assert piece, answer
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200")
            second.sendall(head)
            assert second.recv(100) == b""
        # Whose head was whole is not hurried.
        patient.sendall(b"}")
        assert patient.recv(100).startswith(b"HTTP/1.1 405")


class SlowHub(Hub):
    """Answers when it may, as it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def fetch_owner(self, token: str) -> TokenOwner | None:
        self.asked += 1
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return ADA


def test_however_many_ask_the_hub_is_asked_once_for_a_token() -> None:
    async def go() -> None:
        hub = SlowHub()
        owners = TokenOwners(hub)
        asking = [asyncio.create_task(owners.owner("t")) for _ in range(200)]
        await asyncio.sleep(0)
        # Who began it leaves; the others still get their answer.
        asking[0].cancel()
        await asyncio.sleep(0)
        hub.may_answer.set()
        assert await asyncio.gather(*asking[1:]) == [ADA] * 199
        assert await owners.owner("t") == ADA
        assert hub.asked == 1
        assert await owners.owner("another") == ADA
        assert hub.asked == 2

    asyncio.run(go())


def test_a_hub_that_was_away_is_asked_again() -> None:
    async def go() -> None:
        hub = SlowHub()
        owners = TokenOwners(hub)
        hub.error = Unavailable("away")
        asking = [asyncio.create_task(owners.owner("t")) for _ in range(3)]
        hub.may_answer.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert {type(each) for each in answers} == {Unavailable}
        hub.error = None
        assert await owners.owner("t") == ADA
        assert hub.asked == 2

    asyncio.run(go())
