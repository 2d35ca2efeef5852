"""Stamps: from what a built thing was built, so that a second run finds nothing to do.

A stamp is written last and taken away first. What has no stamp, or another one, is made anew; what
was interrupted is therefore never mistaken for done. Standard library only. Imported by
`environment` and `builds`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def hash_inputs(*parts: str | Path) -> str:
    """Hash words and the files' names and contents, in the given order."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else b""
        name = part.name if isinstance(part, Path) else part
        for piece in (name.encode(), content):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return digest.hexdigest()


def hash_tree(folder: Path, patterns: Iterable[str]) -> str:
    """Hash all files under a folder that match one of the patterns, with their places in it."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    parts: list[str | Path] = []
    for path in sorted(found):
        if "__pycache__" not in path.parts and "node_modules" not in path.parts:
            parts += [path.relative_to(folder).as_posix(), path]
    return hash_inputs(*parts)


def read_stamp(path: Path) -> str:
    """Return what a stamp says; nothing when there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def write_stamp(path: Path, value: str) -> None:
    """Write a stamp whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(value, encoding="utf-8")
    fresh.replace(path)
