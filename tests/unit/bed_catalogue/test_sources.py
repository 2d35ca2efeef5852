"""Our values and manifests against the sources of Volcano and Karpenter that the bed builds."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.aws.gpus import build_gpu_objects
from cluster.aws.karpenter import NODE_CLASS, build_karpenter_values, build_node_classes
from cluster.driver.node_pools import NodeClass, build_node_pools
from cluster.driver.queues import build_queues, build_root_queue
from hub_config.platform.catalogue_file import load_catalogue as load_shipped
from tests.bed.overlay import CATALOGUE, build_node_class, get_node_class, load_catalogue
from tests.bed.programs import Programs
from tests.unit.cluster_aws.accounts import make_aws
from tests.unit.cluster_aws.test_gpus import make_shared

VALUES = CATALOGUE.with_name("volcano.yaml")
SHIPPED = load_shipped(CATALOGUE)
PRETENDED = load_catalogue(real=False)
MANIFESTS = [
    build_root_queue(SHIPPED),
    *build_queues(SHIPPED),
    *build_node_pools(SHIPPED, NodeClass("karpenter.k8s.aws", "EC2NodeClass", "default")),
    *build_node_pools(PRETENDED, get_node_class()),
    build_node_class(),
]
AWS = make_aws(local_disks=("jobs-gpu",))
SHARED = make_shared(quarter=4)
AWS_MANIFESTS = [
    *build_node_classes(AWS, SHIPPED),
    *build_node_pools(SHIPPED, NODE_CLASS, ["efs.csi.aws.com/agent-not-ready"]),
    *(each for each in build_gpu_objects(SHARED) if each["kind"] == "NodeOverlay"),
]


KINDS = ("_queues", "_nodepools", "_kwoknodeclasses", "_ec2nodeclasses", "_nodeoverlays")


def find_unknown_keys(values: Mapping[str, Any], chart: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if key not in chart:
            yield key
        # A default of nothing is whatever Kubernetes takes there.
        elif isinstance(value, Mapping) and chart[key] is not None:
            yield from (f"{key}.{below}" for below in find_unknown_keys(value, chart[key]))


def find_unknown_fields(value: Any, schema: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """Fields that a schema does not name: the API server would drop them."""
    if isinstance(value, list):
        for each in value:
            yield from find_unknown_fields(each, schema["items"], f"{place}[]")
    elif isinstance(value, Mapping) and "properties" in schema:
        for key, below in value.items():
            if key not in schema["properties"]:
                yield f"{place}.{key}"
            else:
                yield from find_unknown_fields(below, schema["properties"][key], f"{place}.{key}")


def read_schemas(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Schemas of the custom resources that we render, by API version and kind."""
    found = {}
    for path in folder.rglob("*.yaml"):
        if not path.stem.endswith(KINDS):
            continue
        spec = yaml.safe_load(path.read_text())["spec"]
        for version in spec["versions"]:
            name = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            found[name] = version["schema"]["openAPIV3Schema"]
    return found


@pytest.fixture(scope="module")
def schemas(programs: Programs) -> dict[tuple[str, str], dict[str, Any]]:
    return read_schemas(programs.crds)


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda m: f"{m['kind']} {m['metadata']['name']}"
)
def test_manifests_are_what_the_custom_resources_want(
    manifest: dict[str, Any], schemas: dict[tuple[str, str], dict[str, Any]]
) -> None:
    schema = schemas[manifest["apiVersion"], manifest["kind"]]

    jsonschema.validate(manifest, schema)
    spec = schema["properties"]["spec"]
    assert list(find_unknown_fields(manifest["spec"], spec)) == []


@pytest.mark.parametrize(
    "manifest", AWS_MANIFESTS, ids=lambda m: f"{m['kind']} {m['metadata']['name']}"
)
def test_what_aws_gets_is_what_its_custom_resources_want(
    manifest: dict[str, Any], programs: Programs
) -> None:
    """Those of Karpenter's provider for AWS, whose node pools know fewer labels than any may."""
    schemas = read_schemas(programs.data / "karpenter-aws" / "crds")
    schema = schemas[manifest["apiVersion"], manifest["kind"]]

    jsonschema.validate(manifest, schema)
    assert list(find_unknown_fields(manifest["spec"], schema["properties"]["spec"])) == []


def test_karpenters_chart_knows_every_key_of_our_values(programs: Programs) -> None:
    chart = yaml.safe_load((programs.data / "karpenter-aws" / "chart" / "values.yaml").read_text())
    shipped = yaml.safe_load(VALUES.with_name("karpenter.yaml").read_text())

    # A container's resources are whatever Kubernetes takes there.
    of_resources = {f"controller.resources.{each}" for each in ("requests", "limits")}
    assert set(find_unknown_keys(shipped, chart)) == of_resources
    assert list(find_unknown_keys(build_karpenter_values(AWS, SHARED), chart)) == []
    # The alarm that a machine will be taken away is off where nobody names the queue.
    assert chart["settings"]["interruptionQueue"] == ""


def test_chart_knows_every_key_of_our_values(programs: Programs) -> None:
    chart = yaml.safe_load((programs.data / "volcano" / "values.yaml").read_text())
    values = yaml.safe_load(VALUES.read_text())

    assert list(find_unknown_keys(values, chart)) == []


def test_what_we_replace_is_still_the_charts_default(programs: Programs) -> None:
    # The reasons in volcano.yaml speak of this default. When it changes, read them again.
    folder = programs.data / "volcano"
    default = yaml.safe_load((folder / "config" / "volcano-scheduler.conf").read_text())
    admissions = yaml.safe_load((folder / "values.yaml").read_text())["custom"][
        "enabled_admissions"
    ].split(",")
    ours = yaml.safe_load(VALUES.read_text())["custom"]["enabled_admissions"].split(",")

    plugins = [plugin["name"] for tier in default["tiers"] for plugin in tier["plugins"]]
    assert default["actions"] == "enqueue, allocate, backfill"
    assert {"overcommit", "proportion"} <= set(plugins)
    assert set(admissions) - set(ours) == {"/hypernodes/validate", "/cronjobs/validate"}
    assert set(ours) <= set(admissions)
