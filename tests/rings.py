"""pytest plugin: rings of tests, cheap ones first, with the seconds that each took.

A ring is a folder of `tests/`. Loaded by the root `conftest.py`; nobody imports it.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

ORDER = (
    "unit",
    "golden",
    "platform",
    "runner",
    "server_extension",
    "service",
    "hub",
    "images",
    "browser",
    "clone",
)
SECONDS: pytest.StashKey[dict[str, float]] = pytest.StashKey()
COUNTS: pytest.StashKey[dict[str, int]] = pytest.StashKey()


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
    config.stash[SECONDS] = defaultdict(float)
    config.stash[COUNTS] = defaultdict(int)


@pytest.fixture(scope="session")
def long_run(request: pytest.FixtureRequest) -> bool:
    """Tell whether this is the long run, for tests that then do more rounds."""
    return bool(request.config.getoption("--long"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: get_rank(get_ring(item.path, config.rootpath)))
    if config.getoption("--long"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seen.append((report.nodeid, report.duration, report.when == "call"))
    if report.when == "call":
        _figures.extend((report.nodeid, name, value) for name, value in report.user_properties)


_seen: list[tuple[str, float, bool]] = []
# What tests measured and told with `record_property`.
_figures: list[tuple[str, str, object]] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    seconds, counts = config.stash[SECONDS], config.stash[COUNTS]
    for nodeid, duration, is_call in _seen:
        ring = get_ring(config.rootpath / nodeid.split("::")[0], config.rootpath)
        seconds[ring] += duration
        counts[ring] += is_call
    terminalreporter.section("rings")
    for ring in sorted(seconds, key=get_rank):
        terminalreporter.write_line(f"{ring:10} {counts[ring]:5} tests {seconds[ring]:8.1f} s")
    for nodeid, name, value in _figures:
        terminalreporter.write_line(f"{nodeid}: {name} {value}")
