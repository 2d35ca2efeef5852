"""A whole platform for tests: the real supervisor, hub, proxy, jobs service and user servers.

:class:`Platform` is what ``make run`` starts, on free ports and with a state folder of its own.
The hub and browser rings import it::

    with Platform(tmp_path / "state").running() as platform:
        ada = platform.sign_in("ada")            # an httpx client with ada's cookies
        ada.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})
        ada.client.get("/user/ada/api/status")

Everything waits on conditions with a deadline; nothing sleeps for a time that is hoped to be
enough. On failure ``platform.logs()`` is what the processes wrote.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.ports import find_free_port
from tests.site import Site, wait_until

ROOT = Path(__file__).resolve().parents[1]


def find_processes(state: Path) -> list[psutil.Process]:
    """Living processes that name the state folder in command or environment, or work in it."""
    return [each for each in psutil.process_iter() if names(each, state)]


def names(process: psutil.Process, state: Path) -> bool:
    """Whether it lives, is not this one, and names the state folder."""
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        words = [*process.cmdline(), *process.environ().values(), process.cwd()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(str(state) in word for word in words)


@dataclass
class Platform(Site):
    """One ``make run``, without make. See the module's text."""

    state: Path
    port: int = field(default_factory=find_free_port)
    root: Path = ROOT
    python: str = sys.executable
    module: str = "hub_config.embedded"
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the platform is served, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def homes(self) -> Path:
        """The folder of the homes."""
        return self.state / "homes"

    @property
    def service_state(self) -> Path:
        """The folder with what the jobs service stores."""
        return self.state / "service"

    @property
    def output(self) -> str:
        """What ``make run`` would have shown."""
        file = self.state.with_name(f"{self.state.name}.out")
        return file.read_text() if file.exists() else ""

    def start(self) -> None:
        """Start the supervisor and go on at once."""
        self.state.parent.mkdir(parents=True, exist_ok=True)
        command = [self.python, "-m", self.module, "--port", str(self.port)]
        command += ["--state", str(self.state), "--root", str(self.root), *self.options]
        with self.state.with_name(f"{self.state.name}.out").open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_until_served(self, seconds: float = 240) -> None:
        """Wait until the login page answers; fail at once when the supervisor ends."""

        def is_served() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"make run ended:\n{self.output}"
            return "Sign in as" in self.output and self.answers("/hub/login")

        wait_until(is_served, lambda: f"the login page; so far:\n{self.output}", seconds)

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 60) -> int:
        """Send a signal to the supervisor and wait for its end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill_all(self) -> None:
        """Kill whatever is left and close the users' connections; for the end of a test."""
        self.close_users()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        left = find_processes(self.state)
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=10)

    @contextmanager
    def running(self) -> Iterator[Platform]:
        """The platform, started and served; ended in order, and by force if that fails."""
        self.start()
        try:
            self.wait_until_served()
            yield self
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            self.kill_all()

    def processes(self) -> list[psutil.Process]:
        """Living processes of this platform."""
        return find_processes(self.state)

    def child(self, words: str) -> psutil.Process:
        """The process of this platform with ``words`` in its command."""

        def find() -> psutil.Process | None:
            for process in self.processes():
                try:
                    if words in " ".join(process.cmdline()):
                        return process
                except psutil.NoSuchProcess:
                    continue
            return None

        found = wait_until(find, f"a process with {words!r}", 20)
        assert found is not None
        return found

    def logs(self) -> str:
        """Everything that the processes wrote, for a failed test."""
        parts = [f"===== make run\n{self.output}"]
        for log in sorted((self.state / "logs").glob("*.log")):
            parts.append(f"===== {log.name}\n{log.read_text(errors='replace')[-20_000:]}")
        return "\n".join(parts)
