"""Runs a notebook by papermill with the jobs' engine. Imported by tests of examples."""

from __future__ import annotations

import base64
import csv
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

ENGINE = "offline-jobs"


@dataclass(frozen=True)
class Execution:
    """What a run of a notebook left. ``code`` is papermill's exit code."""

    code: int
    notebook: Any
    folder: Path
    stderr: str
    seconds: float

    @property
    def cells(self) -> list[Any]:
        """Code cells in order; cell *k* of a job is ``cells[k - 1]``."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def outputs(self) -> list[Any]:
        return [output for cell in self.cells for output in cell.outputs]

    @property
    def text(self) -> str:
        return "".join(o.text for o in self.outputs if o.output_type == "stream")

    @property
    def plots(self) -> list[bytes]:
        data = [o.data for o in self.outputs if o.output_type == "display_data"]
        return [base64.b64decode(d["image/png"]) for d in data if "image/png" in d]

    def read_table(self, name: str) -> list[dict[str, str]]:
        """Rows of the one table of this name under the folder of results."""
        (path,) = (self.folder / "results").glob(f"*/{name}")
        with path.open(newline="") as file:
            return list(csv.DictReader(file))


@dataclass(frozen=True)
class Score:
    """The last lines of an analysis of planted truth; ``others`` are what an example has more."""

    records: int
    ari: float
    recovered: int
    planted: int
    others: tuple[int, ...]


def read_score(text: str, others: str = "") -> Score:
    """Parse the lines that end an example's output; ``others`` is a pattern of whole numbers."""
    found = re.search(
        r"^Records: (\d+)\nARI: (-?\d\.\d{4})\nMarkers recovered: (\d+) of (\d+)\n"
        rf"{others}\Z",
        text,
        re.M,
    )
    assert found, f"no score at the end of: {text[-300:]}"
    recovered, planted, *more = map(int, found.groups()[2:])
    return Score(int(found[1]), float(found[2]), recovered, planted, tuple(more))


def execute(
    notebook: Any,
    folder: Path,
    environment: dict[str, str],
    python: str = sys.executable,
    /,
    **parameters: Any,
) -> Execution:
    """Run a notebook in a folder of its own, with a home of its own."""
    source, result = folder / "source.ipynb", folder / "executed.ipynb"
    nbformat.write(notebook, source)
    command = [python, "-m", "papermill", source.name, result.name, "--no-progress-bar"]
    command += ["--engine", ENGINE]
    for name, value in parameters.items():
        command += ["-p", name, str(value)]
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "IPYTHONDIR": str(folder / ".ipython"),
            # Its list of fonts takes seconds to make.
            "MPLCONFIGDIR": str(folder.parent / "matplotlib"),
            # As on a machine of one core: threads that wait for each other keep others waiting.
            "OMP_NUM_THREADS": "1",
        }
        | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    seconds = time.monotonic() - started
    executed = nbformat.read(result, as_version=4)
    return Execution(done.returncode, executed, folder, done.stderr, seconds)
