"""What a cluster on AWS costs, reckoned, and whether the account may have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cluster.aws.costs import HOURS, Cost, find_short_quotas, reckon_full, reckon_idle
from cluster.aws.prices import read_prices
from cluster.driver.aws_observe import Budget, Metrics, Observe
from cluster.driver.aws_pulls import Pull
from cluster.driver.aws_storage import Database, Files, Storage
from cluster.driver.instance_types import InstanceType, load_types
from cluster.driver.settings import Ingress
from hub_config.platform.catalogue import GIB, GPU_RESOURCE
from tests.factories import make_catalogue, make_class, make_pool
from tests.unit.cluster_aws.accounts import make_aws
from tests.unit.cluster_aws.test_karpenter import make_settings

PRICES: dict[str, Any] = {
    "control_plane_hour": 0.1,
    "nat_gateway_hour": 0.04,
    "public_address_hour": 0.01,
    "load_balancer_hour": 0.02,
    "disk_gib_month": 0.1,
    "disk_throughput_month": 0.04,
    "disk_iops_month": 0.01,
    "endpoint_hour": 0.01,
    "files_gib_month": 0.3,
    "files_backup_gib_month": 0.05,
    "logs_gib": 0.5,
    "logs_gib_month": 0.03,
    "mails_free": 1000,
    "database_gib_month": 0.1,
    "database_hour": {"db.t4g.medium": 0.1},
}
MACHINES = {
    each.name: each
    for each in (
        InstanceType("m4.large", 2, 8 << 10, 20, 9.0),
        InstanceType("m5.large", 2, 8 << 10, 20, 0.1),
        InstanceType("r6i.xlarge", 4, 32 << 10, 20, 0.5),
        InstanceType("g4dn.xlarge", 4, 16 << 10, 20, 1.0, 1),
        InstanceType("g4dn.metal", 96, 384 << 10, 20, 8.0, 8),
        InstanceType("g3.xlarge", 4, 16 << 10, 20, 20.0, 1),
    )
}


def reckon_pool(
    pulls: Mapping[str, Pull] | None = None, local_disks: tuple[str, ...] = (), **changes: Any
) -> Cost:
    pool = make_pool(**{"disk_bytes": 100 * GIB, **changes})
    aws = make_aws(pulls=pulls or {}, local_disks=local_disks)
    (found,) = reckon_full(aws, make_catalogue(node_pools=(pool,)), MACHINES, PRICES)
    return found


def test_what_stands_idle_is_all_that_is_always_there() -> None:
    aws = make_aws(core=replace(make_aws().core, machine="m5.large"))
    settings = replace(make_settings({}), ingress=Ingress("alb", "arn:x"))

    costs = reckon_idle(settings, aws, MACHINES, PRICES)

    assert [round(each.per_month or 0, 2) for each in costs] == [
        73.0,  # 0.1 × 730
        219.0,  # 3 × 0.1 × 730
        24.0,  # 3 × 80 × 0.1
        36.5,  # (0.04 + 0.01) × 730
        29.2,  # (0.02 + 2 × 0.01) × 730
    ]
    assert costs[1].what == "3 core machines, m5.large"


def test_a_gateway_for_each_zone_costs_as_many() -> None:
    aws = make_aws(network=replace(make_aws().network, nat="each-zone"))

    costs = {each.what: each for each in reckon_idle(make_settings({}), aws, MACHINES, PRICES)}

    assert costs["2 NAT gateways"].per_month == pytest.approx(73.0)
    assert "load balancer" not in costs


def test_storage_and_endpoints_cost_what_stands_there_and_the_rest_is_told_by_use() -> None:
    network = replace(make_aws().network, endpoints=("sqs",))
    database = Database(disk_gib=20, zones="several")
    aws = make_aws(network=network, storage=Storage(Files(), database=database))

    costs = {each.what: each for each in reckon_idle(make_settings({}), aws, MACHINES, PRICES)}

    assert costs["endpoints"].per_month == pytest.approx(14.6)  # 2 zones × 0.01 × 730
    assert costs["database"].per_month == pytest.approx(150.0)  # 2 × (0.1 × 730 + 20 × 0.1)
    assert costs["homes and shared folders"].per_month is None
    assert "0.3 a GiB in a month" in costs["homes and shared folders"].how

    aws = make_aws(storage=Storage(database=Database("db.x1.large")))
    (*_, last) = reckon_idle(make_settings({}), aws, MACHINES, PRICES)
    assert last.per_month is None


def test_what_watches_costs_its_disk_and_by_use() -> None:
    watching = Observe(("ada@example.org",), Metrics(disk_gib=50), True, 30, Budget(500))

    costs = {
        each.what: each
        for each in reckon_idle(make_settings({}), make_aws(observe=watching), MACHINES, PRICES)
    }

    assert costs["Prometheus' disk"].per_month == pytest.approx(5.0)  # 50 × 0.1
    assert costs["logs"].per_month is None
    assert costs["logs"].how == "by use: 0.5 a GiB, and 0.03 a month for each that is kept"
    assert (costs["alarms"].per_month, costs["budget"].per_month) == (0, 0)
    without = {each.what for each in reckon_idle(make_settings({}), make_aws(), MACHINES, PRICES)}
    assert costs.keys() - without == {"Prometheus' disk", "logs", "alarms", "budget"}


def test_a_machine_without_a_known_price_is_not_guessed() -> None:
    (_, core, *_) = reckon_idle(make_settings({}), make_aws(), MACHINES, PRICES)

    assert core.per_month is None
    assert core.how == "not in the table of machines"


def test_a_full_pool_is_filled_in_its_dearest_way() -> None:
    # 8 × m5.large would be 8 × (73 + 10) = 664; four r6i.xlarge fit the cores, two the memory.
    found = reckon_pool(limits={"cpu": 16.0, "memory": 64.0 * GIB})

    assert found.per_month == pytest.approx(2 * (0.5 * HOURS + 10))
    assert found.how.startswith("2 × r6i.xlarge, 0.5 an hour and a disk of 10 a month")


def test_small_machines_are_the_dearest_way_where_disks_are_large() -> None:
    found = reckon_pool(limits={"cpu": 16.0, "memory": 64.0 * GIB}, disk_bytes=10_000 * GIB)

    assert found.per_month == pytest.approx(8 * (0.1 * HOURS + 1000))


def test_quicker_disks_are_paid_for_beyond_what_each_has() -> None:
    limits = {"cpu": 16.0, "memory": 64.0 * GIB}

    found = reckon_pool({"sessions": Pull(throughput=625, iops=4000)}, limits=limits)

    # 100 GiB × 0.1 + 500 MiB/s × 0.04 + 1000 operations a second × 0.01
    assert "a disk of 40 a month" in found.how
    assert reckon_pool({"jobs": Pull(iops=4000)}, limits=limits) == reckon_pool(limits=limits)


def test_where_machines_have_disks_of_their_own_a_small_one_is_paid_for() -> None:
    found = reckon_pool(local_disks=("sessions",), limits={"cpu": 16.0, "memory": 64.0 * GIB})

    assert found.how.endswith("a disk of 2 a month each")


def test_gpus_are_a_limit_and_old_machines_are_left_out() -> None:
    limits = {"cpu": 64.0, "memory": 512.0 * GIB, GPU_RESOURCE: 2}

    found = reckon_pool(instance_categories=("g",), limits=limits)

    assert found.how.startswith("2 × g4dn.xlarge")


def test_limits_count_shares_of_gpus_where_these_are_shared() -> None:
    limits = {"cpu": 64.0, "memory": 512.0 * GIB, GPU_RESOURCE: 8}
    pool = make_pool(instance_categories=("g",), limits=limits)
    size = make_class(gpus=1, gpu_model="NVIDIA T4", gpu_shared_by=4)
    catalogue = make_catalogue(node_pools=(pool,), classes=(size,))

    (found,) = reckon_full(make_aws(), catalogue, MACHINES, PRICES)

    assert found.how.startswith("2 × g4dn.")


def test_a_pool_takes_its_families_only() -> None:
    found = reckon_pool(instance_families=("m5",), limits={"cpu": 16.0, "memory": 64.0 * GIB})

    assert found.how.startswith("8 × m5.large")


@pytest.mark.parametrize(
    "changes", [{"instance_categories": ("x",)}, {"architecture": "arm64"}, {"limits": {"cpu": 1}}]
)
def test_a_pool_of_unknown_machines_is_not_guessed(changes: dict[str, Any]) -> None:
    assert reckon_pool(**changes).per_month is None


def test_quotas_that_are_too_small_are_named_with_their_mend() -> None:
    pools = (
        make_pool(limits={"cpu": 100.0, "memory": 1.0 * GIB}),
        make_pool(
            "jobs",
            "job",
            capacity_types=("on-demand", "spot"),
            limits={"cpu": 50.0, "memory": 1.0 * GIB},
        ),
        make_pool("gpus", instance_categories=("g",), limits={"cpu": 8.0, GPU_RESOURCE: 1}),
    )
    aws = make_aws(
        core=replace(make_aws().core, machine="m5.large"),
        quotas={"on-demand": {"standard": 155, "gpu": 8}, "spot": {"standard": 49}},
    )

    # 100 + 50, and 3 × 2 of the core machines.
    first, second = find_short_quotas(aws, make_catalogue(node_pools=pools), MACHINES)

    assert "155 virtual cores of standard machines (on-demand)" in first
    assert "the limits of sessions, jobs come to 156" in first
    assert "Service Quotas" in first
    assert (
        "49 virtual cores of standard machines (spot), and the limits of jobs come to 50" in second
    )

    enough = replace(aws, quotas={"on-demand": {"standard": 156, "gpu": 8}})
    assert list(find_short_quotas(enough, make_catalogue(node_pools=pools), MACHINES)) == []


def test_the_tables_have_what_is_reckoned_with() -> None:
    machines, prices = {each.name: each for each in load_types()}, read_prices()

    assert set(PRICES) <= prices.keys()
    assert all(prices[each] > 0 for each in PRICES.keys() - {"database_hour"})
    assert prices["database_hour"][Database.machine] > 0
    large = machines["m6i.large"]
    assert (large.category, large.family, large.generation) == ("m", "m6i", 6)
    assert (large.cores, large.memory_mib, large.gpus) == (2, 8 << 10, 0)
    assert machines["g4dn.12xlarge"].gpus == 4
