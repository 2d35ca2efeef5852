"""Skips that nobody expects turn a green run red, and so does a lack that nothing noticed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import skips
from tests.nested import run_pytest
from tests.platform.checkout import ROOT

SKIPPING = """
import pytest
from tests.skips import require

def test_works():
    pass

def test_skips():
    {skip}
"""
# A machine whose lacks a test may choose.
MACHINE = """
from tests import skips
skips.EXPECTED = (skips.ExpectedSkip("Chromium", lambda: {lacks}, "browser"),)
"""


def run_skipping(
    folder: Path, skip: str, *options: str, lacks: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run pytest with our plugin on one test that passes and one that may skip itself."""
    ring = folder / "tests" / "browser"
    ring.mkdir(parents=True, exist_ok=True)
    (ring / "test_it.py").write_text(SKIPPING.format(skip=skip))
    (folder / "conftest.py").write_text(MACHINE.format(lacks=lacks))
    return run_pytest(folder, "tests.skips", *options)


@pytest.mark.parametrize(
    ("reason", "lacks", "unexpected", "missing"),
    [
        ("Skipped: needs Chromium", True, False, False),
        ("Skipped: needs Chromium: none is there", True, False, False),
        ("Skipped: needs Chromium: none is there", False, True, False),
        ("Skipped: needs Chromiums", True, True, True),
        ("Skipped: a test that needs Chromium", True, True, True),
        ("Skipped: did not feel like it", False, True, False),
        ("", False, False, False),
        ("", True, False, True),
    ],
)
def test_skips_and_lacks_go_together(
    monkeypatch: pytest.MonkeyPatch, reason: str, lacks: bool, unexpected: bool, missing: bool
) -> None:
    chromium = skips.ExpectedSkip("Chromium", lambda: lacks, "browser")
    monkeypatch.setattr(skips, "EXPECTED", (chromium,))
    reasons = [reason] if reason else []

    assert any(not skips.is_expected(each) for each in reasons) is unexpected
    assert bool(skips.find_missing({"browser", "unit"}, reasons)) is missing
    assert not skips.find_missing({"unit"}, reasons)


@pytest.mark.parametrize(
    ("skip", "lacks", "complaint"),
    [
        ("require('Chromium')", True, ""),
        ("pytest.skip('did not feel like it')", False, "test_skips: Skipped: did not feel like it"),
        ("pass", True, "tests/browser: nothing said 'needs Chromium'"),
    ],
)
def test_a_run_with_other_skips_fails(
    tmp_path: Path, skip: str, lacks: bool, complaint: str
) -> None:
    done = run_skipping(tmp_path, skip, "--expected-skips-only", lacks=lacks)

    assert done.returncode == bool(complaint), done.stdout
    assert complaint in done.stdout
    assert ("not as tests/skips.py expects" in done.stdout) is bool(complaint)


def test_a_run_that_does_not_ask_only_says_so(tmp_path: Path) -> None:
    done = run_skipping(tmp_path, "pytest.skip('did not feel like it')", lacks=False)

    assert done.returncode == 0
    assert "test_skips: Skipped: did not feel like it" in done.stdout


@pytest.mark.parametrize("name", skips.BROWSERS)
def test_any_known_browser_is_enough(tmp_path: Path, name: str) -> None:
    run_installer(
        tmp_path, {name: "exit 0", "Rscript": "exit 0", "apt-get": "exit 1", "id": "echo 0"}
    )

    assert not (tmp_path / "build").exists()


def test_an_installation_that_fails_says_so_and_does_not_end_the_run(tmp_path: Path) -> None:
    said = run_installer(
        tmp_path, {"Rscript": "exit 0", "apt-get": "echo no mirror; exit 100", "id": "echo 0"}
    )

    assert said.splitlines()[-1].startswith("Chromium could not be installed")
    assert (tmp_path / "build" / skips.FAILED_INSTALLATION.name).read_text() == "no mirror\n"


def run_installer(folder: Path, programs: dict[str, str]) -> str:
    """Run the script where only these programs and the plainest others are; what it said."""
    (folder / "tests").mkdir()
    tools = folder / "bin"
    tools.mkdir()
    script = shutil.copy(ROOT / "tests" / "system_packages.sh", folder / "tests")
    for name, does in programs.items():
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    for name in ("sh", "dirname", "mkdir", "rm", "tail"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [tools / "sh", script],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
