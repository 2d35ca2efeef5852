"""Whatever is sent, on either port: an answer below 500 that says what is wrong, and no trace.

Requests are drawn from a seed: sound ones with something in them changed. ``pytest --long`` draws
more. The seed is recorded, and taken from ``NOTEBOOK_HPC_SEED`` where that is set.
"""

import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.contract.run import Progress
from tests.service.core.factories import make_record
from tests.service.web.factories import (
    API,
    HUB_TOKEN,
    Client,
    Service,
    make_notebook,
    make_submission,
)

Record = Callable[[str, object], None]
SHORT, LONG = 400, 20_000
#: What stands in a document where something else is expected.
HOSTILE: list[Any] = [
    *(None, True, -1, 0, 2**63, 10**40, 1e308, float("nan"), float("-inf")),
    *("", " ", "\ud800", "\x00", "a" * 5_000, "../../etc/passwd", "<script>", "{}", "\u202e"),
    *([], [[]], [None] * 50, {}, {"": ""}, {"\ud800": 1}, {"a": {"b": {"c": []}}}),
]
BODIES = [b"", b"{", b"null", b"\xff\xfe", b"[" * 5_000, b'{"a":' * 500, b'"\\ud800"', b"1e999"]
HEADERS: dict[bytes, list[bytes]] = {
    b"Authorization": [
        b"",
        b"token",
        b"token \xe9",
        b"Bearer \xe9",
        b"Basic YTpi",
        b"token " + b"x" * 3_000,
    ],
    b"Content-Type": [b"", b"text/plain", b"application/json; charset=utf-16", b"\xff", b"*/*"],
    b"Idempotency-Key": [b"", b"short", b"\xc3\xa9" * 9, b"k" * 5_000, b"key 0000 0001"],
    b"If-None-Match": [b"*", b'W/"1"', b'"', b"\xff", b'"' + b"1," * 900],
    b"Cookie": [b"offline-jobs-session=\xff", b";;;==", b"jupyterhub-session-id=" + b"x" * 2_000],
    b"X-XSRFToken": [b"\xff", b"none"],
    b"Range": [b"bytes=9-1", b"\xff"],
    b"Last-Event-ID": [b"\xff", b"-1"],
}
QUERIES = [
    *("limit=-1", "limit=9999999999999999999999", "limit=x", "limit=1&limit=2", "cursor=%ff"),
    *(
        "cursor=MTIz",
        "state=nowhere",
        "state=",
        "first=0",
        "user=%00",
        "user=*",
        "group=%ff",
        *("q=%00", "q=%25%5f%5c", "q=%ed%a0%80", "since=1e99", "until=x", "class=%00"),
        "x=1",
        "%ff=%fe",
    ),
    *("a" * 2_000, "next=//evil", "code=1&state=2", "cursor=MTIzOmE"),
]
#: Method and place, of which mostly just one is changed.
PLACES = [
    *(("POST", "jobs"), ("POST", "jobs"), ("POST", "jobs/check"), ("POST", "jobs/check")),
    *(("GET", "catalogue"), ("GET", "jobs"), ("GET", "jobs/JOB"), ("GET", "jobs/JOB/log")),
    ("GET", "jobs/counts"),
    *(("GET", f"jobs/JOB/{what}") for what in ("notebook", "result", "view", "figures", "record")),
    *(("GET", "jobs/JOB/course"), ("GET", "jobs/JOB/cells")),
    *(("POST", "jobs/JOB/cancel"), ("POST", "jobs/JOB/rerun"), ("DELETE", "jobs/JOB")),
    *(("POST", "jobs/JOB/rerun/check"), ("POST", "jobs/JOB/share")),
    *(
        ("GET", "openapi.json"),
        ("POST", "departures"),
        ("POST", "departures/complete"),
        ("POST", "sessions"),
        ("GET", "sessions"),
        ("GET", "queues"),
        ("GET", "outcomes"),
        ("GET", "line"),
        ("POST", "home"),
    ),
    *(("GET", "nothing"), ("GET", "")),
]
PAGES = [
    *(
        ("GET", ""),
        ("GET", "groups"),
        ("GET", "jobs/JOB"),
        ("GET", "oauth_callback"),
        ("GET", "static/page.js"),
    ),
    *(("GET", "static/../app.py"), ("GET", "logout"), ("GET", "%2e%2e/"), ("POST", "")),
]
RUNS = [
    *(("POST", "/progress"), ("POST", "/result"), ("PUT", "/log"), ("PUT", "/notebook")),
    *(("GET", ""), ("GET", "/nothing")),
]
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]
#: What no job is called.
NO_JOBS = ["%00", "%ff%fe", "a" * 300, "..", "%2e%2e%2fx", "A1B2C3D4E5F6", "'", "a;b"]
SERIES = {"every_seconds": 2.0, "memory_mib": [1], "cores": [0.5], "first_cell_seconds": None}
PROGRESS = Progress("running", cell=1, total=3, cell_seconds=[0.5], log_tail="one\n", series=SERIES)


class Draw:
    """Draws requests."""

    def __init__(self, seed: int, job: str) -> None:
        self._chance = random.Random(seed)
        self._job = job

    def choose(self, options: list[Any]) -> Any:
        return self._chance.choice(options)

    def happens(self, share: float) -> bool:
        return self._chance.random() < share

    def damage(self, document: Any) -> Any:
        """The document with something at a random place of it changed."""
        if not document or not isinstance(document, dict | list) or self.happens(0.15):
            return self.choose(HOSTILE)
        if isinstance(document, list):
            place = self._chance.randrange(len(document))
            rest = [*document[:place], *document[place + 1 :]]
            if self.happens(0.2):
                return self.choose([rest, document * 3, [*document, self.choose(HOSTILE)]])
            return [*document[:place], self.damage(document[place]), *document[place + 1 :]]
        key = self.choose(list(document))
        if self.happens(0.1):
            return {name: value for name, value in document.items() if name != key}
        if self.happens(0.1):
            return {**document, self.choose(["", "x", "\ud800", "id"]): self.choose(HOSTILE)}
        return {**document, key: self.damage(document[key])}

    def draw_body(self, document: Any) -> bytes:
        if self.happens(0.15):
            return bytes(self.choose(BODIES))
        for _ in range(self._chance.randrange(3)):
            document = self.damage(document)
        return json.dumps(document).encode()

    def draw_address(self, base: str, places: list[tuple[str, str]]) -> dict[str, Any]:
        method, place = self.choose(places)
        job = self.choose(NO_JOBS) if self.happens(0.1) else self._job
        target = base + place.replace("JOB", job)
        return {
            "method": self.choose(METHODS) if self.happens(0.1) else method,
            "target": (
                f"{target}?{self.choose(QUERIES)}" if self.happens(0.1) else target
            ).encode(),
        }

    def draw_headers(self, given: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        headers = dict(given)
        for name, values in HEADERS.items():
            if self.happens(0.03):
                headers[name] = self.choose(values)
        return list(headers.items())

    def draw_public(self, number: int) -> dict[str, Any]:
        """A request to the public port, as somebody who may use it or as the hub."""
        token = self.choose(["ada", "ben", "root", HUB_TOKEN])
        given = {
            b"Authorization": f"token {token}".encode(),
            b"Content-Type": b"application/json",
            b"Idempotency-Key": f"key-{number:08}".encode(),
        }
        base, places = self.choose([(API, PLACES)] * 6 + [(SERVICE_PREFIX, PAGES)])
        document = self.choose(
            [
                make_submission(),
                make_submission(
                    notebook=make_notebook("1", parameters="n: int = 1"), parameters={"n": 2}
                ),
                {"user": "zoe", "keeper": ".retired/zoe"},
                {"shared": True},
                {},
            ]
        )
        return {
            **self.draw_address(base, places),
            "headers": self.draw_headers(given),
            "content": self.draw_body(document),
        }

    def draw_run(self, token: str) -> dict[str, Any]:
        """A request to the runners' port."""
        given = {b"Authorization": f"Bearer {token}".encode(), b"Content-Type": b"application/json"}
        number = self.choose([*["1"] * 20, "0", "-1", "99999999999999999999", "x", "%ff"])
        record = make_record(job=self._job)
        document = self.choose([PROGRESS.to_json(), record.to_json(), make_notebook("1")])
        return {
            **self.draw_address(f"/internal/v1/runs/JOB/{number}".replace("JOB", self._job), RUNS),
            "headers": self.draw_headers(given),
            "content": self.draw_body(document),
        }


def send(client: httpx.Client, url: str, drawn: dict[str, Any]) -> httpx.Response:
    """Send a request just as it was drawn, its target too."""
    place = httpx.URL(url).copy_with(raw_path=drawn["target"])
    request = httpx.Request(
        drawn["method"], place, headers=drawn["headers"], content=drawn["content"]
    )
    return client.send(request)


def check(answer: httpx.Response, drawn: dict[str, Any]) -> None:
    """Below 500; what is refused by the API says so in words."""
    assert answer.status_code < 500, (drawn, answer.text)
    if answer.status_code >= 400 and API.encode() in drawn["target"] and drawn["method"] != "HEAD":
        said = answer.json()
        assert said["code"], drawn
        assert len(said["message"]) > 5, drawn


@pytest.fixture
def amount(long_run: bool) -> int:
    return LONG if long_run else SHORT


@pytest.fixture
def no_trace(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing of a request became an error of the service's."""
    with caplog.at_level(logging.ERROR):
        yield
    traces = [each for each in caplog.records if each.exc_info or each.levelno >= logging.ERROR]
    assert not traces, traces


def send_all(client: httpx.Client, url: str, requests: Iterable[dict[str, Any]]) -> Counter[int]:
    """Send requests and check each answer; how often each status came."""
    seen: Counter[int] = Counter()
    for drawn in requests:
        answer = send(client, url, drawn)
        check(answer, drawn)
        seen[answer.status_code] += 1
    return seen


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("no_trace")
def test_any_request_of_people_is_answered(
    service: Service, ada: Client, amount: int, seed: int, record_property: Record
) -> None:
    draw = Draw(seed, ada.submit().json()["id"])
    seen = send_all(ada.http, service.public, map(draw.draw_public, range(amount)))
    record_property("answers", dict(sorted(seen.items())))
    # It would show little if all were refused at the door.
    assert seen[200] + seen[202] > amount / 20, seen
    assert seen[422] > amount / 20, seen
    assert ada.get("catalogue").status_code == 200


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("no_trace")
def test_any_request_of_a_runner_is_answered(
    service: Service, ada: Client, amount: int, seed: int, record_property: Record
) -> None:
    job = ada.submit().json()["id"]
    draw, token = Draw(seed, job), service.rooms.tokens.make(job, 1)
    requests = (draw.draw_run(token) for _ in range(amount))
    seen = send_all(service.runner(job), service.runs, requests)
    record_property("answers", dict(sorted(seen.items())))
    assert seen[200] + seen[204] > amount / 50, seen
    assert ada.get(f"jobs/{job}").status_code == 200
