"""The platform as a whole: a job goes on without a session, and ends with the platform."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.platform_fixture import Platform
from tests.site import User, wait_until

JOBS = "/services/offline-jobs/api/v1/jobs"


def submit(user: User, *sources: str) -> str:
    """Submit a notebook of these cells with the user's token; the job's id."""
    return submit_notebook(user, make_notebook(*sources))


def make_notebook(*sources: str) -> dict[str, Any]:
    """A notebook of these cells; the first is one of parameters if it assigns something."""
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
    if sources[0].startswith("n = "):
        cells[0]["metadata"]["tags"] = ["parameters"]
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": cells,
    }


def submit_notebook(user: User, notebook: dict[str, Any], **parameters: object) -> str:
    """Submit a notebook with the user's token; the job's id."""
    answer = user.api.post(
        JOBS,
        headers={"Idempotency-Key": uuid.uuid4().hex},
        json={
            "name": "test",
            "notebook": notebook,
            "path": "test.ipynb",
            "group": "teaching" if user.name == "ben" else "spatial-lab",
            "image": "notebook",
            "class": "small",
            "kernel": {"name": "python3", "source": "image"},
            "parameters": parameters,
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


def test_a_jobs_life_is_in_the_services_log_and_no_secret(ada: User, platform: Platform) -> None:
    job = submit(ada, "1", "raise ValueError('a word of the notebook')")
    wait_for_state(ada, job, "failed")
    log = platform.state / "logs" / "service.log"
    wait_until(lambda: '"job ended"' in log.read_text().rpartition(job)[0], "the end in the log")
    text = log.read_text()
    lines = [each for each in map(json.loads, text.splitlines()) if each.get("job") == job]
    facts = [(each["message"], each.get("attempt"), each.get("state")) for each in lines]
    assert facts == [
        ("job accepted", None, None),
        ("attempt launched", 1, None),
        ("job ended", 1, "failed"),
    ]
    assert lines[0]["user"] == "ada"
    assert lines[2]["cause"] == "cell-error"
    secrets = [file.read_text().strip() for file in (platform.state / "secrets").iterdir()]
    token = ada.api.headers["Authorization"].removeprefix("token ")
    assert not [each for each in (*secrets, token, "a word of the notebook") if each in text]


def test_a_result_is_run_again_with_one_value_changed(ada: User) -> None:
    """What ran, by three records: as in the notebook, a value given, the result of that one."""
    first = submit(ada, "n = 1\nm = 2", "print('is', n, m)")
    wait_for_state(ada, first, "succeeded")
    snapshot = ada.api.get(f"{JOBS}/{first}/notebook").json()
    second = submit_notebook(ada, snapshot, n=42)
    wait_for_state(ada, second, "succeeded")
    third = submit_notebook(ada, ada.api.get(f"{JOBS}/{second}/result").json(), m=7)
    wait_for_state(ada, third, "succeeded")

    answers = [ada.api.get(f"{JOBS}/{job}/record").json() for job in (first, second, third)]
    records = [answer["record"] for answer in answers]
    assert [(each["parameters"], each["notebook_parameters"]) for each in records] == [
        ({}, {"n": "1", "m": "2"}),
        ({"n": 42}, {"m": "2"}),
        ({"n": 42, "m": 7}, {}),
    ]
    printed = [ada.api.get(f"{JOBS}/{job}/log").text for job in (first, second, third)]
    assert [next(line for line in text.splitlines() if "is" in line) for text in printed] == [
        "is 1 2", "is 42 2", "is 42 7",
    ]  # fmt: skip
    assert "Parameters: n = 42, m = 7 (given).\n" in answers[2]["methods"]
    hashed = hashlib.sha256(ada.api.get(f"{JOBS}/{first}/notebook").content).hexdigest()
    assert records[0]["snapshot_sha256"] == hashed


def test_the_first_cell_that_failed_is_named_though_the_notebook_went_on(ada: User) -> None:
    shows = "try:\n    {}['bin50']\nexcept KeyError:\n    get_ipython().showtraceback()"
    job = submit(ada, "1", shows, "3")
    assert wait_for_state(ada, job, "failed")["sentence"] == "Cell 2 raised KeyError: 'bin50'"


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
