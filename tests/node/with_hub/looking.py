"""What the tests in a browser of real pods share: cells that wait, and what a page showed."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Locator, Page, expect

from tests.browser.people import Visitor, wait_for_file

#: A home as its pods see it, and the person and group that they run as.
HOME_INSIDE = Path("/home/jovyan")
USER, GROUP = 1000, 100

# Keeps, over all pages of a tab, each text that an element shows.
RECORD = """([key, selector]) => {
  const look = () => {
    const seen = JSON.parse(sessionStorage.getItem(key) || "[]");
    const text = document.querySelector(selector)?.textContent.trim();
    if (text && text !== seen.at(-1)) {
      sessionStorage.setItem(key, JSON.stringify([...seen, text]));
    }
  };
  const what = {characterData: true, childList: true, subtree: true};
  new MutationObserver(look).observe(document, what);
}"""
READ = "(key) => JSON.parse(sessionStorage.getItem(key) || '[]')"


class Gate:
    """A file in a home that a cell waits for."""

    def __init__(self, visitor: Visitor) -> None:
        self.name = f".gate-{uuid.uuid4().hex}"
        self.path = visitor.home / self.name

    @property
    def cell(self) -> str:
        """The cell that waits."""
        return wait_for_file(HOME_INSIDE / self.name)

    def open(self) -> None:
        """Make the file, as the person whose home it is."""
        self.path.touch()
        os.chown(self.path, USER, GROUP)


def record(page: Page, key: str, selector: str) -> None:
    """Keep what the element shows from here on, in this tab."""
    page.add_init_script(f"({RECORD})({json.dumps([key, selector])})")


def read_record(page: Page, key: str) -> list[str]:
    """What :func:`record` kept."""
    seen: list[str] = page.evaluate(READ, key)
    return seen


def insert_cell(path: Path, source: str) -> tuple[int, int]:
    """Put a cell before a notebook's last one; its number, and how many there are then."""
    notebook = json.loads(path.read_bytes())
    places = [i for i, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
    notebook["cells"].insert(places[-1], nbformat.v4.new_code_cell(source))
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return len(places), len(places) + 1


def assert_bar(bar: Locator, number: int, total: int) -> None:
    """A progress bar tells the cell, to those who do not see it too."""
    expect(bar).to_have_attribute("aria-valuenow", str(number))
    expect(bar).to_have_attribute("aria-valuemax", str(total))


def list_counts(notebook: dict[str, Any]) -> list[int]:
    """The execution counts of a notebook's code cells."""
    return [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
