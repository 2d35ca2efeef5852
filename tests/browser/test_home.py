"""Home → start again → open → stop; and a theme that is the same everywhere."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindow
from tests.browser.lab import Lab
from tests.browser.people import PAGE, Visitor, build_notebook, wait_for_file

CHOICE = {"group": "spatial-lab", "image": "notebook", "class": "small"}


def get_theme(page: Page) -> str:
    found: str = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
    return found


@pytest.fixture
def had(ada: Visitor) -> Visitor:
    """Ada, who has had a session."""
    ada.user.start_session(CHOICE)
    ada.user.stop_session()
    return ada


def test_from_home_a_session_is_started_again_opened_and_stopped(
    had: Visitor, open_window: OpenWindow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gate = tmp_path_factory.mktemp("home") / "gate"
    ada = had
    waiting = build_notebook("print(1)", wait_for_file(gate))
    window = open_window(ada)
    page = window.page
    page.goto("/hub/home")
    expect(page.get_by_role("heading", name="No session")).to_be_visible()

    page.get_by_role("button", name="Start Python notebook on Small").click()
    Lab(page).wait_until_ready()
    job = ada.submit(waiting, name="beside it")
    ada.wait_for_cell(job, 2)

    page.goto("/hub/home")
    expect(page.get_by_role("heading", name="Your session is running")).to_be_visible()
    expect(page.locator("#jobs-cards")).to_contain_text("beside it")

    # Ada leads her group.
    page.get_by_role("link", name="Groups").click()
    expect(page.locator("#queues-about")).to_contain_text("This is one machine")
    session = page.locator("#sessions tbody tr").filter(has_text="Python notebook")
    expect(session).to_contain_text("under $0.01")
    page.get_by_role("link", name="Jobs 1").click()
    expect(page.locator("#open-jobs")).to_contain_text("beside it")
    page.get_by_role("link", name="Sessions 1").click()
    session.get_by_role("link", name="Open or stop…").click()
    page.get_by_role("link", name="Open JupyterLab").click()
    Lab(page).wait_until_ready()

    # The page follows what happens: it is not loaded anew.
    page.goto("/hub/home")
    page.evaluate("window.isTheSamePage = true")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="No, keep it").click()
    assert ada.user.server()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Stop the session").click()
    expect(page.get_by_role("button", name="Start Python notebook on Small")).to_be_visible()
    assert not ada.user.server()
    gate.touch()
    expect(page.locator("#jobs-cards")).to_contain_text("Ended since yesterday")
    assert page.evaluate("window.isTheSamePage")


def test_the_theme_is_one_choice_for_all_pages(ada: Visitor, open_window: OpenWindow) -> None:
    page = open_window(ada, color_scheme="light").page
    page.goto("/hub/home")
    assert get_theme(page) == "light"

    page.get_by_role("button", name="Theme: as the system").click()
    page.get_by_role("button", name="Theme: light").click()

    for path in ("/hub/home", "/hub/spawn", "/hub/token", "/hub/none", PAGE):
        page.goto(path)
        assert get_theme(page) == "dark", path
    page.get_by_role("button", name="Theme: dark").click()
    assert get_theme(page) == "light"
    page.goto("/hub/home")
    assert get_theme(page) == "light"


def test_the_page_of_tokens_makes_and_revokes_one(ada: Visitor, open_window: OpenWindow) -> None:
    page = open_window(ada).page
    page.goto("/hub/token")
    page.get_by_label("Note: what it is for").fill("from the laboratory")
    page.get_by_role("button", name="Make a token").click()
    expect(page.locator("#token")).not_to_be_empty()

    page.reload()
    page.get_by_role("button", name="Revoke from the laboratory").click()
    page.get_by_role("button", name="Revoke from the laboratory").click()

    expect(page.get_by_role("cell", name="from the laboratory")).to_have_count(0)
    tokens = ada.user.api.get("/hub/api/users/ada/tokens").json()["api_tokens"]
    assert "from the laboratory" not in [token["note"] for token in tokens]
