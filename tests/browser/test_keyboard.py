"""A session can be started by keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindow
from tests.browser.lab import Lab
from tests.platform_fixture import Platform
from tests.site import PASSWORD

FOCUSED = "(selector) => document.activeElement.matches(selector)"


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus."""
    passed = []
    for _ in range(30):
        if page.evaluate(FOCUSED, selector):
            return
        page.keyboard.press("Tab")
        passed.append(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
    raise AssertionError(f"Tab never came to {selector}, but to {passed}")


@pytest.mark.timeout(300)
def test_a_session_is_started_by_keyboard_alone(
    open_window: OpenWindow, platform: Platform
) -> None:
    page = open_window().page
    page.goto("/")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Start a session")).to_be_visible()
    # Which images besides `notebook` can be chosen depends on what this machine has built.
    tab_to(page, "#nh-image input")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="Python notebook", exact=True)).to_be_checked()
    tab_to(page, "#nh-class input")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="Small", exact=True)).to_be_checked()
    tab_to(page, "button[type=submit]")
    page.keyboard.press("Enter")

    Lab(page).wait_until_ready()
    options = platform.sign_in("admin").server()["user_options"]
    assert (options["image"], options["class"]) == ("notebook", "small")
