"""The page of groups in a real browser: what a lead and an administrator see, and may do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.contract.states import Reason, State
from tests.service.web.factories import Service
from tests.service.web.test_groups import budgets, end, open_session, queue_up, submit
from tests.service.web.test_usage import BEFORE, MONTH, keep_session

GROUPS = f"{SERVICE_PREFIX}groups"
LONG = "a-name-without-any-place-to-break-" * 5 + "!" * 30
Open = Callable[..., Page]


@pytest.fixture
def window(browser: Browser, service: Service) -> Iterator[Open]:
    """Opens the page as somebody sees it."""
    contexts: list[BrowserContext] = []

    def show(who: str, query: str = "", at: datetime | None = None, **look: object) -> Page:
        context = browser.new_context(
            base_url=service.public,
            extra_http_headers={"Authorization": f"cookie {who}"},
            locale="en-US",
            **{"viewport": {"width": 1440, "height": 900}, **look},  # type: ignore[arg-type]
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        if at is not None:
            date = format_datetime(at, usegmt=True)

            def tell(route: Route) -> None:
                answer = route.fetch()
                route.fulfill(response=answer, headers={**answer.headers, "date": date})

            # The page goes by the service's clock.
            page.route("**/api/v1/**", tell)
        page.goto(GROUPS + query)
        expect(page.locator("#groups")).to_have_attribute("aria-busy", "false")
        return page

    yield show
    for context in contexts:
        context.close()


def read(page: Page, table: str) -> list[list[str]]:
    rows = page.locator(f"{table} tbody tr").all()
    return [
        [" ".join(cell.split()) for cell in row.locator("th, td").all_inner_texts()] for row in rows
    ]


def test_an_administrator_sees_all_groups_and_goes_to_one(service: Service, window: Open) -> None:
    submit(service, "ada", State.RUNNING, machine_class="large")
    submit(service, "ada", State.QUEUED)
    open_session(service, "ben", "teaching")
    page = window("root")
    lab, teaching = read(page, "#queues")
    assert lab[:5] == ["Lab weight 1 of 2", "16 of 64 cores", "16 of 512 GiB", "none", "1"]
    assert re.fullmatch(r"1 for \d+ s", lab[5])
    assert teaching[1:2] + teaching[4:7] == ["0 of 64 cores", "0", "0", "1"]
    bar = page.locator("#queues tbody tr").first.locator(".c-use").first
    width = bar.locator(".use").evaluate("bar => bar.offsetWidth / bar.parentElement.offsetWidth")
    assert width == pytest.approx(0.25, abs=0.02)
    expect(page.locator("#people")).to_be_hidden()
    expect(page.locator("#totals")).to_contain_text(re.compile(r"Sessions\s*1"))

    page.get_by_role("link", name="Lab", exact=True).click()
    expect(page).to_have_url(re.compile(r"groups\?group=lab$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Lab")
    expect(page.locator("#people tbody tr")).to_have_count(1)
    (ada,) = read(page, "#people")
    assert ada[:3] == ["ada", "16 of 64 cores", "1"]
    expect(page.locator("#classes tbody th")).to_have_text(["Large", "Standard"])
    expect(page.locator("#nobody")).to_have_text("Nobody has a session open.")


def test_a_budget_shows_how_the_month_will_end(service: Service, window: Open) -> None:
    """Half of it is spent before half of the month has passed."""
    keep_session(service, "ada", "lab", BEFORE + timedelta(days=3), 200)
    noon = BEFORE + timedelta(days=14, hours=12)
    passed = (noon - BEFORE) / (MONTH - BEFORE)
    pace = f"€{20 / passed:.0f}"
    with budgets(service, lab=40):
        page = window("lea", at=noon)
        cost = page.locator("#totals > div").first
        expect(cost.locator("dd").first).to_have_text("€20.00 of €40")
        expect(cost.locator(".over")).to_have_text(f"At this pace {pace} by the end of the month")
        expect(cost).to_contain_text(f"The mark is today: {passed * 100:.0f} % of the month.")
        places = cost.locator(".meter").evaluate(
            """bar => [...bar.children].map(part => {
              const [whole, own] = [bar, part].map(one => one.getBoundingClientRect());
              return [(own.right - whole.left) / whole.width, own.height > whole.height];
            })"""
        )
        assert places == [[pytest.approx(0.5), False], [pytest.approx(passed, abs=0.01), True]]
        assert not Axe().run(page).response["violations"]

        everywhere = window("root", at=noon)
        lab, teaching = read(everywhere, "#queues")
        assert lab[-1] == f"€20.00 of €40 at this pace {pace}"
        assert teaching[-1] == "–"

        early = window("lea", at=BEFORE + timedelta(days=1, hours=23))
        cost = early.locator("#totals > div").first
        expect(cost.locator("dd").first).to_have_text("€20.00 of €40")
        expect(cost.locator(".today")).to_have_count(0)
        assert "pace" not in cost.inner_text()
        service.empty()
        unspent = window("lea", at=noon)
        expect(unspent.locator("#totals dd").first).to_have_text("€0.00 of €40")
        expect(unspent.locator("#totals .meter")).to_have_count(0)
        assert "pace" not in unspent.locator("#totals").inner_text()
    keep_session(service, "ada", "lab", BEFORE + timedelta(days=3), 200)
    unlimited = window("lea", at=noon)
    expect(unlimited.locator("#totals .meter")).to_have_count(0)
    expect(unlimited.locator("#totals dd").first).to_have_text("€20.00")


def test_a_lead_goes_from_a_person_s_failures_to_these_jobs(service: Service, window: Open) -> None:
    """Also of somebody whose name says nothing to an address."""
    who = "ben & <i>co</i>?"
    end(service, who, "succeeded", "cancelled", "failed", name="one of ben's")
    end(service, "ada", "succeeded", "cancelled", name="one of ada's")
    end(service, "zoe", "failed", group="teaching")
    page = window("lea")
    people = {row[0]: row[-1] for row in read(page, "#people")}
    assert people == {who: "3 jobs 1 failed", "ada": "2 jobs"}
    page.get_by_role("link", name=f"1 failed of {who}").click()
    expect(page).to_have_url(re.compile(r"offline-jobs/\?state=failed&user=ben\+%26.*&group=lab$"))
    expect(page.get_by_role("link", name="one of ben's")).to_have_count(1)
    expect(page.get_by_role("link", name="one of ada's")).to_have_count(0)


def test_sessions_and_jobs_are_narrowed_and_the_address_says_how(
    service: Service, window: Open
) -> None:
    for owner in ("ada", "lea"):
        open_session(service, owner)
        submit(service, owner, State.RUNNING, name=f"of {owner}")
    page = window("root", "?person=AD")
    assert [row[0] for row in read(page, "#sessions")] == ["ada"]
    expect(page.locator("#nobody")).to_have_text("1 of 2 sessions are of people called “AD”.")
    page.get_by_role("link", name="Jobs 2").click()
    expect(page).to_have_url(re.compile(r"\?show=jobs&person=AD$"))
    assert [row[:2] for row in read(page, "#open-jobs")] == [["ada", "of ada"]]
    page.reload()
    expect(page.locator("#open-jobs tbody tr")).to_have_count(1)
    page.get_by_label("Person").fill("")
    expect(page.locator("#open-jobs tbody tr")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?show=jobs$"))
    page.go_back()
    expect(page.locator("#sessions tbody tr")).to_have_count(1)


def test_what_may_be_done_with_a_session_is_there_for_who_may(
    service: Service, window: Open
) -> None:
    for owner in ("ada", "lea"):
        open_session(service, owner)
    ways = {}
    for who in ("root", "lea"):
        page = window(who)
        ways[who] = {
            row.locator("th").inner_text(): [
                link.get_attribute("href") for link in row.get_by_role("link").all()
            ]
            for row in page.locator("#sessions tbody tr").all()
        }
    admin = "/hub/admin?name_filter="
    assert ways["root"] == {"ada": [f"{admin}ada"], "lea": [f"{admin}lea"]}
    assert ways["lea"] == {"ada": [], "lea": ["/hub/home"]}


def test_a_lead_sees_the_group_and_cancels_with_a_reason(service: Service, window: Open) -> None:
    job = submit(service, "ada", State.RUNNING, name="too large")
    submit(service, "ben", State.RUNNING, group="teaching")
    open_session(service, "ben", "teaching")
    page = window("lea", "?show=jobs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Lab")
    expect(page.locator("#whose a")).to_have_text(["Lab"])
    assert [row[0] for row in read(page, "#open-jobs")] == ["ada"]
    assert "ben" not in page.content()
    page.get_by_role("button", name="Cancel too large").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("the course needs it")
    with page.expect_response(re.compile("/cancel$")) as answer:
        page.get_by_role("button", name="Cancel the job").click()
    assert answer.value.request.post_data_json == {"because": "the course needs it"}
    assert answer.value.status == 202
    found = service.store.job(job)
    assert found is not None
    assert found.cancel_requested is not None


def test_a_lead_sees_who_is_next_and_lets_somebody_off(service: Service, window: Open) -> None:
    queue_up(service, "ada", 1, name="large one", machine_class="large")
    queue_up(service, "lea", 0, name="small one")
    limited = submit(service, "adam", State.QUEUED, name="no machine")
    service.stand(limited, State.QUEUED, reason=Reason.POOL_LIMIT)
    queue_up(service, "ben", 0, group="teaching", name="elsewhere")
    page = window("lea")
    page.get_by_role("link", name="Waiting 3").click()
    expect(page).to_have_url(re.compile(r"\?group=lab&show=line$"))
    share = "Waiting until Lab has room in its share"
    rows = read(page, "#line")
    assert [row[:5] for row in rows] == [
        ["1", "lea", "small one", f"{share}, next in line", "Standard"],
        ["2", "ada", "large one", f"{share}, 1 job ahead", "Large"],
        ["–", "adam", "no machine", rows[2][3], "Standard"],
    ]
    assert all(re.fullmatch(r"\d+ s", row[5]) for row in rows)
    expect(page.locator("#line-about")).to_contain_text("take turns")
    page.get_by_label("Person").fill("ada")
    assert [row[0] for row in read(page, "#line")] == ["2", "–"]
    expect(page.locator("#nobody")).to_have_text("2 of 3 jobs are of people called “ada”.")
    page.get_by_role("button", name="Cancel large one").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("the course is next")
    with page.expect_response(re.compile("/cancel$")) as answer:
        page.get_by_role("button", name="Cancel the job").click()
    assert answer.value.status == 202

    everywhere = window("root", "?show=line")
    expect(everywhere.get_by_role("link", name="Waiting")).to_have_count(0)
    expect(everywhere.locator("#nobody")).to_have_text("Nobody has a session open.")


@pytest.mark.parametrize("who", ["ada", "eve"])
def test_others_are_told_that_it_is_not_for_them(
    service: Service, browser: Browser, who: str
) -> None:
    page = browser.new_page(
        base_url=service.public, extra_http_headers={"Authorization": f"cookie {who}"}
    )
    answer = page.goto(f"{GROUPS}?group=lab")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_text("Only its leads and an administrator")).to_be_visible()
    expect(page.get_by_role("link", name="Groups")).to_have_count(0)
    page.close()


def test_many_and_long_names_fit_a_telephone_and_axe_finds_nothing(
    service: Service, window: Open
) -> None:
    for number in range(60):
        open_session(service, f"{number}-{LONG}")
        submit(service, f"{number}-{LONG}", State.QUEUED, name=f"<b>{LONG}</b>")
    looks = ("sessions", 390, "dark"), ("line", 390, "dark"), ("jobs", 390, "light")
    for show, width, scheme in looks:
        look = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}
        page = window("lea", f"?show={show}", **look)
        table = {"jobs": "#open-jobs"}.get(show, f"#{show}")
        expect(page.locator(f"{table} tbody tr")).to_have_count(60)
        expect(page.locator("#people tbody tr")).to_have_count(15)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        faults = json.loads(json.dumps(Axe().run(page).response["violations"]))
        assert not faults, (show, width, [(f["id"], f["nodes"][0]["html"]) for f in faults])
    page.get_by_role("button", name="Show all 60").click()
    expect(page.locator("#people tbody tr")).to_have_count(60)
    expect(page.locator("#open-jobs .name").first).to_have_text(f"<b>{LONG}</b>")


def test_one_machine_says_what_is_true_of_it(service: Service, window: Open) -> None:
    submit(service, "ada", State.RUNNING)
    service.app.state.rooms = replace(service.rooms, slots=2)
    try:
        page = window("root")
        expect(page.locator("#queues-about")).to_contain_text("it runs 2 jobs at once")
        expect(page.locator("#line-about")).to_contain_text("whatever their group")
        assert read(page, "#queues")[0][:3] == ["Lab", "2 cores", "4 GiB"]
        expect(page.locator("#queues .meter")).to_have_count(0)
    finally:
        service.app.state.rooms = service.rooms
