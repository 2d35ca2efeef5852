"""What still runs of jobs and sessions once service and hub are gone, and its end.

In order the service ends its jobs and the hub its servers. One that was dead just then ends
nothing, so the supervisor looks for itself, last of all. Jobs are found by the files of the local
backend's launch protocol, which are read here as data (``offline_jobs``'s ``folder.py`` describes
them), and by the variables that all processes of an attempt inherit; sessions by a variable of
theirs. Used by the supervisor.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

JOB, ATTEMPT = "OFFLINE_JOB_ID", "OFFLINE_JOB_ATTEMPT"
SESSION_HOME = "JUPYTERHUB_ROOT_DIR"
# A runner that is asked to end tries for ten seconds to tell the service, having saved first.
PATIENCE_SECONDS = 15.0
KILL_SECONDS = 5.0
LOOK_SECONDS = 0.1
# Start times are known to about a second.
CLOCK_SECONDS = 2.0
# From a shim's start to its word of it, on a very busy machine.
LONGEST_BEGINNING_SECONDS = 60.0


@dataclass(frozen=True)
class Leftovers:
    """What still runs.

    Attributes:
        folders: folders of attempts whose lock is held: shim or runner lives.
        processes: processes of attempts and sessions.
    """

    folders: tuple[Path, ...]
    processes: tuple[psutil.Process, ...]

    def __bool__(self) -> bool:
        """Whether anything does."""
        return bool(self.folders or self.processes)


def end_leftovers(
    state: Path, say: Callable[[str], None], patience: float = PATIENCE_SECONDS
) -> bool:
    """End all that still runs of jobs and sessions: asked first, killed after ``patience``.

    Returns:
        Whether nothing is left.
    """
    left = find_leftovers(state)
    if not left:
        return True
    say("Ending jobs and sessions that were left behind.")
    ask_to_end(left)
    if not (left := wait_for_end(state, patience)):
        return True
    say("Some did not end in time and were killed.")
    for process in left.processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    # A shim sees its runner's end, kills what that left, and goes; one that does not is killed too.
    if left := wait_for_end(state, KILL_SECONDS):
        for folder in left.folders:
            signal_group(folder, left.processes, signal.SIGKILL)
        left = wait_for_end(state, KILL_SECONDS)
    return not left


def find_leftovers(state: Path) -> Leftovers:
    """Look at the attempts' folders and at all processes."""
    folders = {folder.name: folder for folder in (state / "jobs").glob("job-*")}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if is_ours(process, state, folders):
                children = process.children(recursive=True)
                found |= {each.pid: each for each in (process, *children)}
    living = [process for process in found.values() if lives(process)]
    return Leftovers(tuple(filter(is_locked, folders.values())), tuple(living))


def is_ours(process: psutil.Process, state: Path, folders: dict[str, Path]) -> bool:
    """Whether it belongs to a session or an attempt of this state folder."""
    if process.pid == os.getpid():
        return False
    environment = process.environ()
    if f"job-{environment.get(JOB)}-{environment.get(ATTEMPT)}" in folders:
        return True
    if Path(environment.get(SESSION_HOME, os.sep)).is_relative_to(state / "homes"):
        return True
    # A shim that has not begun has no variables; what it was told is its folder.
    told = [folder for folder in folders.values() if str(folder) in process.cmdline()]
    return any(not (folder / "started").exists() for folder in told)


def lives(process: psutil.Process) -> bool:
    """Whether it runs; one that nobody reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_locked(folder: Path) -> bool:
    """Whether the shim or the runner of an attempt holds its lock."""
    # Looked at only where the shim has it already: a look must not be in its way.
    if not (folder / "started").exists():
        return False
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def ask_to_end(left: Leftovers) -> None:
    """Ask runners, by their group, and what has no parent here; the rest is those two's to end."""
    asked = {
        read_group(folder)[0]
        for folder in left.folders
        if signal_group(folder, left.processes, signal.SIGTERM)
    }
    numbers = {process.pid for process in left.processes}
    for process in left.processes:
        with contextlib.suppress(psutil.Error, OSError):
            if process.ppid() not in numbers and os.getpgid(process.pid) not in asked:
                process.terminate()


def signal_group(
    folder: Path, processes: tuple[psutil.Process, ...], number: signal.Signals
) -> bool:
    """Signal an attempt's group, if that is still what it was. Whether it was signalled."""
    group, started = read_group(folder)
    if not group or not (began_before(group, started) or group in set(groups(processes))):
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def read_group(folder: Path) -> tuple[int, float]:
    """The shim's number, which is its group's, and when it began; zeros when not known."""
    try:
        content: Any = json.loads((folder / "started").read_bytes())
        return int(content["pid"]), float(content["time"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0, 0.0


def began_before(pid: int, started: float) -> bool:
    """Whether the process of that number began shortly before that time; else it is another's."""
    try:
        before = started - psutil.Process(pid).create_time()
        return -CLOCK_SECONDS <= before <= LONGEST_BEGINNING_SECONDS
    except (psutil.Error, ValueError):
        return False


def groups(processes: tuple[psutil.Process, ...]) -> Iterator[int]:
    """The groups of these processes: a runner whose shim was killed still is in the shim's."""
    for process in processes:
        with contextlib.suppress(OSError):
            yield os.getpgid(process.pid)


def wait_for_end(state: Path, seconds: float) -> Leftovers:
    """Wait until nothing is left; what is after so long."""
    deadline = time.monotonic() + seconds
    while (left := find_leftovers(state)) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return left
