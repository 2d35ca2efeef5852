"""What makes GPUs of Karpenter's machines to be had: NVIDIA's device plugin, and shares of GPUs.

EKS's image of Amazon Linux 2023 for GPUs brings driver and container toolkit, and no plugin; the
kubelet knows of no GPU before that has told it. (Bottlerocket's image brings one.) Step
``20-karpenter``, from the catalogue. Pure but for the pinned version.

Sources: https://docs.aws.amazon.com/eks/latest/userguide/ml-eks-k8s-device-plugin.html;
https://github.com/NVIDIA/k8s-device-plugin (v0.17), README.md and docs/customizing.md, of whose
chart nothing is used: here it cannot be fetched.
"""

from typing import Any

import yaml

from cluster.aws.eksctl import NAMESPACE
from cluster.driver.node_pools import GPU_CONFIG, GPU_LABELS, name_gpu_config
from cluster.driver.versions import read_versions
from hub_config.platform.catalogue import GPU_RESOURCE, Catalogue, NodePool
from hub_config.platform.catalogue_rules import count_gpu_shares

Manifest = dict[str, Any]

NAME = "nvidia-device-plugin"
_IMAGE = "nvcr.io/nvidia/k8s-device-plugin"
_SOCKETS = "/var/lib/kubelet/device-plugins"
_CONFIG, _FILE = "/config", "config.yaml"


def build_gpu_objects(catalogue: Catalogue) -> list[Manifest]:
    """What a cluster needs for the GPUs of its pools; nothing where no pool has any.

    For whole GPUs and for each number of shares a DaemonSet of its own, where its pools are.
    """
    pools = _list_pools(catalogue)
    objects: list[Manifest] = []
    for shares in sorted({*pools.values()}):
        if shares > 1:
            objects.append(_build_config(shares))
        objects.append(_build_plugin(shares))
    return objects + [_build_overlay(pool, shares) for pool, shares in pools.items() if shares > 1]


def list_plugins(catalogue: Catalogue) -> list[str]:
    """Names of the DaemonSets."""
    return [_name_plugin(shares) for shares in sorted({*_list_pools(catalogue).values()})]


def is_shared(catalogue: Catalogue) -> bool:
    """Whether a pool's GPUs are shared."""
    return any(shares > 1 for shares in _list_pools(catalogue).values())


def list_unshared(catalogue: Catalogue) -> list[str]:
    """Pools that may have had an overlay and have none any more, where others have one."""
    if not is_shared(catalogue):
        # Karpenter then looks at no overlay (karpenter.py).
        return []
    pools = _list_pools(catalogue)
    return [each for each in catalogue.node_pools if pools.get(each, 1) == 1]


def _list_pools(catalogue: Catalogue) -> dict[str, int]:
    """Pool with GPUs -> how many share each."""
    return {
        pool.slug: count_gpu_shares(catalogue, pool.slug)
        for pool in catalogue.node_pools.values()
        if _has_gpus(pool)
    }


def _has_gpus(pool: NodePool) -> bool:
    return bool(pool.limits.get(GPU_RESOURCE))


def _name_plugin(shares: int) -> str:
    return f"{NAME}-{name_gpu_config(shares)}" if shares > 1 else NAME


def _build_config(shares: int) -> Manifest:
    """The plugin's own configuration; its name says all that is in it, so it never changes.

    Time-slicing: whoever has a share computes by turns, and nobody divides the GPU's memory. A pod
    that asks for two would get no more of it, and is refused.
    """
    slices = {
        "failRequestsGreaterThanOne": True,
        "resources": [{"name": GPU_RESOURCE, "replicas": shares}],
    }
    config = {"version": "v1", "sharing": {"timeSlicing": slices}}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _name_plugin(shares), "namespace": NAMESPACE},
        "data": {_FILE: yaml.safe_dump(config, sort_keys=False)},
    }


def _build_plugin(shares: int) -> Manifest:
    name = _name_plugin(shares)
    labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": name}
    container: Manifest = {
        "name": "plugin",
        "image": f"{_IMAGE}:v{read_versions()['NVIDIA_DEVICE_PLUGIN_VERSION']}",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "sockets", "mountPath": _SOCKETS}],
    }
    volumes: list[Manifest] = [
        {"name": "sockets", "hostPath": {"path": _SOCKETS, "type": "Directory"}}
    ]
    if shares > 1:
        container["env"] = [{"name": "CONFIG_FILE", "value": f"{_CONFIG}/{_FILE}"}]
        container["volumeMounts"].append({"name": "config", "mountPath": _CONFIG})
        volumes.append({"name": "config", "configMap": {"name": name}})
    spec = {
        "affinity": {"nodeAffinity": _build_affinity(shares)},
        # Whatever taints a machine has, its GPUs are to be shown: those of pools, of the
        # catalogue, and those that drivers of volumes take away later.
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "system-node-critical",
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _build_affinity(shares: int) -> Manifest:
    """Machines that a pool says to have GPUs, and no others: just one plugin on each."""
    wanted: list[Manifest] = [
        {"key": key, "operator": "In", "values": [value]} for key, value in GPU_LABELS.items()
    ]
    if shares > 1:
        config = {"key": GPU_CONFIG, "operator": "In", "values": [name_gpu_config(shares)]}
    else:
        config = {"key": GPU_CONFIG, "operator": "DoesNotExist"}
    terms = [{"matchExpressions": [*wanted, config]}]
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}


def _build_overlay(pool: str, shares: int) -> Manifest:
    """Tells Karpenter what a machine of the pool, which has one GPU, will have.

    Without it ten who come at once would get ten machines: it knows of EC2's GPUs alone. An alpha
    of Karpenter, which its chart's values have to switch on (``karpenter.py``).

    Source: https://karpenter.sh/docs/concepts/nodeoverlays/ (v1.14)
    """
    of_pool = {"key": "karpenter.sh/nodepool", "operator": "In", "values": [pool]}
    return {
        "apiVersion": "karpenter.sh/v1alpha1",
        "kind": "NodeOverlay",
        "metadata": {"name": pool},
        "spec": {"requirements": [of_pool], "capacity": {GPU_RESOURCE: str(shares)}},
    }
