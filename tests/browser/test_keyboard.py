"""A session can be started by keyboard alone, and ends with a submission where that is wished."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindow
from tests.browser.lab import COMMAND, Lab
from tests.browser.people import PAGE, Visitor
from tests.platform_fixture import Platform
from tests.site import PASSWORD, wait_until

TOUR = "1-tour.ipynb"
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


def test_a_session_is_started_by_keyboard_alone_and_stopped_with_a_submission(
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

    lab = Lab(page)
    lab.wait_until_ready()
    admin = Visitor(platform, "admin", "spatial-lab")
    options = admin.user.server()["user_options"]
    assert (options["image"], options["class"]) == ("notebook", "small")

    # What is typed elsewhere in Lab is in no file yet.
    lab.open_example(TOUR)
    page.locator(".jp-Notebook:visible .jp-CodeCell .cm-content").first.click()
    page.keyboard.type("# mine: ")
    lab.choose_in_context_menu(lab.file("3-fails-in-the-middle.ipynb"), COMMAND)
    lab.wait_for_dialog()
    tab_to(page, "input[type=checkbox]")
    page.keyboard.press("Space")
    expect(lab.dialog).to_contain_text("Your kernels and terminals end")
    tab_to(page, "button.jp-mod-accept")
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Save before this server stops?")
    expect(question).to_contain_text(f"Not saved yet: examples/{TOUR}")
    assert admin.user.server()
    question.get_by_role("button", name="Save and stop").click()

    page.wait_for_url(f"**{PAGE}jobs/{admin.newest_job()['id']}")
    expect(page.locator("h1")).to_have_text("3-fails-in-the-middle")
    wait_until(lambda: not admin.user.server(), "the session to stop")
    assert "# mine: " in (admin.home / "examples" / TOUR).read_text()
