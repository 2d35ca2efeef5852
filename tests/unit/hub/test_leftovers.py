"""What is left of jobs and sessions is found by files and variables, and ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hub_config.embedded.leftovers import began_before, end_leftovers, find_leftovers
from offline_jobs.service.store.store import make_job_id

# Holds the lock and writes `started`, as the shim does, then waits; deaf to SIGTERM on request.
SHIM = """
import fcntl, json, os, signal, sys, time
folder, deaf = sys.argv[1], sys.argv[2] == "deaf"
if deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = os.open(folder + "/lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
with open(folder + "/started", "w") as file:
    json.dump({"pid": os.getpid(), "time": time.time()}, file)
print("ready", flush=True)
time.sleep(600)
"""
WAIT = "print('ready', flush=True); import time; time.sleep(600)"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Attempt 1 of a job of its own: processes are found by its id on the whole machine."""
    made = tmp_path / "jobs" / f"job-{make_job_id()}-1"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python in a session of its own, and wait until it says that it is ready."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *words: str, **variables: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            env={"PATH": os.environ["PATH"], **variables},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def attempt_of(folder: Path, number: int = 1) -> dict[str, str]:
    """The variables that all processes of an attempt inherit."""
    job = folder.name.split("-")[1]
    return {"OFFLINE_JOB_ID": job, "OFFLINE_JOB_ATTEMPT": str(number)}


def test_nothing_is_left_of_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    assert end_leftovers(tmp_path, said.append)
    assert said == []


def test_a_runner_is_asked_by_its_group(folder: Path, tmp_path: Path, start: Start) -> None:
    shim = start(SHIM, str(folder), "willing")

    assert find_leftovers(tmp_path).folders == (folder,)
    assert end_leftovers(tmp_path, lambda _: None)

    assert shim.wait(5) == -signal.SIGTERM


def test_one_that_does_not_listen_is_killed(folder: Path, tmp_path: Path, start: Start) -> None:
    said: list[str] = []
    deaf = start(SHIM, str(folder), "deaf", **attempt_of(folder))

    assert end_leftovers(tmp_path, said.append, patience=0.2)

    assert deaf.wait(5) == -signal.SIGKILL
    assert said[-1] == "Some did not end in time and were killed."


def test_a_kernel_that_lost_its_runner_is_found(folder: Path, tmp_path: Path, start: Start) -> None:
    kernel = start(WAIT, **attempt_of(folder))
    other = start(WAIT, **attempt_of(folder, 2))

    assert end_leftovers(tmp_path, lambda _: None)

    assert kernel.wait(5) == -signal.SIGTERM
    assert other.poll() is None


def test_a_shim_that_has_not_begun_is_found(folder: Path, tmp_path: Path, start: Start) -> None:
    shim = start(WAIT, str(folder))

    assert end_leftovers(tmp_path, lambda _: None)

    assert shim.wait(5) == -signal.SIGTERM


def test_who_looks_into_a_jobs_folder_is_left_alone(
    folder: Path, tmp_path: Path, start: Start
) -> None:
    (folder / "started").write_text("")
    readers = [start(WAIT, str(folder)), start(WAIT, str(folder / "runner.log"))]

    assert end_leftovers(tmp_path, lambda _: None)

    assert all(reader.poll() is None for reader in readers)


def test_a_session_is_found_by_its_home(tmp_path: Path, start: Start) -> None:
    ours = start(WAIT, JUPYTERHUB_ROOT_DIR=str(tmp_path / "homes" / "ada"))
    other = start(WAIT, JUPYTERHUB_ROOT_DIR="/homes/ada")

    assert end_leftovers(tmp_path, lambda _: None)

    assert ours.wait(5) == -signal.SIGTERM
    assert other.poll() is None


def test_a_number_that_is_anothers_by_now_is_not_signalled(
    folder: Path, tmp_path: Path, start: Start
) -> None:
    shim = start(SHIM, str(folder), "deaf")
    bystander = start(WAIT)
    # As if the shim had been that number, long before the bystander was given it.
    before = psutil.Process(bystander.pid).create_time() - 60
    (folder / "started").write_text(json.dumps({"pid": bystander.pid, "time": before}))

    (left,) = find_leftovers(tmp_path).folders
    shim_ended = False

    def note(_: str) -> None:
        nonlocal shim_ended
        shim.kill()  # so that the sweep has an end
        shim_ended = True

    assert left == folder
    assert end_leftovers(tmp_path, note)
    assert shim_ended
    assert bystander.poll() is None
    assert not began_before(bystander.pid, before)
    assert began_before(bystander.pid, time.time())
