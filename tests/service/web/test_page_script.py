"""The page's script in a real browser: what it leaves alone unseen, and how a job is looked at."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from hub_config.platform.catalogue import InstanceClass
from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.contract.run import Progress
from offline_jobs.contract.states import Cause, State
from offline_jobs.service.model import Standing
from tests.factories import make_class, make_person
from tests.service.web.factories import (
    CATALOGUE,
    LITTLE,
    PEOPLE,
    Client,
    Service,
    make_notebook,
)
from tests.service.web.test_figures import make_png

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


def make_executed(*figures: int) -> bytes:
    """Twenty cells; those with a number that is asked for have a figure, as wide as the number."""
    notebook = make_notebook(*(f"cell({number})" for number in range(1, 21)))
    for number, cell in enumerate(notebook["cells"], 1):
        said = {"output_type": "stream", "name": "stdout", "text": f"out of {number}\n" * 9}
        png = {"output_type": "display_data", "metadata": {}}
        data = {"image/png": make_png(number, 3), "text/plain": "<Figure>"}
        cell["outputs"] = [said, *([{**png, "data": data}] if number in figures else [])]
    return json.dumps(notebook).encode()


def hand_over(service: Service, job: str, content: bytes) -> None:
    assert service.runner(job).put("/notebook", content=content).is_success


def test_figures_come_first_and_lead_to_their_cells(
    service: Service, ada: Client, page: Page
) -> None:
    job = ada.submit(path="a/brain <1>.ipynb").json()["id"]
    hand_over(service, job, make_executed(2, 15, 17))
    service.finish(job)
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.goto(f"{service.public}{SERVICE_PREFIX}jobs/{job}")
    strip = page.get_by_role("region", name="Figures")
    expect(strip.get_by_role("button")).to_have_text(["cell 2", "cell 15", "cell 17"])
    expect(strip.locator("img").nth(1)).to_have_js_property("naturalWidth", 15)
    result = page.frame_locator("#result")
    expect(result.locator("#cell-2")).to_be_in_viewport()

    strip.get_by_role("button", name="Figure 2, cell 15").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_accessible_name("Figure 2 of 3 · cell 15")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(dialog).to_have_accessible_name("Figure 3 of 3 · cell 17")
    expect(dialog.get_by_role("button", name="Next figure")).to_be_disabled()
    expect(dialog.get_by_role("img")).to_have_js_property("naturalWidth", 17)
    with page.expect_download() as download:
        dialog.get_by_role("link", name="Download figure").click()
    assert re.fullmatch(r"brain .1.-figure-3\.png", download.value.suggested_filename)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(strip.get_by_role("button", name="Figure 3, cell 17")).to_be_focused()

    page.get_by_role("tab", name="Log").click()
    expect(page.locator("#result")).to_be_hidden()
    strip.get_by_role("button", name="Figure 2, cell 15").click()
    dialog.get_by_role("link", name="Go to cell 15").click()
    expect(page).to_have_url(re.compile(r"\?cell=15$"))
    expect(page.get_by_role("tab", name="Result")).to_have_attribute("aria-selected", "true")
    expect(result.locator("#cell-15")).to_be_in_viewport()
    # A link to it leads there, too.
    page.reload()
    expect(result.locator("#cell-15")).to_be_in_viewport()
    expect(result.locator("#cell-2")).not_to_be_in_viewport()
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?tab=log$"))
    expect(page.locator("#log-note")).to_be_visible()


def test_figures_of_a_job_at_work_come_as_they_are_made(
    service: Service, ada: Client, page: Page
) -> None:
    job = ada.submit().json()["id"]
    page.clock.install()
    page.goto(f"{service.public}{SERVICE_PREFIX}jobs/{job}")
    expect(page.get_by_text("The notebook appears here")).to_be_visible()
    hand_over(service, job, make_executed())
    service.stand(job, State.RUNNING)
    expect(page.frame_locator("#result").locator("#cell-2")).to_be_visible()
    expect(page.locator("#figures-part")).to_be_hidden()
    thumbs = page.locator("#figures button")
    for made in ((2,), (2, 5)):
        hand_over(service, job, make_executed(*made))
        page.clock.fast_forward(40_000)
        expect(thumbs).to_have_text([f"cell {number}" for number in made])
    expect(page.locator("#figures-note")).to_have_text("so far")
    # What is seen of one stays what it is, whatever comes beside it.
    thumbs.first.focus()
    hand_over(service, job, make_executed(2, 5, 6))
    service.finish(job)
    expect(thumbs).to_have_count(3)
    expect(thumbs.first).to_be_focused()
    expect(page.locator("#figures-note")).to_be_empty()


def test_a_run_is_shown_over_time_and_its_cells_lead_to_the_result(
    browser: Browser,
    service: Service,
    ada: Client,
    page: Page,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    series = {
        "every_seconds": 60,
        "memory_mib": [512, 1024, 3174],
        "cores": [0.5, 1, 0.5],
        "gpus": {
            "count": 2,
            "memory_limit_mib": 32 * 1024,
            "percent": [0, 30, 90],
            "memory_mib": [0, 1024, 9 * 1024],
        },
        "first_cell_seconds": 20,
    }
    gpu = make_class("gpu", gpus=2, groups=("lab", "teaching"))
    monkeypatch.setitem(cast("dict[str, InstanceClass]", CATALOGUE.classes), "gpu", gpu)
    said = Progress("running", 3, 20, [60.0, 90.0], memory_limit_bytes=8 * 2**30, series=series)
    notebook = json.loads(make_executed())
    for key in ("key-00000010", "key-00000011"):
        before = ada.submit(key, **{"class": "gpu"}).json()["id"]
        service.stand(before, State.RUNNING)
        service.finish(before)
    job = ada.submit(notebook=notebook, **{"class": "gpu"}).json()["id"]
    page.clock.install()
    address = f"{service.public}{SERVICE_PREFIX}jobs/{job}?tab=cells"
    page.goto(address)
    expect(page.locator("#left")).to_have_text("It will run for about 5 s, as 2 earlier runs did.")
    hand_over(service, job, make_executed())
    service.stand(job, State.RUNNING)
    short = replace(said, memory_peak_bytes=2**30, series=None)
    assert service.runner(job).post("/progress", json=short.to_json()).is_success
    charts = page.locator("#course")
    expect(charts.locator("figcaption")).to_have_text("Memory: at most 1 of 8 GiB")
    expect(charts.get_by_role("img")).to_have_count(0)
    # It is asked for again now and then, not at each word of the runner.
    asked: list[str] = []
    page.on("request", lambda each: asked.append(each.url) if "/course" in each.url else None)
    assert service.runner(job).post("/progress", json=said.to_json()).is_success
    memory = charts.get_by_role(
        "img", name="Memory: at most 3.1 of 8 GiB, at 2 min 30 s, in cell 2"
    )
    for _ in range(3):
        page.clock.fast_forward(11_000)
    expect(memory).to_be_visible()
    cores = charts.get_by_role(
        "img", name="Cores: at most 1 of 2 cores, at 1 min 30 s, in cell 2, 0.7 on average"
    )
    expect(cores).to_be_visible()
    gpus = charts.get_by_role("img", name="2 GPUs: busy at most 90 % of the time, at 2 min 30 s")
    expect(gpus).to_be_visible()
    assert len(asked) <= 3

    rows = page.get_by_role("list", name="Cells").get_by_role("listitem")
    expect(rows).to_have_count(20)
    expect(rows.nth(1)).to_have_text(re.compile(r"2\s*cell\(2\)\s*1 min 30 s\s*done"))
    expect(rows.nth(2)).to_contain_text("running")
    expect(rows.nth(19)).to_have_text(re.compile(r"20\s*cell\(20\)\s*not run"))
    monkeypatch.setitem(PEOPLE, "mia", make_person("mia", ["lab"]))
    ada.post(f"jobs/{job}/share", {"shared": True})
    guest = browser.new_page(extra_http_headers={"Authorization": "cookie mia"})
    guest.goto(address)
    expect(guest.locator("#course").get_by_role("img")).to_have_count(3)
    expect(guest.locator("#lines li").nth(19)).to_contain_text("cell(20)")
    expect(guest.locator("#left")).to_be_empty()
    guest.close()
    rows.nth(14).get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"\?cell=15$"))
    expect(page.frame_locator("#result").locator("#cell-15")).to_be_in_viewport()


def test_a_jobs_tabs_are_gone_through_by_keyboard_and_open_where_it_failed(
    service: Service, ada: Client, page: Page
) -> None:
    job = ada.submit().json()["id"]
    service.finish(job, State.FAILED, cause=Cause.INTERNAL)
    page.goto(f"{service.public}{SERVICE_PREFIX}jobs/{job}")
    tabs = page.get_by_role("tablist", name="Views of this job")
    chosen = tabs.get_by_role("tab", selected=True)
    # There is no notebook that could tell it.
    expect(chosen).to_have_text("Log")
    expect(page.get_by_role("tabpanel", name="Log")).to_be_visible()
    chosen.focus()
    for key, tab in (
        ("ArrowRight", "Run record"),
        ("ArrowRight", "Result"),
        ("ArrowLeft", "Run record"),
        ("Home", "Result"),
        ("End", "Run record"),
    ):
        page.keyboard.press(key)
        expect(chosen).to_have_text(tab)
        expect(chosen).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_have_count(1)
    expect(page.locator("#facts")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?tab=record$"))
    # One tab is reached by Tab, and then its panel.
    assert tabs.locator("[tabindex='-1']").count() == 3
    tabs.get_by_role("tab", name="Result").click()
    expect(page.get_by_text("It ended before it began")).to_be_visible()
    page.go_back()
    expect(chosen).to_have_text("Run record")


def test_a_guest_looks_at_what_is_shared_and_no_longer(
    browser: Browser,
    service: Service,
    ada: Client,
    page: Page,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(PEOPLE, "mia", make_person("mia", ["lab"]))
    job = ada.submit().json()["id"]
    hand_over(service, job, make_executed(2))
    service.stand(job, State.RUNNING)
    address = f"{service.public}{SERVICE_PREFIX}jobs/{job}"
    page.goto(address)
    switch = page.get_by_label("Shared with Lab")
    expect(switch).not_to_be_checked()
    expect(page.get_by_label("Link to this page")).to_be_hidden()
    switch.check()
    expect(page.get_by_label("Link to this page")).to_have_value(address)
    page.reload()
    expect(switch).to_be_checked()

    guest = browser.new_page(extra_http_headers={"Authorization": "cookie mia"})
    refused: list[str] = []
    guest.on("response", lambda each: refused.append(each.url) if each.status >= 400 else None)
    with guest.expect_response("**/figures?*") as figures:
        guest.goto(f"{address}?tab=log")
    more = figures.value.json()
    more["figures"] *= 2
    expect(guest.locator("#guest")).to_have_text(
        "Shared by ada with Lab: you can look at it, and change nothing."
    )
    expect(guest.get_by_role("tab")).to_have_text(["Result", re.compile("Cells"), "Run record"])
    expect(guest.get_by_role("tab", selected=True)).to_have_text("Result")
    expect(guest.frame_locator("#result").locator("#cell-2")).to_be_visible()
    expect(guest.get_by_role("button", name="Figure 1, cell 2")).to_be_visible()
    late: list[Route] = []

    def hold(each: Route) -> None:
        late.append(each)

    guest.route("**/figures?*", hold)
    service.finish(job)
    expect(guest.locator("#state")).to_have_text("Done")
    expect(page.get_by_role("button", name="Run again…")).to_be_visible()
    expect(guest.locator("#do > *")).to_have_count(0)
    expect(guest.locator("#share")).to_be_hidden()
    assert not [url for url in refused if not url.endswith("/record")]
    switch.uncheck()
    expect(guest.locator("#trouble")).to_contain_text("shared with you no longer")
    # What was answered before and comes now shows nothing any more.
    with guest.expect_event("requestfinished", lambda each: "/figures?" in each.url):
        late[0].fulfill(json=more)
    expect(guest.locator("#figures > li")).to_have_count(2)
    for part in ("#result", "#figures-part", "#panes", "#said"):
        expect(guest.locator(part)).to_be_hidden()
    guest.close()
