"""pytest plugin: a skip is accepted only where this list expects it.

With `--expected-skips-only`, as `.ci/run` says it, a run with any other skip fails: a ring that
quietly skips itself would look green. So does a run without a skip that this machine had to cause.
Loaded by the root `conftest.py`; tests import `require`.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests import database_server, image_registry
from tests.bed import nodes, pins, programs
from tests.images import building
from tests.rings import get_ring

ROOT = Path(__file__).resolve().parents[1]
#: The first takes two thirds of the processors' time: it has no windows to draw.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
#: Where Debian has R's kernel.
R_KERNEL = Path("/usr/share/jupyter/kernels/ir")
# What `tests/system_packages.sh` leaves when it tried to install one in vain.
FAILED_INSTALLATION = ROOT / "build" / "system-packages.log"


@dataclass(frozen=True)
class ExpectedSkip:
    """One thing whose lack excuses a skip; the skip's reason is "needs NAME", and may go on.

    Attributes:
        name: what is needed.
        lacks: tells whether this machine really lacks it.
        ring: ring in which something then must be skipped.
    """

    name: str
    lacks: Callable[[], bool]
    ring: str

    def matches(self, reason: str) -> bool:
        """Tell whether a skip gave this lack as its reason."""
        text = reason.removeprefix("Skipped: ")
        return re.fullmatch(rf"needs {re.escape(self.name)}\b.*", text, re.DOTALL) is not None


def lacks_chromium() -> bool:
    """Tell whether there is no browser and none can be had."""
    return not any(shutil.which(name) for name in BROWSERS) and _lacks_debian()


def lacks_r() -> bool:
    """Tell whether there is no R with its kernel: an R without one is left as it is."""
    return not R_KERNEL.is_dir() and (shutil.which("Rscript") is not None or _lacks_debian())


def lacks_postgresql() -> bool:
    """Tell whether there is no PostgreSQL server and none can be had."""
    return database_server.find_programs() is None and _lacks_debian()


def lacks_image_registry() -> bool:
    """Tell whether there is no registry of images and none can be had."""
    return image_registry.lacks_program() and _lacks_debian()


def lacks_linux() -> bool:
    """Tell whether the system cannot bind processes to cores (macOS)."""
    return not hasattr(os, "sched_getaffinity")


@cache
def lacks_bed_programs() -> bool:
    """Tell whether the test bed's programs are not there: no Go, or no module proxy.

    Where CI runs they can be had, so there it is no excuse.
    """
    return not _is_in_ci() and programs.find() is None


@cache
def lacks_bucket_server() -> bool:
    """Tell whether the server that speaks S3 is not there, which is built as the bed's programs."""
    return not _is_in_ci() and programs.find((pins.OBJECTS,)) is None


@cache
def lacks_real_nodes() -> bool:
    """Tell whether this machine can run no kubelet, as `nodes.why_not` says; not where CI runs."""
    return not _is_in_ci() and (lacks_bed_programs() or nodes.why_not() is not None)


def lacks_image_builder() -> bool:
    """Tell whether this machine can build no image, as `building.why_not` says; not in CI."""
    return not _is_in_ci() and building.why_not() is not None


def lacks_shared() -> bool:
    """Tell whether the folder beside this checkout is away: it is not part of the project."""
    return not (ROOT.parent / "shared").is_dir()


def _lacks_debian() -> bool:
    """Tell whether what comes with Debian, for root, cannot be had."""
    return os.geteuid() != 0 or shutil.which("apt-get") is None or FAILED_INSTALLATION.exists()


def _is_in_ci() -> bool:
    return os.environ.get("CI") == "true"


EXPECTED = (
    ExpectedSkip("the bed's programs", lacks_bed_programs, "control_plane"),
    ExpectedSkip("the object store's server", lacks_bucket_server, "service"),
    ExpectedSkip("real nodes", lacks_real_nodes, "node"),
    ExpectedSkip("a builder of images", lacks_image_builder, "images"),
    ExpectedSkip("a registry of images", lacks_image_registry, "images"),
    ExpectedSkip("Chromium", lacks_chromium, "browser"),
    ExpectedSkip("R with its kernel", lacks_r, "runner"),
    ExpectedSkip("PostgreSQL", lacks_postgresql, "service"),
    ExpectedSkip("Linux", lacks_linux, "unit"),
    ExpectedSkip("shared", lacks_shared, "unit"),
)


def require(name: str) -> None:
    """Skip the test that calls this where the machine lacks the thing of that name."""
    (needed,) = (each for each in EXPECTED if each.name == name)
    if needed.lacks():
        pytest.skip(f"needs {name}")


def is_expected(reason: str) -> bool:
    """Tell whether this machine excuses a skip with that reason."""
    return any(each.matches(reason) and each.lacks() for each in EXPECTED)


def find_missing(rings: set[str], reasons: list[str]) -> list[str]:
    """Find the listed skips that had to occur in rings that ran, and did not."""
    return [
        f"tests/{each.ring}: nothing said 'needs {each.name}', though this machine lacks it"
        for each in EXPECTED
        if each.ring in rings and each.lacks() and not any(map(each.matches, reasons))
    ]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--expected-skips-only",
        action="store_true",
        help="fail when a test is skipped for a reason that tests/skips.py does not expect",
    )


_unexpected: list[str] = []
_reasons: list[str] = []
_rings: set[str] = set()


def _note_skip(nodeid: str, longrepr: object) -> None:
    """Remember a skip, and whether nobody expects it."""
    reason = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    _reasons.append(reason)
    if not is_expected(reason):
        _unexpected.append(f"{nodeid}: {reason}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _rings.add(get_ring(Path(report.nodeid.split("::")[0]), Path()))
    if report.skipped and not hasattr(report, "wasxfail"):
        _note_skip(report.nodeid, report.longrepr)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _note_skip(report.nodeid, report.longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if wrong := [*_unexpected, *find_missing(_rings, _reasons)]:
        terminalreporter.section("skips that are not as tests/skips.py expects them")
        for line in wrong:
            terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not session.config.getoption("--expected-skips-only"):
        return
    if _unexpected or find_missing(_rings, _reasons):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
