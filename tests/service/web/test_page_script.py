"""The page's script in a real browser: what a page that nobody sees leaves alone."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.contract.states import State
from offline_jobs.service.model import Standing
from tests.browser.chromium import running_chromium
from tests.service.web.factories import LITTLE, Client, Service

# Counts the streams that are open, and lets a test hide the tab: a headless browser shows all.
PREPARE = """
window.streams = new Set();
const Source = window.EventSource;
window.EventSource = class extends Source {
  constructor(...all) { super(...all); window.streams.add(this); }
};
const isOpen = (stream) => stream.readyState !== Source.CLOSED;
window.open_streams = () => [...window.streams].filter(isOpen).length;
window.hide = (hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    page = browser.new_page(extra_http_headers={"Authorization": "cookie ada"})
    page.add_init_script(PREPARE)
    yield page
    page.close()


@pytest.mark.parametrize("view", ["list", "job"])
def test_a_hidden_tab_holds_no_stream_and_reads_anew_when_it_is_seen(
    service: Service, ada: Client, page: Page, view: str
) -> None:
    job = ada.submit().json()["id"]
    path = {"list": "", "job": f"jobs/{job}"}[view]
    page.goto(f"{service.public}{SERVICE_PREFIX}{path}")
    page.wait_for_function("window.open_streams() === 1")
    page.get_by_text("about to be started").first.wait_for()
    page.evaluate("window.hide(true)")
    assert page.evaluate("window.open_streams()") == 0
    service.finish(job, State.CANCELLED)
    page.evaluate("window.hide(false)")
    assert page.evaluate("window.open_streams()") == 1
    page.get_by_text("Cancelled before it began").first.wait_for()


def test_a_tab_opened_out_of_sight_holds_no_stream_until_it_is_seen(
    service: Service, ada: Client, page: Page
) -> None:
    ada.submit()
    page.add_init_script("window.hide(true)")
    page.goto(f"{service.public}{SERVICE_PREFIX}")
    page.get_by_text("about to be started").first.wait_for()
    assert page.evaluate("window.streams.size") == 0
    page.evaluate("window.hide(false)")
    page.wait_for_function("window.open_streams() === 1")


def test_a_jobs_page_tells_its_history_as_it_goes_on(
    service: Service, ada: Client, page: Page
) -> None:
    job = ada.submit().json()["id"]
    page.goto(f"{service.public}{SERVICE_PREFIX}jobs/{job}")
    history = page.locator("#history > li > span")
    accepted = "Accepted, about to be started"
    expect(history).to_have_text([accepted])
    service.store.states.set_standings({(job, 1): Standing(State.RUNNING)})
    expect(history).to_have_text([re.compile(f"^{accepted}"), "Running"])
    service.finish(job, State.CANCELLED)
    expect(history.nth(2)).to_have_text("Cancelled before it began")
    assert page.locator("#history time").first.get_attribute("datetime")


def test_the_page_of_a_job_says_which_machine_would_have_done(
    service: Service, ada: Client, page: Page
) -> None:
    job = ada.submit(**{"class": "large"}).json()["id"]
    other = ada.submit("key-00000002").json()["id"]
    service.end(job, **LITTLE)
    service.end(other)
    page.goto(f"{service.public}{SERVICE_PREFIX}jobs/{other}")
    expect(page.locator("#methods")).not_to_be_empty()
    expect(page.locator("#advice")).to_be_hidden()
    page.goto(f"{service.public}{SERVICE_PREFIX}jobs/{job}")
    expect(page.locator("#advice")).to_have_text(
        "Peak memory was 2 GiB of 16 GiB and 1 of 16 cores were busy on average: Standard would do,"
        " at €0.10 instead of €0.40 per hour."
    )
    expect(page.locator("#facts")).to_contain_text("1 of 16 cores busy on average")
