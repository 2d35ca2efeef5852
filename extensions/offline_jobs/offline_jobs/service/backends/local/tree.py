"""The processes of an attempt: found by descent and by the variables that all of them inherit.

A kernel has a session of its own and outlives a killed runner, so neither the group nor the
parents are enough. For the local backend alone.
"""

import contextlib
import os
import signal
from collections.abc import Iterator

import psutil

from offline_jobs.contract.run import ENV_ATTEMPT, ENV_JOB


def list_processes(job: str, attempt: int) -> list[psutil.Process]:
    """Every living process of an attempt: its runner, the kernel, and what they started."""
    found = {process.pid: process for process in _by_environment(job, attempt)}
    for process in tuple(found.values()):
        with contextlib.suppress(psutil.Error):
            found |= {child.pid: child for child in process.children(recursive=True)}
    return list(found.values())


def kill_processes(job: str, attempt: int) -> int:
    """Kill every process of an attempt; the shim, which is none of them, sees it. How many."""
    processes = list_processes(job, attempt)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return len(processes)


def terminate_group(pid: int) -> None:
    """Ask shim and runner to end; the caller knows that one of them lives."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGTERM)


def _by_environment(job: str, attempt: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            environment = process.environ()
            if (environment.get(ENV_JOB), environment.get(ENV_ATTEMPT)) == (job, str(attempt)):
                yield process
