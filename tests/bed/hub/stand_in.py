"""Proxy, hub and jobs service as pods of a bed: `make bed-hub`, and the rings with real pods.

`cluster.driver` installs them as on any cluster; of the charts only the hub's is a stand-in
(`chart/`). Homes, shared folders and buckets are folders of this machine under the bed's own. All
of it ends with the bed.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from cluster.driver.charts import NAMESPACE
from cluster.driver.deployment import STEPS
from cluster.driver.tools import ToolFailed
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.pods import HOMES_CLAIM
from images._tool.steps import StepFailed
from tests.bed import nodes
from tests.bed.bed import Bed
from tests.bed.client import POD, SERVICE, Object, wait
from tests.bed.hub import images
from tests.bed.hub.forward import LOOPBACK
from tests.bed.installation import get_folder, load_deployment, prepare
from tests.bed.overlay import load_catalogue
from tests.bed.processes import Daemons
from tests.plain import NO_TLS

FORWARD = "hub-forward"
#: Seconds within which a pod whose image is there has to answer.
PATIENCE = 120.0


class PortTaken(Exception):
    """The port for browsers cannot be had; the message says what to do."""


#: What can keep the platform from coming up, told by a sentence.
FAILURES = (PortTaken, StepFailed, ToolFailed)


@dataclass(frozen=True)
class Hub:
    """A platform on a bed's real nodes.

    Attributes:
        bed: which it is on.
        url: where a browser on this machine finds it, without a slash at the end.
        tls: whom that browser trusts.
    """

    bed: Bed
    url: str
    tls: ssl.SSLContext = NO_TLS

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
        (pod,) = self.bed.client.list(*POD, NAMESPACE, labels=f"{key}={component}")
        return pod

    def wait_until_available(self) -> None:
        """Wait until the jobs service's newest pod, and no other, answers."""
        load_deployment(self.bed).tools.wait_for_rollout("offline-jobs", NAMESPACE)

    def set_chart(self, **values: object) -> None:
        """Install the jobs service's chart with other values, and wait until it answers."""
        install(self.bed, self.url, "offline-jobs", values={"offline-jobs": values})
        self.wait_until_reached()

    def wait_until_reached(self) -> None:
        """Wait until a browser reaches the jobs service: that comes after its pod is ready."""

        def answers() -> bool:
            try:
                # Without its route, which a new proxy gets within seconds, the hub would redirect.
                address = f"{self.url}/services/offline-jobs/api/v1/catalogue"
                answer = httpx.get(address, timeout=5, verify=self.tls)
                return answer.status_code == httpx.codes.UNAUTHORIZED
            except httpx.TransportError:
                return False

        wait(f"the jobs service at {self.url}", answers, PATIENCE)


def start(bed: Bed, *, port: int = 0, say: Callable[[str], None] = lambda line: None) -> Hub:
    """Start the platform on a bed with real nodes; one that runs is brought up to date.

    Args:
        bed: which has real nodes.
        port: of loopback, for browsers; 0 for a free one.
        say: told what happens, a line at a time.

    Raises:
        PortTaken: the port is somebody else's.
        ToolFailed: a chart was refused, or its pods did not answer in time.
        TooLate: the way to the pods did not open in time.
    """
    if not bed.has_nodes:
        raise nodes.NodeFailed("a hub needs a bed with real nodes")
    url = f"http://{LOOPBACK}:{choose_port(bed.daemons, port)}"
    images.load_all(bed, say)
    deployment = load_deployment(bed, address=url, say=say)
    steps = list(STEPS)
    if deployment.tools.find_release("volcano", STEPS["volcano"].namespace):
        # A bed begins with it.
        steps.remove("volcano")
    else:
        prepare(bed)
    deployment.deploy(*steps)
    start_forward(bed, url)
    hub = Hub(bed, url)
    hub.wait_until_reached()
    return hub


def install(
    bed: Bed,
    url: str,
    *steps: str,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Run steps of the deployment, with other values of charts if they are given."""
    load_deployment(bed, address=url, values=values, say=say).deploy(*steps)


def choose_port(daemons: Daemons, port: int) -> int:
    """The port for browsers: the one that is wanted, else the one in use, else any free one.

    Raises:
        PortTaken: it is somebody else's.
    """
    if daemons.is_running(FORWARD):
        running = int(daemons.get(FORWARD).argv[3])
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


def start_forward(bed: Bed, url: str, *keys: Path) -> None:
    """Let a port of this machine lead to the proxy, wherever that is now.

    Args:
        bed: which the proxy is on.
        url: with the port.
        keys: a certificate and its key, where browsers speak TLS.
    """
    address = bed.client.get(*SERVICE, "proxy-public", NAMESPACE)["spec"]["clusterIP"]
    port = url.rpartition(":")[2]
    words = [sys.executable, "-m", "tests.bed.hub.forward", port, f"{address}:80"]
    words += [str(each) for each in keys]
    if bed.daemons.is_running(FORWARD):
        if list(bed.daemons.get(FORWARD).argv) == words:
            return
        # The proxy has got another address since.
        bed.daemons.stop(FORWARD)
    bed.daemons.start(FORWARD, words)
