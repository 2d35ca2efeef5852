"""The programs that the supervisor keeps running, and what is left of them.

A :class:`Child` is started again when it dies, later each time. What a killed supervisor left is
found by a record of process numbers and start times, since numbers alone are used again. Used by
the supervisor.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from hub_config.spawners.logs import bound_log

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
SETTLED_SECONDS = 60.0
# JupyterHub's and tornado's "[E 2026-…" (they warn at each start of what is meant to be so), and
# the JSON lines of the jobs service.
ALARM = re.compile(r'^\[[EC] |"level": ?"(warning|error|critical)"', re.IGNORECASE)


@dataclass(frozen=True)
class Program:
    """What to run.

    Attributes:
        name: what people call it.
        command: program and arguments.
        environment: the whole environment.
        folder: working folder.
        log: file that gets its output.
        before: what must be cleared away before each start.
        refusal: exit code of a program that somebody has to mend something for.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    before: Callable[[], None] | None = None
    refusal: int | None = None


@dataclass
class Child:
    """A program that is kept running. ``say`` gets one line for people per event."""

    program: Program
    say: Callable[[str], None]
    process: subprocess.Popen[bytes] | None = None
    #: The last start was refused: somebody has to mend something.
    is_refused: bool = False
    _read_bytes: int = 0
    _started: float = 0.0
    _next_start: float = 0.0
    _wait_seconds: float = FIRST_WAIT_SECONDS
    _family: list[psutil.Process] = field(default_factory=list)

    def start(self) -> None:
        """Start the program, in a session of its own: Ctrl-C is the supervisor's to pass on."""
        program = self.program
        if program.before:
            program.before()
        self.bound_log()
        self._started = time.monotonic()
        with program.log.open("ab") as output:
            self._read_bytes = output.tell()
            self.process = subprocess.Popen(
                program.command,
                env=dict(program.environment),
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def tend(self) -> bool:
        """Start the program again if it died and its time has come; say what it complained about.

        Returns:
            Whether it was started.
        """
        if self.process is not None:
            self.tell_alarms()
            self.bound_log()
            status = self.process.poll()
            if status is None:
                return False
            self.process = None
            now = time.monotonic()
            if now - self._started > SETTLED_SECONDS:
                self._wait_seconds = FIRST_WAIT_SECONDS
            self._next_start = now + self._wait_seconds
            self.is_refused = status == self.program.refusal
            if self.is_refused:
                self.say(self.read_last_line())
            else:
                self.say(
                    f"The {self.program.name} ended ({word_status(status)}); starting it again in"
                    f" {self._wait_seconds:g} s. Its log: {self.program.log}"
                )
            self._wait_seconds = min(self._wait_seconds * 2, LONGEST_WAIT_SECONDS)
        if time.monotonic() < self._next_start:
            return False
        self.start()
        return True

    def bound_log(self) -> None:
        """Keep the log from filling the disk."""
        if bound_log(self.program.log):
            self._read_bytes = 0

    def tell_alarms(self) -> None:
        """Pass warnings and errors of the log on to the terminal."""
        try:
            with self.program.log.open("rb") as log:
                log.seek(self._read_bytes)
                new = log.read(2**20)
        except OSError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if ALARM.search(line):
                self.say(f"{self.program.name}: {line[:300]}")

    def read_last_line(self) -> str:
        """What the program said last."""
        with self.program.log.open("rb") as log:
            log.seek(-min(2**14, log.seek(0, os.SEEK_END)), os.SEEK_END)
            lines = log.read().decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "")

    def ask_to_end(self) -> None:
        """Ask the program to end, and remember whom it must take along."""
        if self.process is None or self.process.poll() is not None:
            return
        try:
            self._family = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            self._family = []
        self.process.send_signal(signal.SIGTERM)

    def wait_for_end(self, deadline: float) -> None:
        """Wait for the end until ``deadline`` (monotonic), then end it and what it left."""
        if self.process is not None:
            try:
                self.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.say(f"The {self.program.name} did not end in time and was killed.")
                self.process.kill()
                self.process.wait()
        kill_all(self._family)
        self.process = None


def word_status(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit code {status}"


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kill those that still run, and wait until they are gone."""
    left = []
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
        left.append(process)
    psutil.wait_procs(left, timeout=5)


def write_record(path: Path, children: Iterable[Child]) -> None:
    """Write down which processes are ours."""
    record = [
        {"pid": child.process.pid, "started": psutil.Process(child.process.pid).create_time()}
        for child in children
        if child.process is not None and child.process.poll() is None
    ]
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(record), encoding="ascii")
    aside.rename(path)


def kill_recorded(path: Path) -> int:
    """Kill what an earlier supervisor left; runners and servers are not among them.

    They are killed, not asked: asked, they would end the jobs and servers that shall go on.

    Returns:
        How many there were.
    """
    try:
        record: Any = json.loads(path.read_text(encoding="ascii"))
        known = [(int(each["pid"]), float(each["started"])) for each in record]
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, TypeError, KeyError):
        known = []
    left = []
    for pid, started in known:
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - started) < 1:
                left.append(process)
        except psutil.NoSuchProcess:
            continue
    kill_all(left)
    path.unlink(missing_ok=True)
    return len(left)


def end_proxy(pid_file: Path) -> None:
    """End the proxy of a hub that was killed, and forget a number that is another's by now.

    The hub itself would trust the number alone, and a proxy that nobody reaped would stop it.
    """
    try:
        process = psutil.Process(int(pid_file.read_text(encoding="ascii")))
        if any("configurable-http-proxy" in word for word in process.cmdline()):
            kill_all([process])
    except (OSError, ValueError, psutil.Error):
        pass  # nothing is there, or nothing that is ours
    pid_file.unlink(missing_ok=True)


def base_environment() -> dict[str, str]:
    """Our own environment without what changes how Python finds modules."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
