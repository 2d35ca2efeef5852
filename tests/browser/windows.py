"""Chromium's windows for the rings with a browser, and pictures of what a failed test showed.

A ring's `conftest.py` takes the fixture and the hook by importing them, and makes its own fixture
`open_window` of :func:`opening_windows`, since each ring has a site of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.chromium import running_chromium
from tests.browser.people import Visitor, Window
from tests.browser.pictures import take_failure_picture
from tests.site import Site

FAILED: pytest.StashKey[bool] = pytest.StashKey()
OpenWindow = Callable[..., Window]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note at a test whether it failed, for its windows' pictures."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole ring."""
    with running_chromium() as chromium:
        yield chromium


@contextmanager
def opening_windows(
    request: pytest.FixtureRequest, browser: Browser, site: Site
) -> Iterator[OpenWindow]:
    """Opens windows of one's own, signed in as a visitor when one is named; closes them all."""
    contexts: list[BrowserContext] = []

    def open_one(visitor: Visitor | None = None, **options: object) -> Window:
        sizes = {"viewport": {"width": 1200, "height": 800}, **options}
        context = browser.new_context(base_url=site.url, **sizes)  # type: ignore[arg-type]
        contexts.append(context)
        if visitor:
            context.add_cookies(visitor.cookies())
        return Window(context.new_page(), site)

    yield open_one
    if request.node.stash.get(FAILED, False):
        for number, context in enumerate(contexts):
            take_failure_picture(context, f"{request.node.name}-{number}")
    for context in contexts:
        context.close()
