"""The claims that sessions and jobs mount, in a test's namespace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.bed.client import Client, wait

CLAIMS = ("homes", "shared")


@contextmanager
def bound_claims(client: Client, namespace: str) -> Iterator[None]:
    """Make volumes and claims; pretended nodes mount nothing, but schedulers look at them.

    Karpenter says that a pod cannot be scheduled as long as its claim is not bound.
    """
    for name in CLAIMS:
        volume = f"{name}-{namespace}"
        shape = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        claimed = {"namespace": namespace, "name": name}
        client.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": volume},
                "spec": {
                    **shape,
                    "capacity": {"storage": "1Gi"},
                    "hostPath": {"path": "/nowhere"},
                    "claimRef": claimed,
                },
            }
        )
        client.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name},
                "spec": {
                    **shape,
                    "volumeName": volume,
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            },
            namespace,
        )
    wait(
        "the claims to be bound",
        lambda: client.list("v1", "PersistentVolumeClaim", namespace),
        until=lambda claims: all(
            each["status"].get("phase") == "Bound" and "annotations" in each["metadata"]
            for each in claims
        ),
    )
    try:
        yield
    finally:
        for name in CLAIMS:
            client.delete("v1", "PersistentVolume", f"{name}-{namespace}")
