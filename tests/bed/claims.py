"""Claims of storage on a bed: a volume that is a folder of this machine, and the claim of it.

Used for the homes and folders of the platform's own pods (`tests/bed/hub`), and for tests whose
pretended pods only have to be scheduled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bed.client import Client, Kind, Object, wait

VOLUME, CLAIM = Kind("v1", "PersistentVolume"), Kind("v1", "PersistentVolumeClaim")
SIZE = {"storage": "100Gi"}


def name_volume(claim: str, namespace: str) -> str:
    """Name the volume of a claim; volumes are the whole cluster's."""
    return f"{namespace}-{claim}"


def build_volume(claim: str, namespace: str, folder: Path, *, mode: str) -> Object:
    """A volume for one claim.

    Args:
        claim: its name.
        namespace: the claim's.
        folder: of this machine.
        mode: of access, such as ``ReadWriteMany``.
    """
    return {
        "apiVersion": VOLUME.api_version,
        "kind": VOLUME.kind,
        "metadata": {"name": name_volume(claim, namespace)},
        "spec": {
            "accessModes": [mode],
            "storageClassName": "",
            "capacity": SIZE,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": str(folder), "type": "Directory"},
            "claimRef": {"namespace": namespace, "name": claim},
        },
    }


def build_claim(claim: str, namespace: str, *, mode: str) -> Object:
    """The claim of :func:`build_volume`'s volume."""
    return {
        "apiVersion": CLAIM.api_version,
        "kind": CLAIM.kind,
        "metadata": {"name": claim, "namespace": namespace},
        "spec": {
            "accessModes": [mode],
            "storageClassName": "",
            "volumeName": name_volume(claim, namespace),
            "resources": {"requests": SIZE},
        },
    }


def build_pairs(
    claims: Sequence[str], namespace: str, folder: Path, *, mode: str
) -> Iterator[Object]:
    """Volumes and claims of the folders of those names below a folder."""
    for claim in claims:
        yield build_volume(claim, namespace, folder / claim, mode=mode)
        yield build_claim(claim, namespace, mode=mode)


def wait_until_bound(client: Client, namespace: str, seconds: float = 30.0) -> None:
    """Wait until all claims of a namespace are bound.

    Until then a pod with one of them is told that no machine can be had.
    """
    wait(
        f"the claims in {namespace} to be bound",
        lambda: client.list(*CLAIM, namespace),
        seconds,
        until=lambda claims: all(
            each.get("status", {}).get("phase") == "Bound" and "annotations" in each["metadata"]
            for each in claims
        ),
    )
