"""Limits of pools: classes that they let never start, and shares that come to more."""

from dataclasses import replace
from typing import Any

import pytest

from cluster.driver.instance_types import load_types
from cluster.driver.limits import find_impossible, find_notes
from hub_config.platform.catalogue import GIB, GPU_RESOURCE, RESOURCES, Catalogue, NodePool, Queue
from hub_config.platform.catalogue_file import load_catalogue
from tests.bed.overlay import CATALOGUE
from tests.factories import make_catalogue, make_class, make_group, make_pool

TYPES = load_types()
SHIPPED = load_catalogue(CATALOGUE)


def make(jobs: NodePool, shares: tuple[float, ...] = (1,), **size: Any) -> Catalogue:
    """A catalogue with one class, a pool for its jobs, and groups with so many cores each."""
    sessions = replace(jobs, slug="sessions", kind="session", limits=dict.fromkeys(RESOURCES, 1e15))
    groups = tuple(
        make_group(
            f"lab-{number}",
            queue=Queue(1, {"cpu": share, "memory": 100.0 * GIB, GPU_RESOURCE: 100}),
        )
        for number, share in enumerate(shares)
    )
    asked = {"cores": 1.7, "memory_bytes": 6 * GIB} | size
    of_class = make_class(groups=tuple(each.slug for each in groups), **asked)
    return make_catalogue(classes=(of_class,), node_pools=(sessions, jobs), groups=groups)


def make_jobs(
    categories: str = "mr",
    families: tuple[str, ...] = (),
    *,
    cpu: float = 64,
    memory: float = 512 * GIB,
    gpus: float = 8,
) -> NodePool:
    return make_pool(
        "jobs",
        "job",
        instance_categories=tuple(categories),
        instance_families=families,
        limits={"cpu": cpu, "memory": memory, GPU_RESOURCE: gpus},
    )


# ---- what can never start


@pytest.mark.parametrize(
    ("jobs", "size", "said"),
    [
        (
            make_jobs(cpu=1.9),
            {},
            "it buys m5.large with 2 cores, and all of jobs may have 1.9 cores: raise"
            " node_pools.jobs.limits, make the class smaller, or name families with a smaller"
            " machine",
        ),
        (
            make_jobs(families=("r6i",), memory=15.0 * GIB),
            {},
            "it buys r6i.large with 16 GiB, and all of jobs may have 15 GiB: raise"
            " node_pools.jobs.limits, make the class smaller",
        ),
        # No machine of m has GPUs, so nothing that is not known there could have room.
        (
            make_jobs("mg", cpu=3, gpus=3),
            {"gpus": 1, "gpu_model": "T4", "gpu_shared_by": 4},
            "it buys g4dn.xlarge with 4 cores and 1 GPU, which counts as 4, and all of jobs may"
            " have 3 cores and 3 GPUs: raise",
        ),
    ],
)
def test_a_class_whose_machine_is_beyond_the_limits_of_its_pool(
    jobs: NodePool, size: dict[str, Any], said: str
) -> None:
    catalogue = make(jobs, **size)

    ((key, sentence),) = find_impossible(catalogue, TYPES)

    assert key == "classes.standard.job"
    assert sentence.startswith(f"no job of the class could ever start: {said}")
    assert not [each for each in find_notes(catalogue, TYPES) if "can start" in each]


@pytest.mark.parametrize(
    ("jobs", "size"),
    [
        # A machine's limit, to the byte.
        (make_jobs(cpu=2, memory=8.0 * GIB), {}),
        # The cheapest machine for two has four.
        (make_jobs("g", gpus=4), {"gpus": 2, "gpu_model": "T4"}),
        # r5.xlarge is the cheapest, with 32 GiB. Karpenter takes the dearer c5.2xlarge, with 16.
        (make_jobs("cr", memory=31.0 * GIB), {"cores": 3, "memory_bytes": 10 * GIB}),
    ],
)
def test_a_class_with_a_machine_within_the_limits(jobs: NodePool, size: dict[str, Any]) -> None:
    catalogue = make(jobs, **size)

    assert list(find_impossible(catalogue, TYPES)) == []
    assert list(find_notes(catalogue, TYPES)) == []


@pytest.mark.parametrize(
    "jobs",
    [
        # Of m no machine is known with so many cores, and such a one may be within the limits.
        make_jobs("mr", cpu=48, memory=300.0 * GIB),
        make_jobs("mr", ("r5", "m7a"), cpu=48, memory=300.0 * GIB),
    ],
)
def test_where_not_all_are_known_it_is_a_note(jobs: NodePool) -> None:
    catalogue = make(jobs, cores=40, memory_bytes=100 * GIB)

    assert list(find_impossible(catalogue, TYPES)) == []
    (said,) = find_notes(catalogue, TYPES)
    assert said.startswith(
        "no job of class standard can start, as far as is known: it buys r5.12xlarge with 384 GiB,"
        " and all of jobs may have 300 GiB: raise node_pools.jobs.limits"
    )


def test_the_shipped_classes_have_machines_within_their_limits() -> None:
    assert list(find_impossible(SHIPPED, TYPES)) == []


# ---- notes


def note(jobs: NodePool | None = None, shares: tuple[float, ...] = (20,), **size: Any) -> list[str]:
    return list(find_notes(make(jobs or make_jobs(), shares, **size), TYPES))


def test_nothing_is_noted_of_what_fits() -> None:
    assert note() == []


def test_shares_are_counted_as_the_machines_that_they_buy() -> None:
    # 1.7 cores are asked for, and two are bought.
    assert note(shares=(27, 27)) == []
    assert note(shares=(28, 28)) == [
        "the shares of lab-0, lab-1 may come to machines with 65.9 cores, jobs may have 64 cores:"
        " when all are busy, their jobs wait for one another"
    ]


@pytest.mark.parametrize(
    ("jobs", "size", "said"),
    [
        # 100 GiB of each group buy 16 m5.large, and a part of one.
        (make_jobs(cpu=70, memory=250 * GIB), {}, "266.7 GiB, jobs may have 250 GiB"),
        # A class of two of the four GPUs that a machine has.
        (
            make_jobs("g", cpu=100, gpus=8),
            {"cores": 10, "gpus": 2, "gpu_model": "T4"},
            "240 cores, 960 GiB and 20 GPUs, jobs may have 100 cores, 512 GiB and 8 GPUs",
        ),
        # With each GPU that four share.
        (
            make_jobs("g", gpus=90),
            {"cores": 0.8, "memory_bytes": 2 * GIB, "gpus": 1, "gpu_shared_by": 4},
            "100 cores and 100 GPUs, jobs may have 64 cores and 90 GPUs",
        ),
    ],
)
def test_what_is_short_is_said_of_each_resource(
    jobs: NodePool, size: dict[str, Any], said: str
) -> None:
    (sentence,) = note(jobs, (50, 50), **size)

    assert sentence.startswith(
        f"the shares of lab-0, lab-1 may come to machines with {said}: when all are busy"
    )


def test_of_machines_that_are_not_known_what_jobs_ask_for_is_counted() -> None:
    assert note(cores=190, shares=(32, 32)) == []


def test_of_the_shipped_catalogue_only_that_its_groups_share() -> None:
    (said,) = find_notes(SHIPPED, TYPES)

    names = ", ".join(SHIPPED.groups)
    assert said.startswith(
        f"the shares of {names} may come to machines with 360 cores and 2.3 TiB, jobs-general may"
        " have 256 cores and 2 TiB:"
    )
