"""Two who run a notebook of one cell: the platform as ``make run`` has it, and jupyter-scheduler.

Either is asked as its users' clients ask it, by its REST API: a job is submitted, and looked at
until it has ended. What it wrote is read afterwards.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import nbformat

from tests.bench.processes import BUILD, build_variables, running
from tests.plain import NO_TLS
from tests.platform_fixture import Platform
from tests.ports import find_free_port
from tests.runner.attempts import make_notebook

PATIENCE_SECONDS = 600
NOTEBOOK = make_notebook("1+1")
_JOBS = "/services/offline-jobs/api/v1/jobs"
_TOKEN = uuid.uuid4().hex


class Side(Protocol):
    """Somebody who runs notebooks.

    Attributes:
        folder: in command or variables of all its processes.
        right_end: the state of a job that has ended as it should.
        ends: all states of one that has ended.
    """

    folder: Path
    right_end: str
    ends: frozenset[str]

    def submit(self) -> str:
        """Submit the notebook; the job's id."""

    def read_state(self, job: str) -> str:
        """The job's state."""

    def read_states(self) -> dict[str, str]:
        """The states of all jobs, by id."""

    def read_notebook(self, job: str) -> Any:
        """The executed notebook of a job that has ended."""


class Ours:
    """The platform of ``make run``: a user's token, by the proxy to the jobs service.

    Jobs have the class that the dialog proposes, which here has two cores.
    """

    right_end = "succeeded"
    ends = frozenset({"succeeded", "failed", "cancelled"})

    def __init__(self, platform: Platform, http: httpx.Client) -> None:
        self.platform = platform
        self.folder = platform.state
        self._http = http

    def submit(self) -> str:
        """Submit the notebook; the job's id."""
        body = {
            "name": "one",
            "notebook": NOTEBOOK,
            "path": "one.ipynb",
            "group": "spatial-lab",
            "image": "notebook",
            "class": "standard",
            "kernel": {"name": "python3", "source": "image"},
            "parameters": {},
            "time_limit_seconds": 3600,
            "interruptible": False,
        }
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self._http.post(_JOBS, json=body, headers=headers).raise_for_status()
        return str(answer.json()["id"])

    def read_state(self, job: str) -> str:
        """The job's state."""
        return str(self._http.get(f"{_JOBS}/{job}").raise_for_status().json()["state"])

    def read_states(self) -> dict[str, str]:
        """The states of all jobs, by id."""
        answer = self._http.get(_JOBS, params={"limit": 500}).raise_for_status()
        return {job["id"]: job["state"] for job in answer.json()["jobs"]}

    def read_notebook(self, job: str) -> Any:
        """The executed notebook of a job that has ended, as it lies in the home."""
        path = self._http.get(f"{_JOBS}/{job}").raise_for_status().json()["output_path"]
        return nbformat.read(self.platform.homes / "ada" / path, as_version=4)


class Scheduler:
    """A stock JupyterLab with jupyter-scheduler, as it comes."""

    right_end = "COMPLETED"
    # What waits is STOPPED there, too: only these two never change again.
    ends = frozenset({"COMPLETED", "FAILED"})

    def __init__(self, folder: Path, http: httpx.Client) -> None:
        self.folder = folder
        self._http = http
        environments = http.get("/scheduler/runtime_environments").raise_for_status().json()
        self._environment = environments[0]["name"]

    def submit(self) -> str:
        """Submit the notebook; the job's id."""
        body = {
            "name": "one",
            "input_uri": "one.ipynb",
            "runtime_environment_name": self._environment,
            "output_formats": ["ipynb"],
        }
        answer = self._http.post("/scheduler/jobs", json=body).raise_for_status()
        return str(answer.json()["job_id"])

    def read_state(self, job: str) -> str:
        """The job's state."""
        return str(self._http.get(f"/scheduler/jobs/{job}").raise_for_status().json()["status"])

    def read_states(self) -> dict[str, str]:
        """The states of all jobs, by id."""
        jobs = self._http.get("/scheduler/jobs").raise_for_status().json()["jobs"]
        return {job["job_id"]: job["status"] for job in jobs}

    def read_notebook(self, job: str) -> Any:
        """The executed notebook of a job that has ended, as it was staged."""
        staged = self.folder / "home/.local/share/jupyter/scheduler_staging_area" / job
        (found,) = staged.glob("one-*.ipynb")
        return nbformat.read(found, as_version=4)


@contextmanager
def run_ours(folder: Path) -> Iterator[Ours]:
    """Start the platform, and sign in."""
    folder.mkdir()
    with Platform(folder / "state").running() as platform:
        user = platform.sign_in("ada")
        token = user.api.headers["Authorization"]
        with open_client(platform.url, token) as http:
            yield Ours(platform, http)


@contextmanager
def run_scheduler(folder: Path, *, mended: bool = False) -> Iterator[Scheduler]:
    """Start a JupyterLab with jupyter-scheduler; ``mended``: without the slow import."""
    folder.mkdir()
    variables = build_variables("scheduler", folder, mended=mended)
    root = folder / "home" / "work"
    root.mkdir()
    (root / "one.ipynb").write_text(json.dumps(NOTEBOOK))
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(str(BUILD / "scheduler" / "bin" / "python"), "-m", "jupyterlab", "--no-browser"),
        *("--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}"),
    ]
    variables |= {"JUPYTER_TOKEN": _TOKEN}
    with (
        running(command, folder, variables, f"{url}/api"),
        open_client(url, f"token {_TOKEN}") as http,
    ):
        yield Scheduler(folder, http)


def open_client(url: str, authorization: str) -> httpx.Client:
    """A client that waits for slow answers, and opens as many connections as it is asked for."""
    return httpx.Client(
        base_url=url,
        headers={"Authorization": authorization},
        timeout=PATIENCE_SECONDS,
        limits=httpx.Limits(max_connections=None),
        verify=NO_TLS,
        trust_env=False,
    )


def read_cells(notebook: Any) -> list[Any]:
    """What a reader sees of a notebook."""
    return [
        (cell.source, cell.get("outputs"), cell.get("execution_count")) for cell in notebook.cells
    ]
