"""Pretended machine types: from published data, and such that the catalogue's classes fit."""

import json
from itertools import product
from pathlib import Path

import pytest

from cluster.driver.fit import count_fitting, find_cheapest
from cluster.driver.instance_types import FILE, load_types
from hub_config.platform.catalogue import GIB, InstanceClass, NodePool
from tests.bed import pins
from tests.bed.instance_types import (
    EPHEMERAL_STORAGE,
    ZONES,
    build_file,
    build_karpenter_types,
    write_karpenter_file,
)
from tests.bed.overlay import load_catalogue
from tests.bed.programs import Programs
from tests.factories import make_class

CATALOGUE = load_catalogue(real=False)
TYPES = {item.name: item for item in load_types()}
#: The cheapest machine on demand for each class; two families may cost the same.
CHEAPEST = {
    "small": {"m5.large", "m6i.large"},
    "standard": {"m5.large", "m6i.large"},
    "large-memory": {"r5.8xlarge", "r6i.8xlarge"},
    "gpu": {"g4dn.2xlarge"},
}


def name_cheapest(size: InstanceClass, pool: NodePool) -> set[str]:
    return {each.name for each in find_cheapest(list(TYPES.values()), size, pool)}


def test_file_is_what_the_published_data_give(programs: Programs) -> None:
    table = (programs.data / pins.PRICES).read_text()

    assert FILE.read_text() == build_file(table)


def test_file_says_where_it_comes_from() -> None:
    sources = json.loads(FILE.read_text())["sources"]

    assert sources["sizes"].startswith("moto ")
    assert sources["prices"].startswith("github.com/aws/karpenter-provider-aws v")
    assert sources["prices_date"] == "2026-07-06"


@pytest.mark.parametrize(("slug", "kind"), [*product(CHEAPEST, ("session", "job"))])
def test_each_class_has_a_machine_in_its_pools(slug: str, kind: str) -> None:
    size = CATALOGUE.classes[slug]
    placement = size.session if kind == "session" else size.job

    assert name_cheapest(size, CATALOGUE.node_pools[placement.node_pool]) == CHEAPEST[slug]


def test_every_class_is_tried() -> None:
    assert CATALOGUE.classes.keys() == CHEAPEST.keys()


def test_the_category_keeps_cheaper_machines_out() -> None:
    size = make_class(cores=1, memory_bytes=2 * GIB)
    wider = NodePool("any", "job", ("c", "m", "r"), "amd64", ("on-demand",), {}, 0)

    assert all(name.startswith("c") for name in name_cheapest(size, wider))


@pytest.mark.parametrize("slug", CATALOGUE.classes)
def test_prices_shown_are_those_of_what_is_bought(slug: str) -> None:
    """Of a machine on which no second pod of the class has room, the class buys the whole."""
    size = CATALOGUE.classes[slug]
    assert size.price is not None
    is_half, name = (
        size.price.basis.startswith("half of "),
        size.price.basis.removeprefix("half of "),
    )
    machine = TYPES[name]

    assert name in CHEAPEST[slug]
    assert count_fitting(machine, size) == (2 if is_half else 1)
    share = 2 if is_half else 1
    assert size.price.per_hour == pytest.approx(machine.price_per_hour / share)


def test_machines_have_the_disks_that_the_catalogue_says() -> None:
    disks = {pool.disk_bytes for pool in CATALOGUE.node_pools.values()}

    assert disks == {int(EPHEMERAL_STORAGE.removesuffix("Gi")) * GIB}


def test_usable_memory_is_what_karpenter_reckons() -> None:
    # By hand, after types.go: 8192 - ceil(614.4) - (11 * 29 + 255) - 100.
    assert TYPES["m5.large"].usable_memory_mib == 6903
    assert TYPES["r5.8xlarge"].usable_memory_mib < 256 * 1024


def test_labels_are_those_of_karpenters_aws_provider() -> None:
    prefix = "karpenter.k8s.aws/instance-"
    general = {
        "category": "g",
        "family": "g4dn",
        "generation": "4",
        "size": "12xlarge",
        "cpu": "48",
        "memory": "196608",
    }
    of_gpu = {
        "gpu-name": "t4",
        "gpu-manufacturer": "nvidia",
        "gpu-count": "4",
        "gpu-memory": "16384",
    }

    assert TYPES["g4dn.12xlarge"].labels == {
        f"{prefix}{k}": v for k, v in (general | of_gpu).items()
    }
    assert f"{prefix}gpu-count" not in TYPES["m5.large"].labels


def test_karpenter_reads_an_offer_for_each_zone_and_capacity_type(tmp_path: Path) -> None:
    written = json.loads(write_karpenter_file(tmp_path / "types.json").read_text())

    assert written == build_karpenter_types(load_types())
    large = next(each for each in written if each["name"] == "g5.2xlarge")
    assert large["architecture"] == "amd64"
    assert large["operatingSystems"] == ["linux"]
    assert large["resources"] == {
        "cpu": "8",
        "memory": f"{TYPES['g5.2xlarge'].usable_memory_mib + 10}Mi",
        "ephemeral-storage": EPHEMERAL_STORAGE,
        "pods": "58",
        "nvidia.com/gpu": "1",
    }
    offers = {}
    for offering in large["offerings"]:
        labels = {each["key"]: each["values"] for each in offering["Requirements"]}
        assert all(each["operator"] == "In" for each in offering["Requirements"])
        (zone,), (capacity_type,) = (
            labels.pop("topology.kubernetes.io/zone"),
            labels.pop("karpenter.sh/capacity-type"),
        )
        assert labels == {key: [value] for key, value in TYPES["g5.2xlarge"].labels.items()}
        offers[zone, capacity_type] = offering["Price"]
    assert offers.keys() == set(product(ZONES, ("on-demand", "spot")))
    assert {price for (_, kind), price in offers.items() if kind == "on-demand"} == {1.212}
    assert {price for (_, kind), price in offers.items() if kind == "spot"} == {0.8484}
