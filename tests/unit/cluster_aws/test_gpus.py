"""NVIDIA's device plugin and shares of GPUs, by Kubernetes' rules on the rendered pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.aws.gpus import build_gpu_objects, list_unshared
from cluster.aws.karpenter import build_karpenter_values, build_pools
from cluster.aws.order import list_commands
from cluster.aws.steps import MACHINES
from cluster.driver.aws_settings import Aws
from cluster.driver.versions import read_versions
from hub_config.platform.catalogue import GIB, GPU_RESOURCE, Catalogue, Taint
from tests.bed.overlay import load_catalogue
from tests.factories import make_catalogue, make_class, make_placement, make_pool
from tests.unit.cluster_aws.accounts import make_aws
from tests.unit.cluster_aws.test_karpenter import make_settings

AWS: Aws = make_aws()
SHIPPED = load_catalogue(real=False)
LIMITS = {"cpu": 64.0, "memory": 256.0 * GIB, GPU_RESOURCE: 8}
#: Of volumes whose drivers taint a machine until they are ready.
HOMES = {"homes": {"csi": {"driver": "efs.csi.aws.com"}}}


def make_shared(**shares: int) -> Catalogue:
    """Pools without GPUs, and a class each with pools of its own, whose GPUs so many share."""
    taints = (Taint("example/dedicated", "gpu"), Taint("nvidia.com/gpu", "true", "NoExecute"))
    pools, classes = [make_pool(), make_pool("jobs", "job")], [make_class(default=True)]
    for name, shared_by in shares.items():
        own = [
            make_pool(
                f"{name}-{kind}s",
                kind,
                instance_categories=("g",),
                limits=LIMITS,
                taints=taints,
            )
            for kind in ("session", "job")
        ]
        placed = {pool.kind: make_placement(pool) for pool in own}
        model = {"gpus": 1, "gpu_model": "NVIDIA T4", "gpu_shared_by": shared_by}
        classes.append(make_class(name, **model, **placed))
        pools += own
    return make_catalogue(node_pools=pools, classes=classes)


CATALOGUES = {
    "shipped": SHIPPED,
    "whole and shared": make_shared(whole=1, quarter=4, half=2, fourth=4),
}


def list_nodes(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """A machine of each pool as it begins: its labels, and all taints that it may have."""
    settings = replace(make_settings(HOMES), catalogue=catalogue)
    nodes = {}
    for pool in build_pools(settings):
        template = pool["spec"]["template"]
        of_start = template["spec"]["startupTaints"]
        assert of_start
        nodes[pool["metadata"]["name"]] = {
            "labels": template["metadata"]["labels"],
            "taints": [*template["spec"]["taints"], *of_start],
        }
    return nodes


def is_for(pod: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """Whether a DaemonSet's pod belongs on a node.

    Sources: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity,
    .../taint-and-toleration/#concepts
    """

    def matches(term: Mapping[str, Any]) -> bool:
        value = node["labels"].get(term["key"])
        return {
            "In": value in term.get("values", []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[str(term["operator"])]

    def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
        if toleration.get("effect", taint["effect"]) != taint["effect"]:
            return False
        if toleration.get("operator") == "Exists":
            return bool(toleration.get("key", taint["key"]) == taint["key"])
        same_value = toleration.get("value", "") == taint.get("value", "")
        return bool(toleration["key"] == taint["key"] and same_value)

    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return any(
        all(map(matches, term["matchExpressions"])) for term in terms["nodeSelectorTerms"]
    ) and all(
        any(tolerates(each, taint) for each in pod["tolerations"]) for taint in node["taints"]
    )


def read_replicas(objects: list[dict[str, Any]], pod: Mapping[str, Any]) -> int:
    """Of the configuration that a plugin reads, as it is mounted; 1 where it reads none."""
    (container,) = pod["containers"]
    if not container.get("env"):
        return 1
    (variable,) = container["env"]
    assert variable["name"] == "CONFIG_FILE"
    folder, _, file = variable["value"].rpartition("/")
    (mount,) = (each for each in container["volumeMounts"] if each["mountPath"] == folder)
    (volume,) = (each for each in pod["volumes"] if each["name"] == mount["name"])
    (config,) = (
        each
        for each in objects
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == volume["configMap"]["name"]
    )
    slicing = yaml.safe_load(config["data"][file])["sharing"]["timeSlicing"]
    assert slicing["failRequestsGreaterThanOne"]
    (resource,) = slicing["resources"]
    assert resource["name"] == GPU_RESOURCE
    return int(resource["replicas"])


@pytest.mark.parametrize("name", CATALOGUES)
def test_each_machine_with_gpus_has_one_plugin_that_shows_them_as_its_classes_share_them(
    name: str,
) -> None:
    catalogue = CATALOGUES[name]
    objects = build_gpu_objects(catalogue)
    pods = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "DaemonSet"]

    assert pods
    for pool, node in list_nodes(catalogue).items():
        shown = [read_replicas(objects, pod) for pod in pods if is_for(pod, node)]
        shared = [
            each.gpu_shared_by
            for each in catalogue.classes.values()
            if each.gpus and pool in (each.session.node_pool, each.job.node_pool)
        ]
        assert shown == shared[:1]


def test_the_rules_would_find_a_plugin_that_does_not_match() -> None:
    (plugin,) = (e for e in build_gpu_objects(SHIPPED) if e["kind"] == "DaemonSet")
    pod = plugin["spec"]["template"]["spec"]
    node = list_nodes(SHIPPED)["jobs-gpu"]
    # As NVIDIA's chart has it by itself.
    of_chart = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]

    assert is_for(pod, node)
    assert not is_for({**pod, "tolerations": of_chart}, node)
    assert not is_for(pod, {**node, "labels": {}})


def test_without_gpus_there_is_nothing() -> None:
    assert build_gpu_objects(make_catalogue()) == []


def test_karpenter_knows_how_many_have_room_on_a_machine_whose_gpu_is_shared() -> None:
    """And buys only machines with one GPU there, of which this is true."""
    catalogue = make_shared(whole=1, quarter=4)

    overlays = [e for e in build_gpu_objects(catalogue) if e["kind"] == "NodeOverlay"]

    assert {each["metadata"]["name"]: each["spec"]["capacity"] for each in overlays} == {
        "quarter-sessions": {GPU_RESOURCE: "4"},
        "quarter-jobs": {GPU_RESOURCE: "4"},
    }
    for each in overlays:
        name = each["metadata"]["name"]
        (requirement,) = each["spec"]["requirements"]
        assert requirement == {"key": "karpenter.sh/nodepool", "operator": "In", "values": [name]}
    count = "karpenter.k8s.aws/instance-gpu-count"
    settings = replace(make_settings({}), catalogue=catalogue)
    bought = {
        pool["metadata"]["name"]: each["values"]
        for pool in build_pools(settings)
        for each in pool["spec"]["template"]["spec"]["requirements"]
        if each["key"] == count
    }
    assert bought == {"quarter-sessions": ["1"], "quarter-jobs": ["1"]}


def test_what_karpenter_has_as_an_alpha_is_on_only_where_it_is_needed() -> None:
    settings = [
        build_karpenter_values(AWS, each)["settings"] for each in (SHIPPED, make_shared(quarter=4))
    ]

    assert [each.get("featureGates") for each in settings] == [None, {"nodeOverlay": True}]


def test_pools_whose_gpus_are_whole_again_are_counted_as_that() -> None:
    assert list_unshared(SHIPPED) == []
    assert list_unshared(make_shared(whole=1, half=2)) == [
        *("sessions", "jobs", "whole-sessions", "whole-jobs"),
    ]


def test_karpenter_is_told_so_before_it_is_asked_whether_it_is_ready() -> None:
    settings = replace(make_settings({}), catalogue=make_shared(whole=1, half=2))

    commands = list_commands(settings, AWS, Path("plan"))

    names = list(commands)
    assert names.index("machines") < names.index("whole-gpus") < names.index("ready")
    assert set(MACHINES) <= set(names)
    words = " ".join(commands["whole-gpus"].words)
    assert "delete nodeoverlays.karpenter.sh sessions jobs whole-sessions whole-jobs --" in words
    assert commands["machines"].words[-1] == "plan/20-karpenter/gpus.yaml"


def test_the_plugin_is_the_pinned_one() -> None:
    (plugin,) = (e for e in build_gpu_objects(SHIPPED) if e["kind"] == "DaemonSet")
    (container,) = plugin["spec"]["template"]["spec"]["containers"]

    assert container["image"].endswith(f":v{read_versions()['NVIDIA_DEVICE_PLUGIN_VERSION']}")
