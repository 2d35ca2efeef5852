"""A whole platform for tests: the real supervisor, hub, proxy, jobs service and user servers.

:class:`Platform` is what ``make run`` starts, on free ports and with a state folder of its own.
The hub and browser rings import it::

    with Platform(tmp_path / "state").running() as platform:
        ada = platform.sign_in("ada")            # an httpx client with ada's cookies
        ada.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})
        ada.client.get("/user/ada/api/status")

Everything waits on conditions with a deadline (:func:`wait_until`); nothing sleeps for a time that
is hoped to be enough. On failure ``platform.logs()`` is what the processes wrote.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "demonstration"
T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, seconds: float = 60) -> T:
    """What ``condition`` returns as soon as it is true; fails with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
        time.sleep(0.1)


def find_free_port() -> int:
    """A port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def find_processes(state: Path) -> list[psutil.Process]:
    """Living processes that name the state folder in command or environment, or work in it."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = [*process.cmdline(), *process.environ().values(), process.cwd()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(str(state) in word for word in words):
            found.append(process)
    return found


@dataclass
class User:
    """A signed-in user: ``client`` has the browser's cookies, ``api`` a token of the user's."""

    name: str
    client: httpx.Client
    api: httpx.Client

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.api.close()

    def post_form(self, fields: Mapping[str, str | list[str]]) -> httpx.Response:
        """Send the start form as a browser does."""
        page = self.client.get("/hub/spawn")
        assert page.status_code == 200, page.text
        token = self.client.cookies.get("_xsrf", path="/hub/")
        return self.client.post("/hub/spawn", params={"_xsrf": token or ""}, data=dict(fields))

    def post_server(self, options: object) -> httpx.Response:
        """Ask for a session by the REST API, with any options at all."""
        return self.api.post(f"/hub/api/users/{self.name}/server", json=options)

    def start_session(self, options: Mapping[str, str]) -> None:
        """Start a session and wait until Lab's page is served."""
        answer = self.post_server(dict(options))
        assert answer.status_code in (201, 202), answer.text
        self.wait_for_lab()

    def wait_for_lab(self, seconds: float = 60) -> None:
        """Wait until the session answers ``/lab``."""

        def is_served() -> bool:
            answer = self.client.get(f"/user/{self.name}/lab", follow_redirects=True)
            return answer.status_code == 200 and "jupyter-config-data" in answer.text

        wait_until(is_served, f"JupyterLab of {self.name}", seconds)

    def stop_session(self) -> None:
        """Stop the session and wait until it is gone."""
        answer = self.api.delete(f"/hub/api/users/{self.name}/server")
        assert answer.status_code in (202, 204, 404), answer.text
        wait_until(lambda: not self.server(), f"the session of {self.name} to stop")

    def server(self) -> dict[str, Any]:
        """The hub's record of the session; empty without one."""
        user = self.api.get(f"/hub/api/users/{self.name}").json()
        server: dict[str, Any] = user["servers"].get("", {})
        return server


@dataclass
class Platform:
    """One ``make run``, without make. See the module's text."""

    state: Path
    port: int = field(default_factory=find_free_port)
    root: Path = ROOT
    python: str = sys.executable
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    users: list[User] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the platform is served, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """What ``make run`` would have shown."""
        file = self.state.with_name(f"{self.state.name}.out")
        return file.read_text() if file.exists() else ""

    def start(self) -> None:
        """Start the supervisor and go on at once."""
        self.state.parent.mkdir(parents=True, exist_ok=True)
        command = [self.python, "-m", "hub_config.embedded", "--port", str(self.port)]
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

    def wait_until_served(self, seconds: float = 90) -> None:
        """Wait until the login page answers; fail at once when the supervisor ends."""

        def is_served() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"make run ended:\n{self.output}"
            return "Sign in as" in self.output and self.answers("/hub/login")

        wait_until(is_served, f"the login page; so far:\n{self.output}", seconds)

    def answers(self, path: str) -> bool:
        """Whether a page answers 200 now."""
        try:
            return httpx.get(self.url + path, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 60) -> int:
        """Send a signal to the supervisor and wait for its end; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill_all(self) -> None:
        """Kill whatever is left and close the users' connections; for the end of a test."""
        for user in self.users:
            user.close()
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

    def sign_in(self, name: str, password: str = PASSWORD) -> User:
        """Sign in through the login page; fails when refused. The platform closes the user."""
        client = httpx.Client(base_url=self.url, timeout=30)
        answer = self.post_login(client, name, password)
        assert answer.status_code == 302, answer.text
        token = client.cookies.get("_xsrf", path="/hub/") or ""
        made = client.post(
            f"/hub/api/users/{name}/tokens", json={"note": "test"}, headers={"X-XSRFToken": token}
        )
        if made.status_code == 403:  # signing in changed the token; a page shows the new one
            client.get("/hub/home")
            token = client.cookies.get("_xsrf", path="/hub/") or ""
            made = client.post(
                f"/hub/api/users/{name}/tokens",
                json={"note": "test"},
                headers={"X-XSRFToken": token},
            )
        assert made.status_code == 201, made.text
        api = httpx.Client(
            base_url=self.url,
            timeout=30,
            headers={"Authorization": f"token {made.json()['token']}"},
        )
        user = User(name, client, api)
        self.users.append(user)
        return user

    def post_login(
        self, client: httpx.Client, name: str, password: str, host: str | None = None
    ) -> httpx.Response:
        """Send the login form; ``host`` is the name that the browser believes it speaks to."""
        headers = {"Host": host} if host else {}
        client.get("/hub/login", headers=headers)
        token = client.cookies.get("_xsrf", path="/hub/") or ""
        return client.post(
            "/hub/login",
            data={"username": name, "password": password, "_xsrf": token},
            headers=headers,
        )

    def logs(self) -> str:
        """Everything that the processes wrote, for a failed test."""
        parts = [f"===== make run\n{self.output}"]
        for log in sorted((self.state / "logs").glob("*.log")):
            parts.append(f"===== {log.name}\n{log.read_text(errors='replace')[-20_000:]}")
        return "\n".join(parts)
