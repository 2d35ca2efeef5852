"""The page's list in a real browser: narrowed, paged, chosen from, and true to what changes."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.contract.states import Cause, State
from offline_jobs.service.store.store import Store
from tests.service.core.factories import make_new_job
from tests.service.web.factories import Client, Service

LONG = "mouse hemibrain left, fresh-frozen, registered on the neighbouring section; " * 3


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    page = browser.new_page(
        base_url=service.public,
        viewport={"width": 1440, "height": 900},
        extra_http_headers={"Authorization": "cookie ada"},
    )
    page.set_default_timeout(60_000)
    yield page
    page.close()


def fill(store: Store, number: int, **changes: object) -> list[str]:
    """Ada's jobs, the first of them the oldest."""
    news = [make_new_job("1", name=f"section {n}", group="lab", **changes) for n in range(number)]
    return [job.id for job, _ in store.create_jobs(news, open_limit=10_000)]


def count(page: Page, part: str) -> str:
    return page.locator(f"#{part}-head .count").inner_text()


def names(page: Page, part: str) -> list[str]:
    return page.locator(f"#{part} .name").all_inner_texts()


def test_the_list_is_narrowed_and_its_address_says_how(service: Service, page: Page) -> None:
    page.goto(SERVICE_PREFIX)
    expect(page.get_by_text("Run ▸ Run as Offline Job…")).to_be_visible()
    expect(page.locator("#jobs")).to_be_hidden()

    ids = fill(service.store, 130)
    for job in ids[:120]:
        service.finish(job, State.FAILED if job == ids[4] else State.SUCCEEDED)
    service.stand(ids[125], State.RUNNING)
    # The news have come by themselves.
    expect(page.locator("#ended-head .count")).to_have_text("120")
    assert (count(page, "running"), count(page, "waiting")) == ("1", "9")
    assert names(page, "waiting")[:5] == [f"section {n}" for n in (129, 128, 127, 126, 124)]
    page.reload()
    expect(page.locator("#ended .name")).to_have_count(100)
    expect(page.locator("#ended-more")).to_contain_text("100 of 120 are shown")
    page.get_by_role("button", name="Show more of Ended").click()
    expect(page.locator("#ended .name")).to_have_count(120)
    assert names(page, "ended") == [f"section {n}" for n in range(119, -1, -1)]

    # Shown are a page of each part, and what the filters leave.
    page.locator("body").press("/")
    page.keyboard.type("section 12")
    expect(page.locator("#summary")).to_have_text("1 running · 9 waiting · 12 jobs")
    expect(page).to_have_url(re.compile(r"\?q=section\+12$"))
    assert names(page, "ended") == ["section 112", "section 12"]
    page.get_by_label("State").select_option("Running")
    expect(page).to_have_url(re.compile(r"\?q=section\+12&state=running$"))
    expect(page.locator("#summary")).to_have_text("1 running · 1 job")
    page.reload()
    expect(page.locator("#running .name")).to_have_text(["section 125"])
    expect(page.get_by_label("Search jobs")).to_have_value("section 12")
    # What ends is no running job any more.
    service.finish(ids[125])
    expect(page.get_by_role("heading", name="No job matches")).to_be_visible()
    page.go_back()
    expect(page.locator("#ended .name")).to_have_text(["section 125", "section 112", "section 12"])
    page.go_back()
    expect(page.locator("#ended-head .count")).to_have_text("121")
    expect(page.get_by_label("Search jobs")).to_have_value("")
    page.go_forward()
    page.get_by_label("Search jobs").fill("100%")
    page.locator("#nothing").get_by_role("button", name="Clear filters").click()
    expect(page).to_have_url(re.compile(f"{SERVICE_PREFIX}$"))
    expect(page.locator("#waiting-head .count")).to_have_text("9")


def test_what_is_wrong_in_an_address_is_said_and_does_no_harm(service: Service, page: Page) -> None:
    fill(service.store, 2)
    page.goto(f"{SERVICE_PREFIX}?state=lost&from=yesterday&q=section&class=%3Cimg%3E")
    expect(page.locator("#note")).to_contain_text("There is no state “lost”")
    expect(page.locator("#note")).to_contain_text("“yesterday” is no day")
    expect(page.get_by_label("Machine")).to_have_value("<img>")
    expect(page.get_by_role("heading", name="No job matches")).to_be_visible()
    page.get_by_role("button", name="Clear filters").last.click()
    expect(page.locator("#waiting .name")).to_have_count(2)
    expect(page.locator("#note")).to_be_hidden()
    page.goto(f"{SERVICE_PREFIX}?user=*")
    expect(page.locator("#trouble")).to_contain_text("Only an administrator")
    expect(page.locator("#jobs")).to_be_hidden()


def test_jobs_are_chosen_and_ended_or_deleted_at_once(
    service: Service, ada: Client, page: Page
) -> None:
    ids = fill(service.store, 8)
    for job in ids[:4]:
        service.finish(job, State.FAILED, cause=Cause.INTERNAL)
    page.goto(SERVICE_PREFIX)
    bar = page.get_by_role("region", name="Selected jobs")
    pick = [page.get_by_label(f"Select section {n}", exact=True) for n in range(8)]
    pick[7].click()
    expect(bar.get_by_role("button", name="Cancel 1")).to_be_visible()
    pick[1].click(modifiers=["Shift"])
    expect(bar).to_contain_text("7 selected")
    expect(bar.get_by_role("button", name="Cancel 4")).to_be_visible()
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    expect(pick[7]).not_to_be_checked()

    # By keyboard: a box, two more, and the bar.
    pick[3].focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    expect(pick[1]).to_be_focused()
    bar.get_by_role("button", name="Delete 3").press("Enter")
    page.get_by_role("button", name="Delete 3 jobs").press("Enter")
    expect(page.locator("#toast")).to_have_text("3 jobs deleted.")
    expect(bar).to_be_hidden()
    expect(pick[0]).to_be_focused()
    assert names(page, "ended") == ["section 0"]
    assert len(ada.get("jobs").json()["jobs"]) == 5

    # One of two ends before it is asked for: that is said, and nothing else is lost.
    pick[5].check()
    pick[6].check()
    bar.get_by_role("button", name="Cancel 2").click()
    service.finish(ids[6])
    page.get_by_role("button", name="Cancel 2 jobs").click()
    expect(page.locator("#failed")).to_contain_text("1 of 2 jobs could not be cancelled")
    expect(page.locator("#failed")).to_contain_text("“section 6”: The job has ended by itself")
    expect(bar).to_contain_text("1 selected")
    asked = service.store.job(ids[5])
    assert asked is not None
    assert asked.cancel_requested is not None


def test_a_lead_narrows_the_groups_jobs_and_ends_some_with_a_reason(
    browser: Browser, service: Service, ada: Client
) -> None:
    ids = fill(service.store, 4)
    service.finish(ids[0])
    service.client("root").submit(name="of root")
    page = browser.new_page(
        base_url=service.public, extra_http_headers={"Authorization": "cookie lea"}
    )
    page.goto(SERVICE_PREFIX)
    expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()
    expect(page.get_by_label("Person")).to_be_hidden()
    page.get_by_role("navigation", name="Whose jobs").get_by_role("link").nth(1).click()
    expect(page.locator("#waiting .name")).to_have_count(4)
    # What has ended is its owner's to delete.
    expect(page.locator("#ended .pick:enabled")).to_have_count(0)
    for number in (2, 3):
        page.get_by_label(f"Select section {number}").check()
    page.get_by_role("button", name="Cancel 2").click()
    dialog = page.get_by_role("dialog", name="Cancel 2 jobs?")
    sure = dialog.get_by_role("button", name="Cancel 2 jobs")
    expect(sure).to_be_disabled()
    page.keyboard.type("the machines are needed today")
    expect(dialog.get_by_label("Why?")).to_have_value("the machines are needed today")
    sure.click()
    expect(page.locator("#toast")).to_contain_text("2 jobs cancelled")
    told = {"cancelled_by": "lea", "because": "the machines are needed today"}
    for number, expected in ((1, {}), (2, told), (3, told)):
        stored = service.store.job(ids[number])
        assert stored is not None
        assert stored.cancel_facts == expected
    page.get_by_label("Person").fill("root")
    page.get_by_label("Person").press("Enter")
    expect(page.locator("#waiting .name")).to_have_text(["of root"])
    expect(page).to_have_url(re.compile(r"\?user=root&group=lab$"))
    job = ada.submit("key-of-another", name="another").json()["id"]
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator(f"[data-job={job}]")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?user=\*&group=lab$"))
    # And from the job's own page, where nothing of another can be deleted.
    page.goto(f"{SERVICE_PREFIX}jobs/{job}")
    page.get_by_role("button", name="Cancel another").click()
    page.get_by_role("dialog").get_by_label("Why?").fill("a typo in it")
    with page.expect_response("**/cancel"):
        page.get_by_role("button", name="Cancel the job").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    stored = service.store.job(job)
    assert stored is not None
    assert stored.cancel_facts == {"cancelled_by": "lea", "because": "a typo in it"}
    page.goto(f"{SERVICE_PREFIX}jobs/{ids[0]}")
    expect(page.locator("#state")).to_have_text("Done")
    expect(page.get_by_role("button", name="Delete record")).to_have_count(0)
    page.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_rows_are_of_one_height_whatever_jobs_are_called(
    service: Service, ada: Client, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    called = ["short", LONG[:200], "x" * 200, "قسم ٣ · الدماغ", "🧠" * 60]
    for n, name in enumerate(called):
        ada.submit(f"key-0000000{n}", name=name)
    page.goto(SERVICE_PREFIX)
    expect(page.locator("#waiting .name")).to_have_count(len(called))
    for name in called:
        expect(page.get_by_title(name, exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    heights = page.locator("#waiting tr").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    if width > 920:
        assert set(heights) == {48}
