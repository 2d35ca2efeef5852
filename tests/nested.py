"""Runs pytest within a test: one of our plugins alone, on a folder of tests made for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Seconds; a run takes three, and a tenth of this on a machine that does ten things at a time.
PATIENCE = 90


def run_pytest(
    folder: Path, plugin: str, *options: str, environ: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run pytest with `plugin` on `folder`, without this project's settings and other plugins.

    One that does not end fails the test with what it printed and where each process stood.
    """
    command = [sys.executable, "-m", "pytest", "-p", plugin, *options]
    # What other runs left in the common one is theirs to clear, which may take minutes.
    command += ["--basetemp", str(folder.with_name(f"{folder.name}-temporary"))]
    command += ["-c", "/dev/null", "--import-mode=importlib", "-p", "no:cacheprovider"]
    process = subprocess.Popen(
        [*command, "--rootdir", str(folder), str(folder)],
        cwd=ROOT,
        env={**environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)
        stdout, stderr = process.communicate()
        pytest.fail(f"pytest did not end within {PATIENCE} s:\n{stdout}\n{stderr}")
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
