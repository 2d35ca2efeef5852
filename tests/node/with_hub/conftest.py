"""Fixtures of the tests of the platform as pods: it comes with the first test, once for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.bed.bed import Bed
from tests.bed.hub import stand_in
from tests.bed.hub.stand_in import Hub
from tests.browser.chromium import running_chromium
from tests.browser.people import Visitor
from tests.browser.windows import OpenWindow, opening_windows, pytest_runtest_makereport
from tests.node.with_hub.site import PodSite
from tests.skips import require

__all__ = ["pytest_runtest_makereport"]


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
