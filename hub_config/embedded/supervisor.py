"""`make run`: keeps the jobs service, the hub and the idle culler running side by side.

Place in the path: started by :mod:`hub_config.embedded.__main__` with checked arguments; it makes
the state folder, looks at the machine, starts the programs with their settings as environment,
starts again what dies, and ends everything when it is asked to. Nobody else imports it.
"""

import os
import select
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

from hub_config.embedded.children import (
    Child,
    Program,
    base_environment,
    end_proxy,
    kill_recorded,
    write_record,
)
from hub_config.embedded.leftovers import end_leftovers
from hub_config.embedded.machine import Found, look
from hub_config.embedded.state import choose_ports, hold_port, hold_state, prepare_state
from hub_config.logins.demonstration_users import PASSWORD, USERS
from hub_config.platform.catalogue_file import load_catalogue
from hub_config.platform.errors import ConfigurationError
from hub_config.platform.processes import is_built
from hub_config.settings import LOOPBACK, PREFIX, choose_activity_seconds, read_secret
from offline_jobs.contract.names import SERVICE_PREFIX

IMAGE_NEEDED = "notebook"
PORTS = ("hub", "proxy", "service", "runs")
LOOK_SECONDS = 0.2
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_SECONDS = 20.0
#: As the jobs service has it, of which the hub imports nothing.
SERVICE_REFUSES = 2


@dataclass(frozen=True)
class Order:
    """What ``make run`` was asked for. ``root`` is the checkout."""

    root: Path
    state: Path
    port: int
    idle_seconds: int

    @property
    def catalogue(self) -> Path:
        """The catalogue's file."""
        return self.root / "helm-values" / "catalogue.yaml"

    @property
    def environments(self) -> Path:
        """The folder of the images' environments."""
        return self.root / "build" / "environments"

    @property
    def url(self) -> str:
        """What people open."""
        return f"http://{LOOPBACK}:{self.port}/"


def run(order: Order, say: Callable[[str], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP.

    Raises:
        ConfigurationError: when it cannot start; the text is for the terminal.
    """
    load_catalogue(order.catalogue)
    require_programs(order)
    prepare_state(order.state)
    with hold_state(order.state):
        record = order.state / "supervisor.json"
        proxy_pid = order.state / "hub" / "proxy.pid"
        left = kill_recorded(record)
        end_proxy(proxy_pid)
        if left:
            say("Taking up what an earlier 'make run' left behind.")
        with hold_port(order.port):
            ports = choose_ports(order.state, PORTS)
        programs = build_programs(order, ports, look(), base_environment())
        say(f"Starting on {order.url}, with the state in {order.state}")
        children = [Child(program, say) for program in programs]
        # The hub is asked first: the proxy alone would log an error for each question.
        pages = (f"http://{LOOPBACK}:{ports['hub']}/hub/api/", f"{order.url}hub/login")
        try:
            serve(
                children,
                record,
                say,
                lambda: all(map(answers, pages)),
                partial(announce, order, say),
            )
        finally:
            # Those that were dead just then have ended nothing of theirs.
            end_proxy(proxy_pid)
            is_ended = end_leftovers(order.state, say)
        say("Everything has ended." if is_ended else "Some processes could not be ended.")


def require_programs(order: Order) -> None:
    """Make sure that what we start is installed.

    Raises:
        ConfigurationError: naming what makes it.
    """
    if not is_built(order.environments / IMAGE_NEEDED):
        raise ConfigurationError(
            f"The image {IMAGE_NEEDED!r} is not built in {order.environments}; 'make run' builds"
            " it and then starts."
        )
    if not find_proxy().is_file():
        raise ConfigurationError(
            f"The proxy {find_proxy()} is not installed; 'make run' installs it and then starts."
        )


def find_proxy() -> Path:
    """The proxy that belongs to this environment."""
    return Path(sys.prefix) / "bin" / "configurable-http-proxy"


def build_programs(
    order: Order, ports: dict[str, int], found: Found, base: dict[str, str]
) -> list[Program]:
    """The programs to keep running, the jobs service first."""
    secrets = order.state / "secrets"
    logs = order.state / "logs"
    hub_api = f"http://{LOOPBACK}:{ports['hub']}/hub/api"
    python = (sys.executable, "-s", "-P", "-m")
    service = {
        "OFFLINE_JOBS_STATE": order.state / "service",
        "OFFLINE_JOBS_CATALOGUE": order.catalogue,
        "OFFLINE_JOBS_HUB_API_URL": hub_api,
        "OFFLINE_JOBS_HUB_TOKEN_FILE": secrets / "service-token",
        "OFFLINE_JOBS_RUN_TOKEN_KEY_FILE": secrets / "run-token-key",
        "OFFLINE_JOBS_PUBLIC_HOST": LOOPBACK,
        "OFFLINE_JOBS_PUBLIC_PORT": ports["service"],
        "OFFLINE_JOBS_INTERNAL_HOST": LOOPBACK,
        "OFFLINE_JOBS_INTERNAL_PORT": ports["runs"],
        "OFFLINE_JOBS_BASE_PATH": SERVICE_PREFIX,
        "OFFLINE_JOBS_HUB_PUBLIC_URL": order.url,
        "OFFLINE_JOBS_BACKEND": "local",
        "OFFLINE_JOBS_LOCAL_STATE": order.state,
        "OFFLINE_JOBS_LOCAL_ENVIRONMENTS": order.environments,
        "OFFLINE_JOBS_LOCAL_CORES": found.cores,
        "OFFLINE_JOBS_LOCAL_MEMORY_BYTES": found.memory_bytes,
        "OFFLINE_JOBS_LOCAL_GPUS": found.gpus,
        "OFFLINE_JOBS_DEMONSTRATION": 1,
        "OFFLINE_JOBS_END_JOBS_ON_TERM": 1,
    }
    hub = {
        PREFIX + "CATALOGUE": order.catalogue,
        PREFIX + "STATE": order.state,
        PREFIX + "ENVIRONMENTS": order.environments,
        PREFIX + "CORES": found.cores,
        PREFIX + "MEMORY_BYTES": found.memory_bytes,
        PREFIX + "GPUS": found.gpus,
        PREFIX + "PORT": order.port,
        PREFIX + "HUB_PORT": ports["hub"],
        PREFIX + "PROXY_API_PORT": ports["proxy"],
        PREFIX + "SERVICE_PORT": ports["service"],
        PREFIX + "PROXY_COMMAND": find_proxy(),
        PREFIX + "IDLE_SECONDS": order.idle_seconds,
        PREFIX + "ACTIVITY_SECONDS": choose_activity_seconds(order.idle_seconds),
    }
    culler = {
        "JUPYTERHUB_API_URL": hub_api,
        "JUPYTERHUB_API_TOKEN": read_secret(secrets / "culler-token"),
    }

    def environment(own: dict[str, object]) -> dict[str, str]:
        return {**base, **{name: str(value) for name, value in own.items()}}

    return [
        Program(
            name="jobs service",
            command=(*python, "offline_jobs.service"),
            environment=environment(dict(service)),
            folder=order.state / "service",
            log=logs / "service.log",
            refusal=SERVICE_REFUSES,
        ),
        Program(
            name="hub",
            command=(*python, "jupyterhub", "-f", str(CONFIGURATION)),
            environment=environment(dict(hub)),
            folder=order.state / "hub",
            log=logs / "hub.log",
            before=lambda: end_proxy(order.state / "hub" / "proxy.pid"),
        ),
        Program(
            name="idle culler",
            command=(
                *python,
                "jupyterhub_idle_culler",
                f"--timeout={order.idle_seconds}",
                f"--cull-every={max(1, min(300, order.idle_seconds // 4))}",
            ),
            environment=environment(dict(culler)),
            folder=order.state / "hub",
            log=logs / "culler.log",
        ),
    ]


CONFIGURATION = Path(__file__).with_name("jupyterhub_config.py")


def serve(
    children: list[Child],
    record: Path,
    say: Callable[[str], None],
    is_served: Callable[[], bool],
    announce_served: Callable[[], None],
) -> None:
    """Keep the children running until a signal comes, then end them and what they started.

    Raises:
        ConfigurationError: one of them will not start, and nobody has been told to come yet.
    """
    announced = False
    with listening() as wait_for_signal:
        try:
            while True:
                # Each is started: a list, since any() would stop at the first.
                if any([child.tend() for child in children]):
                    write_record(record, children)
                if not announced and any(child.is_refused for child in children):
                    raise ConfigurationError("Mend that, then run it again.")
                if not announced and is_served():
                    announce_served()
                    announced = True
                if wait_for_signal(LOOK_SECONDS):
                    break
        finally:
            say("Ending jobs, sessions and hub.")
            end(children)
            record.unlink(missing_ok=True)


@contextmanager
def listening() -> Iterator[Callable[[float], bool]]:
    """Give what waits some seconds for SIGINT, SIGTERM or SIGHUP and tells whether one came.

    The interpreter writes a signal's number into a pipe and no handler of ours does anything: one
    that sets an event would wait for ever for the event's lock where it comes amid another such.
    Signals have no effect any more afterwards.

    Source: https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    try:
        yield lambda seconds: bool(select.select([reading], [], [], seconds)[0])
    finally:
        signal.set_wakeup_fd(-1)
        os.close(reading)
        os.close(writing)


def end(children: list[Child]) -> None:
    """End all children: the service ends its jobs, the hub its servers and its proxy."""
    for child in children:
        child.ask_to_end()
    deadline = time.monotonic() + END_SECONDS
    for child in children:
        child.wait_for_end(deadline)


def answers(url: str) -> bool:
    """Whether a page is served there."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310  (our own address)
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, HTTPException):
        return False


def announce(order: Order, say: Callable[[str], None]) -> None:
    """Tell people where to go."""
    names = [user.name for user in USERS]
    say("")
    say(f"  Open {order.url}")
    say(f"  Sign in as {', '.join(names[:-1])} or {names[-1]}; the password is {PASSWORD}.")
    say("  It answers on this machine only. Ctrl-C ends everything, running jobs too.")
    say(f"  Logs: {order.state / 'logs'}")
    say("")
