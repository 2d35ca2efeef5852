"""The jobs service's chart, rendered as an installation would."""

from __future__ import annotations

import subprocess

import yaml

from tests.bed.bed import Bed
from tests.bed.client import Object
from tests.bed.hub.stand_in import CHART
from tests.bed.overlay import CATALOGUE


def render(bed: Bed, namespace: str) -> list[Object]:
    """All objects of the chart, with the shipped catalogue, for jobs in a namespace."""
    words = [
        *(str(bed.programs.path("helm")), "template", "offline-jobs", str(CHART)),
        *("--namespace", "jupyterhub", "--values", str(CATALOGUE)),
        *("--set", f"jobs.namespace={namespace},custom.catalogue.registry=localhost"),
    ]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each]
