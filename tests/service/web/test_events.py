"""The stream of news: one's own jobs, live, bounded, and closed when the login is gone."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from offline_jobs.contract.states import State
from offline_jobs.service.changes import RESYNC
from offline_jobs.service.errors import Unauthorized
from offline_jobs.service.web import events
from offline_jobs.service.web.identity import Caller
from tests.plain import NO_TLS
from tests.service.web.factories import API, PEOPLE, Client, Service, running_service


class Stream:
    """An open event stream, read event by event."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def next(self) -> tuple[str, Any]:
        """The next event, comments left out."""
        kind = ""
        for line in self._lines:
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return kind, json.loads(line.removeprefix("data: "))
        return "end", None

    def until(self, kind: str, **fields: Any) -> Any:
        """The first event of this kind with these fields; earlier ones are dropped."""
        while True:
            found, data = self.next()
            assert found != "end"
            if found == kind and all(data.get(k) == v for k, v in fields.items()):
                return data


@contextmanager
def following(client: Client, query: str = "") -> Iterator[Stream]:
    headers = client.headers()
    timeout = httpx.Timeout(20)
    with (
        httpx.Client(
            base_url=client.http.base_url, trust_env=False, timeout=timeout, verify=NO_TLS
        ) as http,
        http.stream("GET", f"{API}events{query}", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        yield Stream(lines)


def test_ones_own_jobs_are_told_and_nobody_elses(
    service: Service, ada: Client, ben: Client
) -> None:
    with following(ben) as theirs, following(ada) as mine:
        job = ada.submit().json()["id"]
        assert mine.until("job", id=job)["state"] == "queued"
        service.stand(job, State.RUNNING)
        assert mine.until("job", state="running")["sentence"]
        service.finish(job)
        mine.until("job", state="succeeded")
        ada.delete(f"jobs/{job}")
        assert mine.until("removed") == {"id": job}
        own = ben.submit(group="teaching").json()["id"]
        assert theirs.next() == ("job", ben.get(f"jobs/{own}").json())


def test_one_job_can_be_followed_by_who_may_see_it(service: Service, ada: Client) -> None:
    job = ada.submit("key-00000001").json()["id"]
    other = ada.submit("key-00000002").json()["id"]
    with following(service.client("lea"), f"?job={job}") as stream:
        service.stand(other, State.RUNNING)
        service.stand(job, State.RUNNING)
        kind, data = stream.next()
        assert (kind, data["id"], data["state"]) == ("job", job, "running")


@pytest.mark.parametrize("name", ["lea", "root"])
def test_of_a_group_its_jobs_are_told_and_no_others(
    service: Service, ada: Client, ben: Client, name: str
) -> None:
    with following(service.client(name), "?user=*&group=lab") as stream:
        ben.submit(group="teaching")
        job = ada.submit().json()["id"]
        assert stream.next() == ("job", ada.get(f"jobs/{job}").json())
        service.finish(job)
        assert stream.next()[1]["state"] == "succeeded"
        ada.delete(f"jobs/{job}")
        # Whether it was one of the group's nobody can tell any more.
        assert stream.next() == ("resync", {})


def test_administrators_may_follow_all(service: Service, ada: Client) -> None:
    root = service.client("root")
    with following(root) as own, following(root, "?user=*") as everybodys:
        job = ada.submit().json()["id"]
        assert everybodys.until("job")["id"] == job
        mine = root.submit().json()["id"]
        assert own.next()[1]["id"] == mine


def test_many_changes_of_a_moment_become_one_event(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    runner = service.runner(job)
    with following(ada) as stream:
        for cell in range(1, 40):
            runner.post("/progress", json={"phase": "running", "cell": cell, "total": 40})
        told = 0
        while True:
            _, data = stream.next()
            told += 1
            if data["cell"]["number"] == 39:
                break
        assert told < 30


def test_who_lost_news_is_told_to_read_anew(service: Service, ada: Client) -> None:
    with following(ada) as stream:
        changes = service.rooms.changes
        for subscriber in tuple(changes._subscribers):
            subscriber.loop.call_soon_threadsafe(subscriber.put, RESYNC)
        assert stream.next() == ("resync", {})


def test_streams_that_come_at_once_are_bounded_too(
    service: Service, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS_OF_ONE", 3)
    together = threading.Barrier(20)
    with ExitStack() as stack, ThreadPoolExecutor(20) as threads:
        clients = [
            stack.enter_context(
                httpx.Client(base_url=ada.http.base_url, trust_env=False, verify=NO_TLS)
            )
            for _ in range(20)
        ]

        def open_one(client: httpx.Client) -> httpx.Response:
            asked = client.build_request("GET", f"{API}events", headers=ada.headers())
            together.wait(20)
            return client.send(asked, stream=True)

        answers = list(threads.map(open_one, clients))
        for answer in answers:
            stack.callback(answer.close)
        assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 17}


def test_streams_are_bounded_for_each_user(
    service: Service, ada: Client, ben: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS_OF_ONE", 2)
    with following(ada), following(ada):
        answer = ada.get("events")
        assert (answer.status_code, answer.json()["code"]) == (429, "too-many-streams")
        with following(ben):
            pass


def test_a_stream_ends_soon_after_the_login_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.1)
    out = threading.Event()

    async def who(request: Request) -> Caller:
        if out.is_set():
            raise Unauthorized
        return Caller(PEOPLE["ada"], "xsrf")

    with running_service(tmp_path, who=who) as service, following(service.client("ada")) as stream:
        out.set()
        assert stream.next() == ("end", None)
