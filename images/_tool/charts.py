"""Charts of others as a registry keeps them, for `make mirror`.

Place in the path: `mirror` asks here for a chart of a repository; helm fetches it, and what is sent
to a registry follows from its bytes alone, so that the same chart has the same digest each time
(`helm push` writes down when it was). Standard library only, but for reading `Chart.yaml`.

Source: https://helm.sh/docs/topics/registries/ (v3), its kinds of configuration and layer
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub_config.platform.located import read_text, unwrap
from images._tool.registry import IMAGES, Manifest
from images._tool.steps import StepFailed
from images._tool.tools import run_program

CONFIG = "application/vnd.cncf.helm.config.v1+json"
LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
#: Of `Chart.yaml`, what helm reads of a configuration; all are texts.
FIELDS = ("apiVersion", "name", "version", "appVersion", "description", "type")


@dataclass(frozen=True)
class ForeignChart:
    """A chart of somebody else.

    Attributes:
        slug: its name in the settings, and in its repository.
        source: address of the repository.
        version: that is installed.
    """

    slug: str
    source: str
    version: str

    @property
    def tag(self) -> str:
        """What a registry calls the version; a tag has no plus, and helm knows that."""
        return self.version.replace("+", "_")


@dataclass(frozen=True)
class Packed:
    """A chart as a registry keeps it: a manifest, and the files that it names, by digest."""

    manifest: Manifest
    blobs: Mapping[str, Path]


def pack_chart(chart: ForeignChart, folder: Path) -> Packed:
    """Fetch a chart with helm (`HELM`) into an empty folder.

    Raises:
        StepFailed: helm is not there, or has none of that name and version; its words.
    """
    helm = os.environ.get("HELM") or "helm"
    if shutil.which(helm) is None:
        raise StepFailed(f"there is no program {helm}: install it, or say where it is in HELM")
    words = [helm, "pull", chart.slug, "--repo", chart.source, "--version", chart.version]
    # A repository's index goes nowhere else than where it is used.
    own = {name: str(folder / "helm") for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME")}
    run_program([*words, "--destination", folder], folder, {**os.environ, **own})
    archive = folder / f"{chart.slug}-{chart.version}.tgz"
    if not archive.exists():
        raise StepFailed(f"{chart.source} has no {chart.slug} {chart.version}, only one like it")
    return pack(archive)


def pack(archive: Path) -> Packed:
    """Make of an archive what a registry keeps of it.

    Raises:
        StepFailed: it is no chart.
    """
    said = _read_description(archive)
    texts = {key: str(said[key]) for key in FIELDS if said.get(key) is not None}
    config = archive.with_suffix(".json")
    config.write_text(json.dumps(texts, sort_keys=True), encoding="utf-8")
    parts = [_describe(CONFIG, config), _describe(LAYER, archive)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": IMAGES[0],
        "config": parts[0],
        "layers": parts[1:],
    }
    content = json.dumps(manifest, sort_keys=True).encode()
    blobs = {part["digest"]: path for part, path in zip(parts, (config, archive), strict=True)}
    return Packed(Manifest(IMAGES[0], content), blobs)


def _read_description(archive: Path) -> Mapping[str, Any]:
    """What the chart's own `Chart.yaml` says, not that of one within it."""
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile() and Path(member.name).parts[1:] == ("Chart.yaml",):
                    file = opened.extractfile(member)
                    found = unwrap(read_text(file.read().decode() if file else "")[0])
                    if isinstance(found, dict):
                        return found
    except (tarfile.TarError, UnicodeDecodeError, EOFError, OSError) as error:
        raise StepFailed(f"{archive.name} is no archive of a chart: {error}") from error
    raise StepFailed(f"{archive.name} has no Chart.yaml: it is no chart")


def _describe(kind: str, path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": kind, "digest": digest, "size": len(content)}
