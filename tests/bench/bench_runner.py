"""B1: our runner against papermill's command, the same notebook, each in its own environment.

Papermill's is a stock one (`stock/`), as anybody would install it. A third time a slow import that
our lock leaves out is taken from papermill too, so that the rest of the gain is told apart. What
the cells show is compared in every round.
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

from images._tool.lock import read_pins
from tests.bench.figures import Figure, median, percentile, report
from tests.runner.attempts import Attempt, make_specification

#: Cells -> goal: our seconds as a share of those of papermill as it is installed.
GOALS = {1: 0.35, 200: 0.15, 1000: 0.05}
#: A thousand take papermill minutes: they are run when asked for, and once.
USUAL = (1, 200)
STOCK = Path(__file__).parent / "stock" / "requirements.txt"
PYTHON = str(Path(__file__).resolve().parents[2] / "build" / "stock" / "bin" / "python")
PAPERMILL = "from papermill.__main__ import papermill; papermill()"
MENDED = f"import sys; sys.modules['rfc3987_syntax'] = None; {PAPERMILL}"


def run_papermill(folder: Path, cells: int, program: str) -> tuple[float, Any]:
    """Run the notebook with papermill's command; returns the seconds and what it wrote."""
    source = folder / "in.ipynb"
    source.write_text(json.dumps(make_specification(*["1+1"] * cells)["notebook"]))
    command = [PYTHON, "-c", program, "--no-progress-bar", "in.ipynb", "out.ipynb"]
    environment = os.environ | {"IPYTHONDIR": str(folder / "ipython")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
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


def run_all(cells: int) -> dict[str, float]:
    """All sides once, one after the other; the seconds of each, once it is seen that all agree."""
    seconds, written = {}, []
    for name, program in (("runner", ""), ("papermill", PAPERMILL), ("mended", MENDED)):
        with tempfile.TemporaryDirectory() as folder:
            if program:
                seconds[name], notebook = run_papermill(Path(folder), cells, program)
            else:
                seconds[name], notebook = run_runner(Path(folder), cells)
            written.append(shown(notebook))
    if not written[0] == written[1] == written[2]:
        raise SystemExit("the notebooks differ")
    return seconds


def measure(cells: int, rounds: int) -> list[Figure]:
    """All sides in turn, ``rounds`` times."""
    taken = [run_all(cells) for _ in range(rounds)]
    seconds = {name: [each[name] for each in taken] for name in taken[0]}
    middle = {name: median(each) for name, each in seconds.items()}
    details = {
        "seconds": seconds,
        "runner_p99": percentile(seconds["runner"], 99),
        "papermill_versions": read_pins(STOCK),
    }
    return [
        Figure(
            "B1",
            f"runner-{cells}{words}",
            middle["runner"] / middle[peer],
            goal,
            details if goal else {},
            f"{middle['runner']:.2f} s against {middle[peer]:.2f} s",
        )
        for peer, words, goal in (
            ("papermill", "", GOALS[cells]),
            ("mended", ", without slow import", None),
        )
    ]


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when a figure is short."""
    parser = argparse.ArgumentParser(prog="bench_runner", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of one cell")
    parser.add_argument("--rounds-of-200", type=int, default=7)
    parser.add_argument("--cells", type=int, nargs="*", choices=GOALS, default=USUAL)
    options = parser.parse_args(arguments)
    # One that does not count: an environment that was never used has no compiled modules yet.
    run_all(1)
    rounds = {1: options.rounds, 200: options.rounds_of_200, 1000: 1}
    figures: list[Figure] = []
    for cells in options.cells:
        figures += measure(cells, rounds[cells])
    return report("B1", figures, ("papermill", "nbclient", "ipykernel", "jupyter-client"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
