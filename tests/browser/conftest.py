"""Fixtures of the browser ring: one platform, one Chromium, and a person's window on request."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.people import Visitor, Window
from tests.browser.pictures import take_failure_picture, target_folder
from tests.platform_fixture import Platform

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FAILED: pytest.StashKey[bool] = pytest.StashKey()
OpenWindow = Callable[..., Window]

# Some pictures need a home with a story of its own, and minutes: taken when they are asked for.
collect_ignore = [] if target_folder() else ["test_pictures.py"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield  # type: ignore[assignment]
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole ring."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("needs Chromium: none of " + ", ".join(PROGRAMS) + " is on the path")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


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
    contexts: list[BrowserContext] = []

    def open_one(visitor: Visitor | None = None, **options: object) -> Window:
        sizes = {"viewport": {"width": 1200, "height": 800}, **options}
        context = browser.new_context(base_url=platform.url, **sizes)  # type: ignore[arg-type]
        contexts.append(context)
        if visitor:
            context.add_cookies(visitor.cookies())
        return Window(context.new_page(), platform)

    yield open_one
    if request.node.stash.get(FAILED, False):
        for number, context in enumerate(contexts):
            take_failure_picture(context, f"{request.node.name}-{number}")
    for context in contexts:
        context.close()
