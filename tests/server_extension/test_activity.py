"""A busy kernel is activity, also a silent one; looking at jobs is none."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from offline_jobs.server_extension.activity import (
    ACTIVITY,
    BusyKernels,
    is_activity,
    longest_session,
)

from .conftest import ROOT, Jupyter

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
DEADLINE_SECONDS = 60.0


@pytest.mark.parametrize(
    ("states", "hours", "longest_hours", "expected"),
    [
        ([], 1, 8, False),
        (["idle", "starting"], 1, 8, False),
        (["idle", "busy"], 1, 8, True),
        (["busy"], 9, 8, False),
        (["busy"], 900, 0, True),
    ],
)
def test_which_kernels_count(
    states: list[str], hours: int, longest_hours: int, expected: bool
) -> None:
    now = START + timedelta(hours=hours)
    assert is_activity(states, START, now, longest_hours * 3600) is expected


@pytest.mark.parametrize(("text", "seconds"), [("28800", 28800.0), ("", 0.0), ("long", 0.0)])
def test_longest_session(text: str, seconds: float) -> None:
    assert longest_session({"OFFLINE_JOBS_LONGEST_SESSION_SECONDS": text}) == seconds
    assert longest_session({}) == 0


def test_a_silent_busy_kernel_is_activity(tmp_path: Path) -> None:
    """A real kernel that waits for a file and prints nothing."""
    begun, release = tmp_path / "begun", tmp_path / "release"
    code = (
        f"import os, pathlib, time\npathlib.Path({str(begun)!r}).touch()\n"
        f"while not os.path.exists({str(release)!r}): time.sleep(0.05)"
    )
    settings: dict[str, Any] = {"started": datetime.now(UTC), "last_activity_times": {}}

    async def run() -> None:
        # jupyter_server's annotations do not tell its own additions.
        kernels: Any = AsyncMappingKernelManager()
        kernel_id = await kernels.start_kernel(
            env={**os.environ, "IPYTHONDIR": str(tmp_path / "ipython")}
        )
        kernel: Any = kernels.get_kernel(kernel_id)
        watch = BusyKernels(kernels, settings, longest=3600)
        client = kernel.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=DEADLINE_SECONDS)
            # The manager may have begun to listen later than the client: it hears the next answer.
            await until(
                lambda: kernel.execution_state == "idle",
                lambda: client.kernel_info(reply=True, timeout=DEADLINE_SECONDS),
            )
            watch.look()
            assert settings["last_activity_times"] == {}
            client.execute(code)
            await until(lambda: begun.exists() and kernel.execution_state == "busy")
            for _ in range(2):
                before = datetime.now(UTC)
                watch.look()
                assert settings["last_activity_times"][ACTIVITY] >= before
            release.touch()
            await until(lambda: kernel.execution_state == "idle")
            noted = settings["last_activity_times"][ACTIVITY]
            watch.look()
            assert settings["last_activity_times"][ACTIVITY] == noted
        finally:
            client.stop_channels()
            await kernels.shutdown_kernel(kernel_id, now=True)

    async def until(
        condition: Callable[[], bool],
        meanwhile: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0.02),
    ) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline
            await meanwhile()

    asyncio.run(run())


def test_looking_at_jobs_is_no_activity(jupyter: Jupyter) -> None:
    before = last_activity(jupyter)
    for path in ("session", "catalogue", "jobs", "jobs/k3j9x0a1b2c3", "jobs/k3j9x0a1b2c3/log"):
        assert jupyter.ask("GET", path).status_code == 200
    assert last_activity(jupyter) == before
    jupyter.ask("POST", "check", json={"path": "stereo/markers.ipynb"})
    assert last_activity(jupyter) > before


def last_activity(jupyter: Jupyter) -> str:
    """What the hub's idle culler is told, by way of the server's status."""
    return str(jupyter.request("GET", "api/status").json()["last_activity"])


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("offline_jobs.contract.run", "jupyter_server, tornado, fastapi, papermill"),
        ("offline_jobs.server_extension.extension", "papermill, fastapi, sqlalchemy, nbclient"),
    ],
)
def test_what_a_part_loads(module: str, forbidden: str) -> None:
    program = (
        f"import sys, {module}; print([m for m in {forbidden.split(', ')} if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "extensions" / "offline_jobs",
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "[]"
