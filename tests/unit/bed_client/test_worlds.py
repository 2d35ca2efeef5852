"""A test of the bed that does not say which nodes its pods mean fails, with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# The bed's own fixtures would start one.
TEST = """
import pytest

@pytest.fixture
def client(): pass

@pytest.fixture
def real(): pass

@pytest.fixture
def pretended(): pass

@pytest.mark.usefixtures({fixtures})
def test_it(): pass
"""


def run_pytest(folder: Path, ring: str, *fixtures: str) -> subprocess.CompletedProcess[str]:
    path = folder / "tests" / ring / "test_it.py"
    path.parent.mkdir(parents=True)
    path.write_text(TEST.format(fixtures=", ".join(map(repr, fixtures))))
    command = [sys.executable, "-m", "pytest", "-p", "tests.bed.fixtures", "-c", "/dev/null"]
    command += ["--import-mode=importlib", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(
        [*command, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("ring", "fixtures", "complaint"),
    [
        ("control_plane", ["client", "pretended"], ""),
        ("node", ["client", "real"], ""),
        ("node", ["client"], "and takes none of them"),
        ("control_plane", ["client", "real", "pretended"], "and takes `real` and `pretended`"),
        ("control_plane", [], ""),
        ("unit", ["client"], ""),
    ],
)
def test_a_test_takes_exactly_one_world(
    tmp_path: Path, ring: str, fixtures: list[str], complaint: str
) -> None:
    done = run_pytest(tmp_path, ring, *fixtures)

    assert done.returncode == bool(complaint), done.stdout + done.stderr
    assert complaint in done.stdout
    assert ("has to take exactly one of the fixtures" in done.stdout) is bool(complaint)
