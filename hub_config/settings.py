"""What the hub is told from outside, parsed once.

``parse_settings`` turns an environment into :class:`Settings` or says everything that is missing.
:mod:`hub_config.embedded` writes that environment for the hub that it starts; ``apply`` reads the
result. Standard library only; nobody below :mod:`hub_config.apply` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hub_config.errors import ConfigurationError

PREFIX = "NOTEBOOK_HPC_"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Settings:
    """Settings of a hub on one machine.

    Attributes:
        catalogue: the catalogue's file.
        state: folder that holds everything which must outlive a process.
        environments: folder of uv environments; an image's slug is its environment's name.
        examples: notebooks that every new home gets.
        cores: cores of this machine.
        memory_bytes: memory of this machine.
        gpus: GPUs of this machine.
        host: address that the proxy listens on.
        port: port that the proxy listens on.
        hub_port: port of the hub itself, behind the proxy.
        proxy_port: port of the proxy's own API.
        service_port: public port of the jobs service, behind the proxy.
        proxy_command: starts configurable-http-proxy.
        activity_seconds: how often a server reports its activity.
        proxy_token: what the hub says to the proxy's API.
        service_token: what the jobs service says to the hub.
        culler_token: what the idle culler says to the hub.
        cookie_secret_file: signs the hub's cookies.
    """

    catalogue: Path
    state: Path
    environments: Path
    examples: Path
    cores: int
    memory_bytes: int
    gpus: int
    host: str
    port: int
    hub_port: int
    proxy_port: int
    service_port: int
    proxy_command: tuple[str, ...]
    activity_seconds: int
    proxy_token: str
    service_token: str
    culler_token: str
    cookie_secret_file: Path


def parse_settings(environment: Mapping[str, str]) -> Settings:
    """Settings from ``NOTEBOOK_HPC_*`` variables and from the secret files in the state folder.

    Raises:
        ConfigurationError: naming every variable that is missing or not a number.
    """
    needed = (
        "CATALOGUE",
        "STATE",
        "ENVIRONMENTS",
        "EXAMPLES",
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

    secrets = path("STATE") / "secrets"
    return Settings(
        catalogue=path("CATALOGUE"),
        state=path("STATE"),
        environments=path("ENVIRONMENTS"),
        examples=path("EXAMPLES"),
        cores=number("CORES"),
        memory_bytes=number("MEMORY_BYTES"),
        gpus=number("GPUS"),
        host=environment.get(PREFIX + "HOST") or LOOPBACK,
        port=number("PORT"),
        hub_port=number("HUB_PORT"),
        proxy_port=number("PROXY_API_PORT"),
        service_port=number("SERVICE_PORT"),
        proxy_command=tuple(environment[PREFIX + "PROXY_COMMAND"].split("\n")),
        activity_seconds=number("ACTIVITY_SECONDS", 300),
        proxy_token=read_secret(secrets / "proxy-token"),
        service_token=read_secret(secrets / "service-token"),
        culler_token=read_secret(secrets / "culler-token"),
        cookie_secret_file=secrets / "cookie-secret",
    )


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
