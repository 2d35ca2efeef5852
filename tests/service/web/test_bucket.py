"""The service over a bucket: notebooks and logs go through, and one that is away harms nothing."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from offline_jobs.contract.states import Cause, State
from offline_jobs.service import bucket
from offline_jobs.service.bucket import BucketStore
from offline_jobs.service.web import lane
from tests.bucket_server import (
    REGION,
    BucketServer,
    running_server,
    use_credentials,
    write_credentials,
)
from tests.service.web.factories import Service, running_service
from tests.site import wait_until
from tests.skips import require

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    require("the object store's server")
    use_credentials(monkeypatch, write_credentials(tmp_path / "credentials"))
    with running_server(tmp_path / "server") as server:
        yield server


@pytest.fixture
def service(
    server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    monkeypatch.setattr(bucket, "_SILENT_SECONDS", 3)
    server.make_bucket("lab")
    store = BucketStore("s3://lab/jobs", endpoint_url=server.url, region=REGION)
    with (
        closing(store),
        ExitStack() as clients,
        running_service(tmp_path, objects=store) as running,
    ):
        running.clients = clients
        yield running


def test_notebook_and_log_go_through_and_nobody_waits_for_a_bucket_that_is_silent(
    service: Service, server: BucketServer
) -> None:
    ada = service.client("ada")
    job = str(ada.submit().json()["id"])
    runner = service.runner(job)
    notebook = b"n" * 20_000_000
    assert runner.put("/notebook", content=notebook).status_code == 204
    assert runner.put("/log", content=b"a log").status_code == 204
    service.finish(job, State.FAILED, cause=Cause.REMOVED)
    assert ada.get(f"jobs/{job}/result").content == notebook
    assert ada.get(f"jobs/{job}/log").text == "a log"
    assert server.list_keys("lab") == [f"jobs/{job}/1/log.txt", f"jobs/{job}/1/result.ipynb"]

    other = str(ada.submit("key-00000002").json()["id"])
    server.signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(60) as threads:
            clients = [service.client("ada") for _ in range(50)]
            asked = [threads.submit(each.get, f"jobs/{job}/result") for each in clients]
            uploads = [threads.submit(service.runner(other).put, "/log", content=b"x")]
            threads_of = service.app.state.lane
            wait_until(lambda: threads_of.borrowed_tokens == lane.THREADS, "all threads to wait")
            # More ask than there are threads of any kind; all else goes on while they wait.
            shown = ada.get(f"jobs/{job}")
            assert (shown.status_code, shown.json()["state"]) == (200, "failed")
            assert service.store.request_cancel(other).cancel_requested
            assert threads_of.borrowed_tokens == lane.THREADS
            for answer in (each.result() for each in [*asked, *uploads]):
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
                assert "cannot be used now" in answer.json()["message"]
                assert answer.headers["retry-after"]
        health = ada.http.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
    finally:
        server.signal(signal.SIGCONT)


def test_a_download_that_breaks_off_does_not_look_whole(
    service: Service, server: BucketServer
) -> None:
    ada = service.client("ada")
    job = str(ada.submit().json()["id"])
    service.runner(job).put("/notebook", content=b"n" * 40_000_000)
    request = ada.http.build_request(
        "GET", f"/services/offline-jobs/api/v1/jobs/{job}/result", headers=ada.headers()
    )
    answer = ada.http.send(request, stream=True)
    with closing(answer):
        pieces = answer.iter_raw(100_000)
        read = len(next(pieces))
        server.stop()
        with pytest.raises(httpx.RemoteProtocolError):
            read += sum(map(len, pieces))
    assert read < 40_000_000
    server.start()
