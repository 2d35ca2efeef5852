"""Real nodes: a kubelet and a containerd each, in namespaces that end with their first process.

A node is a PID and a mount namespace inside the bed's network namespace. Killing its process 1 is a
power cut: all processes and mounts of the node end with it, and its folder (images, volumes) stays
for when it is started again. What needs removing by hand is an address and a cgroup folder, both
found by name, also when nobody remembers the bed. Used by `bed.py`, fixtures and tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.bed import cgroups, network_services
from tests.bed.client import NODE, POD, is_true
from tests.bed.namespace import NAME, Namespace
from tests.bed.node_files import MOST_NODES, NodeFacts, Size
from tests.bed.node_start import (
    PLUGINS,
    NodeFailed,
    find_plugins,
    get_folder,
    get_network,
    keep_images,
    lead_to_registry,
    list_daemons,
    list_images,
    load_image,
    load_kept_image,
    name_by_digest,
    name_cgroup,
    prepare,
    read_facts,
    start,
    wait,
)

if TYPE_CHECKING:
    from tests.bed.bed import Bed

__all__ = [
    "NodeFailed",
    "Size",
    "keep_images",
    "lead_to_registry",
    "list_images",
    "load_image",
    "load_kept_image",
    "name_by_digest",
]

#: The two nodes of a bed: for sessions and the platform's own pods, and for jobs.
SESSIONS, JOBS = "real-sessions", "real-jobs"
SESSION_POOL, JOB_POOL = "sessions-general", "jobs-general"
#: What the product's pods ask for besides the pool, when they may not be interrupted.
BOUGHT = {"karpenter.sh/capacity-type": "on-demand"}
NEEDED = ("containerd", "ctr", "ip", "mount", "nft", "nsenter", "runc", "umount", "unshare")


def why_not() -> str | None:
    """Why this machine can have no real nodes; None when it can."""
    if sys.platform != "linux":
        return "real nodes need Linux"
    if os.geteuid() != 0:
        return "real nodes need root"
    if missing := [program for program in NEEDED if shutil.which(program) is None]:
        return f"there is no {', '.join(missing)} (tests/system_packages.sh)"
    if find_plugins() is None:
        return f"there are no network plugins {', '.join(PLUGINS)} (tests/system_packages.sh)"
    spaces = ("unshare", "--net", "--mount", "--pid", "--fork", "true")
    if subprocess.run(spaces, capture_output=True, check=False).returncode:
        return "root may make no namespaces here"
    return cgroups.why_not()


def start_network_services(bed: Bed) -> None:
    """Start kube-proxy and CoreDNS; the API server answers already."""
    # kube-proxy waits for a node's address before it writes a rule; this node is always there.
    network_services.start_network_services(bed, hostname=SESSIONS)


def add_standard_nodes(bed: Bed) -> None:
    """Add the node for sessions and the one for jobs, and wait until both are ready.

    The first has no taint: the platform's own pods run there too.
    """
    base, pools = get_network(bed).base, bed.catalogue.node_pools
    jobs = pools[JOB_POOL]
    taints = [{"key": t.key, "value": t.value, "effect": t.effect} for t in jobs.taints]
    nodes = [
        NodeFacts(SESSIONS, base, 1, {**pools[SESSION_POOL].labels, **BOUGHT}),
        NodeFacts(JOBS, base, 2, {**jobs.labels, **BOUGHT}, taints),
    ]
    for node in nodes:
        prepare(bed, node, with_images=True)
    start(bed, nodes)
    for node in nodes:
        wait_ready(bed, node.name)


def add(
    bed: Bed,
    name: str,
    labels: Mapping[str, str],
    taints: Sequence[Mapping[str, str]] = (),
    *,
    provider_id: str = "",
    size: Size | None = None,
) -> None:
    """Start another node; it registers itself, :func:`wait_ready` waits for that.

    Args:
        bed: which has a network for real nodes.
        name: of the Node.
        labels: of the Node, besides those that a kubelet sets itself.
        taints: mappings with key, value, effect, as Kubernetes has them.
        provider_id: of the machine, as a NodeClaim names it.
        size: how large it seems; None for the whole machine.
    """
    taken = {facts.number for facts in list_nodes(bed)}
    number = next(each for each in range(1, MOST_NODES) if each not in taken)
    base = get_network(bed).base
    facts = NodeFacts(name, base, number, dict(labels), list(taints), provider_id, size)
    start(bed, [prepare(bed, facts)])


def list_nodes(bed: Bed) -> list[NodeFacts]:
    """The bed's real nodes, also those without power."""
    folders = sorted((bed.folder / "nodes").glob("*/"))
    return [facts for folder in folders if (facts := read_facts(bed, folder.name))]


def power_on(bed: Bed, name: str) -> None:
    """Start a node again that :func:`power_off` ended."""
    facts = read_facts(bed, name)
    if facts is None:
        raise NodeFailed(f"bed {bed.name} has no node {name}")
    start(bed, [facts])


def power_off(bed: Bed, name: str) -> None:
    """Cut a node's power: it has no time to say a word, its disk stays."""
    bed.daemons.stop(f"node-{name}", force=True)
    # They ended with it; a bed whose daemons do not all run counts as broken.
    for daemon in list_daemons(name):
        bed.daemons.forget(daemon)
    # A machine that boots has no groups; with them a kubelet looks for lost containers at first.
    cgroups.remove(name_cgroup(bed.tag, name))


def remove(bed: Bed, name: str) -> None:
    """Cut a node's power, and remove its Node, the pods on it, and everything else of it."""
    if bed.daemons.is_running(f"node-{name}"):
        power_off(bed, name)
    bed.client.delete(*NODE, name)
    # Nobody is left who could end them, and the controllers would take 40 s to see that.
    for pod in bed.client.list(*POD, fields=f"spec.nodeName={name}"):
        metadata = pod["metadata"]
        bed.client.delete(*POD, metadata["name"], metadata["namespace"], grace_seconds=0)
    if facts := read_facts(bed, name):
        get_network(bed).remove_address(facts.address)
    cgroups.remove(name_cgroup(bed.tag, name))
    shutil.rmtree(get_folder(bed, name), ignore_errors=True)


def clean(tag: str) -> None:
    """End all nodes of a bed and remove what is outside of its folder and network.

    Needs no state file: everything is found by the bed's tag. Does nothing where there is
    nothing, so it may be called for any bed, by anybody.
    """
    if not NAME.fullmatch(tag):
        return
    own = _read_space("self", "pid")
    for pid in Namespace(tag).list_processes():
        # Whoever is in the bed's network and has process numbers of its own is in a node.
        if _read_space(str(pid), "pid") not in (own, None):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    cgroups.remove(name_cgroup(tag))


def wait_ready(bed: Bed, name: str) -> None:
    """Wait until pods can start on a node.

    Raises:
        NodeFailed: it did not become ready in time.
    """

    def is_ready() -> bool:
        node = bed.client.find(*NODE, name) or {}
        taints = {taint["key"] for taint in node.get("spec", {}).get("taints", [])}
        return is_true(node, "Ready") and "node.kubernetes.io/not-ready" not in taints

    wait(bed, name, "the node to be ready", is_ready)


def _read_space(pid: str, kind: str) -> int | None:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    return None
