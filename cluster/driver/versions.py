"""What a cluster gets, by version, and which of these versions go together. Pure but for two files.

Pins stand in ``helm-values/versions.env``; ``helm-values/compatibility.yaml`` beside it says which
Kubernetes each of them is made for, and where that is written. Used by the settings, by the
deployment and by what makes a cluster.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "helm-values"


def read_versions() -> dict[str, str]:
    """The versions of ``helm-values/versions.env``."""
    lines = (FOLDER / "versions.env").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    return {name: version for name, version in pairs}


def read_compatibility() -> dict[str, dict[str, Any]]:
    """``helm-values/compatibility.yaml``: key of a pin -> its minor version -> what it says."""
    text = (FOLDER / "compatibility.yaml").read_text(encoding="utf-8")
    table: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return table


def read_mirror_tags() -> dict[str, str]:
    """Tags of ``helm-values/mirror.yaml``, the images of others, by slug."""
    listed = yaml.safe_load((FOLDER / "mirror.yaml").read_text(encoding="utf-8"))["images"]
    return {each["slug"]: each["tag"] for each in listed}


def read_mirror_charts() -> dict[str, str]:
    """Versions of ``helm-values/mirror.yaml``, the charts of others, by slug."""
    listed = yaml.safe_load((FOLDER / "mirror.yaml").read_text(encoding="utf-8"))["charts"]
    return {each["slug"]: each["version"] for each in listed}


def find_misfits(
    kubernetes: str, versions: Mapping[str, str], table: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """What of the pinned versions does not go with a Kubernetes, each as the rest of a sentence.

    Args:
        kubernetes: its minor version, such as ``1.35``.
        versions: as :func:`read_versions`.
        table: as :func:`read_compatibility`.
    """
    for key, entries in table.items():
        minor = ".".join(versions[key].split(".")[:2])
        entry = entries.get(minor)
        name = f"{key.removesuffix('_VERSION').replace('_', ' ').capitalize()} {versions[key]}"
        if entry is None:
            yield f"{name} is not in helm-values/compatibility.yaml: look up what it goes with"
            continue
        oldest, newest = entry["oldest"], entry.get("newest")
        is_old = order_version(kubernetes) < order_version(oldest)
        if is_old or (newest and order_version(kubernetes) > order_version(newest)):
            span = f"{oldest} to {newest}" if newest else f"{oldest} or newer"
            yield f"{name} is for Kubernetes {span}"


def order_version(version: str) -> tuple[int, ...]:
    """What versions of numbers and dots are ordered by."""
    return tuple(int(word) for word in version.split("."))
