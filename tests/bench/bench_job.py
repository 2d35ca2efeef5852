"""B2: one job from its POST to its end seen by a client, ours against jupyter-scheduler.

Both run side by side and are used in turn, by the same client, which looks twenty times a second.
A third is jupyter-scheduler without a slow import that our locks leave out, so that the rest of the
gain is told apart. State and cells are compared in every round. At the end it is told where the
time of our jobs went.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from images._tool.lock import read_pins
from tests.bench.figures import Figure, median, percentile, report
from tests.bench.jobs import PATIENCE_SECONDS, Ours, Side, read_cells, run_ours, run_scheduler
from tests.bench.processes import LOCK_OF_SCHEDULER, end_in_order
from tests.bench.trace import list_steps, read_marks, show_shares

GOAL = 0.28
LOOK_SECONDS = 0.05
Seconds = dict[str, list[float]]


def run_job(side: Side) -> tuple[str, float, float]:
    """Run one job to its end; its id, and when it was sent and seen to have ended."""
    sent = time.time()
    job = side.submit()
    while (state := side.read_state(job)) not in side.ends:
        if time.time() - sent > PATIENCE_SECONDS:
            raise SystemExit(f"a job is {state} for {PATIENCE_SECONDS} s")
        time.sleep(LOOK_SECONDS)
    seen = time.time()
    if state != side.right_end:
        raise SystemExit(f"a job ended as {state}")
    return job, sent, seen


def run_round(sides: dict[str, Side]) -> tuple[dict[str, float], dict[str, float]]:
    """A job of each side, one after the other.

    Returns:
        the seconds of each, once it is seen that all agree, and those of each step of ours.
    """
    seconds, written, steps = {}, [], {}
    for name, side in sides.items():
        job, sent, seen = run_job(side)
        seconds[name] = seen - sent
        written.append(read_cells(side.read_notebook(job)))
        if isinstance(side, Ours):
            steps = list_steps(read_marks(side, job) | {"sent": sent, "seen": seen})
    if any(cells != written[0] for cells in written):
        raise SystemExit("the notebooks differ")
    return seconds, steps


def measure(rounds: int) -> tuple[list[Figure], list[str]]:
    """All sides in turn, ``rounds`` times; the figures, and the lines of the trace."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        sides: dict[str, Side] = {
            "ours": stack.enter_context(run_ours(Path(folder) / "ours")),
            "scheduler": stack.enter_context(run_scheduler(Path(folder) / "stock")),
            "mended": stack.enter_context(run_scheduler(Path(folder) / "mended", mended=True)),
        }
        # One that does not count: an environment that was never used has no compiled modules yet.
        run_round(sides)
        taken = [run_round(sides) for _ in range(rounds)]
    seconds = {name: [each[name] for each, _ in taken] for name in sides}
    traces = [steps for _, steps in taken]
    details = {
        "seconds": seconds,
        "p99": {name: percentile(each, 99) for name, each in seconds.items()},
        "trace": traces,
        "scheduler_versions": read_pins(LOCK_OF_SCHEDULER),
    }
    return make_figures(seconds, details), show_shares(traces)


def make_figures(seconds: Seconds, details: dict[str, object]) -> list[Figure]:
    """The ratios of the medians."""
    middle = {name: median(each) for name, each in seconds.items()}
    names = {"scheduler": ("one-job", GOAL), "mended": ("one-job, without slow import", None)}
    return [
        Figure(
            "B2",
            name,
            middle["ours"] / middle[peer],
            goal,
            details if goal else {},
            f"{middle['ours']:.2f} s against {middle[peer]:.2f} s",
        )
        for peer, (name, goal) in names.items()
    ]


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when a figure is short."""
    parser = argparse.ArgumentParser(prog="bench_job", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    end_in_order()
    figures, trace = measure(options.rounds)
    sys.stdout.write("".join(f"{line}\n" for line in trace))
    return report("B2", figures, ("papermill", "nbclient", "fastapi", "uvicorn"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
