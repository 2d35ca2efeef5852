"""The jobs service as a process that tests kill, with real runners, kernels and a real hub.

:class:`Target` starts, kills and starts again ``python -m offline_jobs.service`` on one state
folder; a whole platform beside it lends its hub and its users. Every notebook first appends a line
``<job> <attempt>`` to a file in the home: what really ran is read there, not in the service.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.service.backends.local.folder import AttemptFolder
from offline_jobs.service.backends.local.tree import kill_processes, list_processes
from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import Unavailable
from offline_jobs.service.store.store import Store
from tests.plain import NO_TLS
from tests.platform_fixture import ROOT, Platform
from tests.ports import find_free_port
from tests.service.core.factories import make_notebook
from tests.site import wait_until

API = f"{SERVICE_PREFIX}api/v1/"
APPEND = """\
import os, pathlib
home = pathlib.Path(os.environ["HOME"])
with (home / "ran").open("a") as file:
    file.write(os.environ["OFFLINE_JOB_ID"] + " " + os.environ["OFFLINE_JOB_ATTEMPT"] + "\\n")
"""
HOLD = """\
import time
while not (home / "go").exists():
    time.sleep(0.05)
"""
#: A kernel of the home that boots no sooner than the file ``boot`` appears there.
GATED = {"name": "gated", "source": "home"}
GATE = """\
import os, pathlib, sys, time
while not pathlib.Path(os.environ["HOME"], "boot").exists():
    time.sleep(0.05)
os.execv(sys.executable, [sys.executable, "-m", "ipykernel_launcher", "-f", sys.argv[1]])
"""
PHASES = ("before commit", "committed", "started, not recorded", "running", "ending")


@dataclass(frozen=True)
class Account:
    """Who submits, at which hub."""

    hub_api_url: str
    hub_token_file: Path
    token: str

    @classmethod
    def on(cls, platform: Platform, name: str = "ada") -> "Account":
        ports = json.loads((platform.state / "ports.json").read_text())
        user = platform.sign_in(name)
        return cls(
            hub_api_url=f"http://127.0.0.1:{ports['hub']}/hub/api",
            hub_token_file=platform.state / "secrets" / "service-token",
            token=user.api.headers["Authorization"].removeprefix("token "),
        )


@dataclass
class Target:
    """A jobs service on a state folder of its own."""

    folder: Path
    account: Account
    slots: int = 2
    process: subprocess.Popen[bytes] | None = None
    ports: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.state = self.folder / "state"
        self.home = self.state / "homes" / "ada"
        self.home.mkdir(parents=True)
        (self.state / "service").mkdir()
        self.key_file = self.folder / "key"
        self.key_file.write_text("k" * 64)
        self.ports = (find_free_port(), find_free_port())
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports[0]}",
            headers={"Authorization": f"token {self.account.token}"},
            timeout=20,
            trust_env=False,
            verify=NO_TLS,
        )
        self.database = f"sqlite:///{self.state / 'service' / 'jobs.sqlite'}"

    # The process.

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "OFFLINE_JOBS_STATE": str(self.state / "service"),
            "OFFLINE_JOBS_CATALOGUE": str(ROOT / "helm-values" / "catalogue.yaml"),
            "OFFLINE_JOBS_HUB_API_URL": self.account.hub_api_url,
            "OFFLINE_JOBS_HUB_TOKEN_FILE": str(self.account.hub_token_file),
            "OFFLINE_JOBS_RUN_TOKEN_KEY_FILE": str(self.key_file),
            "OFFLINE_JOBS_PUBLIC_PORT": str(self.ports[0]),
            "OFFLINE_JOBS_INTERNAL_PORT": str(self.ports[1]),
            "OFFLINE_JOBS_LOCAL_STATE": str(self.state),
            "OFFLINE_JOBS_LOCAL_ENVIRONMENTS": str(ROOT / "build" / "environments"),
            "OFFLINE_JOBS_LOCAL_SLOTS": str(self.slots),
            "OFFLINE_JOBS_LOCAL_CORES": "8",
            "OFFLINE_JOBS_LOCAL_MEMORY_BYTES": str(16 * 1024**3),
            "OFFLINE_JOBS_DEMONSTRATION": "1",
            **more,
        }

    def start(self, **more: str) -> None:
        """Start the service and go on at once."""
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "offline_jobs.service"],
                env=self.environment(more),
                stdout=log,
                stderr=log,
            )

    def start_and_wait(self, **more: str) -> None:
        self.start(**more)
        wait_until(self.answers, lambda: f"the service; its log:\n{self.log()}", 40)

    def answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended by itself:\n{self.log()}")
        try:
            return self.client.get(f"{API}jobs").status_code == 200
        except httpx.TransportError:
            return False

    def is_without_database(self) -> bool:
        """Whether it says that something is wrong with its database, while it is alive."""
        assert self.client.get("/live").status_code == 200
        return bool(self.client.get("/health").json()["status"] != "ok")

    def state_of(self, job_id: str) -> str:
        """A job's state; empty where the database is away."""
        answer = self.client.get(f"{API}jobs/{job_id}")
        return str(answer.json().get("state", ""))

    def kill(self) -> None:
        """SIGKILL, now."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def wait_for_its_death(self, seconds: float = 60) -> None:
        """Wait until it killed itself at the chosen step."""
        assert self.process is not None
        assert self.process.wait(seconds) == -signal.SIGKILL, self.log()

    def is_starting(self) -> bool:
        """Whether it does not serve yet."""
        try:
            self.client.get("/", timeout=5)
        except httpx.TransportError:
            return True
        return False

    def is_dead(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def terminate(self, seconds: float = 40) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(seconds)

    def log(self) -> str:
        return (self.folder / "service.log").read_text()[-6000:]

    def clear(self) -> None:
        """Kill what is left of service and runners, whatever the test came to."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.client.close()
        for folder in (self.state / "jobs").glob("job-*"):
            job, _, number = folder.name.removeprefix("job-").rpartition("-")
            kill_processes(job, int(number))

    # Its callers.

    def submit_once(self, key: str, *sources: str, **changes: Any) -> str | None:
        """Submit; ``None`` when the service died before it answered."""
        body = {
            "name": "line",
            "notebook": make_notebook(APPEND, *sources),
            "path": "line.ipynb",
            "group": "spatial-lab",
            "image": "notebook",
            "class": "small",
            "kernel": {"name": "python3", "source": "image"},
            "parameters": {},
            "time_limit_seconds": 600,
            "interruptible": False,
            **changes,
        }
        try:
            answer = self.client.post(f"{API}jobs", json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            return None
        if answer.status_code == 503:  # its database is away
            return None
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["id"])

    def submit(self, *sources: str, key: str = "", **changes: Any) -> str:
        """Submit with one key, again and again until it is accepted."""
        key = key or uuid.uuid4().hex
        found = wait_until(
            lambda: self.submit_once(key, *sources, **changes), "a submission accepted", 120
        )
        assert found is not None
        return found

    def install_gated_kernel(self) -> None:
        """Put the kernel :data:`GATED` into the home."""
        folder = self.home / ".local" / "share" / "jupyter" / "kernels" / GATED["name"]
        folder.mkdir(parents=True)
        python = ROOT / "build" / "environments" / "notebook" / "bin" / "python"
        spec = {
            "argv": [str(python), "-c", GATE, "{connection_file}"],
            "display_name": "Gated",
            "language": "python",
        }
        (folder / "kernel.json").write_text(json.dumps(spec))

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"{API}jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_for(self, job_id: str, *states: str, seconds: float = 120) -> dict[str, Any]:
        """The job, once it is in one of ``states``."""
        found: dict[str, Any] = {}

        def is_there() -> bool:
            found.update(self.job(job_id))
            return found["state"] in states

        try:
            wait_until(is_there, f"{states}", seconds)
        except AssertionError as e:
            raise AssertionError(f"{found}\n{self.log()}\n{self.runner_log(job_id)}") from e
        return found

    def wait_for_end(self, job_id: str, seconds: float = 180) -> dict[str, Any]:
        return self.wait_for(job_id, "succeeded", "failed", "cancelled", seconds=seconds)

    def runner_log(self, job_id: str) -> str:
        logs = sorted((self.state / "jobs").glob(f"job-{job_id}-*/runner.log"))
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in logs)

    # The world.

    def lines(self) -> Counter[tuple[str, int]]:
        """How often each attempt really began its first cell."""
        path = self.home / "ran"
        text = path.read_text() if path.exists() else ""
        pairs = [line.split() for line in text.splitlines()]
        return Counter((job, int(attempt)) for job, attempt in pairs)

    def attempts(self, job_id: str) -> list[int]:
        """Attempts that were made of a job."""
        folders = (self.state / "jobs").glob(f"job-{job_id}-*")
        return sorted(int(folder.name.rpartition("-")[2]) for folder in folders)

    def attempt_folder(self, job_id: str, number: int = 1) -> AttemptFolder:
        path = self.state / "jobs" / f"job-{job_id}-{number}"
        return AttemptFolder(path, job_id, number)

    def processes(self, job_id: str, number: int = 1) -> list[psutil.Process]:
        """Shim, runner, kernel and all of an attempt."""
        found = list_processes(job_id, number)
        handle = self.attempt_folder(job_id, number).handle()
        with suppress(psutil.NoSuchProcess, KeyError):
            shim = psutil.Process(handle["pid"])
            if shim.status() != psutil.STATUS_ZOMBIE:  # init is not always quick to bury
                found.append(shim)
        return found

    def check(self, ends: Mapping[str, Mapping[str, Any]]) -> None:
        """What must hold of all jobs that ended, whatever was killed when."""
        lines = self.lines()
        assert not [key for key, count in lines.items() if count > 1], lines
        assert {job for job, _ in lines} <= set(ends), "something ran that nobody submitted"
        for job_id, end in ends.items():
            began = [number for job, number in lines if job == job_id]
            assert len(began) <= 1, f"{job_id}: an attempt after one that began: {began}"
            if end["state"] == "succeeded":
                assert len(began) == 1, f"{job_id} succeeded and never ran"
            if began:
                assert self.attempts(job_id)[-1] == began[0], f"{job_id}: an attempt too many"
            for number in self.attempts(job_id):
                assert not self.processes(job_id, number), f"{job_id}: something still runs"

    def phase(self, key: str) -> str:
        """In which phase the submission with this key was when the service died."""
        store = Store(self.database, Changes())
        try:  # killed before its first migration, the service leaves no table
            with store._database.read() as connection:
                row = connection.exec_driver_sql(
                    "SELECT id, attempt, state, has_result FROM jobs WHERE idempotency_key = ?",
                    (key,),
                ).one_or_none()
            if row is None:
                return "before commit"
            attempt = store.attempt(row.id, row.attempt)
        except Unavailable:
            return "before commit"
        finally:
            store.close()
        assert attempt is not None
        seen = self.attempt_folder(row.id, row.attempt).phase()
        if row.state in ("succeeded", "failed", "cancelled"):
            return "ended"
        if attempt.launched is None:
            return "committed" if seen in ("absent", "waiting") else "started, not recorded"
        # The executed notebook is handed over before the record; an earlier copy is no end.
        is_handed_over = row.has_result and attempt.cell == attempt.total
        ending = is_handed_over or attempt.result or seen == "ended" or attempt.phase == "ending"
        return "ending" if ending else "running"


@contextmanager
def target(folder: Path, account: Account, slots: int = 2) -> Iterator[Target]:
    """A target that is cleared away at the end."""
    made = Target(folder, account, slots)
    try:
        yield made
    finally:
        made.clear()


def wait_at_random(chance: random.Random, longest: float) -> None:
    """Let a random time pass: here the moment is the subject, nothing is waited for."""
    time.sleep(chance.uniform(0, longest))
