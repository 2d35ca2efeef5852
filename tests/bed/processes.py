"""Daemons of a bed: started detached, known by pid and start time, ended by name.

A daemon outlives whoever started it and holds none of its descriptors, so that
`make bed | tail -n 1` returns. What runs stands in one file; a later process (the tests,
`bed-down`, the next `bed` after a crash) takes it up from there, and a pid that the kernel has
given to somebody else is never touched. Used by the rest of the bed; knows nothing of Kubernetes.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bed.files import write_atomically

#: Seconds that a daemon has to end after SIGTERM.
GRACE = 10.0
#: Variable that a bed's processes have, with the bed's folder.
MARK = "NOTEBOOK_HPC_BED"


class DaemonDied(Exception):
    """A daemon ended where it had to run; the message has the end of its log."""


@dataclass(frozen=True)
class Daemon:
    """What is known of one daemon: how to start it again, and which process it is.

    Attributes:
        argv: program and arguments.
        within: words before `argv`, such as `nsenter`, that take it to where it runs.
        forks: whether `within` stays as the parent of the program proper.
        pid: of the program proper; `started` is its start in clock ticks since boot.
    """

    name: str
    argv: tuple[str, ...]
    pid: int
    started: int
    environment: Mapping[str, str] = field(default_factory=dict)
    within: tuple[str, ...] = ()
    forks: bool = False


class Daemons:
    """The daemons of one bed, in its state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "processes.json"

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
        forks: bool = False,
    ) -> int:
        """Start a daemon, its output into :meth:`log`; return its pid.

        Args:
            name: what it is called from now on.
            argv: program and arguments.
            environment: variables besides this process's own.
            within: words put before `argv`.
            forks: `within` starts `argv` as a child instead of becoming it.
        """
        if self.is_running(name):
            raise ValueError(f"{name} runs already")
        words = [str(word) for word in argv]
        pid = self._spawn(name, [*within, *words], environment or {})
        if forks:
            pid = _wait_for_child(pid)
        daemon = Daemon(
            name,
            tuple(words),
            pid,
            read_start(pid) or 0,
            dict(environment or {}),
            tuple(within),
            forks,
        )
        with self._changing():
            self._write({**self._read(), name: daemon})
        return pid

    def restart(self, name: str, *, force: bool = False) -> int:
        """End a daemon if it runs and start it as it was started; return the new pid."""
        daemon = self._read()[name]
        self.stop(name, force=force)
        return self.start(
            name,
            daemon.argv,
            environment=daemon.environment,
            within=daemon.within,
            forks=daemon.forks,
        )

    def stop(self, name: str, *, force: bool = False) -> None:
        """End a daemon, with SIGKILL at once or after its grace; it may be gone already."""
        daemon = self._read().get(name)
        if daemon is None or not _runs(daemon):
            return
        # A paused process would keep SIGTERM for later.
        _send(daemon, signal.SIGCONT)
        _send(daemon, signal.SIGKILL if force else signal.SIGTERM)
        if not force and not _wait_for_end(daemon, GRACE):
            _send(daemon, signal.SIGKILL)
        _wait_for_end(daemon, GRACE)

    def stop_all(self, order: Sequence[str] = (), *, forced: Sequence[str] = ()) -> None:
        """End all: those of `order` in this order, the others before them, then forget them.

        Args:
            order: names that go last, one after another.
            forced: names that get SIGKILL at once.
        """
        names = [name for name in self.names() if name not in order]
        for name in names:
            if (daemon := self._read()[name]) and _runs(daemon):
                _send(daemon, signal.SIGCONT)
                _send(daemon, signal.SIGKILL if name in forced else signal.SIGTERM)
        for name in [*names, *(name for name in order if name in self.names())]:
            self.stop(name, force=name in forced)
        self._kill_unlisted()
        self._file.unlink(missing_ok=True)

    def _kill_unlisted(self) -> None:
        """End what was started by somebody who was killed before it was on the list."""
        mark = f"{MARK}={self._folder}".encode()
        for place in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                pid = int(place.parent.name)
                if mark in place.read_bytes().split(b"\0") and (started := read_start(pid)):
                    unlisted = Daemon("", (), pid, started)
                    _send(unlisted, signal.SIGKILL)
                    _wait_for_end(unlisted, GRACE)

    def pause(self, name: str) -> None:
        """Stop a daemon's clock (SIGSTOP)."""
        _send(self._get_running(name), signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused daemon go on."""
        _send(self._get_running(name), signal.SIGCONT)

    def is_running(self, name: str) -> bool:
        """Tell whether the daemon of that name runs."""
        daemon = self._read().get(name)
        return daemon is not None and _runs(daemon)

    def check(self) -> None:
        """Raise :class:`DaemonDied` when one that was started has ended."""
        for name, daemon in self._read().items():
            if not _runs(daemon):
                raise DaemonDied(f"{name} has ended; the end of its log:\n{self.read_tail(name)}")

    def get(self, name: str) -> Daemon:
        """What is known of the daemon of that name; KeyError if it was never started."""
        return self._read()[name]

    def names(self) -> list[str]:
        """Names of all that were started and not forgotten, in the order of their start."""
        return list(self._read())

    def forget(self, name: str) -> None:
        """Strike a daemon that was ended for good from the list."""
        with self._changing():
            self._write({key: each for key, each in self._read().items() if key != name})

    def log(self, name: str) -> Path:
        """Where a daemon's output goes."""
        return self._folder / "logs" / f"{name}.log"

    def read_tail(self, name: str, lines: int = 20) -> str:
        """The last lines of a daemon's log."""
        if not self.log(name).exists():
            return ""
        with self.log(name).open("rb") as log:
            log.seek(max(0, self.log(name).stat().st_size - 200 * lines))
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def measure_memory(self) -> dict[str, int]:
        """Resident bytes of each running daemon."""
        running = {name: each.pid for name, each in self._read().items() if _runs(each)}
        return {name: _read_resident(pid) for name, pid in running.items()}

    def _get_running(self, name: str) -> Daemon:
        daemon = self._read()[name]
        if not _runs(daemon):
            raise DaemonDied(f"{name} does not run; the end of its log:\n{self.read_tail(name)}")
        return daemon

    def _spawn(self, name: str, words: list[str], environment: Mapping[str, str]) -> int:
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        # Not `subprocess`: it warns of a child that still runs when its handle is dropped.
        return os.posix_spawnp(
            words[0],
            words,
            # They may take some memory if they collect garbage less often, for there are many.
            {"GOGC": "300", **os.environ, **environment, MARK: str(self._folder)},
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_CLOSE, number) for number in _list_inheritable()),
            ],
        )

    def _read(self) -> dict[str, Daemon]:
        try:
            raw = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {
            each["name"]: Daemon(
                **{**each, "argv": tuple(each["argv"]), "within": tuple(each["within"])}
            )
            for each in raw
        }

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one thread or process at a time read the list and write it anew."""
        with self._file.with_suffix(".lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, daemons: Mapping[str, Daemon]) -> None:
        write_atomically(self._file, json.dumps([asdict(each) for each in daemons.values()]))


def read_start(pid: int) -> int | None:
    """A process's start in clock ticks since boot; None when it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name, in parentheses, may hold anything.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def _runs(daemon: Daemon) -> bool:
    return read_start(daemon.pid) == daemon.started


def _send(daemon: Daemon, number: signal.Signals) -> None:
    if _runs(daemon):
        with suppress(ProcessLookupError):
            os.kill(daemon.pid, number)


def _wait_for_end(daemon: Daemon, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _runs(daemon):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    # Where it is this process's own child it would stay as a zombie.
    with suppress(ChildProcessError):
        os.waitpid(daemon.pid, os.WNOHANG)
    return True


def _wait_for_child(parent: int, seconds: float = 5.0) -> int:
    """Wait until `parent` has forked, and return its child."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and read_start(parent) is not None:
        if words := children.read_text(encoding="utf-8").split():
            return int(words[0])
        time.sleep(0.01)
    raise DaemonDied("it ended, or started nothing, before it could be looked at")


def _list_inheritable() -> list[int]:
    """Descriptors that a program started by this process would inherit, but for the first three."""
    numbers = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                numbers.append(int(name))
    return numbers


def _read_resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
