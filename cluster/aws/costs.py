"""What a cluster on AWS costs, reckoned: what stands idle, and all pools at their limits.

List prices on demand of the machines that are known here, not a bill: traffic, storage of
files, logs and what a balancer carries are by use. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.aws.eksctl import CORE_DISK_GIB
from cluster.aws.karpenter import get_disk_gib
from cluster.driver.aws_observe import Observe
from cluster.driver.aws_pulls import Pull
from cluster.driver.aws_settings import CAPACITY_TYPES, QUOTAS, Aws
from cluster.driver.instance_types import InstanceType
from cluster.driver.node_pools import count_capacity, may_buy
from cluster.driver.settings import Settings
from hub_config.platform.catalogue import Catalogue, NodePool
from hub_config.platform.catalogue_rules import count_gpu_shares

#: As AWS reckons a month.
HOURS = 730
Machines = Mapping[str, InstanceType]


@dataclass(frozen=True)
class Cost:
    """One line of a reckoning.

    Attributes:
        what: stands there.
        per_month: dollars; ``None`` where no price is known here.
        how: it was reckoned.
    """

    what: str
    per_month: float | None
    how: str


def reckon_idle(
    settings: Settings, aws: Aws, machines: Machines, prices: Mapping[str, Any]
) -> list[Cost]:
    """What stands there while nobody works."""
    core = machines.get(aws.core.machine)
    gateways = len(aws.zones) if aws.network.nat == "each-zone" else 1
    per_gateway = prices["nat_gateway_hour"] + prices["public_address_hour"]
    hour = prices["control_plane_hour"]
    found = [
        Cost("control plane", HOURS * hour, f"{hour} an hour"),
        Cost(
            f"{aws.core.count} core machines, {aws.core.machine}",
            HOURS * aws.core.count * core.price_per_hour if core else None,
            f"{core.price_per_hour} an hour each" if core else "not in the table of machines",
        ),
        Cost(
            "their disks",
            aws.core.count * CORE_DISK_GIB * prices["disk_gib_month"],
            f"{CORE_DISK_GIB} GiB each",
        ),
        Cost(
            f"{gateways} NAT gateway{'s' if gateways > 1 else ''}",
            HOURS * gateways * per_gateway,
            f"{per_gateway:g} an hour each with its address, and by traffic",
        ),
    ]
    if settings.ingress and settings.ingress.kind == "alb":
        hour = prices["load_balancer_hour"] + len(aws.zones) * prices["public_address_hour"]
        how = f"{hour:g} an hour with an address in each zone, and by use"
        found.append(Cost("load balancer", HOURS * hour, how))
    return [
        *found,
        *_reckon_endpoints(aws, prices),
        *_reckon_storage(aws, prices),
        *_reckon_watching(aws, prices),
    ]


def _reckon_endpoints(aws: Aws, prices: Mapping[str, Any]) -> Iterator[Cost]:
    if count := len(aws.network.endpoints) * len(aws.zones):
        hour = prices["endpoint_hour"]
        yield Cost("endpoints", HOURS * count * hour, f"{count} × {hour:g} an hour, and by traffic")


def _reckon_storage(aws: Aws, prices: Mapping[str, Any]) -> Iterator[Cost]:
    """What there is of storage; what is paid by what is in it has its price, and no amount."""
    storage = aws.storage
    if storage and storage.files:
        how = f"by use: {prices['files_gib_month']:g} a GiB in a month, less for what nobody uses"
        if storage.files.backup_days:
            how += f"; a backup {prices['files_backup_gib_month']:g} a GiB"
        yield Cost("homes and shared folders", None, how)
    if storage and storage.database:
        servers = 2 if storage.database.zones == "several" else 1
        hour = prices["database_hour"].get(storage.database.machine)
        disk = storage.database.disk_gib * prices["database_gib_month"]
        how = f"{servers} × {storage.database.machine}, "
        yield Cost(
            "database",
            servers * (HOURS * hour + disk) if hour else None,
            how
            + (f"{hour:g} an hour and a disk of {disk:.2f} a month" if hour else "no price known"),
        )


def _reckon_watching(aws: Aws, prices: Mapping[str, Any]) -> Iterator[Cost]:
    """What watches; its programs are on the core machines."""
    observe = aws.observe or Observe()
    if observe.metrics:
        size = observe.metrics.disk_gib
        yield Cost("Prometheus' disk", size * prices["disk_gib_month"], f"{size} GiB")
    if observe.sends_alarms:
        yield Cost("alarms", 0, f"{prices['mails_free']:,} mails a month are free")
    if observe.log_days:
        how = f"by use: {prices['logs_gib']:g} a GiB, and {prices['logs_gib_month']:g} a month for"
        yield Cost("logs", None, f"{how} each that is kept")
    if observe.budget:
        yield Cost("budget", 0, "AWS asks nothing for one that only tells")


def reckon_full(
    aws: Aws, catalogue: Catalogue, machines: Machines, prices: Mapping[str, Any]
) -> list[Cost]:
    """All pools at their limits for a whole month, each filled in the dearest way that is known."""
    return [
        _reckon_pool(
            pool,
            machines,
            _reckon_disks(aws, pool, prices),
            count_gpu_shares(catalogue, pool.slug),
        )
        for pool in catalogue.node_pools.values()
    ]


def find_short_quotas(aws: Aws, catalogue: Catalogue, machines: Machines) -> Iterator[str]:
    """Quotas of the account under which pools could not reach their limits, as sentences."""
    core = machines.get(aws.core.machine)
    for capacity_type in CAPACITY_TYPES:
        for kind, allowed in aws.quotas.get(capacity_type, {}).items():
            letters = QUOTAS[kind]
            pools = [
                pool
                for pool in catalogue.node_pools.values()
                if capacity_type in pool.capacity_types
                and any(each in letters for each in pool.instance_categories)
            ]
            wanted = sum(pool.limits.get("cpu", 0) for pool in pools)
            if core and capacity_type == "on-demand" and core.category in letters:
                wanted += aws.core.count * core.cores
            if wanted > allowed:
                names = ", ".join(pool.slug for pool in pools)
                limits = f"the limits of {names}" if names else "the core machines"
                yield (
                    f"The account may have {allowed} virtual cores of {kind} machines"
                    f" ({capacity_type}), and {limits} come to {wanted:g}: what is"
                    " over it waits for a machine in vain. Ask for more in Service Quotas, or lower"
                    " the limits"
                )


def _reckon_disks(aws: Aws, pool: NodePool, prices: Mapping[str, Any]) -> float:
    """A machine's disks for a month, but for the size of one from a snapshot: EC2 knows it."""
    pull = aws.pulls.get(pool.slug, Pull())
    return float(
        get_disk_gib(aws, pool) * prices["disk_gib_month"]
        + pull.further_throughput * prices["disk_throughput_month"]
        + pull.further_iops * prices["disk_iops_month"]
    )


def _reckon_pool(pool: NodePool, machines: Machines, disk_per_month: float, shares: int) -> Cost:
    best: tuple[float, InstanceType, int] | None = None
    for machine in machines.values():
        count = _count(pool, machine, shares)
        per_month = count * (machine.price_per_hour * HOURS + disk_per_month)
        if count and (best is None or per_month > best[0]):
            best = per_month, machine, count
    if best is None:
        return Cost(pool.slug, None, "none of its machines is in the table of machines")
    per_month, machine, count = best
    how = (
        f"{count} × {machine.name}, {machine.price_per_hour} an hour and a disk of"
        f" {disk_per_month:.0f} a month each"
    )
    return Cost(pool.slug, per_month, how)


def _count(pool: NodePool, machine: InstanceType, shares: int) -> int:
    """How many of a type the pool's limits have room for; 0 where it takes none."""
    if not may_buy(pool, machine) or (shares > 1 and machine.gpus != 1):
        return 0
    has = count_capacity(machine, shares)
    return min(int(limit // has[name]) for name, limit in pool.limits.items() if has.get(name))
