"""Machine types that Karpenter's kwok provider may pretend to buy, imitating those of EC2.

``cluster/driver/instance-types.json`` holds what is published about them, in moto (sizes, GPUs) and
in Karpenter's AWS provider (prices). ``python -m tests.bed.instance_types`` makes it, and must be
run again when one of the two has been updated.

:func:`write_karpenter_file` makes of it what Karpenter reads, with the labels that its AWS provider
would give the machines.

Sources: sigs.k8s.io/karpenter v1.14.1, kwok/cloudprovider/helpers.go;
github.com/aws/karpenter-provider-aws v1.14.0, pkg/providers/instancetype/types.go
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from cluster.driver.instance_types import FILE, InstanceType, load_types
from tests.bed import pins, programs

REGION = "us-east-1"
ZONES = tuple(f"{REGION}{letter}" for letter in "abc")
#: Spot prices change by the hour and no package has them. This share of the price on demand is the
#: one with which Karpenter makes its own pretended machines (kwok/tools/gen_instance_types.go).
SPOT_SHARE = 0.7
#: The disk of each machine, as the catalogue's pools say it.
EPHEMERAL_STORAGE = "640Gi"

(_PRICES,) = (family for family in pins.FAMILIES if family.name == "prices")
_SMALL = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge")
#: General, memory and GPU machines are what the catalogue's pools ask for; compute machines (c) are
#: cheaper, so that a test can see them left out.
CHOSEN = {
    "m5": _SMALL,
    "m6i": _SMALL,
    "m7i": _SMALL,
    "r5": (*_SMALL, "12xlarge", "16xlarge"),
    "r6i": (*_SMALL, "12xlarge", "16xlarge"),
    "c5": ("large", "xlarge", "2xlarge", "4xlarge"),
    "c6i": ("large", "xlarge", "2xlarge", "4xlarge"),
    "g4dn": ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge"),
    "g5": ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge"),
    "g6": ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge"),
}


def build_karpenter_types(types: list[InstanceType]) -> list[dict[str, Any]]:
    """What Karpenter's kwok provider reads: each type with an offer per zone and capacity type."""
    return [_build_karpenter_type(each) for each in types]


def write_karpenter_file(path: Path) -> Path:
    """Write what the variable ``INSTANCE_TYPES_FILE_PATH`` of Karpenter's kwok provider names."""
    text = json.dumps(build_karpenter_types(load_types()), indent=1) + "\n"
    path.write_text(text, encoding="utf-8")
    return path


def build_file(price_table: str) -> str:
    """The content of the file, of moto's data and the text of the provider's table of prices."""
    machines = _read_machines()
    prices = _read_prices(price_table)
    names = [f"{family}.{size}" for family, sizes in CHOSEN.items() for size in sizes]
    types = [_build_type(machines[name], prices[name]) for name in names]
    made = re.search(r"// generated at (\S+)", price_table)
    sources = {
        "sizes": f"moto {version('moto')}, moto/ec2/resources/instance_types.json.gz",
        "prices": f"{_PRICES.main} v{pins.get_version(_PRICES)}, "
        f"{_PRICES.copies[f'data/{pins.PRICES}']}, Linux on demand, dollars per hour",
        "prices_date": made[1][:10] if made else "",
        "prices_region": REGION,
    }
    # A line for each type: that is how people read and compare them.
    lines = ",\n".join(f"    {json.dumps(_leave_zeros_out(each))}" for each in types)
    head = json.dumps({"sources": sources}, indent=2).removesuffix("\n}")
    return f'{head},\n  "types": [\n{lines}\n  ]\n}}\n'


def _build_karpenter_type(item: InstanceType) -> dict[str, Any]:
    resources = {
        "cpu": str(item.cores),
        # kwok takes off 10 MiB, and a tenth of a core, for a kubelet.
        "memory": f"{item.usable_memory_mib + 10}Mi",
        "ephemeral-storage": EPHEMERAL_STORAGE,
        "pods": str(item.pods),
    }
    if item.gpus:
        resources["nvidia.com/gpu"] = str(item.gpus)
    return {
        "name": item.name,
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "resources": resources,
        "offerings": [
            {
                "Price": round(item.price_per_hour * share, 6),
                "Available": True,
                "Requirements": [
                    {"key": key, "operator": "In", "values": [value]}
                    for key, value in {
                        "karpenter.sh/capacity-type": capacity_type,
                        "topology.kubernetes.io/zone": zone,
                        **item.labels,
                    }.items()
                ],
            }
            for capacity_type, share in (("on-demand", 1.0), ("spot", SPOT_SHARE))
            for zone in ZONES
        ],
    }


def _build_type(machine: Mapping[str, Any], price: float) -> InstanceType:
    network = machine["NetworkInfo"]
    card = network["NetworkCards"][network["DefaultNetworkCardIndex"]]
    (gpu,) = machine.get("GpuInfo", {}).get("Gpus", [None])
    return InstanceType(
        name=machine["InstanceType"],
        cores=machine["VCpuInfo"]["DefaultVCpus"],
        memory_mib=machine["MemoryInfo"]["SizeInMiB"],
        # Each pod has an address of one of the machine's network interfaces.
        pods=card["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2,
        price_per_hour=price,
        gpus=gpu["Count"] if gpu else 0,
        gpu_name=gpu["Name"].lower().replace(" ", "-") if gpu else "",
        gpu_memory_mib=gpu["MemoryInfo"]["SizeInMiB"] if gpu else 0,
    )


def _read_machines() -> dict[str, Any]:
    packed = files("moto").joinpath("ec2/resources/instance_types.json.gz").read_bytes()
    machines: dict[str, Any] = json.loads(gzip.decompress(packed))
    return machines


def _read_prices(table: str) -> dict[str, float]:
    (region,) = re.findall(rf'"{REGION}": \{{(.*?)\n\t\}}', table, re.DOTALL)
    return {name: float(price) for name, price in re.findall(r'"([\w.-]+)": ([0-9.]+)', region)}


def _leave_zeros_out(item: InstanceType) -> dict[str, Any]:
    return {key: value for key, value in asdict(item).items() if value}


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    _table = programs.prepare(_say, nodes=False).data / pins.PRICES
    FILE.write_text(build_file(_table.read_text(encoding="utf-8")), encoding="utf-8")
