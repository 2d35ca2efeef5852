"""Settings of the service, from ``OFFLINE_JOBS_*`` of the environment.

Read once by ``__main__.py`` and handed to ``app.py``; nobody else reads them. Secrets come from
files, so that they are in no process list and no log.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from hub_config.platform.quantities import parse_seconds
from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.service.errors import StartRefused

_PREFIX = "OFFLINE_JOBS_"
#: What may hinder a start, each with a longest wait of its own: no machine comes, the image cannot
#: be pulled, something else keeps the pod from starting, its runner does not say a word.
WAITS = ("machine", "image", "obstacle", "report")
_SHORTEST_WAIT_SECONDS = 10
# Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?")


class Settings(BaseSettings):
    """One field per variable, in lower case without the prefix."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    #: Folder of what is not kept on a server: the database, and the object store.
    state: Path
    #: File with the address of a database on a server, ``postgresql://…``.
    database_url_file: Path | None = None
    catalogue: Path
    hub_api_url: str
    hub_token_file: Path
    run_token_key_file: Path
    public_host: str = "127.0.0.1"
    public_port: int = Field(0, ge=0, le=65535)
    internal_host: str = "127.0.0.1"
    internal_port: int = Field(0, ge=0, le=65535)
    base_path: str = Field(SERVICE_PREFIX, pattern=r"^/([A-Za-z0-9_.~-]+/)*$")
    #: Address of the hub as the browser sees it, ending in a slash.
    hub_public_url: str = Field("/", pattern=r"^(https?://[^/?#]+)?/([^?#]*/)?$")
    #: Address of this service as the browser sees it, ending in its base path; empty: the hub's
    #: host. Where users have subdomains the service has one, too.
    public_url: str = Field("", pattern=r"^(https?://[^/?#]+/([^?#]*/)?)?$")
    #: Address of the runner's side as runners see it; empty: its host and port.
    internal_url: str = ""
    #: Where notebooks and logs are kept, ``s3://bucket/prefix``; empty: a folder of the state.
    objects: str = ""
    #: Address of the server that has the bucket; empty: Amazon's.
    objects_endpoint: str = ""
    #: The bucket's region; empty: as boto3 finds it.
    objects_region: str = Field("", pattern=r"^[a-z0-9-]*$")
    #: Where Prometheus scrapes; no port: nowhere.
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(None, ge=0, le=65535)
    #: So long one step of the loop that starts jobs may take before the service counts as dead;
    #: its pauses are shorter than the least.
    stuck_seconds: int = Field(300, ge=6)
    backend: Literal["local", "volcano"] = "local"
    #: Of jobs and their pods, and nothing else.
    kubernetes_namespace: str = Field("offline-jobs", pattern=r"^[a-z0-9][-a-z0-9]{0,62}$")
    #: Credentials for the cluster; empty: those of the pod's ServiceAccount.
    kubeconfig: Path | None = None
    local_slots: int = Field(2, ge=1, le=64)
    local_state: Path | None = None
    local_environments: Path | None = None
    #: What this machine can give.
    local_cores: int = Field(1, ge=1)
    local_memory_bytes: int = Field(1024**3, ge=1)
    local_gpus: int = Field(0, ge=0)
    #: How long a runner that has ended tries to hand over its result while the service is away.
    local_patience_seconds: int = Field(600, ge=1)
    #: How long a runner of a cancelled job is waited for: before a signal, and again before it is
    #: killed.
    cancel_patience_seconds: int = Field(15, ge=1)
    #: At SIGTERM end the running jobs too, as ``make run`` promises; else they are left alone.
    end_jobs_on_term: bool = False
    #: How long the start of a job may be hindered, by what hinders it, where that is not what
    #: :class:`~offline_jobs.service.rules.steps.Patience` says: ``machine=45 min, image=20 min``.
    longest_waits: str = ""
    open_jobs_per_user: int = Field(200, ge=1, le=100_000)
    demonstration: bool = False
    crash_at: str = ""
    log_level: Literal["DEBUG", "INFO", "WARNING"] = "INFO"

    @field_validator("longest_waits")
    @classmethod
    def _check_waits(cls, value: str) -> str:
        parse_waits(value)
        return value

    @field_validator("objects")
    @classmethod
    def _check_objects(cls, value: str) -> str:
        if value and not _BUCKET.fullmatch(value):
            raise ValueError(
                "write s3://BUCKET or s3://BUCKET/PREFIX (letters, digits and . _ - in names), or"
                " nothing for a folder of the state"
            )
        return value

    @field_validator("objects_endpoint")
    @classmethod
    def _check_endpoint(cls, value: str, info: ValidationInfo) -> str:
        if value and not _ENDPOINT.fullmatch(value):
            raise ValueError("write the server's address alone, https://HOST or https://HOST:PORT")
        if value and not info.data.get("objects"):
            raise ValueError("it is of no use without OFFLINE_JOBS_OBJECTS: set that, or unset it")
        return value


def parse_waits(text: str) -> Mapping[str, float]:
    """``"machine=45 min"`` in seconds, by what is waited for.

    Raises:
        ValueError: it cannot be read; all mistakes are named, with what is allowed.
    """
    waits, mistakes = {}, []
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, _, length = (part.strip() for part in each.partition("="))
        if name not in WAITS:
            mistakes.append(f"{name!r} is nothing that is waited for; allowed: {', '.join(WAITS)}")
            continue
        try:
            waits[name] = float(parse_seconds(length))
        except ValueError as e:
            mistakes.append(f"{name}: {e}")
            continue
        if waits[name] < _SHORTEST_WAIT_SECONDS:
            mistakes.append(f"{name}: write at least {_SHORTEST_WAIT_SECONDS} s, not {length}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return waits


def check_address(settings: Settings) -> None:
    """See that the addresses fit, and that a cluster's browsers come by TLS.

    A cookie of theirs opens all that is theirs.

    Raises:
        StartRefused: they do not, and it is no demonstration.
    """
    own = urlsplit(settings.public_url)
    if settings.public_url and (
        own.path != settings.base_path or own.scheme != urlsplit(settings.hub_public_url).scheme
    ):
        raise StartRefused(
            f"{_PREFIX}PUBLIC_URL is {settings.public_url}: write the service's address as browsers"
            f" see it, with the hub's scheme and ending in {settings.base_path}."
        )
    is_safe = settings.hub_public_url.startswith("https://")
    if settings.backend == "volcano" and not (is_safe or settings.demonstration):
        raise StartRefused(
            f"{_PREFIX}HUB_PUBLIC_URL is {settings.hub_public_url}: write the hub's address as"
            " browsers see it, https://HOST/ (the chart's hub.publicUrl). Without TLS it is served"
            " as a demonstration only."
        )


def load_settings() -> Settings:
    """The settings of this process' environment.

    Raises:
        StartRefused: a variable is missing or wrong; one line names each.
    """
    try:
        return Settings()
    except ValidationError as e:
        mistakes = "; ".join(
            f"{_PREFIX}{str(m['loc'][0]).upper()}: {m['msg']}"
            for m in e.errors(include_url=False, include_input=False)
        )
        raise StartRefused(f"Settings: {mistakes}.") from e


def read_secret(path: Path, variable: str, least: int = 16) -> str:
    """The secret in a file.

    Raises:
        StartRefused: it cannot be read, or is too short.
    """
    try:
        secret = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "not ASCII text"
        raise StartRefused(
            f"{_PREFIX}{variable} names {path}, which cannot be read: {reason}."
        ) from e
    if len(secret) < least:
        raise StartRefused(f"{_PREFIX}{variable} names {path}, which has under {least} characters.")
    return secret
