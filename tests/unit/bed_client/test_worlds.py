"""A test of the bed that does not say which nodes its pods mean fails, with a sentence."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.nested import run_pytest

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


def run_test(folder: Path, ring: str, *fixtures: str) -> subprocess.CompletedProcess[str]:
    path = folder / "tests" / ring / "test_it.py"
    path.parent.mkdir(parents=True)
    path.write_text(TEST.format(fixtures=", ".join(map(repr, fixtures))))
    return run_pytest(folder, "tests.bed.fixtures")


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
    done = run_test(tmp_path, ring, *fixtures)

    assert done.returncode == bool(complaint), done.stdout + done.stderr
    assert complaint in done.stdout
    assert ("has to take exactly one of the fixtures" in done.stdout) is bool(complaint)
