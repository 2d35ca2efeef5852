"""Classes and machines: what a class buys, and the class that a machine is best for.

``python -m cluster.driver.fit m5.2xlarge --share 2`` (``make class``) prints an entry for the
catalogue; :mod:`cluster.driver.limits` asks which machines a class buys. All but :func:`main` is
pure.

Karpenter buys the cheapest machine on which a pod has room. So a class that asks for a little more
than a machine can give buys the next one, at about twice the price.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cluster.driver.instance_types import InstanceType, load_prices_date, load_types
from cluster.driver.node_pools import may_buy
from hub_config.platform.catalogue import DISK_MARGIN, GIB, InstanceClass, NodePool
from hub_config.platform.catalogue_rules import ALLOCATABLE_DISK
from hub_config.platform.quantities import format_bytes, format_cores

_MIB = 1024**2
#: Of its memory a class may have so much as shared memory.
_SHARED_PART = 8
_GIB_MIB, _LEAST_STEP_MIB = 1024, 256
_LEAST_MEMORY_MIB, _LARGEST_SHARE = 512, 8
_PARTS = {1: "", 2: "half of ", 4: "a quarter of "}


@dataclass(frozen=True)
class Fit:
    """A class as large as the share of a machine can be; memory and scratch in bytes."""

    machine: InstanceType
    share: int
    cores: float
    memory_bytes: int
    scratch_bytes: int

    @property
    def price_per_hour(self) -> float:
        """Of the share, in dollars."""
        return self.machine.price_per_hour / self.share


def count_fitting(machine: InstanceType, size: InstanceClass | Fit) -> int:
    """How many pods of a class a machine has room for, by its cores, memory and GPUs."""
    memory = machine.free_memory_mib * _MIB
    # Amounts such as 1.7 are none of a computer's numbers.
    counts = [int(machine.free_cores / size.cores + 1e-9), memory // int(size.memory_bytes)]
    if isinstance(size, InstanceClass) and size.gpu_shared_by > 1:
        # A pool whose GPUs are shared has machines with one of them.
        counts.append(size.gpu_shared_by if machine.gpus == 1 else 0)
    elif isinstance(size, InstanceClass) and size.gpus:
        counts.append(machine.gpus // size.gpus)
    return min(counts)


def list_fitting(
    types: Sequence[InstanceType], size: InstanceClass, pool: NodePool
) -> list[InstanceType]:
    """The machines that a pool may have with room for a class, the cheapest first."""
    fitting = [each for each in types if may_buy(pool, each) and count_fitting(each, size) > 0]
    return sorted(fitting, key=lambda each: each.price_per_hour)


def find_cheapest(
    types: Sequence[InstanceType], size: InstanceClass, pool: NodePool
) -> list[InstanceType]:
    """The machines of a pool that Karpenter would buy for a class; several may cost the same."""
    fitting = list_fitting(types, size, pool)
    return [each for each in fitting if each.price_per_hour == fitting[0].price_per_hour]


def fit(machine: InstanceType, share: int, disk_bytes: float) -> Fit:
    """The largest class of which a machine has room for ``share``.

    Args:
        machine: that is to be bought.
        share: how many of the class have room on it.
        disk_bytes: the machine's.

    Raises:
        ValueError: there is no such class; the text says what to write instead.
    """
    if machine.gpus > 1 and machine.gpus % share:
        raise ValueError(
            f"{machine.name} has {machine.gpus} GPU(s), which {share} cannot share: write a SHARE"
            f" that divides it"
        )
    cores = math.floor(machine.free_cores / share * 10 + 1e-9) / 10
    memory_mib = machine.free_memory_mib // share
    memory_mib -= memory_mib % (_GIB_MIB if memory_mib >= _GIB_MIB else _LEAST_STEP_MIB)
    if not cores or memory_mib < _LEAST_MEMORY_MIB:
        raise ValueError(f"{machine.name} is too small for {share}: write a smaller SHARE")
    scratch = math.floor((disk_bytes * ALLOCATABLE_DISK / share - DISK_MARGIN) / GIB)
    if scratch < 1:
        raise ValueError(
            f"a disk of {format_bytes(disk_bytes)} is too small for {share}: write a larger DISK"
        )
    return Fit(machine, share, cores, memory_mib * _MIB, scratch * GIB)


def describe(found: Fit, types: Sequence[InstanceType], date: str) -> str:
    """The entry of a class for the catalogue, as YAML, with what is still to be said of it."""
    machine = found.machine
    kind = "gpu" if machine.gpus else "general"
    share = found.share
    slug = machine.name.replace(".", "-") + (f"-{share}" if share > 1 else "")
    part = _PARTS.get(share, f"1/{share} of ")
    lines = [
        f"# {share} of this class on each {machine.name}"
        f" ({format_cores(machine.cores)}, {format_bytes(machine.memory_mib * _MIB)}).",
        *(f"# {each}" for each in _find_cheaper(found, types)),
        f"- slug: {slug}",
        f"  name: {machine.name}{f' / {share}' if share > 1 else ''}",
        f"  cores: {found.cores:g}",
        f"  memory: {format_bytes(found.memory_bytes)}",
    ]
    if machine.gpus:
        model = f"NVIDIA {machine.gpu_name.upper()}"
        lines += [f"  gpus: {max(machine.gpus // share, 1)}", f"  gpu_model: {model}"]
        if machine.gpus < share:
            lines += [f"  gpu_shared_by: {share}  # by turns; its memory is divided by nobody"]
    lines += [
        "  architecture: amd64",
        f"  scratch: {format_bytes(found.scratch_bytes)}",
        f"  shared_memory: {found.memory_bytes // _SHARED_PART // _MIB} MiB",
        "  groups: []  # who may use it",
        f"  session: {{node_pool: sessions-{kind}}}",
        f"  job: {{node_pool: jobs-{kind}, spot: true}}",
        "  longest_session: 12 h",
        "  longest_job: 1 d",
        "  price:",
        f"    per_hour: {round(found.price_per_hour, 4):g}",
        "    currency: USD",
        f'    date: "{date}"',
        f"    basis: {part}{machine.name}",
    ]
    return "\n".join(lines) + "\n"


def _find_cheaper(found: Fit, types: Sequence[InstanceType]) -> Iterator[str]:
    """Which machine of the category Karpenter would take instead."""
    machine = found.machine
    cheaper = [
        each
        for each in types
        if each.category == machine.category
        and each.gpus >= -(-machine.gpus // found.share)
        and each.price_per_hour < machine.price_per_hour
        and count_fitting(each, found) > 0
    ]
    if cheaper:
        best = min(cheaper, key=lambda each: each.price_per_hour)
        yield (
            f"A pool that may have it buys {best.name} instead, at {best.price_per_hour:g} USD/h:"
            " run this for that one."
        )


def main(arguments: Sequence[str]) -> int:
    """Print the class for a machine; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.driver.fit")
    parser.add_argument("machine", help="an instance type of EC2, such as m5.2xlarge")
    parser.add_argument(
        "--share", type=int, default=1, choices=range(1, _LARGEST_SHARE + 1), help="so many of it"
    )
    parser.add_argument("--disk", type=int, default=640, help="the machine's, in GiB")
    options = parser.parse_args(arguments)
    types = {each.name: each for each in load_types()}
    if options.machine not in types:
        known = ", ".join(sorted(types))
        sys.stderr.write(f"{options.machine} is no machine that is known here; known: {known}\n")
        return 2
    try:
        found = fit(types[options.machine], options.share, options.disk * GIB)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(describe(found, list(types.values()), load_prices_date()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
