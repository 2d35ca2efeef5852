"""Settings of a hub in a cluster, from the values of the Zero to JupyterHub chart.

The chart mounts its values and its secrets into the hub's pod; this reads the few that the
platform needs, by the chart's own keys, and the catalogue under ``custom``. So one YAML file
(``helm-values/jupyterhub.yaml``) configures chart and platform, and there is no Python in it. The
configuration file of the hub's image calls ``apply(c, load_settings())`` and nothing else.

Source: https://github.com/jupyterhub/zero-to-jupyterhub-k8s/tree/4.4.0/jupyterhub
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from traitlets.config import Config

from hub_config.access import METRICS
from hub_config.apply import apply
from hub_config.chart import ChartValues, split_url
from hub_config.login_values import CRYPT_KEYS, PUBLIC_URL, find_demonstration_host, find_login
from hub_config.logins.providers import GOOGLE_KEY, choose_class
from hub_config.platform.catalogue import Catalogue, FoldersImage
from hub_config.platform.catalogue_file import parse_catalogue
from hub_config.platform.errors import CatalogueError, ConfigurationError
from hub_config.profiles import list_overrides
from hub_config.settings import (
    Cluster,
    Settings,
    choose_activity_seconds,
    parse_cookie_secret,
    read_secret,
)
from hub_config.unused import refuse_overruled, refuse_unused
from offline_jobs.contract.names import SERVICE_NAME

#: Where the chart mounts its Secret; the values are one of its keys.
MOUNT = Path("/usr/local/etc/jupyterhub/secret")
VALUES = "values.yaml"
#: Where it mounts a Secret of the administrator's own, beside :data:`MOUNT`.
EXISTING = "existing-secret"
#: Names and ports of the chart's Services, whose names our values leave as they are.
HUB_URL = "http://hub:8081"
PROXY_API_URL = "http://proxy-api:8001"
_HUB_PORT = 8081
_HUB_API = f"http://127.0.0.1:{_HUB_PORT}/hub/api"
_PULL_POLICIES = ("IfNotPresent", "Always", "Never")

_PROXY_TOKEN = "hub.config.ConfigurableHTTPProxy.auth_token"  # noqa: S105  (a key's name)
_COOKIE_SECRET = "hub.config.JupyterHub.cookie_secret"  # noqa: S105  (a key's name)
_JOBS_TOKEN = f"hub.services.{SERVICE_NAME}.apiToken"
_METRICS_TOKEN = f"hub.services.{METRICS}.apiToken"
_JOBS_URL = f"hub.services.{SERVICE_NAME}.url"
_SECRETS = (
    *(_PROXY_TOKEN, _COOKIE_SECRET, _JOBS_TOKEN, _METRICS_TOKEN),
    *(CRYPT_KEYS, GOOGLE_KEY),
)
_SUBDOMAIN_HOST = "hub.config.JupyterHub.subdomain_host"
_PROXY_FLAGS = "proxy.chp.extraCommandLineFlags"
_HOST_ROUTING = "--host-routing"

#: Traits that are the administrator's word all the same: what the platform makes of it is its own.
_READ_BY_US = {"authenticator_class", "auth_token", "cookie_secret", "subdomain_host"}
#: Databases of the chart whose address is always the same; the others need one.
_DATABASES = {"sqlite-pvc": "sqlite:///jupyterhub.sqlite", "sqlite-memory": "sqlite://"}
_POSTGRESQL = "postgresql+psycopg2"


def load_settings(mount: Path = MOUNT, *, namespace_file: Path | None = None) -> Settings:
    """The settings of the hub's pod.

    Args:
        mount: folder with ``values.yaml`` and the chart's secrets; beside it, where the chart was
            told ``hub.existingSecret``, :data:`EXISTING` with what goes over them.
        namespace_file: the pod's own namespace, as the kubelet writes it.

    Raises:
        ConfigurationError: naming every value and secret that is missing or wrong.
    """
    namespace = namespace_file or Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    # The last one that has a key wins.
    places = (mount, mount.with_name(EXISTING))
    return parse_values(
        read_values(mount),
        secrets={
            key: read_secret(place / key)
            for place in places
            for key in _SECRETS
            if (place / key).exists()
        },
        namespace=read_secret(namespace),
    )


def read_values(mount: Path = MOUNT) -> dict[str, Any]:
    """The chart's values, with those of an existing Secret over them, as the chart merges them.

    Raises:
        ConfigurationError: they cannot be read.
    """
    merged: dict[str, Any] = {}
    for path in (mount / VALUES, mount.with_name(EXISTING) / VALUES):
        if path.parent == mount or path.exists():
            merged = _merge(merged, _read_mapping(path))
    return merged


def _read_mapping(path: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The values {path} cannot be read: {error}.") from error
    return values if isinstance(values, Mapping) else {}


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        there = merged.get(key)
        both = isinstance(there, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(there, value) if both else value  # type: ignore[arg-type]
    return merged


def parse_values(
    values: Mapping[str, Any], *, secrets: Mapping[str, str], namespace: str
) -> Settings:
    """Settings from the chart's merged values.

    Args:
        values: as the chart merged them.
        secrets: key of the chart's Secret → text.
        namespace: where hub and sessions are.

    Raises:
        ConfigurationError: naming every value and secret that is missing, wrong or without effect,
            and every mistake of the catalogue.
    """
    read = ChartValues(values)
    idle_seconds = read.get_number("cull.timeout", 3600, least=1)
    catalogue = _parse_catalogue(read)
    idle = {
        item.slug: item.idle_session_seconds
        for item in catalogue.classes.values()
        if item.idle_session_seconds
    }
    culler = _build_culler(read, idle_seconds)
    settings = Settings(
        catalogue=catalogue,
        sessions=Cluster(
            namespace=namespace,
            start_seconds=read.get_number("singleuser.startTimeout", 300, least=1),
            pull_policy=read.get_one_of("singleuser.image.pullPolicy", _PULL_POLICIES),
        ),
        demonstration_host=find_demonstration_host(read),
        login=find_login(read, catalogue, secrets),
        public_url=read.get(PUBLIC_URL, ""),
        bind_url="http://:8000/",
        subdomain_host=_find_subdomain_host(read),
        hub_bind_url=f"http://:{_HUB_PORT}",
        hub_connect_url=HUB_URL,
        proxy_api_url=PROXY_API_URL,
        proxy_token=_get_secret(read, secrets, _PROXY_TOKEN),
        proxy_command=(),
        proxy_pid_file="",
        database_url=_find_database(read),
        cookie_secret=_get_cookie_secret(read, secrets),
        ends_sessions=False,
        jobs_url=_find_jobs_url(read),
        jobs_token=_get_secret(read, secrets, _JOBS_TOKEN),
        metrics_token=secrets.get(_METRICS_TOKEN, ""),
        culler=culler,
        idle_seconds=idle_seconds if culler is not None else 0,
        activity_seconds=choose_activity_seconds(min([idle_seconds, *idle.values()])),
    )
    for slug, seconds in idle.items():
        if settings.culler is not None and seconds > idle_seconds:
            read.refuse(
                f"custom.catalogue.classes.{slug}.idle_session",
                f"is longer than cull.timeout ({idle_seconds} s), which comes before: raise that",
            )
    if read.get("hub.baseUrl", "/") != "/":
        read.refuse("hub.baseUrl", "must be /: give the platform a host name of its own")
    refuse_unused(read)
    if catalogue.groups:
        refuse_overruled(read, _list_own_traits(settings))
    if read.mistakes:
        lines = "\n".join(f"- {mistake}." for mistake in read.mistakes)
        raise ConfigurationError(f"The chart's values cannot be used:\n{lines}")
    return settings


def _list_own_traits(settings: Settings) -> dict[str, set[str]]:
    """The traits that the platform's configuration sets, by class: taken from the finished one."""
    own = Config()
    # Which login it is changes no name, and one that is refused is told already.
    apply(own, replace(settings, demonstration_host=None))
    pod = own.KubernetesSpawner.keys() | list_overrides(settings.catalogue)
    sections = {
        "JupyterHub": own.JupyterHub.keys() - _READ_BY_US,
        "ConfigurableHTTPProxy": own.ConfigurableHTTPProxy.keys() - _READ_BY_US,
        # A class's own section outranks those of its bases.
        **dict.fromkeys(("Spawner", "KubeSpawner", "KubernetesSpawner"), pod),
    }
    if settings.login is not None:
        chosen = choose_class(settings.login)
        traits = set(own[chosen.__name__])
        sections |= {each.__name__: traits for each in chosen.mro()}
    return sections


def _parse_catalogue(read: ChartValues) -> Catalogue:
    catalogue: Mapping[str, Any] = read.get("custom.catalogue", {})
    try:
        return parse_catalogue({"custom": {"catalogue": catalogue}}, "custom.catalogue")
    except CatalogueError as error:
        read.mistakes += error.lines()
        return Catalogue(FoldersImage("", ""), images={}, classes={}, node_pools={}, groups={})


def _get_secret(read: ChartValues, secrets: Mapping[str, str], key: str) -> str:
    if not secrets.get(key):
        read.refuse(key, "is missing in the chart's Secret")
    return secrets.get(key, "")


def _get_cookie_secret(read: ChartValues, secrets: Mapping[str, str]) -> bytes:
    try:
        return parse_cookie_secret(_get_secret(read, secrets, _COOKIE_SECRET))
    except ConfigurationError:
        read.refuse(_COOKIE_SECRET, "must be hexadecimal in the chart's Secret")
        return b""


def _find_database(read: ChartValues) -> str:
    # The chart knows others, for which the hub's image has no driver.
    kind = read.get_one_of("hub.db.type", (*_DATABASES, "postgres"))
    url = read.get("hub.db.url", "")
    if kind not in _DATABASES:
        if not url:
            read.refuse("hub.db.url", f"is missing: hub.db.type {kind} needs it")
            return url
        return _name_driver(read, url)
    if url not in ("", _DATABASES[kind]):
        read.refuse("hub.db.url", f"is not used: hub.db.type {kind} has its own; choose another")
    return _DATABASES[kind]


def _name_driver(read: ChartValues, url: str) -> str:
    """The address with the driver that the hub's image has; SQLAlchemy 2.1 would take another.

    A password that is not in it comes from the key ``hub.db.password`` of the chart's Secret: the
    chart's own configuration puts it where the driver looks.
    """
    scheme, _, place = url.partition("://")
    if scheme not in ("postgresql", _POSTGRESQL) or not place:
        # Not quoted: a password may be in it.
        read.refuse("hub.db.url", "must be postgresql://USER@HOST:5432/DATABASE")
    return f"{_POSTGRESQL}://{place}"


def _find_jobs_url(read: ChartValues) -> str:
    text = read.get(_JOBS_URL, "").rstrip("/")
    if not text:
        read.refuse(_JOBS_URL, "is missing; it is http://offline-jobs:8081 as a rule")
    elif (url := split_url(text)) is None or url.path or url.query or url.fragment:
        read.refuse(
            _JOBS_URL, f"must be scheme, host and port as in http://offline-jobs:8081, not {text!r}"
        )
    return text


def _find_subdomain_host(read: ChartValues) -> str:
    host = read.get(_SUBDOMAIN_HOST, "")
    public = read.get(PUBLIC_URL, "").rstrip("/")
    if host and host != public:
        read.refuse(
            _SUBDOMAIN_HOST,
            f"must be the hub's own address, {PUBLIC_URL}, which is {public!r}, not {host!r}",
        )
    flags: list[str] = read.get(_PROXY_FLAGS, [])
    if host and _HOST_ROUTING not in flags:
        read.refuse(
            _PROXY_FLAGS, f"lack {_HOST_ROUTING}, without which {_SUBDOMAIN_HOST} is no use"
        )
    if not host and _HOST_ROUTING in flags:
        read.refuse(_PROXY_FLAGS, f"have {_HOST_ROUTING}, which is for {_SUBDOMAIN_HOST} only")
    return host


def _build_culler(read: ChartValues, idle_seconds: int) -> Mapping[str, Any] | None:
    """The idle culler with the chart's options; ``None`` where it is not wanted."""
    numbers = {
        "timeout": idle_seconds,
        "cull-every": read.get_number("cull.every", 600, least=1),
        "concurrency": read.get_number("cull.concurrency", 10, least=1),
        "max-age": read.get_number("cull.maxAge", 0, least=0),
    }
    command = [sys.executable, "-m", "jupyterhub_idle_culler", f"--url={_HUB_API}"]
    command += [f"--{name}={number}" for name, number in numbers.items()]
    if read.get("cull.removeNamedServers", False):
        command.append("--remove-named-servers=True")
    return {"command": command} if read.get("cull.enabled", True) else None
