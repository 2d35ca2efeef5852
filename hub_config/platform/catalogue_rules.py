"""What must agree within a catalogue: classes with pools, queues with pools, groups with classes.

Used by :mod:`hub_config.platform.catalogue_file`, which adds the lines. Pure: a catalogue →
conflicts.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hub_config.platform.catalogue import (
    DISK_MARGIN,
    GIB,
    GPU_RESOURCE,
    Catalogue,
    InstanceClass,
    NodePool,
    Placement,
    Taint,
    Toleration,
    why_pair_fails,
)
from hub_config.platform.quantities import format_bytes, format_gpus, format_size

Conflict = tuple[str, str]
"""A key's path and what is wrong with it."""


class LargestMachine(NamedTuple):
    """The largest machine of an EC2 instance category."""

    cores: int
    memory_bytes: int
    gpus: int = 0


#: Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ (7th generation and older)
MACHINES = {
    "c": LargestMachine(192, 384 * GIB),
    "m": LargestMachine(192, 768 * GIB),
    "r": LargestMachine(192, 1536 * GIB),
    "x": LargestMachine(128, 4096 * GIB),
    "g": LargestMachine(192, 768 * GIB, 8),
    "p": LargestMachine(192, 2048 * GIB, 8),
}
#: Labels that machines have by what they are; a selector may use them to narrow its pool.
#: Source: https://karpenter.sh/docs/concepts/scheduling/#well-known-labels (v1.14)
_LABELS_OF_MACHINES = (
    "karpenter.k8s.aws/",
    "kubernetes.io/",
    "node.kubernetes.io/",
    "topology.kubernetes.io/",
)
#: Part of a machine that pods can have; the rest is the system's.
_ALLOCATABLE = 0.92
#: Of its disk: the kubelet ends pods where less than a tenth is free, and images lie there, too.
ALLOCATABLE_DISK = 0.85


def find_conflicts(catalogue: Catalogue, complete: bool = True) -> Iterator[Conflict]:
    """Every disagreement.

    With ``complete`` false some entries could not be read: what depends on all of them is not
    judged.
    """
    yield from _pool_conflicts(catalogue)
    yield from _sharing_conflicts(catalogue)
    for instance_class in catalogue.classes.values():
        for kind, placement in (("session", instance_class.session), ("job", instance_class.job)):
            pool = catalogue.node_pools.get(placement.node_pool)
            if pool is not None:
                key = f"classes.{instance_class.slug}.{kind}"
                yield from _placement_conflicts(instance_class, kind, placement, pool, key)
                yield from _selector_conflicts(catalogue, placement, pool, key)
    if complete:
        yield from _queue_conflicts(catalogue)
        yield from _reach_conflicts(catalogue)
        yield from _budget_conflicts(catalogue)


def _pool_conflicts(catalogue: Catalogue) -> Iterator[Conflict]:
    for pool in catalogue.node_pools.values():
        key = f"node_pools.{pool.slug}"
        has_gpus = any(MACHINES[category].gpus for category in pool.instance_categories)
        if pool.kind == "session" and "spot" in pool.capacity_types:
            yield f"{key}.capacity_types", "sessions must not run on spot; allowed: on-demand"
        if has_gpus and not pool.limits.get(GPU_RESOURCE):
            yield f"{key}.limits", f"a pool of GPU machines needs a limit for {GPU_RESOURCE}"
        if pool.limits.get(GPU_RESOURCE) and not has_gpus:
            yield (
                f"{key}.limits.{GPU_RESOURCE}",
                "no instance category of this pool has GPUs; allowed with: "
                + ", ".join(name for name, machine in MACHINES.items() if machine.gpus),
            )
        yield from _family_conflicts(pool, key)
        if not pool.labels:
            yield f"{key}.labels", "is missing; a pool has a label that no other pool has"
        if not any(taint.effect != "PreferNoSchedule" for taint in pool.taints):
            yield f"{key}.taints", "is missing; a taint keeps other pods off these machines"
        for other in catalogue.node_pools.values():
            if other.kind < pool.kind and set(other.taints) == set(pool.taints):
                yield (
                    f"{key}.taints",
                    f"the same as those of {other.slug}, a pool for {other.kind}s; pods of one "
                    "kind must not fit on machines of the other",
                )


def count_gpu_shares(catalogue: Catalogue, pool: str) -> int:
    """How many have each GPU of a pool's machines by turns; 1 where nobody shares."""
    return max((each.gpu_shared_by for each in _list_users(catalogue, pool)), default=1)


def _list_users(catalogue: Catalogue, pool: str) -> list[InstanceClass]:
    """Classes with GPUs of a pool's machines."""
    return [
        each
        for each in catalogue.classes.values()
        if each.gpus and pool in (each.session.node_pool, each.job.node_pool)
    ]


def _sharing_conflicts(catalogue: Catalogue) -> Iterator[Conflict]:
    """A machine's GPUs are shared in one way, whichever class brought it."""
    for pool in catalogue.node_pools:
        users = _list_users(catalogue, pool)
        for first, other in zip(users[:1] * len(users), users, strict=True):
            if other.gpu_shared_by != first.gpu_shared_by:
                yield (
                    f"classes.{other.slug}.gpu_shared_by",
                    f"is {other.gpu_shared_by}, and {first.gpu_shared_by} for {first.slug}, which"
                    f" has machines of {pool}, too: write the same, or give one a pool of its own",
                )


def _family_conflicts(pool: NodePool, key: str) -> Iterator[Conflict]:
    for family in pool.instance_families:
        if not family.startswith(pool.instance_categories):
            categories = ", ".join(pool.instance_categories)
            yield (
                f"{key}.instance_families",
                f"{family} is of none of the pool's categories, {categories}",
            )


def _placement_conflicts(
    instance_class: InstanceClass, kind: str, placement: Placement, pool: NodePool, key: str
) -> Iterator[Conflict]:
    if pool.kind != kind:
        yield f"{key}.node_pool", f"{pool.slug} is for {pool.kind}s, not for {kind}s"
    if pool.architecture != instance_class.architecture:
        yield (
            f"{key}.node_pool",
            f"{pool.slug} has {pool.architecture} machines, the class is for "
            f"{instance_class.architecture}",
        )
    if placement.spot and "spot" not in pool.capacity_types:
        yield (
            f"{key}.spot",
            f"{pool.slug} has no spot machines, only {', '.join(pool.capacity_types)}",
        )
    for taint in pool.taints:
        if not any(_tolerates(toleration, taint) for toleration in placement.tolerations):
            yield (
                f"{key}.tolerations",
                f"{pool.slug} has the taint {taint.key}={taint.value}:{taint.effect}, which is not "
                "tolerated; leave tolerations out to take the pool's",
            )
    yield from _size_conflicts(instance_class, pool, f"{key}.node_pool")


def _size_conflicts(item: InstanceClass, pool: NodePool, key: str) -> Iterator[Conflict]:
    if item.gpus and not pool.limits.get(GPU_RESOURCE):
        yield key, f"{pool.slug} has no GPUs, the class has {format_gpus(item.gpus)}"
    elif not any(is_held(MACHINES[c], item) for c in pool.instance_categories):
        yield (
            key,
            f"no machine of the categories {', '.join(pool.instance_categories)} can give "
            f"{format_size(item.cores, item.memory_bytes, item.gpus)}",
        )
    else:
        if item.scratch_bytes + DISK_MARGIN > pool.disk_bytes * ALLOCATABLE_DISK:
            least = (item.scratch_bytes + DISK_MARGIN) / ALLOCATABLE_DISK
            yield (
                key,
                f"the class's scratch needs machines with a disk of {format_bytes(least)} or more,"
                f" those of {pool.slug} have {format_bytes(pool.disk_bytes)}",
            )
        for resource, wanted in amounts_of(item).items():
            if wanted > pool.limits.get(resource, 0):
                yield key, f"the class has more {resource} than the limits of {pool.slug} allow"


def is_held(machine: LargestMachine, instance_class: InstanceClass) -> bool:
    """Whether a category's largest machine has room for a class."""
    return (
        instance_class.cores <= machine.cores * _ALLOCATABLE
        and instance_class.memory_bytes <= machine.memory_bytes * _ALLOCATABLE
        and instance_class.gpus <= machine.gpus
    )


def _selector_conflicts(
    catalogue: Catalogue, placement: Placement, pool: NodePool, key: str
) -> Iterator[Conflict]:
    own = {
        label: value
        for label, value in placement.selector.items()
        if not label.startswith(_LABELS_OF_MACHINES)
    }
    for label, value in own.items():
        if pool.labels.get(label) != value:
            labels = ", ".join(f"{k}={v}" for k, v in pool.labels.items()) or "none"
            yield (
                f"{key}.selector.{label}",
                f"{pool.slug} has no label {label}={value}; its labels: {labels}",
            )
    architecture = placement.selector.get("kubernetes.io/arch", pool.architecture)
    if architecture != pool.architecture:
        yield f"{key}.selector.kubernetes.io/arch", f"{pool.slug} has {pool.architecture} machines"
    for other in catalogue.node_pools.values():
        if other.slug != pool.slug and own.items() <= other.labels.items():
            yield (
                f"{key}.selector",
                f"selects machines of {other.slug} too; select a label that only {pool.slug} has",
            )


def _queue_conflicts(catalogue: Catalogue) -> Iterator[Conflict]:
    pools = [pool for pool in catalogue.node_pools.values() if pool.kind == "job"]
    limits = _sum_limits(pools)
    for group in catalogue.groups.values():
        own = find_job_pools(catalogue, group.slug)
        reached = _sum_limits(own)
        for resource, amount in group.queue.capability.items():
            key = f"groups.{group.slug}.queue.capability.{resource}"
            most = reached.get(resource, 0)
            if amount > limits.get(resource, 0):
                yield (
                    key,
                    f"{_amount(resource, amount)} is more than all job pools may have "
                    f"({_amount(resource, limits.get(resource, 0))})",
                )
            elif own and amount > most:
                yield (
                    key,
                    f"{_amount(resource, amount)} can never be reached: the group's classes are of "
                    f"{', '.join(pool.slug for pool in own)}, which may have "
                    f"{_amount(resource, most)}; write at most that, raise the pool's limit, or "
                    "give the group a class of another pool",
                )


def find_job_pools(catalogue: Catalogue, group: str) -> list[NodePool]:
    """The pools where jobs of a group may run, by its classes; those that there are."""
    wanted = {each.job.node_pool for each in catalogue.classes.values() if group in each.groups}
    return [pool for pool in catalogue.node_pools.values() if pool.slug in wanted]


def _sum_limits(pools: Iterable[NodePool]) -> dict[str, float]:
    limits: dict[str, float] = {}
    for pool in pools:
        for resource, amount in pool.limits.items():
            limits[resource] = limits.get(resource, 0) + amount
    return limits


def _reach_conflicts(catalogue: Catalogue) -> Iterator[Conflict]:
    for instance_class in catalogue.classes.values():
        for slug in instance_class.groups:
            capability = catalogue.groups[slug].queue.capability
            for resource, wanted in amounts_of(instance_class).items():
                if wanted > capability.get(resource, 0):
                    yield (
                        f"groups.{slug}.queue.capability",
                        f"a job of class {instance_class.slug} would wait for ever: it needs "
                        f"{_amount(resource, wanted)} of {resource}, the queue has "
                        f"{_amount(resource, capability.get(resource, 0))}",
                    )
    for group in catalogue.groups.values():
        if not any(group.slug in item.groups for item in catalogue.classes.values()):
            yield f"groups.{group.slug}", "no class may be used by this group; add it to a class"
    for image in catalogue.images.values():
        reasons = [why_pair_fails(image, item) for item in catalogue.classes.values()]
        if reasons and all(reasons):
            yield f"images.{image.slug}", f"no class can run this image: {reasons[0]}"


def _budget_conflicts(catalogue: Catalogue) -> Iterator[Conflict]:
    """What costs money of another currency could never be counted against a budget."""
    for group in catalogue.groups.values():
        for item in catalogue.classes.values():
            if group.budget is None or item.price is None or group.slug not in item.groups:
                continue
            if item.price.currency != group.budget.currency:
                yield (
                    f"groups.{group.slug}.budget.currency",
                    f"a machine of class {item.slug} costs {item.price.currency}; "
                    "budget and prices of a group's classes must have one currency",
                )


def amounts_of(instance_class: InstanceClass) -> dict[str, float]:
    """What one session or job of a class takes, per resource."""
    amounts: dict[str, float] = {
        "cpu": instance_class.cores,
        "memory": instance_class.memory_bytes,
    }
    if instance_class.gpus:
        amounts[GPU_RESOURCE] = instance_class.gpus
    return amounts


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    return (
        toleration.key == taint.key
        and toleration.effect == taint.effect
        and (toleration.operator == "Exists" or toleration.value == taint.value)
    )


def _amount(resource: str, amount: float) -> str:
    return format_bytes(amount) if resource == "memory" else f"{amount:g}"
