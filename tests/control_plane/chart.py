"""The jobs service's chart, rendered as an installation would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping

import yaml

from tests.bed.bed import Bed
from tests.bed.client import Object
from tests.bed.hub.stand_in import CHART
from tests.bed.overlay import CATALOGUE

PUBLIC_URL = "https://hub.example/"


def render(bed: Bed, namespace: str, values: Mapping[str, object] | None = None) -> list[Object]:
    """All objects of the chart, with the shipped catalogue, for jobs in a namespace.

    Args:
        bed: for its helm.
        namespace: of jobs.
        values: others than the chart's own, by their keys with dots.
    """
    words = [
        *(str(bed.programs.path("helm")), "template", "offline-jobs", str(CHART)),
        *("--namespace", "jupyterhub", "--values", str(CATALOGUE)),
        *("--set", f"jobs.namespace={namespace},custom.catalogue.registry=localhost"),
        *(
            word
            for key, value in {"hub.publicUrl": PUBLIC_URL, **(values or {})}.items()
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
