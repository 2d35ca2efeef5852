"""Pictures that the ring takes: for the documents when asked for, and of tests that failed."""

import io
import os
import tempfile
from pathlib import Path

from PIL import Image
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


class Recording:
    """What a window shows, step by step, as one moving picture for the documents."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._shown: list[Image.Image] = []
        self._milliseconds: list[int] = []

    def show(self, seconds: float = 2.0) -> None:
        """Show for so long what the window has now, if pictures are asked for."""
        if target_folder():
            shot = self._page.screenshot(animations="disabled")
            self._shown.append(Image.open(io.BytesIO(shot)).convert("RGB"))
            self._milliseconds.append(round(seconds * 1000))

    def save(self, name: str) -> None:
        """Write all of it, to be shown again and again."""
        folder = target_folder()
        if folder and self._shown:
            first, *rest = self._shown
            first.save(
                folder / f"{name}.webp",
                save_all=True,
                append_images=rest,
                duration=self._milliseconds,
                loop=0,
                quality=80,
                method=6,
            )
