"""Everybody can read the pages: by axe-core, in light and dark, and on a narrow telephone."""

import json
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindow
from tests.browser.people import PAGE, Visitor, Window, build_notebook, wait_for_file

NARROW = {"viewport": {"width": 390, "height": 844}}
LONG = "a-name-without-any-place-to-break-" * 5
Jobs = dict[str, str]
#: Path → heading.
OF_THE_HUB = {
    "/hub/home": "Running and waiting",
    "/hub/token": "A new token",
    "/hub/none": "There is nothing",
}


@pytest.fixture(scope="module")
def jobs(ada: Visitor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """One job of each look: running, failed, done, cancelled, waiting; by their state."""
    gate = tmp_path_factory.mktemp("reading") / "gate"
    failing = build_notebook("print(1)", f"raise ValueError({LONG!r})", "print(3)")
    found = {
        "succeeded": ada.submit(build_notebook("print('x ' * 300)"), name="done"),
        "failed": ada.submit(failing, name=LONG, parameters={}, path=f"{LONG}.ipynb"),
    }
    for state, job in found.items():
        ada.wait_for_state(job, state)
    waiting = build_notebook("print(1)", wait_for_file(gate), "print(3)")
    found["cancelled"] = ada.submit(waiting, name="cancelled")
    ada.wait_for_cell(found["cancelled"], 2)
    answer = ada.user.api.post(f"{PAGE}api/v1/jobs/{found['cancelled']}/cancel")
    assert answer.status_code == 202, answer.text
    ada.wait_for_state(found["cancelled"], "cancelled")
    found["running"] = ada.submit(waiting, name="at work")
    ada.wait_for_cell(found["running"], 2)
    second = ada.submit(waiting, name="at work, too")
    ada.wait_for_cell(second, 2)
    found["queued"] = ada.submit(waiting, name="in line")
    yield found
    gate.touch()
    for job in (found["running"], second, found["queued"]):
        ada.wait_for_state(job, "succeeded")


def open_login(window: Window) -> Page:
    window.page.goto("/hub/login")
    return window.page


def open_form(window: Window) -> Page:
    window.page.goto("/hub/spawn")
    expect(window.page.get_by_role("heading", name="Start a session")).to_be_visible()
    return window.page


def find_faults(page: Page, part: str | None = None) -> list[str]:
    """What axe-core finds wrong on a page, or a part of it by selector, with the elements."""
    found = json.loads(json.dumps(Axe().run(page, part).response["violations"]))
    return [
        f"{page.url} {fault['id']}: {fault['help']}: {node['html'][:200]} {node['failureSummary']}"
        for fault in found
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(
    ada: Visitor, jobs: Jobs, open_window: OpenWindow, scheme: str
) -> None:
    faults = find_faults(open_login(open_window(color_scheme=scheme)))
    window = open_window(ada, color_scheme=scheme)
    faults += find_faults(open_form(window))
    for path, heading in OF_THE_HUB.items():
        window.page.goto(path)
        expect(window.page.get_by_role("heading", name=heading)).to_be_visible()
        faults += find_faults(window.page)
    window.open_jobs()
    expect(window.row(jobs["queued"])).to_contain_text("Waiting")
    faults += find_faults(window.page)
    for job in jobs.values():
        faults += find_faults(window.open_job(job))
    window.page.get_by_role("button", name="Cancel").click()
    faults += find_faults(window.page)
    assert not faults, "\n".join(faults)


def test_nothing_is_wider_than_a_telephone(
    ada: Visitor, jobs: Jobs, open_window: OpenWindow
) -> None:
    assert_fits(open_login(open_window(**NARROW)))
    window = open_window(ada, **NARROW)
    assert_fits(open_form(window))
    for path in OF_THE_HUB:
        window.page.goto(path)
        assert_fits(window.page)
    window.open_jobs()
    for job in jobs.values():
        expect(window.row(job).locator(".name")).to_be_visible()
    assert_fits(window.page)
    faults = find_faults(window.page)
    assert not faults, "\n".join(faults)
    for job in jobs.values():
        assert_fits(window.open_job(job))


def assert_fits(page: Page) -> None:
    """Nothing has to be scrolled sideways."""
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390, f"{page.url} is {wide} pixels wide"
