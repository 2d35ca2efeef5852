"""Karpenter's node pools, from the catalogue's.

The test bed and the deployment apply the same manifests; only the node class that they name differs
(machines of EC2, or pretended ones). Pure; whoever applies manifests may import it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cluster.driver.instance_types import InstanceType
from cluster.driver.resources import build_resource_list
from hub_config.platform.catalogue import GPU_RESOURCE, Catalogue, NodePool
from hub_config.platform.catalogue_rules import count_gpu_shares

Manifest = dict[str, Any]

#: Category -> its machines up to this generation are left out. Those for all purposes are slow for
#: their price; GPUs of these (K80, M60, V100) are older than a T4, and new drivers give them up. By
#: their price some would be chosen first. Generations of other categories count otherwise.
OLD_GENERATIONS = {"c": 4, "m": 4, "r": 4, "g": 3, "p": 3}
#: NVIDIA's device plugin looks for it, and without its pod no GPU of a machine can be had.
#: Source: https://github.com/NVIDIA/k8s-device-plugin (0.17), deployments/helm
GPU_LABELS = {"nvidia.com/gpu.present": "true"}
#: Names how the plugin shows a machine's GPUs; NVIDIA's chart takes it for the same.
#: Source: there, README.md, "Multiple config file example"
GPU_CONFIG = "nvidia.com/device-plugin.config"


@dataclass(frozen=True)
class NodeClass:
    """What Karpenter makes machines of: a reference to an object of its cloud provider.

    Attributes:
        group: of its API.
        kind: of the object.
        name: of the object; empty where each pool has one of its own, called as the pool is.
    """

    group: str
    kind: str
    name: str = ""


def build_node_pools(
    catalogue: Catalogue, node_class: NodeClass, startup_taints: Sequence[str] = ()
) -> list[Manifest]:
    """A ``NodePool`` for every pool of the catalogue, in the file's order.

    Args:
        catalogue: with the pools.
        node_class: that they name.
        startup_taints: keys of taints that something on the machine takes away when it is ready.

    Source: https://karpenter.sh/docs/concepts/nodepools/ (v1.14)
    """
    pools = [
        _build_node_pool(pool, node_class, count_gpu_shares(catalogue, pool.slug))
        for pool in catalogue.node_pools.values()
    ]
    for each in pools if startup_taints else ():
        each["spec"]["template"]["spec"]["startupTaints"] = [
            {"key": key, "effect": "NoExecute"} for key in startup_taints
        ]
    return pools


def name_gpu_config(shares: int) -> str:
    """How GPUs are shown that so many share, as :data:`GPU_CONFIG` has it."""
    return f"shared-{shares}"


def count_capacity(machine: InstanceType, shares: int) -> dict[str, float]:
    """What limits of a pool count of a machine: cores, bytes of memory, shares of GPUs."""
    return {**machine.capacity, GPU_RESOURCE: machine.gpus * shares}


def may_buy(pool: NodePool, machine: InstanceType) -> bool:
    """Whether a type, all of which are amd64 here, is among the machines that a pool may have."""
    return (
        pool.architecture == "amd64"
        and machine.category in pool.instance_categories
        and (not pool.instance_families or machine.family in pool.instance_families)
        and machine.generation > _get_oldest(pool)
    )


def _get_oldest(pool: NodePool) -> int:
    """The generation whose machines, and those of earlier ones, are left out; 0 for none."""
    return min(OLD_GENERATIONS.get(category, 0) for category in pool.instance_categories)


def _build_node_pool(pool: NodePool, node_class: NodeClass, shares: int) -> Manifest:
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": pool.slug},
        "spec": {
            "limits": build_resource_list(pool.limits),
            "disruption": _build_disruption(pool.idle_seconds),
            "template": {
                "metadata": {"labels": {**_get_gpu_labels(pool, shares), **pool.labels}},
                "spec": {
                    "nodeClassRef": {
                        "group": node_class.group,
                        "kind": node_class.kind,
                        "name": node_class.name or pool.slug,
                    },
                    "taints": [
                        {"key": taint.key, "value": taint.value, "effect": taint.effect}
                        for taint in pool.taints
                    ],
                    "requirements": _build_requirements(pool, shares),
                    # An expired machine is taken away under the pods that run on it, whatever
                    # their annotations say. The default is 30 days; no job ends by the calendar.
                    "expireAfter": "Never",
                },
            },
        },
    }


def _build_requirements(pool: NodePool, shares: int) -> list[Manifest]:
    """Which machines the pool may have; GPUs are shared on those that have one.

    Category and generation are labels of Karpenter's AWS provider.
    Source: https://karpenter.sh/docs/concepts/scheduling/#well-known-labels (v1.14)
    """
    wanted = {
        "kubernetes.io/arch": (pool.architecture,),
        "kubernetes.io/os": ("linux",),
        "karpenter.sh/capacity-type": pool.capacity_types,
        "karpenter.k8s.aws/instance-category": pool.instance_categories,
        "karpenter.k8s.aws/instance-family": pool.instance_families,
        "karpenter.k8s.aws/instance-gpu-count": ("1",) if shares > 1 else (),
    }
    requirements: list[Manifest] = [
        {"key": key, "operator": "In", "values": list(values)}
        for key, values in wanted.items()
        if values
    ]
    oldest = _get_oldest(pool)
    if oldest:
        requirements.append(
            {
                "key": "karpenter.k8s.aws/instance-generation",
                "operator": "Gt",
                "values": [str(oldest)],
            }
        )
    return requirements


def _get_gpu_labels(pool: NodePool, shares: int) -> dict[str, str]:
    # The catalogue's rules see to it that pools of GPU machines, and no others, have this limit.
    if not pool.limits.get(GPU_RESOURCE):
        return {}
    return GPU_LABELS | ({GPU_CONFIG: name_gpu_config(shares)} if shares > 1 else {})


def _build_disruption(idle_seconds: int) -> Manifest:
    """Only machines without pods go, each as soon as its time of idleness is over.

    Moving pods to fewer machines, the default, would end sessions and jobs. The default budget lets
    go of a tenth of the machines at a time; nobody loses by letting go of all that are empty.

    A machine that is no more as its pool says, as after a new image or a newer Kubernetes, is not
    replaced while it is in use: ``do-not-disrupt`` would hold it, but jobs on spot machines have
    none (:func:`hub_config.platform.pods.build_annotations`). It goes when it is empty, as any.
    Source: https://karpenter.sh/docs/concepts/disruption/ (v1.14); of several budgets the least
    holds: GetAllowedDisruptionsByReason in sigs.k8s.io/karpenter v1.14.1, pkg/apis/v1/nodepool.go
    """
    return {
        "consolidationPolicy": "WhenEmpty",
        "consolidateAfter": f"{idle_seconds}s",
        "budgets": [{"nodes": "100%"}, {"nodes": "0", "reasons": ["Drifted"]}],
    }
