"""Volcano's values: what they say to its programs, and that the facts behind them still hold."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.driver.versions import read_versions
from tests.bed import pins
from tests.bed.installation import HUB_CHART

VALUES = Path(__file__).parents[3] / "helm-values"
#: Pins of what makes a cluster on AWS, which no bed runs.
AWS_ONLY = {
    "EKSCTL_VERSION",
    "KUBECTL_RELEASE",
    "HELM_RELEASE",
    "LOAD_BALANCER_CHART_VERSION",
    "PROMETHEUS_CHART_VERSION",
    "GRAFANA_CHART_VERSION",
    "FLUENT_BIT_CHART_VERSION",
    "NVIDIA_DEVICE_PLUGIN_VERSION",
    "AL2023_AMI",
    "KARPENTER_STACK_SHA256",
}


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((VALUES / "volcano.yaml").read_text())
    return parsed


def test_scheduler_admits_by_the_queues_capability_alone(values: dict[str, Any]) -> None:
    configuration = yaml.safe_load(values["custom"]["scheduler_config_override"])

    assert configuration == {
        "actions": "enqueue, allocate, backfill",
        "tiers": [
            {
                "plugins": [
                    {"name": "priority"},
                    {"name": "gang", "enablePreemptable": False},
                    {"name": "conformance"},
                ]
            },
            {
                "plugins": [
                    {"name": "predicates"},
                    {"name": "capacity", "enableHierarchy": True},
                    {"name": "nodeorder"},
                    {"name": "binpack"},
                ]
            },
        ],
    }


def test_admissions(values: dict[str, Any]) -> None:
    assert values["custom"]["enabled_admissions"].split(",") == [
        "/jobs/mutate",
        "/jobs/validate",
        "/podgroups/validate",
        "/queues/mutate",
        "/queues/validate",
    ]


def test_images_are_of_the_pinned_version(values: dict[str, Any]) -> None:
    assert values["basic"]["image_tag_version"] == f"v{read_versions()['VOLCANO_VERSION']}"


def test_bed_runs_the_versions_that_are_deployed() -> None:
    families = {family.name: pins.get_version(family) for family in pins.FAMILIES}
    chart = yaml.safe_load((HUB_CHART / "Chart.yaml").read_text())
    (kubernetes,) = re.findall(r"^\d+\.\d+", families["kubernetes"])

    deployed = {key: value for key, value in read_versions().items() if key not in AWS_ONLY}
    assert deployed == {
        "KUBERNETES_VERSION": kubernetes,
        "VOLCANO_VERSION": families["volcano"],
        "KARPENTER_VERSION": families["karpenter"],
        "JUPYTERHUB_CHART_VERSION": chart["version"],
    }
    # What an image of Volcano has besides its program comes from the same sources.
    assert families["volcano-images"] == families["volcano"]
    # Its provider of machines on AWS, which is held against what is made there.
    assert families["karpenter-aws"] == families["karpenter"]
