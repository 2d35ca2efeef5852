"""The bed's plugin asks each test of its rings which nodes its pods mean."""

from __future__ import annotations

from pathlib import Path

from tests.nested import run_pytest

# The bed's own fixtures would start one.
TEST = """
import pytest

@pytest.fixture
def client(): pass

def test_it(client): pass
"""


def test_a_test_without_a_world_fails_before_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "tests" / "node" / "test_it.py"
    path.parent.mkdir(parents=True)
    path.write_text(TEST)

    done = run_pytest(tmp_path, "tests.bed.fixtures")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "test_it has to take exactly one of the fixtures" in done.stdout
