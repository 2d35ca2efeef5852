"""The process tree below the runner: who is in it, what memory and time it takes, how it is ended.

On Linux the runner adopts orphans (``PR_SET_CHILD_SUBREAPER``), so a process that a cell started
and that detached itself (a double fork, a session of its own) is still found below the runner.
Elsewhere only processes whose parents live are found. The watchdog measures here; the engine and
the execution end the tree here. Bottom of the runner; imports nothing of it.
"""

import ctypes
import logging
import os
import sys
import time
from contextlib import suppress

import psutil

LOG = logging.getLogger(__name__)

#: ``PR_SET_CHILD_SUBREAPER`` of ``<linux/prctl.h>``.
_PR_SET_CHILD_SUBREAPER = 36
#: (bytes in use, most bytes so far, limit in bytes)
Memory = tuple[int, int, int]

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


def adopt_orphans() -> None:
    """Make orphans below this process its own children (Linux; nothing elsewhere)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            LOG.warning("orphans cannot be adopted: %s", os.strerror(ctypes.get_errno()))


def wipe_variable(name: str) -> str | None:
    """Take a variable out of the environment, and out of what ``/proc`` shows of this process.

    Removing it from ``os.environ`` alone would leave the text where the process was started with
    it, readable in ``/proc/<pid>/environ`` by every process of the same user, the kernel too.
    """
    value = os.environ.get(name)
    if value is None:
        return None
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.getenv.restype = ctypes.c_void_p
        address = libc.getenv(name.encode())
        if address:
            ctypes.memset(address, 0, len(os.fsencode(value)))
    del os.environ[name]
    return value


def descendants(root: int | None = None) -> list[psutil.Process]:
    """Every process below this one; with ``root`` that process and all below it."""
    if root is None:
        return psutil.Process().children(recursive=True)
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def tree_memory_bytes(limit_bytes: int = 0) -> int:
    """Resident memory of this process and all below it.

    The sum of resident sizes counts pages that processes share once for each of them. Where that
    sum passes ``limit_bytes``, the proportional sizes are asked for (dearer to have), so that a
    fork of a large process is not ended for memory that it does not use.
    """
    tree = [psutil.Process(), *descendants()]
    resident = sum(_resident_bytes(process) for process in tree)
    if not limit_bytes or resident <= limit_bytes or sys.platform != "linux":
        return resident
    return min(resident, sum(_proportional_bytes(process) for process in tree))


def tree_cpu_seconds() -> float:
    """Processor time of this process, of all below it and of those that it waited for."""
    return sum(_cpu_seconds(process) for process in [psutil.Process(), *descendants()])


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except _GONE:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except _GONE:
        return 0


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return _resident_bytes(process)
    except _GONE:
        return 0


def reap(keep: int | None) -> None:
    """Collect adopted processes that have ended; ``keep`` is the kernel, which others wait for."""
    for process in psutil.Process().children():
        with suppress(psutil.Error, ChildProcessError):
            if process.pid != keep and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)


def kill_tree(root: int | None = None, seconds: float = 10.0) -> bool:
    """Kill every process below this one (or ``root`` and below), until none is left.

    Returns:
        Whether none is left when the time is over.
    """
    deadline = time.monotonic() + seconds
    while living := [process for process in descendants(root) if _is_living(process)]:
        if time.monotonic() > deadline:
            LOG.warning("%d processes could not be ended", len(living))
            return False
        for process in living:
            with suppress(psutil.Error):
                process.kill()
        time.sleep(0.01)
    return True


def _is_living(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
