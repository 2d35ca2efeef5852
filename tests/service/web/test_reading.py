"""Heavy bodies: bounded before they become objects, read apart, a few at a time."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from offline_jobs.service.web import limits, reading
from tests.service.web.factories import (
    API,
    Client,
    Service,
    begin_upload,
    make_notebook,
    make_submission,
)
from tests.site import wait_until

LARGE = "x" * 400_000


def make_heavy(values: int) -> bytes:
    """A submission whose notebook holds so many empty lists in its metadata."""
    lists = ",".join(["[]"] * values)
    text = make_submission(notebook=make_notebook("1", metadata={"own": "HERE"}))
    return json.dumps(text).replace('"HERE"', f"[{lists}]").encode()


def post(client: Client, body: bytes) -> tuple[int, str]:
    headers = client.headers({"Content-Type": "application/json"})
    answer = client.http.post(f"{API}jobs/check", content=body, headers=headers)
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("values", [reading.MOST_VALUES + 1, 8_000_000])
def test_more_values_than_a_notebook_has_are_refused(ada: Client, values: int) -> None:
    assert post(ada, make_heavy(values)) == (422, "too-many-values")


def test_marks_within_text_are_no_values(ada: Client) -> None:
    text = '",[{\\' * 400_000
    assert post(ada, json.dumps(make_submission(notebook=make_notebook(text))).encode()) == (
        200, "",
    )  # fmt: skip


def test_one_user_holds_a_few_large_bodies_and_nobody_elses(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = service.app.state.reader.door
    large = make_submission(notebook=make_notebook(LARGE))
    ada = service.client("ada")
    with ExitStack() as stack:
        for _ in range(reading.MOST_LARGE_OF_ONE):
            stack.enter_context(begin_upload(service.public, "ada", "jobs/check", 5_000_000))
        wait_until(
            lambda: "ada" in door._own and door._own["ada"].locked(), "both bodies to be awaited"
        )
        monkeypatch.setattr(door, "seconds", 0.5)
        refused = ada.post("jobs/check", large)
        assert (refused.json()["code"], refused.headers["retry-after"]) == ("unavailable", "5")
        assert ada.post("jobs/check", make_submission()).status_code == 200
        assert service.client("lea").post("jobs/check", large).status_code == 200
    wait_until(lambda: ada.post("jobs/check", large).status_code == 200, "room after they left")


def test_the_time_for_a_body_begins_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waited at the door for longer than a body may take is taken in all the same."""
    now = 0.0
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now))

    async def receive() -> dict[str, object]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x"}

    bounded = limits._bounded(receive, 10)
    now = 2 * limits.BODY_SECONDS
    assert asyncio.run(bounded())["body"] == b"x"  # type: ignore[arg-type]


def test_a_process_that_died_is_replaced(service: Service, ada: Client) -> None:
    large = make_submission(notebook=make_notebook(LARGE))
    assert ada.post("jobs/check", large).status_code == 200
    (child,) = multiprocessing.active_children()
    child.kill()
    wait_until(lambda: ada.post("jobs/check", large).status_code == 200, "another one")
    (other,) = multiprocessing.active_children()
    assert other.pid != child.pid


PROGRAM = """
import asyncio, os, signal
from offline_jobs.service.web.reading import Reader
async def main():
    reader = Reader()
    pool = reader._get_pool()
    print(await asyncio.get_running_loop().run_in_executor(pool, os.getpid), flush=True)
    END
if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", "reader.close()", "os._exit(3)"]
)
def test_nothing_is_left_of_it_however_the_service_ends(tmp_path: Path, end: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("END", end))
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60, check=False
    )
    pid = int(done.stdout)
    assert pid != os.getpid()
    wait_until(lambda: not psutil.pid_exists(pid), "the end of the process that reads")


def test_a_ctrl_c_is_the_services_alone() -> None:
    reader = reading.Reader()
    try:
        pool = reader._get_pool()
        pid = pool.submit(os.getpid).result(60)
        os.kill(pid, signal.SIGINT)
        assert pool.submit(os.getpid).result(60) == pid
    finally:
        reader.close()
