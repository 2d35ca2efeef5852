"""Figures of benchmarks: one line each, and the same as JSON below ``build/bench/``."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench"


@dataclass(frozen=True)
class Figure:
    """A ratio, lower is better, and the seconds that it was made from.

    Attributes:
        goal: None where the figure only tells what another one consists of.
        seen: what the ratio is of, in words, for the line.
    """

    part: str
    name: str
    value: float
    goal: float | None
    details: dict[str, Any] = field(default_factory=dict)
    seen: str = ""

    @property
    def holds(self) -> bool:
        """Whether the goal is met, if there is one."""
        return self.goal is None or self.value <= self.goal

    @property
    def line(self) -> str:
        """The figure in one line."""
        line = f"{self.part} {self.name} ratio {self.value:.2f}"
        if self.goal is not None:
            line += f" goal {self.goal:.2f} {'holds' if self.holds else 'short'}"
        return f"{line} ({self.seen})" if self.seen else line


def median(values: Sequence[float]) -> float:
    """The value in the middle."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of them do not exceed; of few values, the largest."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def report(part: str, figures: Sequence[Figure], packages: Sequence[str]) -> int:
    """Print the figures, keep them as JSON; returns 1 when one is short."""
    surroundings = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"python": platform.python_version()},
    }
    lines = [f"# {json.dumps(surroundings)}", *(figure.line for figure in figures)]
    sys.stdout.write("\n".join(lines) + "\n")
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {**surroundings, "figures": [asdict(f) | {"holds": f.holds} for f in figures]}
    (FOLDER / f"{part}.json").write_text(json.dumps(content, indent=1) + "\n")
    return 0 if all(figure.holds for figure in figures) else 1
