"""Real machines for Karpenter: a real node is started when a NodeClaim asks for one.

Karpenter's kwok provider launches a claim at once, gives it a provider id and makes a pretended
Node only after its node class's delay. With a delay that never ends, and a kubelet that registers
with the claim's provider id and start-up taint, Karpenter links the two as it links an EC2 instance
and its node: it copies the claim's labels and taints, takes the start-up taint away, and removes
the node when it is empty. Used by tests of real nodes.

Source: sigs.k8s.io/karpenter v1.14.1, kwok/cloudprovider and pkg/controllers/nodeclaim/lifecycle
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from tests.bed import nodes
from tests.bed.client import NODE, NODE_CLAIM

if TYPE_CHECKING:
    from tests.bed.bed import Bed

NODE_CLASS = "machines"
#: With it a node gets nothing but what tolerates everything until Karpenter has linked it.
UNREGISTERED = {"key": "karpenter.sh/unregistered", "effect": "NoExecute"}
#: What marks a node, or a claim that hands it on, as one that kwok pretends.
PRETENDED = "kwok.x-k8s.io/node"
#: Kubelets may not give themselves labels of these domains; Karpenter copies them from the claim.
FORBIDDEN_DOMAINS = ("kubernetes.io", "k8s.io")


def build_node_class() -> dict[str, Any]:
    """A node class whose machines the bed starts, not kwok."""
    return {
        "apiVersion": "karpenter.kwok.sh/v1alpha1",
        "kind": "KWOKNodeClass",
        "metadata": {"name": NODE_CLASS},
        # Longer than any bed lives.
        "spec": {"nodeRegistrationDelay": "10000h"},
    }


def build_node_pool(name: str, labels: Mapping[str, str], *, idle: str = "5s") -> dict[str, Any]:
    """A node pool of such machines; `idle` is how long one stays empty before it goes."""
    requirements = {
        "kubernetes.io/arch": "amd64",
        "karpenter.sh/capacity-type": "on-demand",
        "karpenter.k8s.aws/instance-category": "m",
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {
            # Each machine is this one again.
            "limits": {"cpu": "16"},
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": idle,
                "budgets": [{"nodes": "100%"}],
            },
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "expireAfter": "Never",
                    "nodeClassRef": {
                        "group": "karpenter.kwok.sh",
                        "kind": "KWOKNodeClass",
                        "name": NODE_CLASS,
                    },
                    "requirements": [
                        {"key": key, "operator": "In", "values": [value]}
                        for key, value in requirements.items()
                    ],
                },
            },
        },
    }


def is_launched(claim: Mapping[str, Any]) -> bool:
    """Whether a claim asks for a machine of ours and knows its provider id."""
    return bool(
        claim["spec"]["nodeClassRef"]["name"] == NODE_CLASS
        and claim.get("status", {}).get("providerID")
        and not claim["metadata"].get("deletionTimestamp")
    )


def start_machine(bed: Bed, claim: Mapping[str, Any], images: Sequence[Path] = ()) -> str:
    """Start a real node for a claim; return its name, which is the claim's.

    Args:
        bed: with real nodes.
        claim: a NodeClaim for which :func:`is_launched` holds.
        images: archives that the machine finds on its disk.
    """
    name: str = claim["metadata"]["name"]
    # The provider marks what it launches, Karpenter copies the mark, and kwok would take the node.
    mark = {"annotations": {PRETENDED: None}, "labels": {PRETENDED: None}}
    bed.client.patch(*NODE_CLAIM, name, {"metadata": mark})
    labels = {
        key: value
        for key, value in claim["metadata"].get("labels", {}).items()
        if not key.partition("/")[0].endswith(FORBIDDEN_DOMAINS)
    }
    taints = [
        UNREGISTERED,
        *claim["spec"].get("taints", []),
        *claim["spec"].get("startupTaints", []),
    ]
    nodes.add(bed, name, labels, taints, provider_id=claim["status"]["providerID"])
    for image in images:
        nodes.load_image(bed, name, image)
    return name


@contextmanager
def following(bed: Bed, images: Sequence[Path] = (), every: float = 0.2) -> Iterator[list[str]]:
    """Start a machine for each claim, and end it when its claim has gone, as a cloud does.

    Yields:
        The names of machines that were started, as long as the list grows.
    """
    started: list[str] = []
    running: set[str] = set()
    ending = Event()

    def follow() -> None:
        while not ending.wait(every):
            _follow_once(bed, images, started, running)

    with ThreadPoolExecutor(1) as threads:
        loop = threads.submit(follow)
        try:
            yield started
        finally:
            ending.set()
            wait([loop])
            for name in sorted(running):
                nodes.remove(bed, name)
    # Raises what went wrong meanwhile.
    loop.result()


def _follow_once(bed: Bed, images: Sequence[Path], started: list[str], running: set[str]) -> None:
    claims = {claim["metadata"]["name"]: claim for claim in bed.client.list(*NODE_CLAIM)}
    for name, claim in claims.items():
        if name not in started and is_launched(claim):
            running.add(start_machine(bed, claim, images))
            started.append(name)
    for name in sorted(running - set(claims)):
        # Karpenter lets its Node go last of all.
        if bed.client.find(*NODE, name) is None:
            nodes.remove(bed, name)
            running.discard(name)
