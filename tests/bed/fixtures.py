"""pytest plugin: beds for the rings `control_plane` and `node`, and what their tests need.

Each ring has a bed of its own, the fixture `bed` of its conftest, so that they run side by side. A
test says which nodes its pods mean: `pretended` (kwok's; real ones are cordoned), `real` (Karpenter
may start none) or `own_bed` (a further bed, without real nodes); exactly one, or it fails. Loaded
by the root `conftest.py`. `BED=main` takes the bed of `make bed` instead of starting any, for a
quick look.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.bed import bed as beds
from tests.bed.bed import Bed
from tests.bed.client import Client
from tests.bed.report import build_sections
from tests.bed.worlds import (
    Limits,
    closed_pools,
    create_namespace,
    only_pretended,
    opened_pools,
    remove_namespace,
    remove_pretended_nodes,
)
from tests.rings import get_ring
from tests.skips import require

RINGS = frozenset({"control_plane", "node"})
WORLDS = ("real", "pretended", "own_bed")
PROGRAMS = "the bed's programs"
#: Beds and namespaces that a test, or the tests of a file, used; for the report.
USED: pytest.StashKey[list[tuple[Bed, Client, str]]] = pytest.StashKey()


def pytest_runtest_setup(item: pytest.Item) -> None:
    names = item.fixturenames if isinstance(item, pytest.Function) else []
    ring = get_ring(item.path, item.config.rootpath)
    if sentence := why_worlds_are_wrong(item.name, ring, names):
        pytest.fail(sentence, pytrace=False)


def why_worlds_are_wrong(test: str, ring: str, fixtures: Collection[str]) -> str | None:
    """Why a test's choice of nodes is none, as a sentence; None when it is one.

    A test that talks to no bed has no pods that could start anywhere.
    """
    taken = [world for world in WORLDS if world in fixtures]
    if ring not in RINGS or not {"client", "own_bed"} & {*fixtures} or len(taken) == 1:
        return None
    said = " and ".join(f"`{world}`" for world in taken) or "none of them"
    return (
        f"{test} has to take exactly one of the fixtures"
        f" {', '.join(f'`{world}`' for world in WORLDS)}, and takes {said}:"
        " else its pods could start on nodes that it does not mean"
    )


@contextmanager
def running_bed(name: str, *, with_nodes: bool) -> Iterator[Bed]:
    """The bed of a ring, ended afterwards unless it ran before."""
    require(PROGRAMS)
    if other := os.environ.get("BED"):
        running = beds.load(other)
        assert running, f"BED={other}, but no bed of that name runs: start it with `make bed`"
        yield running
        return
    try:
        bed = beds.up(name, with_nodes=with_nodes)
        yield bed
        bed.client.close()
    finally:
        beds.down(name)


@pytest.fixture(scope="module")
def client(bed: Bed) -> Client:
    """The administrator of the ring's bed."""
    return bed.client


@pytest.fixture
def namespace(request: pytest.FixtureRequest, bed: Bed, client: Client) -> Iterator[str]:
    """A namespace for one test, removed with all that is in it."""
    name = create_namespace(client, request.node.name)
    _note(request.node, bed, client, name)
    yield name
    remove_namespace(client, name)


@pytest.fixture
def pretended(client: Client) -> Iterator[None]:
    """Only pretended nodes take pods: the real ones are cordoned meanwhile."""
    with only_pretended(client):
        yield


@pytest.fixture(scope="module")
def closed(bed: Bed) -> Iterator[Limits]:
    """Karpenter may start no node for the tests of a file; the pools' limits before, by name.

    Not for each test: at each change of a pool Karpenter writes each pool's state several times.
    """
    with closed_pools(bed.client) as limits:
        yield limits


@pytest.fixture
def real(bed: Bed, client: Client, closed: Limits) -> None:
    """Only real nodes take pods: Karpenter may start none, and those that it started go."""
    assert bed.has_nodes, "a test with `real` in a bed without real nodes"
    remove_pretended_nodes(client)


@pytest.fixture
def opened(bed: Bed, closed: Limits) -> Iterator[None]:
    """Karpenter may start nodes, in a file whose other tests have `real`."""
    with opened_pools(bed.client, closed):
        yield


@pytest.fixture(scope="module")
def own_bed(request: pytest.FixtureRequest) -> Iterator[Callable[..., tuple[Bed, str]]]:
    """Starts a bed without real nodes for the tests of one file.

    What is called takes the options of :func:`tests.bed.bed.up` and returns the bed and a namespace
    in it.
    """
    require(PROGRAMS)
    ring = get_ring(request.path, request.config.rootpath).replace("_", "-")
    started: list[Bed] = []

    def start(**options: Any) -> tuple[Bed, str]:
        bed = beds.up(f"{ring}-{len(started) + 1}", with_nodes=False, **options)
        started.append(bed)
        name = create_namespace(bed.client, request.node.name)
        _note(request.node, bed, bed.client, name)
        return bed, name

    yield start
    for bed in started:
        bed.client.close()
        beds.down(bed.name)


def _note(node: pytest.Item, bed: Bed, client: Client, namespace: str) -> None:
    node.stash.setdefault(USED, []).append((bed, client, namespace))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        # A file's beds are noted at the file, a test's namespace at the test.
        for node in item.listchain():
            for bed, client, namespace in node.stash.get(USED, []):
                report.sections.extend(build_sections(bed, client, namespace))
    return report
