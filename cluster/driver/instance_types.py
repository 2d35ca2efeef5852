"""EC2's machines, as far as they are known here: sizes, GPUs, prices, and what pods can have.

``instance-types.json`` holds what is published about them and says where it comes from; it is made
by the test bed (``python -m tests.bed.instance_types``), which pretends to buy them. Pure but for
that file.

Source: github.com/aws/karpenter-provider-aws v1.14.0, pkg/providers/instancetype/types.go
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from hub_config.platform.catalogue import GPU_RESOURCE

FILE = Path(__file__).with_name("instance-types.json")
#: What a kubelet keeps for the machine, at least; in cores.
KUBELET_CORES = 0.1
#: What is asked for by the DaemonSets of a machine: network, storage, proxy, identities.
DAEMONS_CORES, DAEMONS_MIB = 0.2, 300
#: Of the first core, of the second, of the next two and of all others the kubelet keeps so much.
_KUBELET_SHARES = ((1, 0.06), (1, 0.01), (2, 0.005), (math.inf, 0.0025))


@dataclass(frozen=True)
class InstanceType:
    """What is published about a machine type; the price is dollars per hour, on demand."""

    name: str
    cores: int
    memory_mib: int
    pods: int
    price_per_hour: float
    gpus: int = 0
    gpu_name: str = ""
    gpu_memory_mib: int = 0

    @property
    def category(self) -> str:
        """Of EC2, the letters that its name begins with: ``m``, ``r``, ``g``."""
        return self.labels["karpenter.k8s.aws/instance-category"]

    @property
    def family(self) -> str:
        """What is before the size: ``m6i`` of ``m6i.large``."""
        return self.name.partition(".")[0]

    @property
    def generation(self) -> int:
        """The number in its family: 6."""
        return int(self.labels["karpenter.k8s.aws/instance-generation"])

    @property
    def capacity(self) -> dict[str, float]:
        """What limits of a node pool count of it: cores, bytes of memory, GPUs."""
        return {"cpu": self.cores, "memory": self.memory_mib << 20, GPU_RESOURCE: self.gpus}

    @property
    def usable_memory_mib(self) -> int:
        """What pods can have: less the hypervisor's, the kubelet's and the eviction threshold.

        So Karpenter's AWS provider reckons before it has seen such a machine.
        """
        of_hypervisor = math.ceil(self.memory_mib * 0.075)
        of_kubelet = 11 * self.pods + 255
        return self.memory_mib - of_hypervisor - of_kubelet - 100

    @property
    def free_cores(self) -> float:
        """What sessions and jobs can have: less the kubelet's and the DaemonSets'."""
        kept, left = 0.0, float(self.cores)
        for cores, share in _KUBELET_SHARES:
            kept += min(cores, left) * share
            left -= min(cores, left)
        return self.cores - max(kept, KUBELET_CORES) - DAEMONS_CORES

    @property
    def free_memory_mib(self) -> int:
        """What sessions and jobs can have: less the DaemonSets' as well."""
        return self.usable_memory_mib - DAEMONS_MIB

    @property
    def labels(self) -> dict[str, str]:
        """Labels of Karpenter's AWS provider, those a node pool or a pod may select by."""
        family, size = self.name.split(".")
        category, generation = re.findall(r"[a-z]+|[0-9]+", family)[:2]
        values = {
            "instance-category": category,
            "instance-family": family,
            "instance-generation": generation,
            "instance-size": size,
            "instance-cpu": str(self.cores),
            "instance-memory": str(self.memory_mib),
        }
        if self.gpus:
            values |= {
                "instance-gpu-name": self.gpu_name,
                "instance-gpu-manufacturer": "nvidia",
                "instance-gpu-count": str(self.gpus),
                "instance-gpu-memory": str(self.gpu_memory_mib),
            }
        return {f"karpenter.k8s.aws/{key}": value for key, value in values.items()}


def load_types(path: Path = FILE) -> list[InstanceType]:
    """The types of the file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return [InstanceType(**fields) for fields in content["types"]]


def load_prices_date(path: Path = FILE) -> str:
    """The day of the file's prices, ``2026-07-06``."""
    date: str = json.loads(path.read_text(encoding="utf-8"))["sources"]["prices_date"]
    return date
