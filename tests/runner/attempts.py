"""Attempts for tests: a home, a specification valid unless told otherwise, a real runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from offline_jobs.service.store.store import make_job_id

COMMAND = [sys.executable, "-I", "-m", "offline_jobs.runner"]
KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
MARK = "OFFLINE_JOBS_TEST_MARK"


def make_notebook(*cells: str, parameters: str | None = None) -> dict[str, Any]:
    """A notebook of code cells; a text that begins with ``#md`` becomes a markdown cell."""
    made = [
        new_markdown_cell(text) if text.startswith("#md") else new_code_cell(text) for text in cells
    ]
    if parameters is not None:
        made.insert(0, new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    notebook = new_notebook(cells=made, metadata={"kernelspec": KERNELSPEC})
    loaded: dict[str, Any] = json.loads(nbformat.v4.writes(notebook))
    return loaded


def make_specification(*cells: str, **fields: Any) -> dict[str, Any]:
    """A specification of attempt 1 of a notebook ``work/markers.ipynb``, of a job of its own."""
    job = make_job_id()
    return {
        "job": job,
        "attempt": 1,
        "name": "markers",
        "notebook": make_notebook(*cells),
        "path": "work/markers.ipynb",
        "output": f"offline-jobs/markers/2026-11-24T061500-{job}",
        "kernel": {"name": "python3", "source": "image"},
        "parameters": {},
        "time_limit_seconds": 0,
        "group": "spatial-lab",
        "image": "notebook",
        "machine_class": "small",
    } | fields


@dataclass
class Attempt:
    """A runner with a home of its own. ``environment`` is added to what it gets.

    ``scratch`` is its folder for temporary files; a short name leaves room for those of sockets.
    """

    folder: Path
    specification: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=lambda: list(COMMAND))
    scratch: Path | None = None

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.home = self.folder / "home"
        (self.home / "work").mkdir(parents=True, exist_ok=True)
        self.termination_file = self.folder / "termination-message"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> Path:
        return self.home / str(self.specification["output"])

    @property
    def notebook(self) -> Any:
        return nbformat.read(self.output / "markers.ipynb", as_version=4)

    @property
    def cells(self) -> list[Any]:
        """Code cells of the executed notebook."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def statuses(self) -> list[str | None]:
        """Papermill's word for each cell with code; none where it was not at the notebook yet."""
        return [cell.metadata.get("papermill", {}).get("status") for cell in self.cells]

    @property
    def record(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.output / "run.json").read_text())
        return loaded

    @property
    def log(self) -> str:
        return (self.output / "log.txt").read_text()

    @property
    def stderr(self) -> str:
        return (self.folder / "runner.log").read_text()

    @property
    def termination(self) -> dict[str, Any]:
        text = self.termination_file.read_text() if self.termination_file.exists() else ""
        return json.loads(text) if text else {}

    def start(self) -> None:
        specification_file = self.folder / "specification.json"
        specification_file.write_text(json.dumps(self.specification))
        environment = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self._scratch()),
            "IPYTHONDIR": str(self.folder / "ipython"),
            MARK: self.mark,
            "OFFLINE_JOB_ID": str(self.specification["job"]),
            "OFFLINE_JOB_ATTEMPT": str(self.specification["attempt"]),
            "OFFLINE_JOB_TERMINATION_MESSAGE": str(self.termination_file),
        }
        if "OFFLINE_JOB_URL" not in self.environment:
            environment["OFFLINE_JOB_SPECIFICATION"] = str(specification_file)
        with (self.folder / "runner.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=environment | self.environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def _scratch(self) -> Path:
        scratch = self.scratch or self.folder / "tmp"
        scratch.mkdir(exist_ok=True)
        return scratch

    def wait(self, seconds: float = 60.0) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def run(self, seconds: float = 60.0) -> int:
        """Start, wait for the end, and hold it to leaving nothing behind."""
        self.start()
        code = self.wait(seconds)
        self.assert_nothing_left()
        return code

    def processes(self) -> list[psutil.Process]:
        """Every living process that this attempt started."""
        return list(_marked(self.mark))

    def assert_nothing_left(self) -> None:
        """No process, no file outside the home. A moment for the system to collect the dead."""
        wait_until(lambda: not self.processes(), "no process left", 5.0)
        assert list(self._scratch().iterdir()) == []
        assert [p.name for p in self.output.rglob("*.tmp")] == []

    def end(self) -> None:
        """After a test: end what a failed one left."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in self.processes():
            process.kill()


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait for a condition, looking often.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        time.sleep(0.02)
