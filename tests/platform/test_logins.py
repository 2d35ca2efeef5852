"""A login that is lent to a builder is gone afterwards, whatever becomes of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from images._tool.logins import LENT, clear_lent, lend_login
from images._tool.registry import Login
from tests.platform.checkout import ROOT

LEND = """
from images._tool.logins import lend_login
from images._tool.registry import Login
with lend_login("registry.example.org", Login("AWS", "secret")) as path:
    print(path, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_a_lent_login_is_for_us_alone_and_goes(temporary: Path) -> None:
    with lend_login("registry.example.org", Login("AWS", "secret")) as path:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        clear_lent()
        assert path.exists()
    assert not list(temporary.iterdir())


def test_what_a_killed_run_left_goes_with_the_next(temporary: Path) -> None:
    foreign = temporary / f"{LENT}notes-of-mine"
    foreign.write_text("no folder")
    words = [sys.executable, "-c", LEND]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        clear_lent()
        assert path.exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert path.exists()
        clear_lent()
    assert list(temporary.iterdir()) == [foreign]
