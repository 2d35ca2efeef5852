"""A bed: a whole Kubernetes with Volcano and Karpenter as plain processes, up, found again, down.

`up` makes what is missing and waits until everything answers; `load` finds a running bed, from any
process; `down` ends it and removes all that it made. A bed that a crash left behind is removed by
the next `up` or `down`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from cluster.driver.node_pools import build_node_pools
from cluster.driver.queues import build_queues, build_root_queue
from cluster.driver.tools import ToolFailed
from hub_config.platform.catalogue import Catalogue
from tests.bed import installation, nodes, programs, volcano_chart
from tests.bed.client import (
    NODE_POOL,
    QUEUE,
    ApiError,
    Client,
    NoAnswer,
    Object,
    TooLate,
    is_true,
    load_documents,
    wait,
)
from tests.bed.control_plane import FORCED, STOP_ORDER, ControlPlane
from tests.bed.files import write_atomically
from tests.bed.go_tool import ProgramsFailed
from tests.bed.instance_types import write_karpenter_file
from tests.bed.namespace import Namespace, NetworkTaken, sweep
from tests.bed.network import Loopback, network_from_json
from tests.bed.overlay import build_node_class, get_node_class, load_catalogue
from tests.bed.pki import Authority
from tests.bed.processes import DaemonDied, Daemons
from tests.bed.programs import Programs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = ROOT / "build" / "bed"
STAGES = HERE / "stages.yaml"
NAMESPACES = ("volcano-system", "jupyterhub", "offline-jobs")
#: Seconds within which everything has to answer, on a machine that has much else to do.
PATIENCE = 120.0

Say = Callable[[str], None]
#: What can keep a bed from coming up, told by a sentence.
FAILURES = (
    ApiError,
    DaemonDied,
    NetworkTaken,
    NoAnswer,
    ProgramsFailed,
    TooLate,
    ToolFailed,
    nodes.NodeFailed,
)


@dataclass(frozen=True)
class Bed:
    """A bed that was started; all else is read from its folder.

    Attributes:
        folder: state of the bed: keys, logs, kubeconfigs.
        has_nodes: whether it has real nodes beside the pretended ones.
    """

    name: str
    folder: Path
    network: Loopback | Namespace
    programs: Programs
    has_nodes: bool

    @property
    def tag(self) -> str:
        """Its name on this machine, where other checkouts may have a bed of the same name."""
        return get_tag(self.name)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.control_plane.kubeconfig

    @cached_property
    def daemons(self) -> Daemons:
        """Its processes, by program name."""
        return Daemons(self.folder)

    @cached_property
    def authority(self) -> Authority:
        """Its certificate authority."""
        return Authority(self.folder / "pki")

    @cached_property
    def control_plane(self) -> ControlPlane:
        """Its programs and their flags."""
        return ControlPlane(self.folder, self.network, self.programs, self.daemons, self.authority)

    @cached_property
    def client(self) -> Client:
        """The administrator's client."""
        return Client(self.kubeconfig)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue that it was made from; on real nodes classes are smaller (`overlay`)."""
        return load_catalogue(real=False)


def get_tag(name: str) -> str:
    """Return what a bed's interface, network and cgroups are called after: at most 9 characters."""
    digest = hashlib.sha256(str(FOLDER / name).encode()).hexdigest()
    return f"{name[:3]}-{digest[:5]}"


def find(name: str = "main") -> Bed | None:
    """Find a bed that was started and not ended, whole or not."""
    folder = FOLDER / name
    try:
        facts = json.loads((folder / "bed.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    network = network_from_json(facts["network"])
    return Bed(name, folder, network, Programs(Path(facts["programs"])), facts["has_nodes"])


def load(name: str = "main") -> Bed | None:
    """Find a bed that runs; None when there is none or a part of it has died."""
    bed = find(name)
    if bed is None or not bed.daemons.names():
        return None
    is_whole = all(bed.daemons.is_running(each) for each in bed.daemons.names())
    return bed if is_whole else None


def up(
    name: str = "main",
    *,
    with_nodes: bool,
    values: Path = volcano_chart.VALUES,
    has_root_queue: bool = True,
    say: Say = lambda line: None,
) -> Bed:
    """Start a bed and wait until it is ready; one that runs already is taken as it is.

    Args:
        name: of the bed; its state is in `build/bed/NAME`.
        with_nodes: whether two real nodes join (root, Linux, containerd).
        values: Volcano's values, without real nodes; others show why a line of ours is there.
        has_root_queue: whether the root queue gets its capability before Volcano starts; without
            real nodes, on which `cluster.driver` sees to it.
        say: told what happens, a line at a time.

    Raises:
        DaemonDied, TooLate: a part ended or did not answer; what was started is ended again, and
            the logs stay.
        NetworkTaken: another bed with real nodes runs on this machine.
    """
    prepared = programs.prepare(say, nodes=with_nodes)
    with _lock(name):
        if (running := load(name)) and running.has_nodes == with_nodes:
            say(f"Bed {name} runs already.")
            return running
        _remove(name)
        started = time.monotonic()
        try:
            bed = _start(
                name,
                prepared,
                with_nodes=with_nodes,
                values=values,
                has_root_queue=has_root_queue,
                say=say,
            )
        except BaseException:
            # The logs stay.
            _end(name)
            raise
        say(f"Bed {name} is ready after {time.monotonic() - started:.1f} s.")
        return bed


def down(name: str = "main") -> None:
    """End a bed, or what a crash left of it, and remove all that it made."""
    with _lock(name):
        _remove(name)


def build_manifests(catalogue: Catalogue) -> list[Object]:
    """All that is made from the catalogue, the root queue first."""
    pools = build_node_pools(catalogue, get_node_class())
    return [build_root_queue(catalogue), *build_queues(catalogue), build_node_class(), *pools]


def _start(
    name: str,
    prepared: Programs,
    *,
    with_nodes: bool,
    values: Path,
    has_root_queue: bool,
    say: Say,
) -> Bed:
    folder = FOLDER / name
    network: Loopback | Namespace = Namespace.make(get_tag(name)) if with_nodes else Loopback.make()
    bed = Bed(name, folder, network, prepared, with_nodes)
    # At once, so that whatever happens can be cleaned up, and again when all ports are known.
    _write(bed)
    plane = bed.control_plane
    plane.make_keys()
    plane.start_etcd()
    plane.start_apiserver()
    with ThreadPoolExecutor(3) as pool:
        # Both take as long as the API server's start.
        chart = pool.submit(volcano_chart.render, prepared, values)
        definitions = pool.submit(_load_definitions, prepared.crds, with_volcano=not with_nodes)
        _wait(bed, "the API server", bed.client.is_ready)
        say("The API server answers.")
        plane.start_controllers()
        joining = pool.submit(_start_nodes, bed) if with_nodes else None
        bed.client.apply_all(definitions.result())
        bed.client.wait_for_crds()
        say("The definitions of custom resources are known.")
        _start_machines(bed)
        if joining is None:
            _start_volcano(bed, chart.result(), has_root_queue=has_root_queue)
        else:
            joining.result()
            say("The real nodes are ready.")
            _install_volcano(bed, say)
        _wait(bed, "Volcano's queues to open", lambda: _are_queues_open(bed.client))
        _wait(bed, "Karpenter's node pools", lambda: _are_pools_ready(bed.client))
    _write(bed)
    return bed


def _load_definitions(folder: Path, *, with_volcano: bool) -> list[Object]:
    """Custom resources' definitions; those of Volcano come with its installation.

    Kwok's are nobody's: it has its stages from a file, and each would cost the API server a bit.
    """
    others = ("kwok.x-k8s.io",) if with_volcano else ("kwok.x-k8s.io", "volcano.sh")
    return [each for each in load_documents(folder) if not each["spec"]["group"].endswith(others)]


def _start_machines(bed: Bed) -> None:
    plane, pools = bed.control_plane, build_node_pools(bed.catalogue, get_node_class())
    plane.start_kwok(STAGES)
    plane.start_karpenter(write_karpenter_file(bed.folder / "instance-types.json"))
    bed.client.apply_all([build_node_class(), *pools])


def _install_volcano(bed: Bed, say: Say) -> None:
    """Volcano as pods, and the platform's own objects: what every cluster gets first."""
    installation.prepare(bed)
    installation.load_deployment(bed, say=say).deploy("volcano", "platform")


def _start_volcano(bed: Bed, documents: list[Object], *, has_root_queue: bool) -> None:
    """Volcano as plain processes, where no pod can run."""
    plane, client, catalogue = bed.control_plane, bed.client, bed.catalogue
    admissions = volcano_chart.get_admissions(documents)
    client.apply_all(_build_namespace(each) for each in NAMESPACES)
    if has_root_queue:
        # Before any of Volcano's programs: they would make one without capability, for good.
        client.apply(build_root_queue(catalogue))
    plane.start_admission(admissions)
    plane.start_volcano(volcano_chart.get_scheduler_configuration(documents))
    _wait(bed, "Volcano's first queues", lambda: {"root", "default"} <= _list_queues(client))
    client.apply_all(volcano_chart.build_webhooks(documents, plane.webhook_server))
    # That the queues are taken does not tell that it listens: the API server may not have heard of
    # its webhooks yet.
    _wait(bed, "Volcano's admission to listen", lambda: _listens(plane.webhook_server))
    queues = build_queues(catalogue)
    _wait(bed, "Volcano's webhooks", lambda: client.try_apply_all(queues))


def _listens(address: str) -> bool:
    place = urlsplit(address)
    try:
        socket.create_connection((place.hostname or "", place.port or 0), 1).close()
    except OSError:
        return False
    return True


def _start_nodes(bed: Bed) -> None:
    nodes.start_network_services(bed)
    nodes.add_standard_nodes(bed)


def _list_queues(client: Client) -> set[str]:
    return {each["metadata"]["name"] for each in client.list(*QUEUE)}


def _are_queues_open(client: Client) -> bool:
    # The root queue never says so.
    states = {each["metadata"]["name"]: each.get("status", {}) for each in client.list(*QUEUE)}
    return all(each.get("state") == "Open" for name, each in states.items() if name != "root")


def _are_pools_ready(client: Client) -> bool:
    return all(is_true(each, "Ready") for each in client.list(*NODE_POOL))


def _wait(bed: Bed, what: str, look: Callable[[], bool]) -> None:
    def look_around() -> bool:
        bed.daemons.check()
        return look()

    wait(f"{what} (logs: {bed.folder}/logs)", look_around, PATIENCE)


def _build_namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _end(name: str) -> None:
    """End all that runs, keep what can be read afterwards.

    What is outside of the bed's folder is found by its name, also when the folder is lost.
    """
    tag = get_tag(name)
    nodes.clean(tag)
    Daemons(FOLDER / name).stop_all(STOP_ORDER, forced=FORCED)
    sweep(tag)


def _remove(name: str) -> None:
    _end(name)
    shutil.rmtree(FOLDER / name, ignore_errors=True)


def _write(bed: Bed) -> None:
    facts = {
        "network": bed.network.to_json(),
        "programs": str(bed.programs.folder),
        "has_nodes": bed.has_nodes,
    }
    write_atomically(bed.folder / "bed.json", json.dumps(facts, indent=2) + "\n")


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Let one process at a time start or end the bed of that name; a lock without a bed goes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.lock"
    while True:
        with path.open("w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had it before may have removed the file, and somebody else made another.
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue
            try:
                yield
            finally:
                if not (FOLDER / name).exists():
                    path.unlink()
            return
