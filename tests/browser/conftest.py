"""Fixtures of the browser ring: one platform, one Chromium, and a person's window on request."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.people import Visitor
from tests.browser.pictures import target_folder
from tests.browser.windows import (
    OpenWindow,
    browser,
    opening_windows,
    pytest_runtest_makereport,
)
from tests.platform_fixture import Platform

__all__ = ["OpenWindow", "browser", "pytest_runtest_makereport"]

# Some pictures need a home with a story of its own, and minutes: taken when they are asked for.
collect_ignore = [] if target_folder() else ["test_pictures.py"]


@pytest.fixture(scope="session")
def platform(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that runs for the whole ring."""
    shared = Platform(tmp_path_factory.mktemp("browser") / "state")
    with shared.running():
        yield shared
    assert "ended (" not in shared.output, shared.output


@pytest.fixture(scope="session")
def ben(platform: Platform) -> Visitor:
    """A student, with a session for the whole ring."""
    visitor = Visitor(platform, "ben", "teaching")
    visitor.user.start_session({"group": "teaching", "image": "notebook", "class": "small"})
    return visitor


@pytest.fixture(scope="session")
def ada(platform: Platform) -> Visitor:
    """A researcher in two groups; the journey starts and stops her session."""
    return Visitor(platform, "ada", "spatial-lab")


@pytest.fixture
def open_window(
    request: pytest.FixtureRequest, browser: Browser, platform: Platform
) -> Iterator[OpenWindow]:
    """Opens a browser window of one's own, signed in as a visitor when one is named."""
    with opening_windows(request, browser, platform) as open_one:
        yield open_one
