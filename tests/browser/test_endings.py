"""Jobs that do not end well, or not by themselves, in the panel and on the page."""

import json
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenWindow
from tests.browser.lab import COMMAND, Lab
from tests.browser.people import Visitor, build_notebook, wait_for_file
from tests.browser.test_reading import find_faults

FITS = "(element) => element.scrollHeight <= element.clientHeight"
FITS_ACROSS = "(element) => element.scrollWidth <= element.clientWidth"
DRAWN = "drawn by a script"
#: What a library of interactive figures leaves: nothing to be seen, and a script.
DRAW = f"""
from IPython.display import HTML
print("through")
draw = "document.querySelector('#figure').textContent = '{DRAWN}'"
HTML(f"<p id='figure'></p><script>{{draw}}</script>")
"""
REASON = "Cell 4 raised ValueError: could not convert string to float: '2,35'"


@pytest.mark.timeout(600)
def test_a_failing_job_names_cell_and_error_and_keeps_what_was_done(
    ben: Visitor, open_window: OpenWindow
) -> None:
    lab = open_window(ben).open_lab(ben)
    lab.open_example("3-fails-in-the-middle.ipynb")
    lab.choose_in_run_menu(COMMAND)
    dialog = lab.wait_for_dialog()
    dialog.get_by_label("Stop this server").check()
    # In a window 800 pixels high.
    assert dialog.locator(".jp-Dialog-body").evaluate(FITS)
    dialog.get_by_label("Stop this server").uncheck()
    lab.submit()

    item = lab.open_panel().get_by_role("listitem").first
    expect(item).to_contain_text("Failed")
    expect(item).to_contain_text(REASON)
    item.get_by_role("button", name="Open result").click()
    opened = lab.page.locator(".jp-OfflineJobs-result:visible")
    expect(opened).to_contain_text("Nuclei per field")
    expect(opened.locator(".jp-OutputArea img")).to_have_count(1)
    expect(opened).to_contain_text("ValueError")
    assert_only_looked_at(ben, lab, opened)
    lab.panel.get_by_role("button", name="3-fails-in-the-middle", exact=True).click()
    expect(lab.panel).to_contain_text("was run up to cell 4 of 6")

    job = ben.newest_job()
    window = open_window(ben)
    window.open_jobs()
    expect(window.row(job["id"])).to_contain_text("Failed")
    expect(window.row(job["id"])).to_contain_text(REASON)
    page = window.open_job(job["id"])
    expect(page.locator("#said")).to_contain_text(REASON)
    expect(page.locator("#cells-note")).to_contain_text("6 cells: 3 done, cell 4 failed, 2 not run")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download result").click()
    partial = json.loads(Path(download.value.path()).read_text())
    ran = [c["execution_count"] for c in partial["cells"] if c["cell_type"] == "code"]
    assert ran == [1, 2, 3, 4, None, None]
    page.get_by_role("link", name="Open in JupyterLab").click()
    expect(page.locator(".jp-NotebookPanel:visible")).to_contain_text("ValueError")


def assert_read(lab: Lab) -> None:
    """The panel's detail and list are read, searched and narrowed, in light and dark."""
    page, panel = lab.page, lab.panel
    panel.get_by_text("Cell by cell").click()
    expect(panel.locator(".jp-OfflineJobs-lines li")).to_have_count(3)
    expect(panel.locator(".jp-OfflineJobs-lines")).to_contain_text("print('begun')")
    expect(panel.locator("[data-kind=stopped] .jp-OfflineJobs-how")).to_have_text("cancelled")
    expect(panel).to_contain_text("Memory: at most")
    assert_readable(lab)
    panel.get_by_role("button", name="All jobs").click()
    panel.get_by_role("button", name="Filter").click()
    page.locator("#jp-MainMenu").get_by_text("Settings", exact=True).click()
    page.locator(".lm-Menu").get_by_text("Theme", exact=True).hover()
    page.locator(".lm-Menu").get_by_text("JupyterLab Dark", exact=True).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    assert_readable(lab)
    search = panel.get_by_role("searchbox")
    panel.get_by_role("button", name="cancelled from the panel", exact=True).first.focus()
    page.keyboard.press("/")
    page.keyboard.type("from panel cancelled")
    expect(panel.get_by_role("listitem")).to_have_count(2)
    page.keyboard.type(" nobody")
    expect(panel).to_contain_text("No job matches “from panel cancelled nobody”.")
    assert_readable(lab)
    page.keyboard.press("Escape")
    expect(search).to_have_value("")
    expect(panel.get_by_role("heading", name="Ended")).to_be_visible()
    lab.file("never-run.ipynb").dblclick()
    panel.get_by_label("This notebook only").check()
    expect(panel).to_contain_text("No job of this notebook yet.")
    panel.get_by_role("button", name="Show all jobs").click()
    expect(panel.get_by_role("heading", name="Ended")).to_be_visible()


def assert_readable(lab: Lab) -> None:
    """axe-core finds nothing in the panel, and nothing is cut off where it is narrow."""
    faults = find_faults(lab.page, "#offline-jobs-panel")
    assert not faults, "\n".join(faults)
    width = lab.panel.evaluate("(panel) => panel.style.width")
    for narrow in ("300px", "200px"):
        lab.panel.evaluate("(panel, width) => { panel.style.width = width; }", narrow)
        lab.panel.evaluate("(panel) => { panel.style.minWidth = '0'; }")
        assert lab.panel.evaluate(FITS_ACROSS), narrow
    lab.panel.evaluate(
        "(panel, width) => { panel.style.width = width; panel.style.minWidth = ''; }", width
    )


def assert_only_looked_at(visitor: Visitor, lab: Lab, opened: Locator) -> None:
    """A result is shown at the cell that failed; nothing can be typed into it, and none runs."""
    tab = lab.page.locator("#jp-main-dock-panel .lm-mod-current .lm-TabBar-tabLabel")
    expect(tab).to_have_text("3-fails-in-the-middle · result")
    failed = opened.locator(".jp-OfflineJobs-failedCell")
    expect(failed).to_contain_text("float")
    expect(failed).to_be_in_viewport()
    before = failed.locator(".cm-content").inner_text()
    failed.locator(".cm-content").click()
    lab.page.keyboard.type("typed")
    lab.page.keyboard.press("Shift+Enter")
    assert failed.locator(".cm-content").inner_text() == before
    # A title would have renamed the file of an open document.
    assert (visitor.home / visitor.newest_job()["output_path"]).is_file()
    sessions = visitor.user.client.get(f"/user/{visitor.name}/api/sessions").json()
    assert [each["path"] for each in sessions if "offline-jobs" in each["path"]] == []


def assert_only_its_own_scripts_run(visitor: Visitor, lab: Lab, item: Locator) -> None:
    """A result draws what it drew when it ran, unless somebody has changed it since."""
    result = lab.page.locator(".jp-OfflineJobs-result:visible")
    item.get_by_role("button", name="Open result").click()
    output = result.locator(".jp-OutputArea").last
    expect(output).to_contain_text(DRAWN)
    lab.page.locator("#jp-main-dock-panel .lm-mod-current .lm-TabBar-tabCloseIcon").click()
    expect(result).to_have_count(0)
    file = visitor.home / visitor.newest_job()["output_path"]
    file.write_text(file.read_text("utf-8").replace("through", "meddled with"), "utf-8")
    item.get_by_role("button", name="Open result").click()
    expect(result).to_contain_text("changed since the job ended")
    expect(output).to_contain_text("meddled with")
    expect(output).not_to_contain_text(DRAWN)


@pytest.mark.timeout(600)
def test_a_job_is_cancelled_and_run_again_from_the_panel(
    ben: Visitor, open_window: OpenWindow, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    notebook = build_notebook("print('begun')", wait_for_file(gate), DRAW)
    job = ben.submit(notebook, name="cancelled from the panel")
    ben.wait_for_cell(job, 2)

    nbformat.write(build_notebook("1"), ben.home / "never-run.ipynb")
    lab = open_window(ben).open_lab(ben)
    item = lab.open_panel().get_by_role("listitem").filter(has_text="cancelled from the panel")
    expect(item).to_contain_text("Cell 2 of 3")
    item.get_by_role("button", name="Cancel:").click()
    lab.page.get_by_role("button", name="No, keep it").click()
    expect(item).to_contain_text("Running")
    item.get_by_role("button", name="Cancel:").click()
    lab.page.get_by_role("button", name="Cancel the job").click()
    expect(item).to_contain_text("Cancelled")
    gate.touch()
    item.get_by_role("button", name="Run again…:").click()
    dialog = lab.wait_for_dialog()
    expect(dialog).to_contain_text("Run “cancelled from the panel” again")
    lab.submit()
    expect(item).to_have_count(2)
    expect(item.first).to_contain_text("Done")
    expect(item.last).to_contain_text("Cancelled")
    assert "begun" in ben.user.api.get(f"/services/offline-jobs/api/v1/jobs/{job}/log").text
    assert_only_its_own_scripts_run(ben, lab, item.first)
    item.last.get_by_role("button", name="cancelled from the panel", exact=True).click()
    assert_read(lab)


@pytest.mark.timeout(600)
def test_a_job_is_cancelled_and_run_again_from_the_page(
    ben: Visitor, open_window: OpenWindow, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    notebook = build_notebook(wait_for_file(gate), "print('through')")
    job = ben.submit(notebook, name="cancelled from the page")
    ben.wait_for_cell(job, 1)

    window = open_window(ben)
    page = window.open_jobs()
    row = window.row(job)
    row.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="No, keep it").click()
    expect(row).to_contain_text("Running")
    row.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(row).to_contain_text("Cancelled")
    gate.touch()
    row.get_by_role("button", name="Run again:").click()
    page.get_by_role("link", name="Show it").click()
    expect(page.locator("#state")).to_have_text("Done")
    expect(page.locator("#facts")).to_contain_text(job)
    expect(page.locator("#log")).to_contain_text("through")
