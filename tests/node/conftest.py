"""Fixtures of the ring of real nodes: pods of a probe; those of the platform are in `with_hub`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed import archive, nodes
from tests.bed.bed import Bed
from tests.bed.client import Client
from tests.bed.fixtures import running_bed
from tests.node.pods import IMAGE, Pods

HERE = Path(__file__).parent


#: Seconds that a test may take: the first one of a run may have to wait until images are built from
#: nothing, beside all that the gate does meanwhile.
BUILDING = 2400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(BUILDING))


@pytest.fixture(scope="session", autouse=True)
def needs_real_nodes() -> None:
    """Skip the ring where no real node can be had; `.ci/run` accepts no such skip."""
    if reason := nodes.why_not():
        pytest.skip(f"needs real nodes: {reason}")


@pytest.fixture(scope="session")
def bed(needs_real_nodes: None) -> Iterator[Bed]:
    """The ring's bed, with real nodes."""
    with running_bed("node", with_nodes=True) as running:
        yield running


@pytest.fixture(scope="session")
def image(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of an image with the probe program and nothing else, which both nodes have."""
    path = tmp_path_factory.mktemp("images") / "probe.tar"
    archive.write_image(path, IMAGE, {"probe": bed.programs.path("probe")}, entrypoint=["/probe"])
    for name in (nodes.SESSIONS, nodes.JOBS):
        nodes.load_image(bed, name, path)
    return path


@pytest.fixture
def pods(client: Client, namespace: str, image: Path) -> Pods:
    """Starts pods of the probe's image in the test's namespace."""
    return Pods(client, namespace)


@pytest.fixture
def other_namespace(client: Client) -> Iterator[str]:
    """A second namespace, besides the test's own."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "other-"}}
    name: str = client.create(body)["metadata"]["name"]
    yield name
    client.delete("v1", "Namespace", name)
