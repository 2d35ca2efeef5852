"""The bed's values over those of production: what differs, and nothing else."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from cluster.driver.node_pools import NodeClass
from hub_config.platform.catalogue import GIB, GPU_RESOURCE
from hub_config.platform.catalogue_file import load_catalogue as load_shipped
from tests.bed.overlay import (
    CATALOGUE,
    VALUES,
    build_node_class,
    describe_difference,
    get_node_class,
    lay_over,
    load_catalogue,
)

#: What a bed may change, and why.
EVERYWHERE = {
    r"node_class\.(group|version|kind|name|registration_delay)": "machines are pretended",
    r"custom\.catalogue\.registry": "no registry is asked for images",
    r"custom\.catalogue\.node_pools\.[\w-]+\.idle": "tests do not wait for minutes",
}
WITH_REAL_NODES = {
    r"custom\.catalogue\.classes\.(small|standard|large-memory)\."
    r"(cores|memory|shared_memory|scratch)": "a developer's machine is small",
    r"custom\.catalogue\.groups\.spatial-lab\.(service_account|buckets)": (
        "a group with everything that a group can have"
    ),
}


@pytest.mark.parametrize("real", [False, True], ids=["pretended nodes", "real nodes"])
def test_a_bed_differs_where_it_may_only(
    real: bool, record_property: Callable[[str, object], None]
) -> None:
    allowed = EVERYWHERE | (WITH_REAL_NODES if real else {})
    difference = describe_difference(real=real)

    # The end of the run says it: this is all that distinguishes a bed from a deployment.
    record_property("difference", "\n  ".join(["", *difference]))
    places = [line.split(": ")[0] for line in difference]
    assert [p for p in places if not any(re.fullmatch(each, p) for each in allowed)] == []
    assert [each for each in allowed if not any(re.fullmatch(each, p) for p in places)] == []


def test_values_have_no_other_section() -> None:
    values = yaml.safe_load(VALUES.read_text())

    assert values.keys() == {"node_class", "all", "real"}


def test_pools_lose_idle_machines_soon_and_keep_all_else() -> None:
    shipped, pretended = load_shipped(CATALOGUE), load_catalogue(real=False)

    assert {pool.idle_seconds for pool in pretended.node_pools.values()} == {10}
    assert pretended.classes == shipped.classes
    assert pretended.groups == shipped.groups
    assert all(i.reference.startswith("localhost/") for i in pretended.images.values())


def test_classes_fit_on_real_nodes_but_for_the_one_with_a_gpu() -> None:
    classes = dict(load_catalogue(real=True).classes)

    assert classes.pop("gpu") == load_shipped(CATALOGUE).classes["gpu"]
    assert {item.cores for item in classes.values()} == {0.25, 0.5}
    assert {item.memory_bytes for item in classes.values()} == {GIB}


def test_node_class_is_the_one_that_pools_name() -> None:
    named, made = get_node_class(), build_node_class()

    assert named == NodeClass("karpenter.kwok.sh", "KWOKNodeClass", "pretended")
    assert made == {
        "apiVersion": "karpenter.kwok.sh/v1alpha1",
        "kind": named.kind,
        "metadata": {"name": named.name},
        "spec": {"nodeRegistrationDelay": "2s"},
    }


@pytest.mark.parametrize(
    ("below", "above", "together"),
    [
        ({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}}, {"a": 1, "b": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        (
            [{"slug": "x", "n": 1, "m": 1}, {"slug": "y", "n": 1}],
            [{"slug": "x", "n": 2}],
            [{"slug": "x", "n": 2, "m": 1}, {"slug": "y", "n": 1}],
        ),
    ],
)
def test_lay_over(below: Any, above: Any, together: Any) -> None:
    before = repr(below)

    assert lay_over(below, above) == together
    assert repr(below) == before


def test_a_slug_that_is_not_there_is_refused() -> None:
    below = {GPU_RESOURCE: [{"slug": "small"}]}

    with pytest.raises(ValueError, match=r"nvidia\.com/gpu: .* smal$"):
        lay_over(below, {GPU_RESOURCE: [{"slug": "smal"}]})
