"""B1: our runner against papermill's command, the same notebook, the same kernel.

Both run in the same environment and write a notebook of papermill's form; what the cells show is
compared in every round. The runner works from a specification in a file, with a home of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

from tests.bench.figures import Figure, median, report
from tests.runner.attempts import Attempt, make_specification

#: Cells -> goal: our seconds as a share of papermill's. For one cell both sides wait for the same
#: kernel to boot, and papermill's side profits from our lock as well (it leaves out a slow import).
GOALS = {1: 0.60, 200: 0.17}
PAPERMILL = str(Path(sys.executable).with_name("papermill"))


def run_papermill(folder: Path, cells: int) -> tuple[float, Any]:
    """Run the notebook with papermill's command; returns the seconds and what it wrote."""
    source = folder / "in.ipynb"
    source.write_text(json.dumps(make_specification(*["1+1"] * cells)["notebook"]))
    command = [PAPERMILL, "--no-progress-bar", "in.ipynb", "out.ipynb"]
    environment = os.environ | {"IPYTHONDIR": str(folder / "ipython")}
    start = time.monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.monotonic() - start, nbformat.read(folder / "out.ipynb", as_version=4)


def run_runner(folder: Path, cells: int) -> tuple[float, Any]:
    """Run the notebook with our runner; returns the seconds and what it wrote."""
    attempt = Attempt(folder, make_specification(*["1+1"] * cells))
    start = time.monotonic()
    attempt.start()
    code = attempt.wait(300)
    seconds = time.monotonic() - start
    if code != 0:
        raise SystemExit(f"the runner ended with {code}: {attempt.stderr}")
    return seconds, attempt.notebook


def shown(notebook: Any) -> list[Any]:
    """What a reader sees of a notebook, and papermill's word on each cell."""
    return [
        (
            cell.source,
            cell.get("outputs"),
            cell.get("execution_count"),
            cell.metadata.papermill.status,
        )
        for cell in notebook.cells
    ]


def measure(cells: int, rounds: int) -> Figure:
    """Both sides in turn, ``rounds`` times."""
    ours, theirs = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            seconds, expected = run_papermill(Path(folder), cells)
            theirs.append(seconds)
        with tempfile.TemporaryDirectory() as folder:
            seconds, notebook = run_runner(Path(folder), cells)
            ours.append(seconds)
        if shown(notebook) != shown(expected):
            raise SystemExit("the two notebooks differ")
    return Figure(
        part="B1",
        name=f"runner-{cells}",
        value=median(ours) / median(theirs),
        goal=GOALS[cells],
        details={"runner_seconds": ours, "papermill_seconds": theirs},
    )


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when a figure is short."""
    parser = argparse.ArgumentParser(prog="bench_runner", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cells", type=int, nargs="*", default=sorted(GOALS))
    options = parser.parse_args(arguments)
    figures = [measure(cells, options.rounds) for cells in options.cells]
    return report("B1", figures, ("papermill", "nbclient", "ipykernel", "jupyter-client"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
