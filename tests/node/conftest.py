"""Fixtures of the ring of real nodes: pods of a probe, and the platform itself as pods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.bed import archive, nodes
from tests.bed.bed import Bed
from tests.bed.client import Client
from tests.bed.hub import stand_in
from tests.bed.hub.stand_in import Hub
from tests.browser.chromium import running_chromium
from tests.browser.people import Visitor
from tests.browser.windows import OpenWindow, opening_windows, pytest_runtest_makereport
from tests.node.platform import PodSite
from tests.node.pods import IMAGE, Pods
from tests.skips import require

__all__ = ["pytest_runtest_makereport"]


@pytest.fixture(scope="session", autouse=True)
def needs_real_nodes() -> None:
    """Skip the ring where no real node can be had; `.ci/run` accepts no such skip."""
    if reason := nodes.why_not():
        pytest.skip(f"needs real nodes: {reason}")


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


@pytest.fixture(scope="session")
def hub(bed: Bed) -> Hub:
    """Proxy, hub and jobs service as pods on the bed's node for sessions; it ends with the bed."""
    require("a builder of images")
    return stand_in.start(bed)


@pytest.fixture(scope="session")
def site(hub: Hub) -> Iterator[PodSite]:
    """The platform of pods as people see it."""
    made = PodSite(hub=hub)
    yield made
    made.close_users()


@pytest.fixture(scope="session")
def ada(site: PodSite) -> Visitor:
    """A researcher in two groups; a test that starts her session stops it."""
    return Visitor(site, "ada", "spatial-lab", "standard")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that ends with the file: two of Playwright's cannot live at the same time."""
    with running_chromium() as chromium:
        yield chromium


@pytest.fixture
def open_window(
    request: pytest.FixtureRequest, browser: Browser, site: PodSite
) -> Iterator[OpenWindow]:
    """Opens a browser window of one's own, signed in as a visitor when one is named."""
    with opening_windows(request, browser, site) as open_one:
        yield open_one
