"""Karpenter's node pools from the catalogue's."""

from typing import Any

import pytest
import yaml

from cluster.driver.node_pools import NodeClass, build_node_pools
from hub_config.platform.catalogue import GIB, GPU_RESOURCE, NodePool, Taint
from hub_config.platform.catalogue_file import load_catalogue
from tests.bed.overlay import CATALOGUE
from tests.factories import make_catalogue, make_pool

PLUGIN_VALUES = CATALOGUE.with_name("nvidia-device-plugin.yaml")

NODE_CLASS = NodeClass("example.org", "MachineClass", "machines")


def build(pool: NodePool) -> dict[str, Any]:
    (manifest,) = build_node_pools(make_catalogue(node_pools=(pool,)), NODE_CLASS)
    return manifest


def requirements(manifest: dict[str, Any], operator: str = "In") -> dict[str, list[str]]:
    found = manifest["spec"]["template"]["spec"]["requirements"]
    return {each["key"]: each["values"] for each in found if each["operator"] == operator}


def test_each_pool_becomes_one() -> None:
    catalogue = make_catalogue()

    manifests = build_node_pools(catalogue, NODE_CLASS)

    assert [each["metadata"]["name"] for each in manifests] == list(catalogue.node_pools)
    references = [each["spec"]["template"]["spec"]["nodeClassRef"] for each in manifests]
    assert references == [{"group": "example.org", "kind": "MachineClass", "name": "machines"}] * 2


def test_pools_are_apart_by_label_and_taint() -> None:
    taints = (Taint("dedicated", "jobs"), Taint("gpu", "true", "NoExecute"))

    template = build(make_pool(labels={"pool": "x"}, taints=taints))["spec"]["template"]

    assert template["metadata"]["labels"] == {"pool": "x"}
    assert template["spec"]["taints"] == [
        {"key": "dedicated", "value": "jobs", "effect": "NoSchedule"},
        {"key": "gpu", "value": "true", "effect": "NoExecute"},
    ]


def test_machines_are_those_that_the_pool_names() -> None:
    pool = make_pool(
        architecture="arm64", capacity_types=("spot", "on-demand"), instance_categories=("c", "x")
    )

    manifest = build(pool)

    assert requirements(manifest) == {
        "kubernetes.io/arch": ["arm64"],
        "kubernetes.io/os": ["linux"],
        "karpenter.sh/capacity-type": ["spot", "on-demand"],
        "karpenter.k8s.aws/instance-category": ["c", "x"],
    }
    # Generations of x are others than those of c, so none is left out.
    assert len(manifest["spec"]["template"]["spec"]["requirements"]) == 4


def test_a_pool_may_name_families() -> None:
    pool = make_pool(instance_families=("m6i", "r6i"))

    assert requirements(build(pool))["karpenter.k8s.aws/instance-family"] == ["m6i", "r6i"]


def test_old_machines_are_left_out() -> None:
    assert requirements(build(make_pool()), "Gt") == {
        "karpenter.k8s.aws/instance-generation": ["4"]
    }


def test_gpu_machines_are_of_a_generation_that_the_class_promises() -> None:
    # Cheaper than the g4dn.2xlarge that one GPU and 28 GiB would otherwise get: g3, with an M60.
    pool = make_pool(
        instance_categories=("g",), limits={"cpu": 8.0, "memory": 64.0 * GIB, GPU_RESOURCE: 2}
    )

    assert requirements(build(pool), "Gt") == {"karpenter.k8s.aws/instance-generation": ["3"]}


def test_nvidias_device_plugin_finds_machines_with_gpus_and_no_others() -> None:
    pool = make_pool(
        instance_categories=("g",), limits={"cpu": 8.0, "memory": 64.0 * GIB, GPU_RESOURCE: 2}
    )

    labels = [build(each)["spec"]["template"]["metadata"]["labels"] for each in (pool, make_pool())]

    assert labels[0] == {"nvidia.com/gpu.present": "true", "example/pool": "sessions"}
    assert labels[1] == {"example/pool": "sessions"}


def test_nvidias_device_plugin_tolerates_the_taints_of_every_pool_with_gpus() -> None:
    values = yaml.safe_load(PLUGIN_VALUES.read_text(encoding="utf-8"))
    tolerated = {(each["key"], each.get("effect")) for each in values["tolerations"]}
    pools = [
        each
        for each in load_catalogue(CATALOGUE).node_pools.values()
        if GPU_RESOURCE in each.limits
    ]

    assert pools
    for pool in pools:
        assert {(each.key, each.effect) for each in pool.taints} <= tolerated


@pytest.mark.parametrize(
    ("limits", "written"),
    [
        ({"cpu": 128.0, "memory": 1024.0 * GIB}, {"cpu": "128", "memory": "1024Gi"}),
        ({"cpu": 0.5, "memory": 1536.0 * 1024**2}, {"cpu": "0.5", "memory": "1536Mi"}),
        ({"cpu": 1_234_567, "memory": 1000}, {"cpu": "1234567", "memory": "1000"}),
        (
            {"cpu": 0, "memory": 0, GPU_RESOURCE: 4},
            {"cpu": "0", "memory": "0", GPU_RESOURCE: "4"},
        ),
    ],
)
def test_limits_are_quantities(limits: dict[str, float], written: dict[str, str]) -> None:
    assert build(make_pool(limits=limits))["spec"]["limits"] == written


def test_only_empty_machines_go_and_all_of_them_after_the_pools_idle_time() -> None:
    spec = build(make_pool(idle_seconds=90))["spec"]

    assert spec["disruption"] == {
        "consolidationPolicy": "WhenEmpty",
        "consolidateAfter": "90s",
        # None goes because its pool or its image changed: jobs on spot machines would be cut.
        "budgets": [{"nodes": "100%"}, {"nodes": "0", "reasons": ["Drifted"]}],
    }
    assert spec["template"]["spec"]["expireAfter"] == "Never"
    # It would be the time after which pods are ended although they say do-not-disrupt.
    assert "terminationGracePeriod" not in spec["template"]["spec"]
