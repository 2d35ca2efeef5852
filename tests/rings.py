"""pytest plugin: rings of tests, cheap ones first, with the seconds that each took, and of what.

Beside the seconds that passed stand those of processors: a machine that is busy makes the first
grow. They are those of the process that tests and of what it started and saw end, so a process
counts with the test in which it ended, and not at all if it was left to somebody else.

A ring is a folder of `tests/`. With `--long` (`make test-long`) each test's result is noted in
`build/test-long` as soon as it is there; a second run at the same commit leaves out what passed,
unless `FRESH=1`, and `report.json` tells of all runs at that commit together. Loaded by the root
`conftest.py`; only `tests/skips.py` imports it.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

ORDER = (
    "unit",
    "golden",
    "platform",
    "deployment",
    "runner",
    "server_extension",
    "service",
    "hub",
    "images",
    "control_plane",
    "node",
    "browser",
    "clone",
)
#: Seconds that the tests of a ring may take in sum, on two cores that run the whole gate and
#: nothing else: a fifth more than they took on 2026-12-01 (control plane and node with what only
#: upstream programs do from memory). More is told at the end and fails nothing; CONTRIBUTING says
#: what to do about it.
BUDGETS = {
    "unit": 140,
    "golden": 25,
    "platform": 300,
    "deployment": 200,
    "runner": 490,
    "server_extension": 40,
    "service": 660,
    "hub": 760,
    "images": 210,
    "control_plane": 740,
    "node": 1360,
    "browser": 540,
    "clone": 160,
}
#: Ring -> tests that were left out, for they passed before (`tests/memory.py`).
REMEMBERED: pytest.StashKey[Counter[str]] = pytest.StashKey()


def get_ring(path: Path, root: Path) -> str:
    """Return the ring that a test file belongs to."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else path.parts
    return parts[1] if parts[0] == "tests" and len(parts) > 2 else "other"


def get_rank(ring: str) -> int:
    """Return a ring's place in the order; unknown rings come last."""
    return ORDER.index(ring) if ring in ORDER else len(ORDER)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run what only `make test-long` runs")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REMEMBERED] = Counter()
    if config.getoption("--long"):
        folder = config.rootpath / "build" / "test-long"
        commit, is_clean = read_commit(config.rootpath)
        fresh = not is_clean or is_fresh()
        config.pluginmanager.register(LongRun(folder, commit, is_clean, fresh=fresh))


def is_fresh() -> bool:
    """Tell whether this run is to forget what passed before (`FRESH=1`)."""
    return os.environ.get("FRESH", "") not in ("", "0")


def read_commit(root: Path) -> tuple[str, bool]:
    """Read the commit of a checkout, and whether it is just that, without changes."""

    def git(*words: str) -> str | None:
        done = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return commit or "unknown", commit is not None and git("status", "--porcelain") == ""


@dataclass
class Result:
    """What became of one test: the worst of its phases, the seconds of all."""

    nodeid: str
    ring: str
    outcome: str = "passed"
    seconds: float = 0.0
    figures: dict[str, object] = field(default_factory=dict)


class LongRun:
    """Notes results as they come, leaves out what passed before, and writes the report."""

    def __init__(self, folder: Path, commit: str, is_clean: bool, *, fresh: bool) -> None:
        self._folder, self._commit, self._is_clean = folder, commit, is_clean
        self._notes = folder / f"{commit}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            # Also where files differ from the commit: what passed then tells nothing of now.
            self._notes.unlink(missing_ok=True)
        self._results = {result.nodeid: result for result in self._read()}
        self._left_out = 0
        self._open: dict[str, Result] = {}

    def _read(self) -> list[Result]:
        if not self._notes.exists():
            return []
        # A run that was killed may have left half a line at the end.
        lines = self._notes.read_text(encoding="utf-8").splitlines(keepends=True)
        return [Result(**json.loads(line)) for line in lines if line.endswith("}\n")]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        done = {nodeid for nodeid, each in self._results.items() if each.outcome == "passed"}
        left_out = [item for item in items if item.nodeid in done]
        self._left_out = len(left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.nodeid not in done]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        path = Path(report.nodeid.split("::")[0])
        result = self._open.setdefault(report.nodeid, Result(report.nodeid, get_ring(path, Path())))
        result.seconds += report.duration
        if report.outcome != "passed" and result.outcome != "failed":
            result.outcome = report.outcome
        result.figures |= dict(report.user_properties)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        result = self._results[nodeid] = self._open.pop(nodeid)
        with self._notes.open("a", encoding="utf-8") as notes:
            notes.write(json.dumps(asdict(result), default=str) + "\n")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._left_out:
            session.exitstatus = pytest.ExitCode.OK
        report = self.build_report()
        text = json.dumps(report, indent=2, default=str) + "\n"
        (self._folder / "report.json").write_text(text, encoding="utf-8")

    def build_report(self) -> dict[str, object]:
        """Sum up all results at this commit."""
        rings: dict[str, dict[str, float]] = {}
        for each in sorted(self._results.values(), key=lambda each: get_rank(each.ring)):
            ring = rings.setdefault(each.ring, {"passed": 0, "failed": 0, "skipped": 0})
            ring[each.outcome] += 1
            ring["seconds"] = round(ring.get("seconds", 0.0) + each.seconds, 1)
        figures = {each.nodeid: each.figures for each in self._results.values() if each.figures}
        return {
            "commit": self._commit,
            "with_changes": not self._is_clean,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "passed_in_earlier_runs": self._left_out,
            "rings": rings,
            "figures": figures,
        }


@pytest.fixture(scope="session")
def long_run(request: pytest.FixtureRequest) -> bool:
    """Tell whether this is the long run, for tests that then do more rounds."""
    return bool(request.config.getoption("--long"))


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """The seed of a test that draws, recorded; from ``NOTEBOOK_HPC_SEED`` where that is set."""
    chosen = int(os.environ.get("NOTEBOOK_HPC_SEED") or random.SystemRandom().randrange(10**6))
    record_property("seed", chosen)
    return chosen


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: get_rank(get_ring(item.path, config.rootpath)))
    if config.getoption("--long"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def read_processor_seconds() -> float:
    """Processor seconds of this process and of the processes below it that have ended."""
    return sum(os.times()[:4])


class Meter:
    """The processor seconds since it was last asked."""

    def __init__(self) -> None:
        self._last = read_processor_seconds()

    def read(self) -> float:
        """Return them, and begin anew."""
        before, self._last = self._last, read_processor_seconds()
        return self._last - before


METER = Meter()


def pytest_collection_finish() -> None:
    METER.read()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # pytest-xdist sends what is in there to the process that prints.
    vars(report)["processor_seconds"] = METER.read()
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seen.append(report)
    if report.when == "call":
        _figures.extend((report.nodeid, name, value) for name, value in report.user_properties)


@dataclass
class Cost:
    """What tests took."""

    tests: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def add(self, report: pytest.TestReport) -> None:
        """Add a phase of a test."""
        self.tests += report.when == "call"
        self.seconds += report.duration
        self.processor_seconds += getattr(report, "processor_seconds", 0.0)


_COSTLY_FILES = 10
_seen: list[pytest.TestReport] = []
# What tests measured and told with `record_property`.
_figures: list[tuple[str, str, object]] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    rings: dict[str, Cost] = defaultdict(Cost)
    files: dict[str, Cost] = defaultdict(Cost)
    for report in _seen:
        file = report.nodeid.split("::")[0]
        rings[get_ring(config.rootpath / file, config.rootpath)].add(report)
        files[file].add(report)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    terminalreporter.section(f"rings, {now}, load {load}, {os.cpu_count()} cores")
    terminalreporter.write_line(
        f"{'ring':18}{'tests':>7}{'from memory':>13}{'seconds':>9}{'budget':>8}"
        f"{'of processors':>15}"
    )
    remembered = config.stash[REMEMBERED]
    for ring in sorted(rings.keys() | remembered.keys(), key=get_rank):
        cost, budget = rings[ring], BUDGETS.get(ring, 0)
        over = "  over its budget" if cost.seconds > budget else ""
        terminalreporter.write_line(
            f"{ring:18}{cost.tests:7}{remembered[ring]:13}{cost.seconds:9.1f}{budget:8}"
            f"{cost.processor_seconds:15.1f}{over}"
        )
    costly = sorted(files, key=lambda file: files[file].processor_seconds, reverse=True)
    for file in costly[:_COSTLY_FILES] if len(rings) > 1 else []:
        cost = files[file]
        terminalreporter.write_line(f"{file:58}{cost.seconds:9.1f}{cost.processor_seconds:15.1f}")
    for nodeid, name, value in _figures:
        terminalreporter.write_line(f"{nodeid}: {name} {value}")
