"""The platform as a whole: a job goes on without a session, and ends with the platform."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.platform_fixture import Platform
from tests.site import User, wait_until

JOBS = "/services/offline-jobs/api/v1/jobs"


def submit(user: User, *sources: str) -> str:
    """Submit a notebook of these cells with the user's token; the job's id."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": cells,
    }
    answer = user.api.post(
        JOBS,
        headers={"Idempotency-Key": f"{user.name}-{len(sources)}-{abs(hash(sources))}"},
        json={
            "name": "test",
            "notebook": notebook,
            "path": "test.ipynb",
            "group": "spatial-lab",
            "image": "notebook",
            "class": "small",
            "kernel": {"name": "python3", "source": "image"},
            "parameters": {},
            "time_limit_seconds": 600,
            "interruptible": False,
        },
    )
    assert answer.status_code == 202, answer.text
    job: str = answer.json()["id"]
    return job


def wait_for_state(user: User, job: str, state: str) -> dict[str, Any]:
    """Wait until the job is in a state; the job then."""
    wait_until(lambda: get_job(user, job).get("state") == state, f"the job to be {state}", 90)
    return get_job(user, job)


def get_job(user: User, job: str) -> dict[str, Any]:
    """The job as its owner sees it; empty while the service is not there."""
    answer = user.api.get(f"{JOBS}/{job}")
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return found


def test_a_job_runs_to_its_end_without_a_session(ada: User) -> None:
    job = submit(ada, "print('hello from the job')")

    done = wait_for_state(ada, job, "succeeded")

    assert done["output_path"].startswith("offline-jobs/test/")
    assert "hello from the job" in ada.api.get(f"{JOBS}/{job}/log").text
    assert not ada.server()


def test_jobs_outlive_hub_and_supervisor_and_end_with_the_platform(
    fresh_platform: Platform, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with fresh_platform.running() as platform:
        ada = platform.sign_in("ada")
        wait = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.1)"
        first = submit(ada, "print(1)", wait)
        wait_until(lambda: get_job(ada, first).get("cell", {}).get("number") == 2, "cell 2")

        platform.child("jupyterhub -f").kill()
        assert platform.process is not None
        platform.process.kill()
        platform.process.wait()
        platform.start()
        platform.wait_until_served()
        assert get_job(ada, first)["state"] == "running"
        gate.touch()
        wait_for_state(ada, first, "succeeded")

        second = submit(ada, "import time", "time.sleep(600)")
        wait_until(lambda: get_job(ada, second).get("cell", {}).get("number") == 2, "cell 2 again")
        assert platform.stop() == 0
        assert not platform.processes()
        records = [
            json.loads(file.read_text())
            for file in (platform.state / "homes" / "ada").rglob("run.json")
        ]
        assert sorted(record["outcome"] for record in records) == ["interrupted", "succeeded"]

        platform.start()
        platform.wait_until_served()
        assert wait_for_state(ada, second, "failed")["cause"] == "interrupted"


@pytest.mark.parametrize("words", ["offline_jobs.service", "jupyterhub -f"])
def test_the_platform_ends_whole_while_a_program_is_dead(
    fresh_platform: Platform, words: str
) -> None:
    with fresh_platform.running() as platform:
        ada = platform.sign_in("ada")
        ada.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})
        job = submit(ada, "import time", "time.sleep(600)")
        wait_until(lambda: get_job(ada, job).get("cell", {}).get("number") == 2, "cell 2")

        platform.child(words).kill()
        # It is started again after half a second.
        wait_until(lambda: "ended (killed by SIGKILL)" in platform.output, "the news")
        assert platform.stop() == 0

        assert platform.processes() == []
        assert "Everything has ended." in platform.output
        assert "killed.\n" not in platform.output
        (record,) = (platform.state / "homes" / "ada").rglob("run.json")
        assert json.loads(record.read_text())["outcome"] == "interrupted"
