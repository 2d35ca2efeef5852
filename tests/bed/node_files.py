"""The files that make a real node: configuration of containerd, of its network plugin, of kubelet.

Inside its namespaces each node has the usual paths (`/var/lib/kubelet`, `/run/containerd`), which
`node_root.sh` lays over the machine's; so all nodes have the same files but for names and
addresses. Pure: texts and mappings from plain data. Used by `nodes.py` and `node_start.py`.

Sources: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (v1.35),
https://github.com/containerd/containerd/blob/v1.6.20/docs/cri/config.md,
https://www.cni.dev/plugins/current/main/ptp/ (1.1)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

#: Where a node's own files are, as it sees them.
NODE_FOLDER = "/var/lib/node"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
#: Where containerd looks, at each pull, how a registry is reached: a folder for each, by its host.
REGISTRIES = "registries"
PAUSE_IMAGE = "localhost/pause:bed"
CLUSTER_DOMAIN = "cluster.local"
#: Node N has the address BASE.0.(10 + N) and the pods' range BASE.N.0/24.
FIRST_ADDRESS = 10
MOST_NODES = 200
#: Memory that must stay free on the machine; the kubelet evicts pods below it.
EVICTION_MIB = 50


@dataclass(frozen=True)
class Size:
    """How large a node seems to the scheduler."""

    cores: float
    memory_mib: int


@dataclass(frozen=True)
class NodeFacts:
    """What is particular to one real node.

    Attributes:
        base: the first half of the bed's addresses, such as `10.203`.
        number: from 1; the address and the pods' range come from it.
        taints: mappings with key, value, effect, as Kubernetes has them.
        provider_id: of the machine, as a NodeClaim names it; empty for none.
        size: None for the whole machine.
    """

    name: str
    base: str
    number: int
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    provider_id: str = ""
    size: Size | None = None

    @property
    def address(self) -> str:
        """The node's own address."""
        return f"{self.base}.0.{FIRST_ADDRESS + self.number}"

    @property
    def pod_range(self) -> str:
        """The range of its pods' addresses."""
        return f"{self.base}.{self.number}.0/24"


@dataclass(frozen=True)
class Machine:
    """What this machine has: cores, memory, and where its network plugins are."""

    cores: int
    memory_mib: int
    plugin_folder: str


def dump_facts(facts: NodeFacts) -> str:
    """The file from which :func:`load_facts` makes the facts again."""
    return json.dumps(asdict(facts), indent=2) + "\n"


def load_facts(text: str) -> NodeFacts:
    """Make facts from :func:`dump_facts`."""
    raw = json.loads(text)
    return NodeFacts(**{**raw, "size": Size(**raw["size"]) if raw["size"] else None})


def build_containerd(machine: Machine, snapshotter: str = "overlayfs") -> str:
    """Containerd's configuration (version 2 of its form)."""
    return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
# Unused snapshotters only warn.
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  disable_apparmor = true
  # Where root has no CAP_SYS_RESOURCE, a lower score cannot be set and no pod would start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{machine.plugin_folder}"
    conf_dir = "{NODE_FOLDER}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{NODE_FOLDER}/{REGISTRIES}"
"""


def build_plugin_list(facts: NodeFacts) -> dict[str, Any]:
    """The pods' network: one pair of interfaces for each pod.

    Not a bridge: between two pods on one bridge an answer takes the short way past kube-proxy's
    rules, unless the machine filters bridges, which is a setting of the machine's.
    """
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                # Nothing leaves the bed, so nothing needs another address.
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": facts.pod_range}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni",
                },
            }
        ],
    }


def build_kubelet(
    facts: NodeFacts, machine: Machine, *, cgroup_root: str, dns: str, port: int
) -> dict[str, Any]:
    """The kubelet's configuration."""
    configuration: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": facts.address,
        "port": port,
        "healthzBindAddress": facts.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{NODE_FOLDER}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{NODE_FOLDER}/kubelet.crt",
        "tlsPrivateKeyFile": f"{NODE_FOLDER}/kubelet.key",
        "registerWithTaints": [dict(taint) for taint in facts.taints],
        "providerID": facts.provider_id,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup_root,
        "failCgroupV1": False,
        "enforceNodeAllocatable": ["pods"],
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [dns],
        # Names of the world outside are none of a pod's business here.
        "resolvConf": "",
        "podLogsDir": "/var/log/pods",
        # Images are imported, so none that was collected would ever come back.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": f"{EVICTION_MIB}Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "nodeStatusUpdateFrequency": "2s",
        # It tells what has changed at once. That nothing has, its lease says every 10 s; as long as
        # the frequency above is the default here, everybody who watches nodes hears it every 2 s.
        "nodeStatusReportFrequency": "5m",
        "serializeImagePulls": False,
        "registryPullQPS": 0,
    }
    if facts.size:
        cores = max(0.0, machine.cores - facts.size.cores)
        memory = max(0, machine.memory_mib - EVICTION_MIB - facts.size.memory_mib)
        configuration["systemReserved"] = {"cpu": f"{cores * 1000:.0f}m", "memory": f"{memory}Mi"}
    return configuration
