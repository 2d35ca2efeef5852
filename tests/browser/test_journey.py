"""The main journey: from the login to a result that was made while no server ran."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindow
from tests.browser.lab import COMMAND, Lab
from tests.browser.people import Visitor
from tests.browser.pictures import Recording, take_picture

EXAMPLE = "2-spatial-transcriptomics.ipynb"


def count_plots(notebook: dict[str, Any]) -> int:
    """Outputs of a notebook that are pictures."""
    outputs = [o for cell in notebook["cells"] for o in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def choose_in_form(page: Page) -> None:
    """Choose image and machine in the start form."""
    expect(page.get_by_role("heading", name="Start a session")).to_be_visible()
    page.get_by_role("radio", name="Python notebook", exact=True).check()
    page.get_by_role("radio", name="Standard", exact=True).check()


def download_result(page: Page, folder: Path) -> dict[str, Any]:
    """Download the result that a job's page shows, and read it."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download result").click()
    downloaded = folder / "downloaded.ipynb"
    download.value.save_as(downloaded)
    notebook: dict[str, Any] = json.loads(downloaded.read_text())
    return notebook


@pytest.mark.timeout(900)
def test_a_job_goes_on_without_a_server_and_its_result_is_had_there(
    ada: Visitor, open_window: OpenWindow, tmp_path: Path
) -> None:
    window = open_window()
    page = window.page
    recording = Recording(page)

    window.sign_in("ada")
    choose_in_form(page)
    recording.show()
    page.get_by_role("button", name="Start").click()
    lab = Lab(page)
    lab.wait_until_ready()

    lab.open_example(EXAMPLE)
    recording.show()
    lab.choose_in_run_menu(COMMAND)
    dialog = lab.wait_for_dialog()
    expect(dialog.get_by_label("seed")).to_have_value("1")
    dialog.get_by_label("seed").fill("2")
    expect(dialog).to_contain_text("Changed; in the notebook: 1")
    lab.wait_for_dialog()
    take_picture(page, "dialog")
    recording.show(3.0)
    lab.submit()

    item = lab.open_panel().get_by_role("listitem").first
    expect(item.get_by_role("progressbar")).to_be_visible()
    expect(item).to_contain_text("Running")
    recording.show()
    job = ada.newest_job()["id"]

    window.stop_session()
    assert not ada.user.server()
    assert ada.job(job)["state"] == "running"

    recording.show()
    page.get_by_role("link", name="Offline jobs").click()
    row = window.row(job)
    expect(row).to_contain_text("Running")
    recording.show()
    row.get_by_role("link", name="2-spatial").click()
    page.evaluate("window.isTheSamePage = true")
    expect(page.locator("#state")).to_have_text("Running")
    recording.show()
    expect(page.locator("#state")).to_have_text("Done")
    assert page.evaluate("window.isTheSamePage"), "the page was loaded anew"
    expect(page.locator("#facts")).to_contain_text("seed = 2")
    expect(page.locator("#log")).to_contain_text("ARI: 0.")
    expect(page.locator("#result-note")).to_be_empty()
    recording.show(4.0)
    recording.save("journey")

    result = download_result(page, tmp_path)
    in_home = json.loads((ada.home / ada.job(job)["output_path"]).read_text())
    assert result == in_home
    assert count_plots(result) >= 5
    injected = [c for c in result["cells"] if "injected-parameters" in c["metadata"]["tags"]]
    assert "seed = 2" in "".join(injected[0]["source"])
