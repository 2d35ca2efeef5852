"""Settings of a hub in a cluster, from the values of the Zero to JupyterHub chart.

The chart mounts its values and its secrets into the hub's pod; this reads the few that the
platform needs, by the chart's own keys, and the catalogue under ``custom``. So one YAML file
(``helm-values/jupyterhub.yaml``) configures chart and platform, and there is no Python in it. The
configuration file of the hub's image calls ``apply(c, load_settings())`` and nothing else.

Source: https://github.com/jupyterhub/zero-to-jupyterhub-k8s/tree/4.4.0/jupyterhub
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from hub_config.access import JOBS_SERVICE
from hub_config.catalogue_file import parse_catalogue
from hub_config.errors import ConfigurationError
from hub_config.settings import Cluster, Settings, parse_cookie_secret, read_secret

#: Where the chart mounts its Secret; the values are one of its keys.
MOUNT = Path("/usr/local/etc/jupyterhub/secret")
VALUES = "values.yaml"
#: Names and ports of the chart's Services, whose names our values leave as they are.
HUB_URL = "http://hub:8081"
PROXY_API_URL = "http://proxy-api:8001"
_HUB_PORT = 8081
_HUB_API = f"http://127.0.0.1:{_HUB_PORT}/hub/api"
_START_SECONDS = 300
_IDLE_SECONDS = 3600
_CULL_SECONDS = 600
_ACTIVITY_SECONDS = 300


class _Values:
    """The values by dotted keys; collects what is wrong."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.mistakes: list[str] = []

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """The value; the default where there is none or ``null``. None of the kind: a mistake."""
        value: Any = self._values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            if default is None:
                self.mistakes.append(f"{key} is missing")
            return default
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:
            self.mistakes.append(f"{key} must be a {kinds[0].__name__}, not {value!r}")
            return default
        return value


def load_settings(mount: Path = MOUNT, *, namespace_file: Path | None = None) -> Settings:
    """The settings of the hub's pod.

    Args:
        mount: folder with ``values.yaml`` and the chart's secrets.
        namespace_file: the pod's own namespace, as the kubelet writes it.

    Raises:
        ConfigurationError: naming every value and secret that is missing or wrong.
    """
    path = mount / VALUES
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The values {path} cannot be read: {error}.") from error
    namespace = namespace_file or Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return parse_values(
        values if isinstance(values, Mapping) else {},
        secrets={
            "hub.config.ConfigurableHTTPProxy.auth_token": "",
            "hub.config.JupyterHub.cookie_secret": "",
            f"hub.services.{JOBS_SERVICE}.apiToken": "",
        }
        | {key.name: read_secret(key) for key in sorted(mount.glob("hub.*"))},
        namespace=read_secret(namespace),
    )


def parse_values(
    values: Mapping[str, Any], *, secrets: Mapping[str, str], namespace: str
) -> Settings:
    """Settings from the chart's merged values.

    Args:
        values: as the chart merged them.
        secrets: key of the chart's Secret → text.
        namespace: where hub and sessions are.

    Raises:
        ConfigurationError: naming every value and secret that is missing or wrong, or every mistake
            of the catalogue.
    """
    read = _Values(values)
    custom = {"catalogue": read.get("custom.catalogue", dict, {})}
    settings = Settings(
        catalogue=parse_catalogue({"custom": custom}, "the chart's values"),
        sessions=Cluster(
            namespace=namespace,
            start_seconds=read.get("singleuser.startTimeout", int, _START_SECONDS),
            pull_policy=read.get("singleuser.image.pullPolicy", str, "") or "IfNotPresent",
        ),
        demonstration_host=_find_demonstration_host(read),
        bind_url="http://:8000" + read.get("hub.baseUrl", str, "/"),
        hub_bind_url=f"http://:{_HUB_PORT}",
        hub_connect_url=HUB_URL,
        proxy_api_url=PROXY_API_URL,
        proxy_token=_secret(read, secrets, "hub.config.ConfigurableHTTPProxy.auth_token"),
        proxy_command=(),
        proxy_pid_file="",
        database_url=read.get("hub.db.url", str, "sqlite:///jupyterhub.sqlite"),
        cookie_secret=parse_cookie_secret(
            _secret(read, secrets, "hub.config.JupyterHub.cookie_secret")
        ),
        ends_sessions=False,
        jobs_url=str(read.get(f"hub.services.{JOBS_SERVICE}.url", str)).rstrip("/"),
        jobs_token=_secret(read, secrets, f"hub.services.{JOBS_SERVICE}.apiToken"),
        culler={"command": _build_culler(read)},
        activity_seconds=_ACTIVITY_SECONDS,
    )
    if read.mistakes:
        raise ConfigurationError(f"The chart's values: {'; '.join(read.mistakes)}.")
    return settings


def _secret(read: _Values, secrets: Mapping[str, str], key: str) -> str:
    if not secrets.get(key):
        read.mistakes.append(f"the Secret has no {key}")
    return secrets.get(key, "")


def _find_demonstration_host(read: _Values) -> str | None:
    """Where the demonstration login is reached, if the values ask for it."""
    login = read.get("custom.login", str, "")
    if login not in ("", "demonstration"):
        read.mistakes.append(f"custom.login must be demonstration or absent, not {login!r}")
    if login != "demonstration":
        return None
    return urlsplit(read.get("hub.config.JupyterHub.public_url", str, "")).hostname or ""


def _build_culler(read: _Values) -> list[str]:
    timeout = read.get("cull.timeout", int, _IDLE_SECONDS)
    every = read.get("cull.every", int, _CULL_SECONDS)
    return [
        sys.executable,
        "-m",
        "jupyterhub_idle_culler",
        f"--url={_HUB_API}",
        f"--timeout={timeout}",
        f"--cull-every={every}",
    ]
