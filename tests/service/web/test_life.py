"""Liveness and readiness of a real service: what is a reason to start it anew, and what is none."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from offline_jobs.contract.names import object_name
from offline_jobs.contract.run import Progress
from offline_jobs.service.backends.local import folder as names
from offline_jobs.service.changes import Changes
from offline_jobs.service.pulse import Pulse
from offline_jobs.service.store.store import Store
from tests.bucket_server import REGION, build_environment, running_server, write_credentials
from tests.service.core.factories import create_job, make_new_job
from tests.service.web.test_start import SECRET, get, running, settings
from tests.site import wait_until
from tests.skips import require

__all__ = ["settings"]
PATIENCE = 6


@contextmanager
def stuck(state: Path) -> Iterator[Path]:
    """A job at which the loop gets stuck: its lock is a pipe that nobody writes to."""
    (state / "service").mkdir()
    with closing(Store(f"sqlite:///{state / 'service' / 'jobs.sqlite'}", Changes())) as store:
        store.migrate()
        job = create_job(store, make_new_job("1"))[0]
        store.states.mark_launched(job.id, 1, {})
        store.record_progress(job.id, 1, Progress("running", 1, 2))
    attempt = state / "jobs" / object_name(job.id, 1)
    attempt.mkdir(parents=True)
    (attempt / names.STARTED).touch()
    os.mkfifo(attempt / names.LOCK)
    yield attempt / names.LOCK


def lines(log: Path, message: str) -> list[dict[str, object]]:
    read = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return [line for line in read if line["message"] == message]


def test_a_service_whose_loop_is_stuck_is_dead_and_still_serves(
    settings: Mapping[str, str], tmp_path: Path
) -> None:
    wanted = {**settings, "OFFLINE_JOBS_STUCK_SECONDS": str(PATIENCE)}
    log = tmp_path / "log"
    with stuck(tmp_path) as pipe, running(wanted, log) as (_, ports):
        for port in ports.values():
            wait_until(lambda port=port: get(port, "/live").status_code == 503, "its death")  # type: ignore[misc]
            assert get(port, "/health").json() == {"status": "ok"}
        said = get(ports["public"], "/live").json()
        assert said["status"] == "stuck"
        assert "has been stuck for" in said["message"]
        assert lines(log, "the loop that starts jobs is stuck")[0]["level"] == "error"
        # Whoever waits for it is let go, and the loop with it.
        with pipe.open("wb"):
            wait_until(lambda: get(ports["public"], "/live").status_code == 200, "its life")
        pipe.unlink()


def test_a_database_that_is_held_is_no_reason_to_end_the_service(
    settings: Mapping[str, str], tmp_path: Path
) -> None:
    wanted = {
        **settings,
        "OFFLINE_JOBS_STUCK_SECONDS": str(PATIENCE),
        "OFFLINE_JOBS_METRICS_PORT": "0",
    }
    log, file = tmp_path / "log", tmp_path / "service" / "jobs.sqlite"
    failures = 'offline_jobs_passes_total{result="failed"}'
    with running(wanted, log) as (_, ports):
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            job = _submit(file)
            other.execute("BEGIN IMMEDIATE")
            wait_until(lambda: lines(log, "the database cannot be written"), "a change in vain")
            began = time.monotonic()
            while time.monotonic() - began < 1.5 * PATIENCE:
                assert get(ports["public"], "/live").status_code == 200
                answer = get(ports["public"], "/health")
                assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
            assert f"{failures} 0.0" not in get(ports["metrics"], "/metrics").text
        wait_until(lambda: lines(log, "the database can be written again"), "a change")
        assert get(ports["public"], "/health").json() == {"status": "ok"}
        ended = wait_until(lambda: lines(log, "job ended"), "the job's end")
        assert ended[0] | {"job": job, "attempt": 1, "state": "failed"} == ended[0]
    assert SECRET not in log.read_text()


def _submit(file: Path) -> str:
    """A job of a class that the catalogue does not have, so that it ends by itself."""
    with closing(Store(f"sqlite:///{file}", Changes())) as store:
        return create_job(store, make_new_job("1", machine_class="gone"))[0].id


@pytest.mark.timeout(1800)
def test_a_bucket_that_is_away_is_no_reason_to_end_the_service(
    settings: Mapping[str, str], tmp_path: Path
) -> None:
    require("the object store's server")
    log = tmp_path / "log"
    with running_server(tmp_path / "server") as server:
        bucket = server.make_bucket(f"lab-{uuid4().hex[:12]}")
        wanted = {
            **settings,
            **build_environment(write_credentials(tmp_path / "credentials")),
            "OFFLINE_JOBS_OBJECTS": f"s3://{bucket}",
            "OFFLINE_JOBS_OBJECTS_ENDPOINT": server.url,
            "OFFLINE_JOBS_OBJECTS_REGION": REGION,
            "OFFLINE_JOBS_STUCK_SECONDS": str(PATIENCE),
        }
        server.stop()
        with running(wanted, log) as (_, ports):
            assert get(ports["public"], "/live").status_code == 200
            answer = get(ports["public"], "/health")
            assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
            assert "notebooks and logs" in answer.json()["message"]
            (line,) = lines(log, "the bucket cannot be used")
            assert line["operation"] == "list"


def test_each_step_counts_and_a_long_one_is_silence() -> None:
    seconds = 0.0
    pulse = Pulse(300, lambda: seconds)
    seconds = 300.0
    assert pulse.find_silence() is None
    seconds = 301.0
    assert pulse.find_silence() == 301.0
    pulse.beat()
    assert pulse.find_silence() is None
