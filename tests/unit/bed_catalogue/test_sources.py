"""Our values and manifests against the sources of Volcano and Karpenter that the bed builds."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.driver.node_pools import NodeClass, build_node_pools
from cluster.driver.queues import build_queues, build_root_queue
from hub_config.platform.catalogue_file import load_catalogue as load_shipped
from tests.bed.overlay import CATALOGUE, build_node_class, get_node_class, load_catalogue
from tests.bed.programs import Programs

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
        if not path.stem.endswith(("_queues", "_nodepools", "_kwoknodeclasses")):
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
