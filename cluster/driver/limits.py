"""The limits of node pools: classes that can never start, and shares that may not all be had.

:mod:`cluster.driver.settings` refuses what :func:`find_impossible` finds; ``make deploy`` tells
:func:`find_notes`. Karpenter counts a machine against its pool's limits as it is bought, a class
and a group's share are counted as they are asked for: so a class may be within the limits of a
pool that can never have a machine for it. Of machines that are not known here nothing is said.
Pure.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cluster.driver.fit import count_fitting, find_cheapest, list_fitting
from cluster.driver.instance_types import InstanceType
from cluster.driver.node_pools import count_capacity
from hub_config.platform.catalogue import GPU_RESOURCE, Catalogue, Group, InstanceClass, NodePool
from hub_config.platform.catalogue_rules import (
    MACHINES,
    amounts_of,
    count_gpu_shares,
    find_job_pools,
    is_held,
)
from hub_config.platform.quantities import format_bytes, format_cores, format_gpus

#: Sums of numbers such as 1.7 are none of a computer's: they are off by less than this.
_FAINT = 1e-9


@dataclass(frozen=True)
class _Beyond:
    """Sessions or jobs of a class, for which each machine that is known is beyond the limits."""

    size: InstanceClass
    kind: str
    pool: NodePool
    machines: Sequence[InstanceType]
    shares: int

    @property
    def is_sure(self) -> bool:
        """Whether a machine is known of each category, or family, that the pool may have.

        The sizes of a category double, with so much memory for each core: a family that is not
        known has no smaller machine for the class. Those with GPUs differ more: a pool that names
        families which are not known is left alone.
        """
        known = {each.family for each in self.machines} | {each.category for each in self.machines}
        able = [
            each for each in self.pool.instance_categories if is_held(MACHINES[each], self.size)
        ]
        families = [each for each in self.pool.instance_families if each.startswith(tuple(able))]
        return known.issuperset(families or able)

    def describe(self) -> str:
        """What it buys, what the pool may have of that, and what to write instead."""
        pool, machine = self.pool, self.machines[0]
        bought = count_capacity(machine, self.shares)
        over = [each for each, amount in bought.items() if amount > _get(pool, each)]
        has = _list(over, machine.capacity)
        if self.shares > 1 and GPU_RESOURCE in over:
            has += f", which counts as {self.shares}"
        families = "" if pool.instance_families else ", or name families with a smaller machine"
        return (
            f"it buys {machine.name} with {has}, and all of {pool.slug} may have"
            f" {_list(over, pool.limits)}: raise node_pools.{pool.slug}.limits, make the"
            f" class smaller{families}"
        )


def find_impossible(
    catalogue: Catalogue, types: Sequence[InstanceType]
) -> Iterator[tuple[str, str]]:
    """Classes for which their pool can never have a machine: the key, and what to write instead."""
    for each in _list_beyond(catalogue, types):
        if each.is_sure:
            key = f"classes.{each.size.slug}.{each.kind}"
            yield key, f"no {each.kind} of the class could ever start: {each.describe()}"


def find_notes(catalogue: Catalogue, types: Sequence[InstanceType]) -> Iterator[str]:
    """What an administrator should know of a catalogue that is no mistake by itself."""
    for each in _list_beyond(catalogue, types):
        if not each.is_sure:
            yield (
                f"no {each.kind} of class {each.size.slug} can start, as far as is known:"
                f" {each.describe()}"
            )
    for pool in catalogue.node_pools.values():
        groups = [
            each
            for each in catalogue.groups.values()
            if pool in find_job_pools(catalogue, each.slug)
        ]
        bought = [_count_bought(catalogue, each, pool, types) for each in groups]
        sums = {each: sum(one.get(each, 0) for one in bought) for each in pool.limits}
        short = [each for each, amount in sums.items() if amount > pool.limits[each] * (1 + _FAINT)]
        if pool.kind == "job" and short:
            yield (
                f"the shares of {', '.join(each.slug for each in groups)} may come to machines with"
                f" {_list(short, sums)}, {pool.slug} may have {_list(short, pool.limits)}: when all"
                " are busy, their jobs wait for one another"
            )


def _count_bought(
    catalogue: Catalogue, group: Group, pool: NodePool, types: Sequence[InstanceType]
) -> dict[str, float]:
    """What the machines may have at most that a group's share buys in a pool, by resource."""
    most: dict[str, float] = {}
    shares = count_gpu_shares(catalogue, pool.slug)
    for size in catalogue.classes.values():
        if group.slug in size.groups and size.job.node_pool == pool.slug:
            pods = min(
                group.queue.capability.get(resource, 0) / wanted
                for resource, wanted in amounts_of(size).items()
            )
            parts = [(amounts_of(size), 1)]
            if machines := find_cheapest(types, size, pool):
                parts = [(count_capacity(m, shares), count_fitting(m, size)) for m in machines]
            for capacity, fitting in parts:
                for resource, amount in capacity.items():
                    most[resource] = max(most.get(resource, 0), pods * amount / fitting)
    return most


def _list_beyond(catalogue: Catalogue, types: Sequence[InstanceType]) -> Iterator[_Beyond]:
    """Of each class with sessions and jobs: Karpenter takes a dearer machine within the limits."""
    for size in catalogue.classes.values():
        for kind, slug in (("session", size.session.node_pool), ("job", size.job.node_pool)):
            pool, shares = catalogue.node_pools[slug], count_gpu_shares(catalogue, slug)
            machines = list_fitting(types, size, pool)
            if machines and all(
                _is_beyond(count_capacity(each, shares), pool) for each in machines
            ):
                yield _Beyond(size, kind, pool, machines, shares)


def _is_beyond(bought: Mapping[str, float], pool: NodePool) -> bool:
    return any(amount > _get(pool, resource) for resource, amount in bought.items())


def _get(pool: NodePool, resource: str) -> float:
    """What a pool may have; what is not said is not limited."""
    return pool.limits.get(resource, math.inf)


def _list(resources: Sequence[str], amounts: Mapping[str, float]) -> str:
    """``4 cores, 16 GiB and 1 GPU``."""
    parts = [_say(each, amounts[each]) for each in resources]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _say(resource: str, amount: float) -> str:
    if resource == GPU_RESOURCE:
        return format_gpus(math.ceil(amount - _FAINT))
    return format_bytes(amount) if resource == "memory" else format_cores(round(amount, 1))
