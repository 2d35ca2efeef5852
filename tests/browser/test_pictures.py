"""Takes the pictures of the documents: jobs of example 2 in several states.

Collected only with ``SCREENSHOTS=folder``: it runs an analysis four times, in a home of its own.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.people import Visitor, Window
from tests.browser.pictures import ROOT, take_picture
from tests.platform_fixture import Platform

EXAMPLES = ROOT / "images" / "notebook" / "examples"
GROUP = {"group": "spatial-lab", "image": "notebook", "class": "standard"}


@pytest.fixture
def story(browser: Browser, tmp_path: Path) -> Iterator[Platform]:
    """A platform without a past."""
    own = Platform(tmp_path / "state")
    with own.running():
        yield own


@pytest.mark.timeout(900)
def test_pictures_of_jobs_in_several_states(story: Platform, browser: Browser) -> None:
    ada = Visitor(story, "ada", "spatial-lab")
    analysis = json.loads((EXAMPLES / "2-spatial-transcriptomics.ipynb").read_text())
    failing = json.loads((EXAMPLES / "3-fails-in-the-middle.ipynb").read_text())
    ada.user.start_session(GROUP)

    def submit(name: str, **parameters: int) -> str:
        path = "examples/2-spatial-transcriptomics.ipynb"
        return ada.submit(analysis, name=name, parameters=parameters, path=path)

    done = submit("section 1, bin 50", seed=1)
    ada.wait_for_state(done, "succeeded")
    failed = ada.submit(
        failing, name="nuclei per section", path="examples/3-fails-in-the-middle.ipynb"
    )
    ada.wait_for_state(failed, "failed")
    stopped = submit("section 2, bin 20", seed=2, bin_size=20)
    ada.wait_for_cell(stopped, 7)
    ada.user.api.post(f"/services/offline-jobs/api/v1/jobs/{stopped}/cancel")
    ada.wait_for_state(stopped, "cancelled")
    running = submit("section 2, bin 50", seed=2)
    submit("section 3, bin 50", seed=3)
    waiting = submit("section 4, bin 50", seed=4)
    ada.wait_for_cell(running, 9)

    page = open_page(browser, ada, "light")
    window = Window(page, story)
    window.open_jobs()
    expect(window.row(waiting)).to_contain_text("Waiting")
    take_picture(page, "page")
    page.goto("/hub/home")
    expect(page.locator("#jobs-cards")).to_contain_text("section 4")
    take_picture(page, "home")
    # Ada leads the lab.
    page.goto("/services/offline-jobs/groups")
    expect(page.locator("#sessions")).to_contain_text("Python notebook")
    take_picture(page, "groups")

    window.open_job(done)
    expect(page.locator("#figures img").first).to_be_visible()
    expect(page.frame_locator("#result").locator("#cell-1")).to_be_visible()
    expect(page.locator("#result-note")).not_to_contain_text("Loading")
    take_picture(page, "job")
    dark = Window(open_page(browser, ada, "dark"), story)
    dark.open_job(done)
    dark.page.get_by_role("tab", name="Cells").click()
    expect(dark.page.get_by_role("img", name="Memory")).to_be_visible()
    dark.page.locator("#tabs").evaluate("tabs => tabs.scrollIntoView()")
    take_picture(dark.page, "cells")
    dark.open_job(failed)
    expect(dark.page.frame_locator("#result").locator("#cell-4")).to_be_visible()
    expect(dark.page.locator("#state")).to_have_text("Failed")
    ada.wait_for_state(waiting, "succeeded", "running")


def open_page(browser: Browser, visitor: Visitor, scheme: str) -> Page:
    """A window of a visitor to the story's platform."""
    context = browser.new_context(
        base_url=visitor.site.url,
        viewport={"width": 1200, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    context.add_cookies(visitor.cookies())
    return context.new_page()
