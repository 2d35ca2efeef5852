"""The service and its database's server: lost and restored, and two services for one database."""

import itertools
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from offline_jobs.service.changes import Changes
from offline_jobs.service.model import Selection
from offline_jobs.service.store.store import Store
from tests.database_server import PASSWORD, DatabaseServer, running_server
from tests.service.web.factories import Client, Service, make_submission, running_service
from tests.service.web.test_start import refusal, settings, start
from tests.site import wait_until
from tests.skips import require

__all__ = ["settings"]


@pytest.fixture
def own_server() -> Iterator[DatabaseServer]:
    """A server that a test may stop."""
    require("PostgreSQL")
    with running_server() as server:
        yield server


@pytest.fixture
def own(own_server: DatabaseServer, tmp_path: Path) -> Iterator[Service]:
    """A service on that server."""
    url = own_server.url(own_server.create())
    with running_service(tmp_path, database_url=url, open_limit=100_000) as running:
        yield running


def health(service: Service) -> dict[str, str]:
    """What the service says of itself; it is ready while it can read."""
    answer = service.client("ada").http.get("/health")
    said: dict[str, str] = answer.json()
    assert answer.status_code == (503 if said["status"] == "unavailable" else 200)
    return said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_away_loses_and_doubles_nothing(
    own: Service, own_server: DatabaseServer, how: signal.Signals
) -> None:
    """It is stopped in order and as in a crash, amid submissions of several."""
    accepted: dict[str, str] = {}
    told: set[int] = set()

    def submit(ada: Client, key: str) -> None:
        def is_accepted() -> bool:
            answer = ada.submit(key)
            told.add(answer.status_code)
            if answer.status_code == 503:
                assert answer.json()["code"] == "unavailable"
                assert "Try again" in answer.json()["message"]
            else:
                assert answer.status_code in (200, 202), answer.text
                accepted[key] = answer.json()["id"]
            return key in accepted

        wait_until(is_accepted, f"{key} accepted", 60)

    def submit_on(ada: Client, number: int) -> None:
        for each in itertools.count():
            submit(ada, f"key-{number}-{each:04}")
            if is_over.is_set():
                return

    clients = [own.client("ada") for _ in range(3)]
    is_over = Event()
    with ThreadPoolExecutor(3) as threads:
        lines = [threads.submit(submit_on, ada, n) for n, ada in enumerate(clients)]
        wait_until(lambda: len(accepted) > 5, "the first submissions")
        own_server.stop(how)
        wait_until(lambda: 503 in told, "a submission that is not taken")
        assert health(own)["status"] == "unavailable"
        assert own.client("ada").http.get("/live").status_code == 200
        assert own.client("ada").get("jobs").status_code == 503
        own_server.start()
        is_over.set()
        for line in lines:
            line.result(60)
    listed = own.store.jobs(Selection("ada"), 10_000, None)[0]
    assert sorted(job.id for job in listed) == sorted(accepted.values())
    assert health(own) == {"status": "ok"}


def test_202_comes_once_another_connection_sees_the_job(
    server_database: str, tmp_path: Path
) -> None:
    elsewhere = Store(server_database, Changes())
    with running_service(tmp_path, database_url=server_database) as service:
        ada = service.client("ada")
        seen = elsewhere.job(ada.submit().json()["id"])
        for path, number in ((make_submission()["path"], 1), ("other.ipynb", 0), ("%00", 0)):
            assert len(ada.get(f"jobs?path={path}").json()["jobs"]) == number
    elsewhere.close()
    assert seen is not None


def on_server(settings: Mapping[str, str], tmp_path: Path, url: str, name: str) -> dict[str, str]:
    """Settings of a service on the server, with a state folder of its own."""
    file = tmp_path / f"{name}.url"
    file.write_text(f"{url}\n")
    return {
        **settings,
        "OFFLINE_JOBS_STATE": str(tmp_path / name),
        "OFFLINE_JOBS_DATABASE_URL_FILE": str(file),
    }


@contextmanager
def started(settings: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start(settings, log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def find_port(log: Path) -> int:
    """The public port, once it serves; else 0."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return next((line["port"] for line in lines if line.get("side") == "public"), 0)


def wait_for_health(port: int) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        try:
            said: dict[str, Any] = httpx.get(
                f"http://127.0.0.1:{port}/health", trust_env=False
            ).json()
        except httpx.TransportError:
            return {}
        return said

    return wait_until(ask, "health")


def test_of_two_services_one_writes(
    settings: dict[str, str], tmp_path: Path, server_database: str, database_server: DatabaseServer
) -> None:
    logs = {name: tmp_path / f"{name}.log" for name in ("first", "second", "third")}
    first = on_server(settings, tmp_path, server_database, "first")
    second = on_server(settings, tmp_path, server_database, "second")
    with started(first, logs["first"]) as one:
        wait_until(lambda: find_port(logs["first"]), "the first service", 40)
        said = refusal(second, logs["third"])
        assert said.startswith("offline-jobs: Another jobs service (offline-jobs ")
        assert f" {one.pid} " in said
        assert said.count("\n") == 1

        # The first one hangs and its connections are lost: the second may have the database.
        one.send_signal(signal.SIGSTOP)
        database = server_database.partition("?")[0].rpartition("/")[2]
        database_server.end_sessions(database)
        with started(second, logs["second"]) as two:
            port = wait_until(lambda: find_port(logs["second"]), "the second service", 40)
            one.send_signal(signal.SIGCONT)
            assert one.wait(30) == 2
            last = logs["first"].read_text().splitlines()[-1]
            assert last.startswith("offline-jobs: Another jobs service (offline-jobs ")
            assert f" {two.pid} " in last
            assert wait_for_health(port) == {"status": "ok"}
            two.terminate()
            assert two.wait(30) == 0


def test_a_server_that_starts_later_is_waited_for(
    settings: dict[str, str], tmp_path: Path, own_server: DatabaseServer
) -> None:
    log = tmp_path / "log"
    url = own_server.url(own_server.create())
    own_server.stop()
    with started(on_server(settings, tmp_path, url, "service"), log) as process:
        wait_until(lambda: "waiting for the database" in log.read_text(), "the first try", 40)
        own_server.start()
        port = wait_until(lambda: find_port(log), "the service", 40)
        assert wait_for_health(port) == {"status": "ok"}
        process.terminate()
        assert process.wait(30) == 0
    assert "Traceback" not in log.read_text()


def test_a_service_that_waits_for_its_database_ends_when_asked(
    settings: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    url = f"postgresql://ada@/jobs?host={tmp_path}"
    with started(on_server(settings, tmp_path, url, "service"), log) as process:
        wait_until(lambda: "waiting for the database" in log.read_text(), "the first try", 40)
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "OFFLINE_JOBS_DATABASE_URL_FILE names"),
        (f"mysql://ada:{PASSWORD}@host/jobs", "postgresql://USER:PASSWORD@HOST:5432/DATABASE"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_one_line(
    settings: dict[str, str], tmp_path: Path, content: str | None, words: str
) -> None:
    wrong = on_server(settings, tmp_path, content or "", "service")
    if content is None:
        (tmp_path / "service.url").unlink()
    said = refusal(wrong, tmp_path / "log")
    assert words in said
    assert said.count("\n") == 1
    assert PASSWORD not in said
