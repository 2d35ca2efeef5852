"""Runs pytest within a test: one of our plugins alone, on a folder of tests made for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_pytest(
    folder: Path, plugin: str, *options: str, environ: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run pytest with `plugin` on `folder`, without this project's settings and other plugins."""
    command = [sys.executable, "-m", "pytest", "-p", plugin, "-c", "/dev/null", *options]
    command += ["--import-mode=importlib", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    return subprocess.run(
        [*command, str(folder)],
        cwd=ROOT,
        env={**environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
