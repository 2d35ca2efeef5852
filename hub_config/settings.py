"""What the hub is told from outside, parsed once.

:func:`parse_settings` turns an environment into :class:`Settings` of a hub on one machine, which
:mod:`hub_config.embedded` writes; :mod:`hub_config.values` makes the same of a chart's values.
Either says everything that is missing. ``apply`` reads the result; nobody below it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.catalogue_file import load_catalogue
from hub_config.platform.errors import ConfigurationError
from hub_config.platform.login import Login

PREFIX = "NOTEBOOK_HPC_"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class OneMachine:
    """Sessions are processes of this machine.

    Attributes:
        state: folder that holds everything which must outlive a process.
        environments: folder of uv environments; an image's slug is its environment's name.
        cores: cores of this machine.
        memory_bytes: memory of this machine.
        gpus: GPUs of this machine.
    """

    state: Path
    environments: Path
    cores: int
    memory_bytes: int
    gpus: int


@dataclass(frozen=True)
class Cluster:
    """Sessions are pods.

    Attributes:
        namespace: where they are made.
        start_seconds: how long a start may take; a machine and a large image need minutes.
        pull_policy: when the kubelet asks the registry for an image.
    """

    namespace: str
    start_seconds: int
    pull_policy: str


@dataclass(frozen=True)
class Settings:
    """Settings of a hub.

    Attributes:
        catalogue: what there is to choose from.
        sessions: what sessions are.
        demonstration_host: with it, the demonstration login serves under this name or address.
        login: with it, people sign in at this provider.
        public_url: where browsers find the hub, where somebody has to know.
        bind_url: where the proxy listens.
        subdomain_host: scheme and host of the hub, maybe a port, where each user has a host below
            it; empty: all are on one.
        hub_bind_url: where the hub itself listens, behind the proxy.
        hub_connect_url: where proxy and sessions find the hub; empty: where it listens.
        proxy_api_url: the proxy's own API.
        proxy_token: what the hub says to it.
        proxy_command: starts configurable-http-proxy; empty: it runs already.
        proxy_pid_file: where a proxy of ours leaves its number.
        database_url: the hub's database.
        cookie_secret: signs the hub's cookies.
        ends_sessions: an orderly end of the hub ends all sessions.
        jobs_url: the jobs service, for the proxy and for sessions.
        jobs_token: what the jobs service says to the hub.
        culler: the idle culler's entry among the services, beside its name, if there is one.
        idle_seconds: the culler stops a session that nobody uses for so long; 0: never.
        activity_seconds: how often a server reports its activity.
        metrics_token: what Prometheus says to the hub; empty where nobody scrapes it.
    """

    catalogue: Catalogue
    sessions: OneMachine | Cluster
    demonstration_host: str | None
    login: Login | None
    public_url: str
    bind_url: str
    subdomain_host: str
    hub_bind_url: str
    hub_connect_url: str
    proxy_api_url: str
    proxy_token: str
    proxy_command: tuple[str, ...]
    proxy_pid_file: str
    database_url: str
    cookie_secret: bytes
    ends_sessions: bool
    jobs_url: str
    jobs_token: str
    culler: Mapping[str, Any] | None
    idle_seconds: int
    activity_seconds: int
    metrics_token: str = ""


def parse_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from ``NOTEBOOK_HPC_*`` variables and from the secret files in the state folder.

    Raises:
        ConfigurationError: naming every variable that is missing or not a number, or every mistake
            of the catalogue.
    """
    needed = (
        "CATALOGUE",
        "STATE",
        "ENVIRONMENTS",
        "CORES",
        "MEMORY_BYTES",
        "GPUS",
        "PORT",
        "HUB_PORT",
        "PROXY_API_PORT",
        "SERVICE_PORT",
        "PROXY_COMMAND",
    )
    missing = [PREFIX + name for name in needed if not environment.get(PREFIX + name)]
    if missing:
        raise ConfigurationError(f"The hub needs these variables: {', '.join(missing)}.")

    def path(name: str) -> Path:
        return Path(environment[PREFIX + name])

    def number(name: str, default: int | None = None) -> int:
        text = environment.get(PREFIX + name) or str(default)
        if not text.isdecimal():
            raise ConfigurationError(f"{PREFIX}{name} must be a whole number, not {text!r}.")
        return int(text)

    state = path("STATE")
    secrets = state / "secrets"
    host = environment.get(PREFIX + "HOST") or LOOPBACK
    return Settings(
        catalogue=load_catalogue(path("CATALOGUE")),
        sessions=OneMachine(
            state=state,
            environments=path("ENVIRONMENTS"),
            cores=number("CORES"),
            memory_bytes=number("MEMORY_BYTES"),
            gpus=number("GPUS"),
        ),
        demonstration_host=host,
        login=None,
        public_url="",
        bind_url=f"http://{host}:{number('PORT')}",
        subdomain_host="",
        hub_bind_url=f"http://{LOOPBACK}:{number('HUB_PORT')}",
        hub_connect_url="",
        proxy_api_url=f"http://{LOOPBACK}:{number('PROXY_API_PORT')}",
        proxy_token=read_secret(secrets / "proxy-token"),
        proxy_command=tuple(environment[PREFIX + "PROXY_COMMAND"].split("\n")),
        proxy_pid_file=str(state / "hub" / "proxy.pid"),
        database_url=f"sqlite:///{state / 'hub' / 'jupyterhub.sqlite'}",
        cookie_secret=parse_cookie_secret(read_secret(secrets / "cookie-secret")),
        ends_sessions=True,
        jobs_url=f"http://{LOOPBACK}:{number('SERVICE_PORT')}",
        jobs_token=read_secret(secrets / "service-token"),
        culler={"api_token": read_secret(secrets / "culler-token")},
        idle_seconds=number("IDLE_SECONDS", 0),
        activity_seconds=number("ACTIVITY_SECONDS", 300),
    )


def choose_activity_seconds(idle_seconds: int) -> int:
    """How often a server is to report its activity where idleness of ``idle_seconds`` ends it.

    Often enough for a busy server to be heard of several times meanwhile.
    """
    return max(1, min(300, idle_seconds // 4))


def read_secret(path: Path) -> str:
    """The text of a secret file.

    Raises:
        ConfigurationError: when it cannot be read or is empty.
    """
    try:
        secret = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(f"The secret {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise ConfigurationError(f"The secret {path} is empty.")
    return secret


def parse_cookie_secret(text: str) -> bytes:
    """The cookie secret in hexadecimal.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise ConfigurationError("The cookie secret is not hexadecimal.") from error
