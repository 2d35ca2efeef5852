"""`make test-long` goes on where it was ended, and what runs cost is told."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.nested import run_pytest

TESTS = """
import os, signal

def test_first(record_property):
    record_property("kills", 100)

def test_second():
    if os.environ.get("KILLED"):
        os.kill(os.getpid(), signal.SIGKILL)
    assert not os.environ.get("BROKEN")
"""

BUSY_TESTS = """
import subprocess, sys, time

def burn(seconds):
    while time.process_time() < seconds:
        pass

burn(time.process_time() + 0.5)  # looking for tests is of no ring

def test_own():
    burn(time.process_time() + 0.2)

def test_below():
    source = "import time\\nwhile time.process_time() < 0.4: pass"
    subprocess.run([sys.executable, "-c", source], check=True)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of its own with one ring of two tests."""
    (tmp_path / "tests" / "service").mkdir(parents=True)
    (tmp_path / "tests" / "service" / "test_it.py").write_text(TESTS)
    (tmp_path / ".gitignore").write_text("build/\n__pycache__/\n")
    commit(tmp_path)
    return tmp_path


def commit(folder: Path) -> None:
    """Commit all that is there."""
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *words], cwd=folder, check=True)


def run_long(folder: Path, **variables: str) -> tuple[str, dict[str, Any]]:
    """Run pytest as `make test-long` does; what it said at the end, and its report."""
    inherited = {k: v for k, v in os.environ.items() if k != "FRESH"}
    done = run_pytest(folder, "tests.rings", "--long", environ=inherited | variables)
    file = folder / "build" / "test-long" / "report.json"
    report = json.loads(file.read_text()) if file.exists() else {}
    last = done.stdout.splitlines()[-1] if done.returncode >= 0 else ""
    return f"{done.returncode}: {last}", report


def test_a_killed_run_is_taken_up(checkout: Path) -> None:
    assert run_long(checkout, KILLED="1") == ("-9: ", {})

    said, report = run_long(checkout)

    assert "0: " in said
    assert "1 passed, 1 deselected" in said
    ring = report["rings"]["service"]
    assert (ring["passed"], ring["failed"], ring["skipped"]) == (2, 0, 0)
    assert ring["seconds"] >= 0
    assert report["figures"] == {"tests/service/test_it.py::test_first": {"kills": 100}}
    assert report["passed_in_earlier_runs"] == 1
    assert (len(report["commit"]), report["with_changes"]) == (40, False)
    assert report["date"].endswith("+00:00")


def test_what_failed_is_run_again_and_a_finished_run_is_green(checkout: Path) -> None:
    said, report = run_long(checkout, BROKEN="1")
    assert said.startswith("1: ")
    assert report["rings"]["service"]["failed"] == 1

    said, report = run_long(checkout)
    assert "1 passed, 1 deselected" in said
    assert report["rings"]["service"]["failed"] == 0

    said, report = run_long(checkout)
    assert said.startswith("0: ")
    assert "2 deselected" in said
    assert report["rings"]["service"]["passed"] == 2


def test_it_begins_anew_on_request_at_another_commit_and_with_changes(checkout: Path) -> None:
    run_long(checkout)

    assert "2 passed" in run_long(checkout, FRESH="1")[0]
    commit(checkout)
    assert "2 passed" in run_long(checkout)[0]
    (checkout / "changed").write_text("")
    for _ in range(2):
        said, report = run_long(checkout)
        assert "2 passed" in said
        assert report["with_changes"]


def test_processors_work_is_told_by_ring_and_file_from_another_process_too(checkout: Path) -> None:
    (checkout / "tests" / "unit").mkdir()
    (checkout / "tests" / "unit" / "test_busy.py").write_text(BUSY_TESTS)
    done = run_pytest(checkout, "tests.rings", "-p", "xdist", "-n1")
    told = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    for seconds in (told["unit"][-1], told["tests/unit/test_busy.py"][-1]):
        assert 0.6 <= float(seconds) < 1.0
    assert float(told["service"][-1]) < 0.3
    assert list(told).index("tests/unit/test_busy.py") < list(told).index(
        "tests/service/test_it.py"
    )
