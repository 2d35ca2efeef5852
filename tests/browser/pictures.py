"""Pictures that the ring takes: for the documents when asked for, and of tests that failed."""

import os
import tempfile
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

ROOT = Path(__file__).resolve().parents[2]


def target_folder() -> Path | None:
    """Where pictures of the documents go: the variable ``SCREENSHOTS``; none without it."""
    named = os.environ.get("SCREENSHOTS", "")
    return ROOT / named if named else None


def take_picture(page: Page, name: str) -> None:
    """Take a picture of the window for the documents, if they are asked for."""
    folder = target_folder()
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", animations="disabled")


def take_failure_picture(context: BrowserContext, name: str) -> None:
    """Keep what each tab of a failed test showed, outside the tree."""
    folder = Path(tempfile.gettempdir()) / "notebook-hpc-browser"
    folder.mkdir(exist_ok=True)
    for number, page in enumerate(context.pages):
        page.screenshot(path=folder / f"{name}-{number}.png")
