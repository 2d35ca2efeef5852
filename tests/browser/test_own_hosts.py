"""Each user and the jobs service have a host of their own, as on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.lab import COMMAND, Lab
from tests.browser.own_hosts.platform import OwnHosts, running_own_hosts
from tests.browser.people import Window

#: What a script in the page gets to see of another place, with the browser's cookies.
FETCH = """async (url) => {
  try { return String((await fetch(url, {credentials: "include"})).status); }
  catch { return "nothing"; }
}"""
HUB, JOBS, ADA = "hub.localhost", "offline-jobs--service.hub.localhost", "ada.hub.localhost"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnHosts]:
    with running_own_hosts(tmp_path_factory.mktemp("own-hosts")) as running:
        yield running


@pytest.fixture
def page(hosts: OwnHosts, browser: Browser) -> Iterator[Page]:
    """Ada's browser, which does not know the certificate's authority."""
    context = browser.new_context(base_url=hosts.address, ignore_https_errors=True)
    yield context.new_page()
    context.close()


def get_host(page: Page) -> str:
    return urlsplit(page.url).hostname or ""


def open_session(hosts: OwnHosts, page: Page) -> None:
    """Ada's session; started in the first test that asks."""
    Window(page, hosts).sign_in("ada")
    if get_host(page) == HUB:
        page.get_by_role("radio", name="Python notebook", exact=True).check()
        page.get_by_role("radio", name="Small", exact=True).check()
        page.get_by_role("button", name="Start").click()
    expect(page.locator("#jp-MainMenu")).to_be_visible()


def open_jobs(page: Page) -> None:
    # Lab in images that people have knows the page by its path; the hub leads to its host.
    page.goto("/services/offline-jobs/")
    expect(page.get_by_role("heading", name="Offline jobs")).to_be_visible()


def test_a_session_and_its_jobs_and_the_way_back(hosts: OwnHosts, page: Page) -> None:
    open_session(hosts, page)
    assert get_host(page) == ADA
    lab = Lab(page)
    lab.wait_until_ready()
    lab.open_example("1-tour.ipynb")
    lab.choose_in_run_menu(COMMAND)
    lab.wait_for_dialog()
    lab.submit()
    expect(lab.open_panel().get_by_role("listitem").first).to_contain_text("Done")

    with page.context.expect_page() as opened:
        lab.panel.get_by_role("link", name="Open page").click()
    jobs = opened.value
    expect(jobs.get_by_role("heading", name="Offline jobs")).to_be_visible()
    assert get_host(jobs) == JOBS
    jobs.get_by_role("link", name="1-tour").first.click()
    jobs.get_by_role("link", name="Open in JupyterLab").click()
    expect(jobs.locator("#jp-MainMenu")).to_be_visible()
    assert get_host(jobs) == ADA

    # The hub asks the service itself: its page may not.
    jobs.goto("/hub/home")
    expect(jobs.locator("#jobs-cards")).to_contain_text("1-tour")
    jobs.get_by_role("button", name="Theme: as the system").click()
    jobs.get_by_role("button", name="Theme: light").click()
    jobs.get_by_role("link", name="Offline jobs").click()
    expect(jobs.get_by_role("heading", name="Offline jobs")).to_be_visible()
    assert get_host(jobs) == JOBS
    expect(jobs.locator("html")).to_have_attribute("data-bs-theme", "dark")

    # Nothing of it goes without TLS.
    cookies = page.context.cookies()
    assert {HUB, ADA} <= {each.get("domain") for each in cookies if each.get("name") == "_xsrf"}
    assert not [each for each in cookies if not each.get("secure")]


def test_a_page_of_a_users_server_reaches_nothing_of_others(hosts: OwnHosts, page: Page) -> None:
    open_session(hosts, page)
    lab, page = page, page.context.new_page()
    assert get_host(lab) == ADA
    assert lab.evaluate(FETCH, "/user/ada/api/status") != "nothing"
    open_jobs(page)
    assert page.evaluate(FETCH, "/services/offline-jobs/api/v1/jobs") == "200"
    service = page.url

    assert lab.evaluate(FETCH, f"{service}api/v1/jobs") == "nothing"
    assert lab.evaluate(FETCH, f"{hosts.address}/hub/api/user") == "nothing"

    # A cookie for all hosts below the hub's, in the place of the service's.
    path = "/services/offline-jobs/"
    lab.evaluate(
        f"document.cookie = 'offline-jobs-session=theirs; domain={HUB}; path={path}; secure'"
    )
    assert any(each.get("domain") == f".{HUB}" for each in page.context.cookies(service))
    page.reload()
    expect(page.get_by_text("ada", exact=True).first).to_be_visible()
    assert page.evaluate(FETCH, "/services/offline-jobs/api/v1/jobs") == "200"
    mine = [each for each in page.context.cookies() if each.get("name", "").startswith("__Host-")]
    assert {each.get("domain") for each in mine} >= {HUB, JOBS, ADA}


def test_who_leaves_the_hub_has_left_the_jobs(hosts: OwnHosts, page: Page) -> None:
    Window(page, hosts).sign_in("ben")
    open_jobs(page)
    page.context.new_page().goto("/hub/logout")
    assert page.evaluate(FETCH, "/services/offline-jobs/api/v1/jobs") == "401"


def test_while_the_jobs_service_is_away_its_page_says_so_and_comes_back(
    hosts: OwnHosts, page: Page
) -> None:
    Window(page, hosts).sign_in("ben")
    open_jobs(page)
    assert hosts.process is not None
    supervisor = psutil.Process(hosts.process.pid)
    (service,) = (
        each for each in supervisor.children() if "offline_jobs.service" in each.cmdline()
    )

    # It would start it anew at once.
    supervisor.suspend()
    try:
        service.kill()
        page.reload()
        expect(page.get_by_role("heading", name="The jobs service is away")).to_be_visible()
        expect(page.get_by_text("Jobs run on")).to_be_visible()
        home = page.get_by_role("link", name="Home")
        expect(home).to_have_attribute("href", f"{hosts.address}/hub/home")
    finally:
        supervisor.resume()

    expect(page.get_by_role("heading", name="Offline jobs")).to_be_visible()
