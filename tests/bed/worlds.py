"""Which of a bed's nodes take pods, and namespaces for the pods of one test.

A bed with real nodes has two worlds: kwok's pretended nodes, which Karpenter starts, and the real
ones. Whoever makes pods first shuts the other world. Used by the fixtures and by the recorder.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.bed.client import (
    JOB,
    NAMESPACE,
    NODE,
    NODE_CLAIM,
    NODE_POOL,
    POD,
    SERVICE_ACCOUNT,
    ApiError,
    Client,
    Object,
    wait,
)

POOL_LABEL = "karpenter.sh/nodepool"
CORDONED = "node.kubernetes.io/unschedulable"
#: The limits of node pools, by the pool's name.
Limits = dict[str, dict[str, str]]


@contextmanager
def only_pretended(client: Client) -> Iterator[None]:
    """Cordon the real nodes meanwhile."""
    nodes = client.list(*NODE, labels=f"!{POOL_LABEL}")
    names = [node["metadata"]["name"] for node in nodes]
    _cordon(client, names, is_cordoned=True)
    try:
        yield
    finally:
        _cordon(client, names, is_cordoned=False)


@contextmanager
def only_real(client: Client) -> Iterator[None]:
    """Let Karpenter start nothing meanwhile, and remove what it has started."""
    with closed_pools(client):
        remove_pretended_nodes(client)
        yield


@contextmanager
def closed_pools(client: Client) -> Iterator[Limits]:
    """Let Karpenter start nothing meanwhile; the pools' limits before."""
    limits = close_pools(client)
    try:
        yield limits
    finally:
        _open_pools(client, limits)


@contextmanager
def opened_pools(client: Client, limits: Limits) -> Iterator[None]:
    """Let Karpenter start nodes meanwhile, within these limits of closed pools."""
    _open_pools(client, limits)
    try:
        yield
    finally:
        close_pools(client)


@contextmanager
def limited_pool(client: Client, name: str, limits: Mapping[str, str]) -> Iterator[None]:
    """Let a pool have no more than this meanwhile."""
    before = client.get(*NODE_POOL, name)["spec"]["limits"]
    client.patch(*NODE_POOL, name, {"spec": {"limits": limits}})
    try:
        yield
    finally:
        client.patch(*NODE_POOL, name, {"spec": {"limits": before}})


def close_pools(client: Client) -> Limits:
    """Let Karpenter start nothing any more; the pools' limits before, by name."""
    pools = client.list(*NODE_POOL)
    limits = {pool["metadata"]["name"]: pool["spec"]["limits"] for pool in pools}
    for name, each in limits.items():
        client.patch(*NODE_POOL, name, {"spec": {"limits": dict.fromkeys(each, "0")}})
    return limits


def _open_pools(client: Client, limits: Limits) -> None:
    for name, each in limits.items():
        client.patch(*NODE_POOL, name, {"spec": {"limits": each}})


def remove_pretended_nodes(client: Client, seconds: float = 60.0) -> None:
    """Remove the nodes that Karpenter started; pods on them end."""
    busy = {pod["spec"].get("nodeName") for pod in client.list(*POD)}
    for node in client.list(*NODE, labels=POOL_LABEL):
        if node["metadata"]["name"] not in busy:
            _remove_at_once(client, node["metadata"]["name"])
    for claim in client.list(*NODE_CLAIM):
        client.delete(*NODE_CLAIM, claim["metadata"]["name"])
    wait(
        "no pretended nodes",
        lambda: [*client.list(*NODE_CLAIM), *client.list(*NODE, labels=POOL_LABEL)],
        seconds,
        until=lambda left: not left,
    )


def _remove_at_once(client: Client, name: str) -> None:
    """Remove a node that nothing runs on: Karpenter would drain it, and look again after 5 s."""
    try:
        client.patch(*NODE, name, {"metadata": {"finalizers": None}})
    except ApiError as error:
        # It may be gone already.
        if error.status != 404:
            raise
    client.delete(*NODE, name)


def create_namespace(client: Client, title: str) -> str:
    """Create a namespace called after a test, and wait until it takes pods."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower().removeprefix("test_"))[:40].strip("-")
    name = f"{slug}-{uuid.uuid4().hex[:6]}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wait(
        f"the service account in {name}",
        lambda: client.find(*SERVICE_ACCOUNT, "default", name),
    )
    return name


def remove_namespace(client: Client, name: str) -> None:
    """Remove a namespace; its pods are gone afterwards, the rest goes in its own time.

    So quota and nodes are free for whoever comes next.
    """
    client.delete_all(*JOB, name)
    client.delete_all(*POD, name, grace_seconds=1)
    wait(
        f"no pods in {name}",
        lambda: [pod["metadata"]["name"] for pod in client.list(*POD, name)],
        until=lambda left: not left,
    )
    client.delete(*NAMESPACE, name)


def _cordon(client: Client, names: list[str], *, is_cordoned: bool) -> None:
    for name in names:
        client.patch(*NODE, name, {"spec": {"unschedulable": is_cordoned or None}})

    def find_others() -> list[str]:
        # Karpenter heeds the taint only, which a controller adds.
        return [name for name in names if _has_taint(client.get(*NODE, name)) is not is_cordoned]

    wait(
        f"the real nodes to be {'cordoned' if is_cordoned else 'open'}",
        find_others,
        until=lambda others: not others,
    )


def _has_taint(node: Object) -> bool:
    taints = node["spec"].get("taints") or []
    return any(taint["key"] == CORDONED for taint in taints)
