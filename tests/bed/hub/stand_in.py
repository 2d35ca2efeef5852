"""Proxy, hub and jobs service as pods of a bed: `make bed-hub`, and the rings with real pods.

The jobs service comes by its own chart, installed by helm; hub and proxy by the objects of
:mod:`tests.bed.hub.objects`, a stand-in for the hub's chart. Homes, shared folders and buckets are
folders of this machine under the bed's own. All of it ends with the bed.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import yaml

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.pods import HOMES_CLAIM
from images._tool.steps import StepFailed
from tests.bed import nodes
from tests.bed.bed import ROOT, Bed
from tests.bed.claims import wait_until_bound
from tests.bed.client import POD, SERVICE, Kind, Object, wait
from tests.bed.hub import images, objects
from tests.bed.hub.forward import LOOPBACK
from tests.bed.overlay import lay_over, load_catalogue, load_values
from tests.bed.processes import Daemons
from tests.plain import NO_TLS

CHART = ROOT / "extensions" / "offline_jobs" / "chart"
VALUES = ROOT / "helm-values" / "jupyterhub.yaml"
DEPLOYMENT, SECRET = Kind("apps/v1", "Deployment"), Kind("v1", "Secret")
FORWARD = "hub-forward"
#: Seconds within which a pod whose image is there has to answer.
PATIENCE = 120.0
_USER, _GROUP = 1000, 100


class PortTaken(Exception):
    """The port for browsers cannot be had; the message says what to do."""


#: What can keep the platform from coming up, told by a sentence.
FAILURES = (PortTaken, StepFailed, subprocess.CalledProcessError)


@dataclass(frozen=True)
class Hub:
    """A platform on a bed's real nodes.

    Attributes:
        bed: which it is on.
        url: where a browser on this machine finds it, without a slash at the end.
    """

    bed: Bed
    url: str

    @cached_property
    def catalogue(self) -> Catalogue:
        """What hub and jobs service offer."""
        return load_catalogue(real=True)

    @property
    def homes(self) -> Path:
        """The folder of the homes."""
        return get_folder(self.bed) / HOMES_CLAIM

    def find_pod(self, component: str) -> Object:
        """The pod of `hub`, `proxy` or `offline-jobs`."""
        key = "app.kubernetes.io/name" if component == "offline-jobs" else "component"
        (pod,) = self.bed.client.list(*POD, objects.NAMESPACE, labels=f"{key}={component}")
        return pod

    def wait_until_available(self, *components: str) -> None:
        """Wait until the pods of these Deployments answer."""
        for name in components:
            _wait_until_available(self.bed, name)

    def set_chart(self, **values: object) -> None:
        """Install the jobs service's chart with other values, and wait until it answers."""
        install_service(self.bed, values)
        self.wait_until_available("offline-jobs")
        _wait_until_reached(self.url)


def start(bed: Bed, *, port: int = 0, say: Callable[[str], None] = lambda line: None) -> Hub:
    """Start the platform on a bed with real nodes; one that runs is brought up to date.

    Args:
        bed: which has real nodes.
        port: of loopback, for browsers; 0 for a free one.
        say: told what happens, a line at a time.

    Raises:
        PortTaken: the port is somebody else's.
        TooLate: a pod did not answer in time.
    """
    if not bed.has_nodes:
        raise nodes.NodeFailed("a hub needs a bed with real nodes")
    client = bed.client
    url = f"http://{LOOPBACK}:{choose_port(bed.daemons, port)}"
    images.load_all(bed, say)
    catalogue = load_catalogue(real=True)
    make_folders(bed, catalogue)
    secret = objects.build_secret(build_values(url), _make_secrets(bed))
    client.apply_all(
        objects.build_namespace(name) for name in (objects.NAMESPACE, objects.JOBS_NAMESPACE)
    )
    client.apply_all(
        [
            secret,
            *objects.build_storage(catalogue, get_folder(bed)),
            *objects.build_accounts(catalogue),
        ]
    )
    for namespace in (objects.NAMESPACE, objects.JOBS_NAMESPACE):
        wait_until_bound(client, namespace, PATIENCE)
    say("Starting proxy, hub and jobs service ...")
    install_service(bed, {})
    client.apply_all(
        [
            *objects.build_hub(images.name_of("hub"), secret=secret),
            *objects.build_proxy(images.name_of("proxy")),
        ]
    )
    hub = Hub(bed, url)
    hub.wait_until_available("proxy", "hub", "offline-jobs")
    _start_forward(bed, url)
    _wait_until_reached(url)
    return hub


def get_folder(bed: Bed) -> Path:
    """Where the volumes of a bed are."""
    return bed.folder / "volumes"


def choose_port(daemons: Daemons, port: int) -> int:
    """The port for browsers: the one that is wanted, else the one in use, else any free one.

    Raises:
        PortTaken: it is somebody else's.
    """
    if daemons.is_running(FORWARD):
        running = int(daemons.get(FORWARD).argv[-2])
        if port in (0, running):
            return running
        daemons.stop(FORWARD)
    with socket.socket() as listener:
        # A port that connections have just left may be taken again.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            raise PortTaken(
                f"Port {port} cannot be had ({error.strerror}): end what uses it, or choose another"
                " one, as in: make bed-hub PORT=8010"
            ) from error
        chosen: int = listener.getsockname()[1]
        return chosen


def make_folders(bed: Bed, catalogue: Catalogue) -> None:
    """Make the volumes' roots, as a file system that enforces this user would."""
    for name in objects.list_folders(catalogue):
        folder = get_folder(bed) / name
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, _USER, _GROUP)


def build_values(url: str) -> dict[str, Any]:
    """The values that the hub's chart gets: the shipped ones, the catalogue, and where we are."""
    shipped = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    values = lay_over(shipped, load_values(real=True))
    own = {
        "custom": {"login": "demonstration"},
        "hub": {"config": {"JupyterHub": {"public_url": url}}},
    }
    return dict(lay_over(values, own))


def install_service(bed: Bed, values: Mapping[str, object]) -> None:
    """Install the jobs service's chart, or change its values.

    Raises:
        subprocess.CalledProcessError: helm refused it; its words are in the error's notes.
    """
    catalogue = bed.folder / "catalogue.yaml"
    catalogue.write_text(yaml.safe_dump(load_values(real=True)), encoding="utf-8")
    words = [
        *(bed.programs.path("helm"), "upgrade", "--install", "offline-jobs", CHART),
        # The bed has made the namespace of jobs.
        *("--kubeconfig", bed.kubeconfig, "--namespace", objects.NAMESPACE, "--take-ownership"),
        *("--values", catalogue),
        # It is served without TLS, on loopback.
        *("--set", "demonstration=true"),
        *(word for key, value in values.items() for word in ("--set", f"{key}={value}")),
    ]
    own = {
        "HELM_CACHE_HOME": str(bed.folder / "helm"),
        "HELM_CONFIG_HOME": str(bed.folder / "helm"),
    }
    done = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, "helm")
        error.add_note(done.stderr)
        raise error


def _wait_until_available(bed: Bed, name: str) -> None:
    """Wait until the newest pod of a Deployment, and no other, answers."""

    def is_available(found: Object) -> bool:
        status = found.get("status", {})
        counts = [
            status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")
        ]
        return status.get("observedGeneration") == found["metadata"]["generation"] and (
            counts == [1, 1, 1]
        )

    wait(
        f"{name} to answer",
        lambda: is_available(bed.client.get(*DEPLOYMENT, name, objects.NAMESPACE)),
        PATIENCE,
    )


def _wait_until_reached(url: str) -> None:
    """Wait until a browser reaches the jobs service: the way to a pod comes after its readiness."""

    def answers() -> bool:
        try:
            return not httpx.get(
                f"{url}/services/offline-jobs/", timeout=5, verify=NO_TLS
            ).is_server_error
        except httpx.TransportError:
            return False

    wait(f"the jobs service at {url}", answers, PATIENCE)


def _make_secrets(bed: Bed) -> dict[str, str]:
    """The chart's random texts: those that are there, so that sessions go on."""
    there = bed.client.find(*SECRET, objects.SECRET, objects.NAMESPACE)
    if there is None:
        return {key: secrets.token_hex(32) for key in objects.RANDOM_KEYS}
    return {key: b64decode(there["data"][key]).decode() for key in objects.RANDOM_KEYS}


def _start_forward(bed: Bed, url: str) -> None:
    if bed.daemons.is_running(FORWARD):
        return
    address = bed.client.get(*SERVICE, "proxy-public", objects.NAMESPACE)["spec"]["clusterIP"]
    port = url.rpartition(":")[2]
    words = [sys.executable, "-m", "tests.bed.hub.forward", port, f"{address}:80"]
    bed.daemons.start(FORWARD, words)
