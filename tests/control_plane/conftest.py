"""Fixtures of the control-plane ring; what both rings have comes from `tests/bed/fixtures.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from hub_config.platform.catalogue import Catalogue
from tests.bed.bed import Bed
from tests.bed.client import Client
from tests.bed.fixtures import running_bed
from tests.bed.jobs import Jobs
from tests.bed.overlay import load_catalogue
from tests.bed.worlds import (
    create_namespace,
    only_pretended,
    remove_namespace,
    remove_pretended_nodes,
)
from tests.control_plane.lost_machine import LostMachine, lost_machine


@pytest.fixture(scope="package")
def bed() -> Iterator[Bed]:
    """The ring's bed, ended with its last test; all its nodes are pretended."""
    with running_bed("control-plane", with_nodes=False) as running:
        yield running


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The catalogue with classes at their full size: pretended nodes have room for all."""
    return load_catalogue(real=False)


@pytest.fixture
def jobs(client: Client, namespace: str, catalogue: Catalogue) -> Jobs:
    """The jobs of the test's namespace."""
    return Jobs(client, namespace, catalogue)


@pytest.fixture
def no_nodes(pretended: None, client: Client) -> None:
    """Begin without any node that Karpenter started."""
    remove_pretended_nodes(client)


@pytest.fixture(scope="package")
def bereft(bed: Bed, catalogue: Catalogue) -> Iterator[LostMachine]:
    """A job whose machine vanishes; a minute later there is something to see."""
    client = bed.client
    name = create_namespace(client, "lost-machine")
    with ExitStack() as stack:
        with only_pretended(client):
            lost = stack.enter_context(lost_machine(Jobs(client, name, catalogue)))
        yield lost
    remove_namespace(client, name)


@pytest.fixture(scope="package", autouse=True)
def begin_early(request: pytest.FixtureRequest) -> None:
    """Begin what takes long to happen before the ring's first test, if one will look at it."""
    if any("bereft" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("bereft")
