"""What is wrong with a file, in one line for the person who wants to read it.

Imported by everything in the package.
"""

from __future__ import annotations

from pathlib import Path


class StereoSeqError(ValueError):
    """A file is not as its format says, or does not hold what was asked for."""

    def __init__(self, path: Path, said: str) -> None:
        super().__init__(f"{path}: {said}")
