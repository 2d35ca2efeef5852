"""Charts of ours, rendered as an installation would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tests.bed.bed import ROOT, Bed
from tests.bed.client import Object
from tests.bed.overlay import CATALOGUE

CHART = ROOT / "extensions" / "offline_jobs" / "chart"
PLATFORM_CHART = ROOT / "cluster" / "chart"


def render(bed: Bed, namespace: str, values: Mapping[str, object] | None = None) -> list[Object]:
    """All objects of the jobs service's chart, with the shipped catalogue, for jobs in a namespace.

    Args:
        bed: for its helm.
        namespace: of jobs.
        values: others than the chart's own, by their keys with dots.

    Raises:
        subprocess.CalledProcessError: helm refused them.
    """
    own = {"jobs.namespace": namespace, "demonstration": True, **(values or {})}
    # Last, for it is a part of a catalogue that may be among the values.
    whole = {**own, "custom.catalogue.registry": "localhost"}
    return run_helm(bed, "offline-jobs", CHART, [CATALOGUE], whole)


def render_platform(
    bed: Bed, namespace: str, values: Mapping[str, object] | None = None
) -> list[Object]:
    """All objects of the platform's own chart, as :func:`render` does for the service's."""
    claim = {"name": "homes", "mode": "ReadWriteMany", "size": "1Gi", "keep": True}
    own: dict[str, object] = {
        "accounts": ["spatial-lab"],
        "claims": [{**claim, "source": {"nfs": {"server": "files.invalid", "path": "/homes"}}}],
        "queues": [
            {
                "name": "spatial-lab",
                "spec": {
                    "parent": "root",
                    "weight": 4,
                    "reclaimable": False,
                    "capability": {"cpu": "8", "memory": "1Gi"},
                },
            }
        ],
    }
    whole = {"jobsNamespace": namespace, **own, **(values or {})}
    return run_helm(bed, "platform", PLATFORM_CHART, [], whole)


def run_helm(
    bed: Bed, release: str, chart: Path, files: Sequence[Path], values: Mapping[str, object]
) -> list[Object]:
    """What a chart makes of files of values, and of values by their keys with dots."""
    words = [
        *(str(bed.programs.path("helm")), "template", release, str(chart)),
        *("--namespace", "jupyterhub"),
        *(word for path in files for word in ("--values", str(path))),
        *(
            word
            for key, value in values.items()
            for word in ("--set-json", f"{key}={json.dumps(value)}")
        ),
    ]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def find(chart: list[Object], kind: str, namespace: str = "") -> Object:
    """The one object of a kind; a namespace that is not written is the release's."""
    (found,) = [
        each
        for each in chart
        if each["kind"] == kind and each["metadata"].get("namespace", "") == namespace
    ]
    return found
