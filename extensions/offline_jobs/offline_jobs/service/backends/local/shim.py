"""Starts one attempt's runner, once, and keeps its exit code: a small parent of its own.

Run as a script (``python -I -S shim.py FOLDER FD``) by
:mod:`~offline_jobs.service.backends.local.backend`, detached, so that it outlives the service.
It takes the lock of the attempt's folder, then makes the file ``started``, which must not exist:
whoever comes second finds the lock held or the file there and goes away. So the runner is started
at most once, however often and whenever the service was killed. The runner inherits the lock:
lock free and ``started`` there means that nothing of the attempt runs any more. On Linux the shim
also collects whatever the runner leaves behind, and kills it. Standard library only, imports
nothing of ours: it must start in a moment.
"""

import ctypes
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Names shared with folder.py; a test holds them equal.
LOCK = "lock"
STARTED = "started"
LAUNCH = "launch.json"
EXIT = "exit.json"
LOG = "runner.log"

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_CANNOT_START = 30  # contract.exits.Exit.INFRASTRUCTURE


def main(folder: Path, ready: int) -> None:
    """Start the runner of ``folder`` unless somebody did; close ``ready`` once that is settled."""
    if os.fork():
        return
    os.setsid()
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        started = os.open(folder / STARTED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except (BlockingIOError, FileExistsError):
        return
    os.write(started, json.dumps({"pid": os.getpid(), "time": time.time()}).encode())
    os.fsync(started)
    os.close(started)
    os.close(ready)
    write_exit(folder, run(folder, lock))


def run(folder: Path, lock: int) -> dict[str, object]:
    """Start the runner and see it to its end; its exit code, negative for a signal."""
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # The group's signals are for the runner; the handler is reset in it, an ignore were not.
        signal.signal(number, lambda *_: stopping.append(True))
    become_subreaper()
    try:
        launch = json.loads((folder / LAUNCH).read_bytes())
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, launch["cores"])
        with (folder / LOG).open("ab") as log:
            runner = subprocess.Popen(
                launch["command"],
                env=launch["environment"],
                cwd=launch["folder"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
            )
    except (OSError, ValueError, KeyError) as e:
        return {"code": _CANNOT_START, "message": f"The runner could not be started: {e}"}
    if stopping:
        runner.terminate()
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == runner.pid:
            break
    kill_left_behind()
    return {"code": os.waitstatus_to_exitcode(status)}


def become_subreaper() -> None:
    """Be the parent of what the runner orphans (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def kill_left_behind() -> None:
    """Kill what the runner left, and what that leaves, until nothing is."""
    while True:
        for pid in list_children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def list_children() -> list[int]:
    """Process ids of our children (Linux; elsewhere we have none but the runner)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = entry.read_text().rpartition(")")[2].split()[1]
        except OSError as e:
            if e.errno not in (errno.ENOENT, errno.ESRCH):
                raise
            continue
        if int(parent) == os.getpid():
            found.append(int(entry.parent.name))
    return found


def write_exit(folder: Path, content: dict[str, object]) -> None:
    """Write how it ended, whole or not at all."""
    temporary = folder / f".{EXIT}"
    with temporary.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / EXIT)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
