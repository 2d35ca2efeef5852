"""Where the time of one job goes, by what it leaves: log of the service, files of the attempt.

Nothing is switched on for it, so it is the trace of a job as everybody has it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from tests.bench.figures import median
from tests.bench.jobs import Ours

#: What a job passes, in this order, and what it is called to come there from the one before.
STEPS = {
    "sent": "",
    "accepted": "POST, until the job is committed",
    "claimed": "until the service launches it",
    "begun": "its parent process starts",
    "runner": "the runner starts: Python and its own imports",
    "papermill": "papermill is imported, while the kernel boots",
    "cell": "the kernel answers",
    "cells": "the cells run",
    "run": "the kernel ends, the notebook is saved",
    "home": "record and result go to the home",
    "gone": "the result goes to the service, the runner ends",
    "stored": "the service stores the end",
    "seen": "the client sees the end",
}


def read_marks(side: Ours, job: str) -> dict[str, float]:
    """When the job passed what it passes, in seconds since the epoch, but what the client knows."""
    state = side.platform.state
    attempt = state / "jobs" / f"job-{job}-1"
    path = json.loads((attempt / "launch.json").read_text())["record"]
    record = json.loads(Path(path).read_text())
    notebook = side.read_notebook(job)
    cells = [cell.metadata.papermill for cell in notebook.cells]
    lines = map(json.loads, (state / "logs" / "service.log").read_text().splitlines())
    logged = {line["message"]: line["time"] for line in lines if line.get("job") == job}
    return {
        "accepted": parse(logged["job accepted"]),
        "claimed": (attempt / "launch.json").stat().st_mtime,
        "begun": json.loads((attempt / "started").read_text())["time"],
        "runner": parse(record["started"]),
        "papermill": parse(notebook.metadata.papermill.start_time),
        "cell": parse(cells[0].start_time),
        "cells": parse(cells[-1].end_time),
        "run": parse(record["ended"]),
        "home": Path(path).stat().st_mtime,
        "gone": (attempt / "exit.json").stat().st_mtime,
        "stored": parse(logged["job ended"]),
    }


def parse(text: str) -> float:
    """Seconds since the epoch of a time that is UTC where it does not say another."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def list_steps(marks: Mapping[str, float]) -> dict[str, float]:
    """The seconds of each step; together they are the job's."""
    return {STEPS[after]: marks[after] - marks[before] for before, after in pairwise(STEPS)}


def show_shares(traces: Sequence[Mapping[str, float]]) -> list[str]:
    """A line for each step: the median of its seconds, and its share of all of them."""
    steps = {step: median([trace[step] for trace in traces]) for step in traces[0]}
    whole = sum(steps.values())
    return [
        f"B2 trace {seconds:6.3f} s {100 * seconds / whole:3.0f} % {step}"
        for step, seconds in steps.items()
    ]
