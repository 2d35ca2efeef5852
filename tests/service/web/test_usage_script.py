"""The page of use in a real browser: sums, months, whose, and the table that is downloaded."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.service.rules.usage import add_months
from tests.service.web.factories import Service
from tests.service.web.test_usage import MONTH as THIS
from tests.service.web.test_usage import keep_session, name

USAGE = f"{SERVICE_PREFIX}usage"
#: Both are over: of a session in this month, a part might still be to come.
MONTH, BEFORE = add_months(THIS, -1), add_months(THIS, -2)


@pytest.fixture
def context(browser: Browser, service: Service) -> Iterator[BrowserContext]:
    """Windows of an administrator's; of others with another header."""
    context = browser.new_context(
        base_url=service.public,
        viewport={"width": 1440, "height": 900},
        extra_http_headers={"Authorization": "cookie root"},
        locale="en-US",
    )
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, service: Service) -> Page:
    keep_session(service, "ada", "lab", BEFORE + timedelta(days=3), 20)
    keep_session(service, "ada", "lab", MONTH - timedelta(hours=1), 2)
    keep_session(service, "ben", "teaching", BEFORE + timedelta(days=5), 5)
    return context.new_page()


def read_rows(page: Page) -> list[list[str]]:
    rows = page.locator("#uses tbody tr")
    return [row.locator("th, td:not(.c-share)").all_inner_texts() for row in rows.all()]


def test_use_is_summed_up_as_is_chosen_and_the_address_says_how(page: Page) -> None:
    page.goto(f"{USAGE}?user=*&first={name(BEFORE)}&last={name(BEFORE)}")
    expect(page.get_by_role("link", name="Everybody")).to_have_attribute("aria-current", "page")
    expect(page.locator("#uses tbody tr")).to_have_count(2)
    assert read_rows(page) == [
        ["ada", "€2.10", "21", "42", "0", "84", "0", "2"],
        ["ben", "€0.50", "5", "10", "0", "20", "0", "1"],
    ]
    widths = [bar.evaluate("bar => bar.offsetWidth") for bar in page.locator("#uses .use").all()]
    assert widths[1] == pytest.approx(widths[0] * 5 / 21, abs=1)
    expect(page.locator("#totals")).to_contain_text(re.compile(r"Cost\s*€2\.60"))

    page.get_by_label("Summed up by").select_option("Group")
    expect(page.locator("#uses tbody th")).to_have_text(["Lab", "teaching"])
    expect(page).to_have_url(re.compile(r"by=group$"))
    page.get_by_label("Last month").select_option(name(MONTH))
    expect(page.locator("#totals")).to_contain_text(re.compile(r"Hours\s*27"))
    page.get_by_label("Summed up by").select_option("Month")
    expect(page.locator("#uses tbody tr")).to_have_count(2)
    assert [row[2] for row in read_rows(page)] == ["1", "26"]
    page.reload()
    expect(page.locator("#uses tbody tr")).to_have_count(2)
    page.go_back()
    expect(page.locator("#uses tbody th")).to_have_text(["Lab", "teaching"])


def test_a_month_that_is_moved_over_the_other_takes_it_along(page: Page) -> None:
    page.goto(f"{USAGE}?user=*")
    first, last = page.get_by_label("First month"), page.get_by_label("Last month")
    expect(first).to_have_value(name(THIS))
    last.select_option(name(MONTH))
    expect(first).to_have_value(name(MONTH))
    last.select_option(name(BEFORE))
    expect(first).to_have_value(name(BEFORE))
    expect(page.locator("#uses tbody tr")).to_have_count(2)
    first.select_option(name(MONTH))
    expect(last).to_have_value(name(MONTH))
    expect(page.locator("#uses tbody tr")).to_have_count(1)


def test_somebody_sees_their_own_and_no_tabs(context: BrowserContext, page: Page) -> None:
    context.set_extra_http_headers({"Authorization": "cookie ben"})
    page.goto(SERVICE_PREFIX)
    page.get_by_role("link", name="Usage and cost").click()
    expect(page.get_by_role("heading", name="Nothing ran in this time")).to_be_visible()
    expect(page.locator("#whose")).to_have_count(0)
    page.get_by_label("First month").select_option(name(BEFORE))
    expect(page.locator("#uses tbody th")).to_have_text(["Standard"])
    page.goto(f"{USAGE}?user=*")
    expect(page.locator("#trouble")).to_contain_text("Only an administrator")
    expect(page.locator("#uses, #unused").first).to_be_hidden()


def test_a_lead_sees_the_group_by_person_and_goes_between(
    context: BrowserContext, page: Page
) -> None:
    context.set_extra_http_headers({"Authorization": "cookie lea"})
    page.goto(f"{USAGE}?first={name(BEFORE)}&last={name(BEFORE)}")
    expect(page.get_by_role("heading", name="Nothing ran in this time")).to_be_visible()
    page.locator("#whose").get_by_role("link").nth(1).click()
    expect(page.locator("#uses tbody th")).to_have_text(["ada"])
    expect(page.get_by_label("First month")).to_have_value(name(BEFORE))


def test_the_table_to_download_is_of_what_is_shown(context: BrowserContext, page: Page) -> None:
    page.goto(f"{USAGE}?user=*&first={name(BEFORE)}&last={name(BEFORE)}")
    expect(page.locator("#uses tbody tr")).to_have_count(2)
    link = page.get_by_role("link", name="Download CSV")
    expect(link).to_have_attribute("download", "")
    answer = context.request.get(link.get_attribute("href") or "")
    rows = list(csv.DictReader(io.StringIO(answer.text())))
    assert [(row["user"], row["hours"]) for row in rows] == [("ada", "21.0"), ("ben", "5.0")]


def test_a_name_is_text(context: BrowserContext, service: Service) -> None:
    evil = "<img src=x onerror=alert(1)>"
    keep_session(service, evil, "lab", BEFORE, 1)
    page = context.new_page()
    page.goto(f"{USAGE}?user=*&first={name(BEFORE)}")
    expect(page.locator("#uses tbody th")).to_have_text([evil])
