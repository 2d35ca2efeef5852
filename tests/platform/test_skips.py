"""Skips that nobody expects turn a green run red."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests import skips
from tests.platform.checkout import ROOT

SKIPPING = """
import pytest

def test_works():
    pass

def test_skips():
    pytest.skip({reason!r})
"""


def run_pytest(folder: Path, reason: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with our plugin on one test that passes and one that skips itself."""
    (folder / "test_it.py").write_text(SKIPPING.format(reason=reason))
    command = [sys.executable, "-m", "pytest", "-p", "tests.skips", "-c", "/dev/null", *options]
    return subprocess.run(
        [*command, "--rootdir", str(folder), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unexpected_skip_fails_the_run_that_asks(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "did not feel like it", "--expected-skips-only")
    assert done.returncode == 1
    assert "test_skips: Skipped: did not feel like it" in done.stdout
    assert run_pytest(tmp_path, "did not feel like it").returncode == 0


def test_an_expected_skip_is_accepted_only_where_its_condition_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for holds in (True, False):
        kind = skips.ExpectedSkip(r"needs a GPU\b.*", partial(bool, holds))
        monkeypatch.setattr(skips, "EXPECTED", (kind,))
        assert skips.is_expected("Skipped: needs a GPU: none was found") is holds
        assert not skips.is_expected("Skipped: a test that needs a GPU")
