"""A hub of a configuration file alone, without the supervisor of ``make run``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from tests.plain import NO_TLS
from tests.platform_fixture import find_processes
from tests.site import wait_until


@contextmanager
def running_hub(file: Path, url: str) -> Iterator[None]:
    """Run a hub in its configuration file's folder; ended with all that it started.

    Args:
        file: the configuration; what the hub says is in ``output`` beside it.
        url: where its proxy answers.
    """
    folder = file.parent
    output = folder / "output"
    with output.open("wb") as stream:
        hub = psutil.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(file)],
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:

        def is_served() -> bool:
            assert hub.poll() is None, output.read_text()
            try:
                return httpx.get(f"{url}/hub/health", verify=NO_TLS).is_success
            except httpx.TransportError:
                return False

        wait_until(is_served, "a hub by itself", 100)
        yield
        hub.terminate()
        hub.wait(30)
    finally:
        for left in find_processes(folder):
            left.kill()
        hub.wait(10)
