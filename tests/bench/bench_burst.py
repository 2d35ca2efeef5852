"""B3: many jobs of one cell at once, ours against jupyter-scheduler.

Each round starts either anew, runs one job that does not count, then submits all at once and waits
for their ends. Told are the seconds from the first POST to the last end, the most memory that all
processes had together, the slowest POST, and how many jobs came to the right end: succeeded, with
the right output. jupyter-scheduler loses some: who has not ended is waited for while anything ends,
or its processes work.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from images._tool.lock import read_pins
from tests.bench.bench_job import run_job
from tests.bench.figures import Figure, median, percentile, report
from tests.bench.jobs import Side, read_cells, run_ours, run_scheduler
from tests.bench.processes import LOCK_OF_SCHEDULER, Memory, call_at_once, end_in_order

#: For a hundred jobs; of fewer the figures are told without goals.
GOALS = {"wall": 0.25, "memory": 0.05, "slowest-post": 0.02}
FULL = 100
LOOK_SECONDS = 1.0
#: Where for so long nothing has changed and hardly any work was done, nothing will.
SILENCE_SECONDS = 30
#: Share of one processor that servers take while they wait.
HARDLY = 0.2
LONGEST_SECONDS = 3600
MIB = 1024**2


@dataclass(frozen=True)
class Burst:
    """What was seen of one burst.

    Attributes:
        wall_seconds: from the first POST to the last end.
        memory_bytes: of all processes together, at their most.
        posts: seconds of each POST that was accepted.
        right: how many jobs came to the right end.
        ends: how many jobs ended in each state, or were left in it.
    """

    wall_seconds: float
    memory_bytes: int
    processes: int
    posts: list[float]
    right: int
    ends: dict[str, int]


def submit_all(side: Side, jobs: int) -> dict[str, float]:
    """Submit all at once; the ids, each with the seconds of its POST. One may be refused."""

    def submit() -> tuple[str, float] | None:
        sent = time.monotonic()
        try:
            job = side.submit()
        except httpx.HTTPStatusError:
            return None
        return job, time.monotonic() - sent

    return dict(filter(None, call_at_once([submit] * jobs)))


def wait_for_ends(
    side: Side,
    jobs: Sequence[str],
    read_work: Callable[[], float],
    silence_seconds: float = SILENCE_SECONDS,
) -> tuple[float, dict[str, str]]:
    """When the last change was seen, and the states then; what does not move any more is left.

    Args:
        side: whose jobs these are.
        jobs: their ids.
        read_work: tells the seconds of processors that its processes took until now.
        silence_seconds: how long nothing may move.
    """
    states: dict[str, str] = {}
    begun = changed = moved = time.monotonic()
    worked = read_work()
    while moved + silence_seconds > time.monotonic() < begun + LONGEST_SECONDS:
        all_states = side.read_states()
        seen = {job: all_states.get(job, "") for job in jobs}
        if seen != states:
            states, changed = seen, time.monotonic()
        if all(state in side.ends for state in states.values()):
            break
        work = read_work()
        if work - worked > HARDLY * silence_seconds:
            worked, moved = work, time.monotonic()
        moved = max(moved, changed)
        time.sleep(LOOK_SECONDS)
    return changed, states


def run_burst(side: Side, jobs: int) -> Burst:
    """One burst, after a job that does not count."""
    first, _, _ = run_job(side)
    wanted = read_cells(side.read_notebook(first))
    with Memory(side.folder) as memory:
        begun = time.monotonic()
        posts = submit_all(side, jobs)
        ended, states = wait_for_ends(side, list(posts), lambda: memory.work_seconds)
    right = [job for job, state in states.items() if state == side.right_end]
    return Burst(
        wall_seconds=ended - begun,
        memory_bytes=memory.peak_bytes,
        processes=memory.peak_processes,
        posts=sorted(posts.values()),
        right=sum(read_cells(side.read_notebook(job)) == wanted for job in right),
        ends=count(states) | ({"refused": jobs - len(posts)} if len(posts) < jobs else {}),
    )


def count(states: Mapping[str, str]) -> dict[str, int]:
    """How many jobs are in each state."""
    found = sorted(states.values())
    return {state: found.count(state) for state in found}


def measure(jobs: int, rounds: int) -> dict[str, list[Burst]]:
    """Both sides in turn, ``rounds`` times; each tells what it saw as soon as it has."""
    starts: dict[str, Callable[[Path], AbstractContextManager[Side]]] = {
        "ours": run_ours,
        "scheduler": run_scheduler,
    }
    seen: dict[str, list[Burst]] = {name: [] for name in starts}
    for number in range(1, rounds + 1):
        for name, start in starts.items():
            with (
                tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
                start(Path(folder) / name) as side,
            ):
                burst = run_burst(side, jobs)
                seen[name].append(burst)
                sys.stdout.write(f"{describe(number, name, burst, jobs)}\n")
                sys.stdout.flush()
    return seen


def describe(number: int, name: str, burst: Burst, jobs: int) -> str:
    """One burst in one line."""
    return (
        f"B3 round {number} {name}: {burst.wall_seconds:.1f} s,"
        f" {burst.memory_bytes / MIB:.0f} MiB in {burst.processes} processes,"
        f" POST {percentile(burst.posts, 50):.2f} s, slowest {burst.posts[-1]:.2f} s,"
        f" {burst.right} of {jobs} right {burst.ends}"
    )


def make_figures(seen: Mapping[str, Sequence[Burst]], jobs: int) -> list[Figure]:
    """The ratios of the medians, and the share of our jobs that did not come to the right end."""
    values: dict[str, tuple[Callable[[Burst], float], str]] = {
        "wall": (lambda burst: burst.wall_seconds, "s"),
        "memory": (lambda burst: burst.memory_bytes / MIB, "MiB"),
        "slowest-post": (lambda burst: burst.posts[-1], "s"),
    }
    details = {name: [asdict(each) for each in bursts] for name, bursts in seen.items()}
    figures = []
    for name, (value, unit) in values.items():
        ours, theirs = (median([value(b) for b in seen[s]]) for s in ("ours", "scheduler"))
        goal = GOALS[name] if jobs >= FULL else None
        words = f"{ours:.2f} {unit} against {theirs:.2f} {unit}"
        figures.append(Figure("B3", f"{jobs}-jobs-{name}", ours / theirs, goal, {}, words))
    right = {name: sum(burst.right for burst in bursts) for name, bursts in seen.items()}
    whole = jobs * len(seen["ours"])
    return [
        *figures,
        Figure(
            "B3",
            f"{jobs}-jobs-not-right",
            (whole - right["ours"]) / whole,
            0.0,
            {**details, "scheduler_versions": read_pins(LOCK_OF_SCHEDULER)},
            f"of {whole}, {right['ours']} are right against {right['scheduler']}",
        ),
    ]


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when a figure is short."""
    parser = argparse.ArgumentParser(prog="bench_burst", description=__doc__)
    parser.add_argument("--jobs", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    end_in_order()
    figures = make_figures(measure(options.jobs, options.rounds), options.jobs)
    return report("B3", figures, ("papermill", "nbclient", "fastapi", "uvicorn"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
