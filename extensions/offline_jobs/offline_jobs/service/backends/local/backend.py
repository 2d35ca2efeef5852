"""Attempts as processes of this machine: the embedded default's backend.

A launch makes the attempt's folder, then starts the shim detached, which starts the runner
(:mod:`~offline_jobs.service.backends.local.folder` describes the protocol). Nothing of it depends
on this process's life: a service that comes up later reads the same folders. Only this room starts
or ends processes of attempts.
"""

import asyncio
import logging
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hub_config.platform.choices import Machine
from hub_config.platform.processes import Process, build_process
from offline_jobs.contract import run as wire
from offline_jobs.contract.names import object_name
from offline_jobs.service.backends.backend import Launch
from offline_jobs.service.backends.local import folder as names
from offline_jobs.service.backends.local import shim
from offline_jobs.service.backends.local.folder import AttemptFolder
from offline_jobs.service.backends.local.tree import kill_processes, terminate_group
from offline_jobs.service.crash import crash_at
from offline_jobs.service.errors import BackendError
from offline_jobs.service.model import Observation, WatchState

_log = logging.getLogger(__name__)
_READY_SECONDS = 20.0


def choose_cores(available: Iterable[int], used: Sequence[Iterable[int]], count: int) -> list[int]:
    """The ``count`` least used of the available cores; ``used``: what each living attempt has."""
    load = dict.fromkeys(sorted(available), 0)
    for cores in used:
        for core in cores:
            if core in load:
                load[core] += 1
    return sorted(sorted(load, key=lambda core: load[core])[:count])


class LocalBackend:
    """Runs attempts as process trees below one state folder.

    With ``patience_seconds`` runners wait for a service that is away: minutes, so that it still
    gets notebook and log of what ended meanwhile.
    """

    def __init__(
        self,
        *,
        slots: int,
        state: Path,
        environments: Path,
        machine: Machine,
        patience_seconds: int = 600,
    ) -> None:
        self.slots: int | None = slots
        self._state = state
        self._environments = environments
        self._machine = machine
        self._patience_seconds = patience_seconds
        self._cores: dict[str, list[int]] = {}
        self._asked: set[str] = set()

    def start(self, on_change: Callable[[], None]) -> None:
        """Nothing to begin: processes are looked at, they tell nothing by themselves."""

    def close(self) -> None:
        """Nothing to end."""

    async def launch(self, launch: Launch) -> Mapping[str, Any]:
        """Start the attempt's runner, or adopt it."""
        try:
            return await asyncio.to_thread(self._launch, launch)
        except OSError as e:
            raise BackendError(
                f"{launch.object_name} could not be started: {e}", e.strerror or ""
            ) from e

    async def observe(self, object_names: Collection[str]) -> Mapping[str, Observation]:
        """What is seen of these attempts."""
        return await asyncio.to_thread(lambda: {name: self._observe(name) for name in object_names})

    async def stop(self, object_name: str, *, force: bool) -> None:
        """Ask the runner to end, or kill everything of the attempt."""
        await asyncio.to_thread(self._stop, object_name, force)

    def watches(self) -> Mapping[str, WatchState]:
        """None."""
        return {}

    async def list_ended(self) -> Collection[str]:
        """None: a folder keeps nobody from running."""
        return ()

    async def remove_job(self, job_id: str, attempts: int) -> None:
        """Delete folders and checkpoints of a deleted job.

        Raises:
            OSError: something is still there.
        """
        folders = [self._state / "checkpoints" / job_id]
        for number in range(1, attempts + 1):
            folders.append(self._folder(object_name(job_id, number)).path)
        for folder in folders:
            with suppress(FileNotFoundError):
                await asyncio.to_thread(shutil.rmtree, folder)

    def _launch(self, launch: Launch) -> Mapping[str, Any]:
        folder = self._folder(launch.object_name)
        crash_at("before-launch")
        process = build_process(
            launch.workspace, self._state, self._environments, self._machine, os.environ
        )
        checkpoints = self._state / "checkpoints" / launch.specification.job
        for path in (*process.folders, checkpoints):
            path.mkdir(parents=True, exist_ok=True)
        cores = choose_cores(_available_cores(), list(self._cores.values()), process.cores)
        folder.claim(
            {
                "command": [str(process.python), "-s", "-P", "-m", "offline_jobs.runner"],
                "environment": {
                    **_build_environment(launch, process, folder, checkpoints),
                    wire.ENV_PATIENCE: str(self._patience_seconds),
                },
                "folder": str(process.home),
                "cores": cores,
                "record": str(process.home / launch.specification.output / "run.json"),
            },
            launch.specification.dumps(),
        )
        crash_at("after-claim")
        if folder.phase() == "waiting":
            self._start_shim(folder)
        self._cores[launch.object_name] = folder.launch().get("cores", cores)
        crash_at("after-launch")
        return folder.handle()

    def _start_shim(self, folder: AttemptFolder) -> None:
        """Start the shim, and wait until it has begun or has gone."""
        ready, ready_shim = os.pipe()
        try:
            with (folder.path / names.LOG).open("ab") as log:
                # What we start forks and ends at once: the shim is nobody's child.
                subprocess.run(
                    [sys.executable, "-I", "-S", shim.__file__, folder.path, str(ready_shim)],
                    cwd="/",
                    env={},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(ready_shim,),
                    start_new_session=True,
                    timeout=_READY_SECONDS,
                    check=False,
                )
        except subprocess.TimeoutExpired as e:
            os.close(ready)
            raise BackendError(
                f"{folder.path.name}: its process does not start", "its process does not start"
            ) from e
        finally:
            os.close(ready_shim)
        select.select([ready], [], [], _READY_SECONDS)
        os.close(ready)

    def _observe(self, name: str) -> Observation:
        folder = self._folder(name)
        phase = folder.phase()
        if phase == "running" and name not in self._cores:
            self._cores[name] = folder.launch().get("cores", [])
        if phase != "ended":
            return Observation(phase, handle=folder.handle() if phase == "running" else {})
        self._cores.pop(name, None)
        if not folder.exit() and (count := kill_processes(folder.job, folder.attempt)):
            # Runner and shim were killed, their kernel was not: first it must go.
            _log.warning("%s left %d processes behind", name, count)
            return Observation("running")
        return Observation("ended", evidence=folder.evidence())

    def _stop(self, name: str, force: bool) -> None:
        folder = self._folder(name)
        if folder.phase() in ("absent", "ended") or folder.prevent():
            return
        if force:
            kill_processes(folder.job, folder.attempt)
        elif name not in self._asked and "pid" in (handle := folder.handle()):
            self._asked.add(name)
            terminate_group(handle["pid"])

    def _folder(self, name: str) -> AttemptFolder:
        job, _, number = name.removeprefix("job-").rpartition("-")
        return AttemptFolder(self._state / "jobs" / name, job, int(number))


def _build_environment(
    launch: Launch, process: Process, folder: AttemptFolder, checkpoints: Path
) -> dict[str, str]:
    return {
        **process.environment,
        **launch.build_environment(),
        wire.ENV_SPECIFICATION: str(folder.path / names.SPECIFICATION),
        wire.ENV_TERMINATION: str(folder.path / names.TERMINATION),
        wire.ENV_MEMORY: str(process.memory_bytes),
        wire.ENV_CHECKPOINT: str(checkpoints),
    }


def _available_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
