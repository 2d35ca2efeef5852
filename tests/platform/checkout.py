"""The checkout as the tests of its own rules see it: files that git would commit, locks, documents.

Imported by `tests/platform` and `tests/clone` only.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from images._tool.lock import OF_OTHERS

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>(?:sh|bash|console)[^\n]*)\n(?P<text>.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A shell block of a document; `runs` tells whether it is marked to be run (```sh run)."""

    document: str
    text: str
    runs: bool


def list_files() -> list[Path]:
    """List what git has or would take, without what is deleted but not committed yet."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return sorted(ROOT / name for name in set(said.split("\0")) if name and (ROOT / name).is_file())


def list_locks() -> list[Path]:
    """List all locks of Python packages."""
    return [
        *sorted(ROOT.glob("requirements*.txt")),
        *sorted(ROOT.glob("images/*/requirements.txt")),
        *sorted(ROOT.glob(f"{OF_OTHERS}/*/requirements.txt")),
    ]


def find_blocks(text: str, document: str) -> list[Block]:
    """Find the shell blocks of a document."""
    return [
        Block(document, found["text"], "run" in found["info"].split()[1:])
        for found in FENCE.finditer(text)
    ]


def read_blocks() -> list[Block]:
    """Read the shell blocks of all documents."""
    documents = [path for path in list_files() if path.suffix == ".md"]
    return [
        block
        for path in documents
        for block in find_blocks(
            path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
        )
    ]


def read_targets() -> dict[str, str]:
    """Read the Makefile's targets and what each says of itself."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z][a-z0-9-]*):(?!=)[^#\n]*(?:## (.*))?$", text, re.MULTILINE)
    return dict(found)
