"""pytest plugin: a skip is accepted only where this list expects it.

With `--expected-skips-only`, as `.ci/run` says it, a run with any other skip fails: a ring that
quietly skips itself would look green. Loaded by the root `conftest.py`; nobody imports it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECOND_PYTHONS = ("python3.12", "python3.13", "python3.14")


@dataclass(frozen=True)
class ExpectedSkip:
    """One kind of skip that a machine may excuse.

    Attributes:
        reason: pattern that the skip's whole reason matches.
        holds: tells whether this machine really lacks the thing.
    """

    reason: str
    holds: Callable[[], bool]


def lacks_gpu() -> bool:
    """Tell whether no GPU can be seen."""
    return shutil.which("nvidia-smi") is None and not Path("/dev/nvidia0").exists()


def lacks_second_python() -> bool:
    """Tell whether no newer Python runs here."""
    for name in SECOND_PYTHONS:
        found = shutil.which(name)
        if found is None:
            continue
        tried = subprocess.run([found, "-c", ""], capture_output=True, check=False)
        if tried.returncode == 0:
            return False
    return True


def lacks_helm() -> bool:
    """Tell whether there is no helm; without it charts cannot be had either."""
    return shutil.which("helm") is None


def lacks_shared() -> bool:
    """Tell whether the folder that the project's steering keeps beside the checkout is absent."""
    return not (ROOT.parent / "shared").is_dir()


def cannot_install_chromium() -> bool:
    """Tell whether there is no browser and none can be had: it comes with Debian, for root."""
    if any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        return False
    return os.geteuid() != 0 or shutil.which("apt-get") is None


EXPECTED = (
    ExpectedSkip(r"needs a GPU\b.*", lacks_gpu),
    ExpectedSkip(r"needs a second Python\b.*", lacks_second_python),
    ExpectedSkip(r"needs a chart\b.*", lacks_helm),
    ExpectedSkip(r"needs \.\./shared\b.*", lacks_shared),
    ExpectedSkip(r"needs Chromium\b.*", cannot_install_chromium),
    ExpectedSkip(r"needs macOS\b.*", lambda: sys.platform != "darwin"),
)


def is_expected(reason: str) -> bool:
    """Tell whether this machine excuses a skip with that reason."""
    text = reason.removeprefix("Skipped: ")
    return any(re.fullmatch(e.reason, text, re.DOTALL) and e.holds() for e in EXPECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--expected-skips-only",
        action="store_true",
        help="fail when a test is skipped for a reason that tests/skips.py does not expect",
    )


_unexpected: list[str] = []


def _note_skip(nodeid: str, longrepr: object) -> None:
    """Remember a skip that nobody expects."""
    reason = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    if not is_expected(reason):
        _unexpected.append(f"{nodeid}: {reason}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _note_skip(report.nodeid, report.longrepr)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _note_skip(report.nodeid, report.longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _unexpected:
        terminalreporter.section("skips that tests/skips.py does not expect")
        for line in _unexpected:
            terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unexpected and session.config.getoption("--expected-skips-only"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
