"""The spawner of one machine: a user's server is a process from the environment of its image.

Place in the path: the hub calls it after the form (or the REST API) gave options; it checks them
with :func:`hub_config.platform.choices.choose`, turns the choice into a workspace and that into a
process, and lets JupyterHub's own LocalProcessSpawner run it. No system users are needed:
everybody's server runs as who started the hub, which the demonstration login says. Only
:mod:`hub_config.apply` imports it.
"""

import asyncio
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Instance, default

from hub_config.homes import RETIRED
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Choice, Machine
from hub_config.platform.processes import Process, build_process, measure
from hub_config.platform.sentences import describe_start
from hub_config.platform.waiting import Waiting
from hub_config.platform.workspace import Kind, build_session_variables, build_workspace
from hub_config.settings import LOOPBACK
from hub_config.shown import ShownError
from hub_config.spawners.choosing import ChoosingSpawner
from hub_config.spawners.examples import PLACE, give_examples
from hub_config.spawners.logs import bound_log
from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Reason


@dataclass(frozen=True)
class LocalOffering:
    """What all sessions on this machine share.

    Attributes:
        catalogue: what there is to choose from.
        state: folder with the homes and the logs.
        environments: folder of the images' environments.
        cores: cores of this machine.
        memory_bytes: memory of this machine.
        gpus: GPUs of this machine.
    """

    catalogue: Catalogue
    state: Path
    environments: Path
    cores: int
    memory_bytes: int
    gpus: int

    def __deepcopy__(self, memo: object) -> "LocalOffering":
        """Itself: traitlets copies configured values, and nothing here can change."""
        return self

    def measure(self) -> Machine:
        """What this machine can give now; an image may have been built since the last look."""
        return measure(
            self.catalogue,
            self.environments,
            cores=self.cores,
            memory_bytes=self.memory_bytes,
            gpus=self.gpus,
        )


async def can_connect(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


class LocalSpawner(ChoosingSpawner, LocalProcessSpawner):  # type: ignore[misc]  # no types
    """One jupyterhub-singleuser process per user."""

    offering = Instance(LocalOffering, help="What all sessions on this machine share.").tag(
        config=True
    )

    # Each start takes the next cores, so that two small sessions do not share one.
    _turns = itertools.count()
    _process: Process | None = None
    _longest_seconds = 0
    _started = 0.0

    # ---- what may be chosen, and what was

    @property
    def catalogue(self) -> Catalogue:
        """What there is to choose from."""
        return self.offering.catalogue

    def measure(self) -> Machine:
        """What this machine can give now."""
        return self.offering.measure()

    def prepare_choice(self, choice: Choice) -> None:
        """Decide what process to start."""
        offering = self.offering
        workspace = build_workspace(offering.catalogue, self.build_person(), choice, Kind.SESSION)
        self._process = build_process(
            workspace, offering.state, offering.environments, self.measure(), os.environ
        )
        self._longest_seconds = workspace.longest_seconds
        self.cpu_limit = float(self._process.cores)
        self.mem_limit = self._process.memory_bytes

    # ---- the process

    async def start(self) -> Any:
        """Start the server that :meth:`prepare_choice` decided on."""
        process = self._process
        if process is None:
            raise RuntimeError("the hub started a server without applying its options")
        self.begin_session()
        self.note_session(SessionState.STARTING, Reason.JUPYTER_START)
        try:
            make_folders(process)
        except OSError as error:
            sentence = f"Your home folder cannot be made: {error.strerror}."
            raise ShownError(500, sentence) from error
        try:
            give_examples(process.python.parents[1] / PLACE, process.home)
        except OSError as error:
            # A full or broken home is the more reason to let its owner in.
            self.log.warning("Examples were not copied for %s: %s", self._log_name, error.strerror)
        # -s -P: neither packages in the home nor files in the folder can break the server; the
        # kernels that it starts see the home's packages again.
        self.cmd = [str(process.python), "-s", "-P", "-m", "jupyterhub.singleuser"]
        if os.geteuid() == 0:
            self.cmd.append("--allow-root")  # as in a container; the server refuses otherwise
        log = self.offering.state / "logs" / f"session-{process.home.name}.log"
        bound_log(log)
        with log.open("ab") as output:
            self.popen_kwargs = {"cwd": process.home, "stdout": output, "stderr": output}
            address = await super().start()
        self.popen_kwargs = {}
        self._started = psutil.Process(self.pid).create_time()
        await self.wait_until_listening(log)
        self.note_session(SessionState.RUNNING)
        return address

    async def wait_until_listening(self, log: Path) -> None:
        """Return when the server can be reached; the hub's start timeout bounds the wait.

        Raises:
            ShownError: when the process ended before, which the hub alone would not notice.
        """
        while not await can_connect(self.port):
            status = await self.poll()
            if status is not None:
                sentence = f"JupyterLab ended while it was starting; its log says why: {log}"
                self.log.error("Server of %s ended with status %s", self._log_name, status)
                raise ShownError(500, sentence)
            await asyncio.sleep(0.1)

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        return []  # the process's environment is complete; the hub's own is not for users

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """The process's environment and, over it, what the hub gives."""
        if self._process is None:
            return env
        home = self._process.home
        configuration = self.offering.state / "scratch" / home.name / "configuration"
        own = build_session_variables(str(home), str(configuration), self._longest_seconds)
        return {**self._process.environment, **env, **own}

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        """Bind the process to the cores of its class, where the system can."""
        cores = choose_cores(self._process.cores if self._process else 1, next(self._turns))

        def bind() -> None:
            if cores:
                os.sched_setaffinity(0, cores)

        return bind

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """The start in plain words."""
        if self._choice is not None:
            sentence = describe_start(Waiting(Reason.JUPYTER_START))
            message = f"{sentence}: {self.describe_choice()}."
            yield {"progress": 30, "message": message, "usual": self.describe_usual()}

    # ---- the end of the user

    async def retire_home(self, name: str) -> None:
        """Rename the home, and remove what was kept beside it."""
        home = self.build_person().home
        await asyncio.to_thread(retire, self.offering.state, home, name)

    # ---- after a restart of the hub

    def get_state(self) -> dict[str, Any]:
        """The process's number and start, so that a later process of that number is not it."""
        state: dict[str, Any] = super().get_state()
        if self.pid:
            state["started"] = self._started
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a server that outlived the hub."""
        super().load_state(state)
        self._started = state.get("started", 0.0)

    async def poll(self) -> int | None:
        """None while the server runs, else its exit status."""
        if self.proc is None and self.pid and not is_running(self.pid, self._started):
            self.clear_state()
        status: int | None = await super().poll()
        return status


def make_folders(process: Process) -> None:
    """Make the folders that the process expects."""
    for folder in process.folders:
        folder.mkdir(parents=True, exist_ok=True)


def retire(state: Path, home: str, name: str) -> None:
    """Rename the home of a user who is deleted; what can be made anew goes.

    Raises:
        OSError: the home is still where it was.
    """
    retired = state / "homes" / RETIRED
    retired.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        (state / "homes" / home).rename(retired / name)
    shutil.rmtree(state / "scratch" / home, ignore_errors=True)


def choose_cores(count: int, turn: int) -> frozenset[int]:
    """``count`` of the cores that the hub may use, beginning where ``turn`` points.

    Empty where the system cannot bind a process to cores (macOS).
    """
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    cores = sorted(os.sched_getaffinity(0))
    first = turn * count
    return frozenset(cores[(first + i) % len(cores)] for i in range(min(count, len(cores))))


def is_running(pid: int, started: float) -> bool:
    """Whether the process that started then still runs; one that nobody reaped does not."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
