"""A job is run again as the page advises, or with something changed."""

from playwright.sync_api import expect

from tests.browser.conftest import OpenWindow
from tests.browser.people import Visitor, build_notebook

SLOW = build_notebook(
    "import time\nprint('seed', seed)\ntime.sleep(0 if quick else 3600)",
    parameters="seed: int = 1  # of the random numbers\nquick: bool = False",
)


def test_what_took_too_long_is_run_for_longer_or_with_other_values(
    ben: Visitor, open_window: OpenWindow
) -> None:
    job = ben.submit(SLOW, name="too slow", parameters={"seed": 5}, time_limit_seconds=5)
    ben.wait_for_state(job, "failed")
    window = open_window(ben)
    page = window.open_jobs()
    # As it was it would end in the same way.
    cure = window.row(job).get_by_role("button", name="Run with 10 s: too slow")
    expect(cure).to_be_visible()
    expect(window.row(job).get_by_role("button", name="Run again:")).to_have_count(0)

    page = window.open_job(job)
    expect(page.get_by_role("button", name="Run with 10 s: too slow")).to_have_class("primary")
    page.get_by_role("button", name="Run again…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("seed")).to_have_value("5")
    expect(dialog).to_contain_text("of the random numbers")
    # The cure is filled in: never less than it says.
    expect(dialog.get_by_label("Time limit, minutes")).to_have_value("1")
    submit = dialog.get_by_role("button", name="Run again")
    expect(submit).to_be_enabled()

    dialog.get_by_label("seed").fill("many")
    expect(dialog).to_contain_text("Give a whole number.")
    expect(submit).to_be_disabled()
    dialog.get_by_label("seed").fill("7")
    dialog.get_by_label("quick").check()
    dialog.get_by_label("seed").press("Enter")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Name").fill("quick enough")
    expect(submit).to_be_enabled()
    submit.click()

    expect(page.locator("h1")).to_have_text("quick enough")
    expect(page.locator("#state")).to_have_text("Done")
    expect(page.locator("#log")).to_contain_text("seed 7")
    expect(page.locator("#facts")).to_contain_text(job)
    again = ben.newest_job()
    assert again["parameters"] == {"seed": 7, "quick": True}
    assert (again["rerun_of"], again["time_limit_seconds"]) == (job, 60)


def test_the_cure_runs_by_one_press(ben: Visitor, open_window: OpenWindow) -> None:
    job = ben.submit(SLOW, name="slow", parameters={"seed": 6}, time_limit_seconds=5)
    ben.wait_for_state(job, "failed")
    page = open_window(ben).open_job(job)
    page.get_by_role("button", name="Run with 10 s: slow").click()
    page.wait_for_url(lambda url: job not in url)
    again = ben.newest_job()
    assert (again["rerun_of"], again["time_limit_seconds"]) == (job, 10)
    assert again["parameters"] == {"seed": 6}
    page.get_by_role("button", name="Cancel slow").click()
    page.get_by_role("button", name="Cancel the job").click()
    ben.wait_for_state(again["id"], "cancelled")


def test_a_dialog_that_is_given_up_changes_nothing(ben: Visitor, open_window: OpenWindow) -> None:
    job = ben.submit(build_notebook("1", parameters="seed = 1"), name="given up")
    ben.wait_for_state(job, "succeeded")
    page = open_window(ben).open_job(job)
    dialog = page.get_by_role("dialog")
    for close in ("Escape", "Cancel"):
        page.get_by_role("button", name="Run again…").click()
        dialog.get_by_label("seed").fill("2")
        dialog.get_by_label("Name").fill("never")
        if close == "Escape":
            page.keyboard.press(close)
        else:
            dialog.get_by_role("button", name=close).click()
        expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Run again…").click()
    expect(dialog.get_by_label("seed")).to_have_value("1")
    expect(dialog.get_by_label("Name")).to_have_value("given up")
    assert ben.newest_job()["id"] == job
