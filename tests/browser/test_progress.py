"""The cell that runs is the cell that is shown, in the panel and on the page."""

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenWindow
from tests.browser.lab import COMMAND
from tests.browser.people import Visitor, build_notebook, wait_for_file

# Keeps every sentence that an element ever showed.
RECORD = """(element) => {
  window.seen = [element.textContent];
  new MutationObserver(() => window.seen.push(element.textContent))
    .observe(element, {characterData: true, childList: true, subtree: true});
}"""


@pytest.mark.timeout(600)
def test_panel_and_page_show_the_waiting_cell_until_its_file_appears(
    ben: Visitor, open_window: OpenWindow, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    notebook = build_notebook(
        "print(1)", wait_for_file(first), "print(3)", wait_for_file(second), "print(5)"
    )
    (ben.home / "work").mkdir(exist_ok=True)
    nbformat.write(notebook, ben.home / "work" / "waits.ipynb")

    lab = open_window(ben).open_lab(ben)
    lab.file("work").dblclick()
    lab.choose_in_context_menu(lab.file("waits.ipynb"), COMMAND)
    lab.wait_for_dialog().get_by_label("Name").fill("waits for files")
    lab.wait_for_dialog()
    lab.submit()
    lab.open_panel()
    item = lab.item("waits for files")
    job = ben.newest_job()
    window = open_window(ben)
    window.open_jobs()
    row = window.row(job["id"])
    sentence = row.locator(".sentence")
    sentence.evaluate(RECORD)

    def shows(number: int) -> None:
        words = f"Cell {number} of 5"
        expect(item).to_contain_text(words)
        expect(sentence).to_have_text(words)
        for bar in (item.get_by_role("progressbar"), row.get_by_role("progressbar")):
            assert_value(bar, number)
        ben.wait_for_cell(job["id"], number)

    shows(2)
    first.touch()
    shows(4)
    cells = {text for text in window.page.evaluate("window.seen") if text.startswith("Cell")}
    assert "Cell 5 of 5" not in cells
    second.touch()
    expect(item).to_contain_text("Done")
    expect(row).to_contain_text("Done")
    assert job["path"] == "work/waits.ipynb"


def assert_value(bar: Locator, number: int) -> None:
    """A progress bar tells a number, to those who do not see it too."""
    expect(bar).to_have_attribute("aria-valuenow", str(number))
    expect(bar).to_have_attribute("aria-valuemax", "5")
