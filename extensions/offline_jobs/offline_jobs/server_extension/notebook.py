"""A notebook of this server as the service wants it: its content without outputs, and its place.

Called by :mod:`handlers`. The place is the path relative to the home, because that is where the
runner starts it; Lab's root folder may lie below the home or above it.
"""

import os
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.services.contents.manager import ContentsManager
from tornado.web import HTTPError

#: Prefix of paths on the drive of real-time collaboration.
_SHARED_DRIVE = "RTC:"
#: What Lab and its server note about a cell's last run; it says nothing about the next one.
_RUN_METADATA = frozenset({"execution", "trusted"})


class NotebookRefused(Exception):
    """The notebook cannot be submitted; the texts are for the user, the field is ``path``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


async def load_notebook(contents: ContentsManager, path: str) -> dict[str, Any]:
    """The saved notebook without outputs and execution counts.

    Args:
        contents: the server's contents manager.
        path: the notebook's contents path, perhaps with a drive's prefix.

    Returns:
        An nbformat mapping; whether it is sound is for the service to say.

    Raises:
        NotebookRefused: there is no such file, or it is not a notebook.
    """
    place = contents_path(path)
    try:
        answer = contents.get(place, type="notebook", content=True)
        model = await ensure_async(answer)
    except HTTPError as e:
        if e.status_code == HTTPStatus.NOT_FOUND:
            raise NotebookRefused(
                HTTPStatus.NOT_FOUND,
                "no-such-notebook",
                f"There is no notebook {place} any more: it was moved, renamed or deleted.",
            ) from e
        raise NotebookRefused(
            400,
            "unreadable-notebook",
            f"{place} cannot be read as a notebook: open it in Lab, mend it and save it again.",
        ) from e
    return strip_outputs(model["content"])


def strip_outputs(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without outputs and execution counts; everything else stays as it is.

    What is not shaped like a notebook is left for the service to refuse in its own words.
    """
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        return dict(notebook)
    return {**notebook, "cells": [_strip_cell(cell) for cell in cells]}


def _strip_cell(cell: Any) -> Any:
    if not isinstance(cell, Mapping) or cell.get("cell_type") != "code":
        return cell
    metadata = {k: v for k, v in dict(cell.get("metadata") or {}).items() if k not in _RUN_METADATA}
    return {**cell, "metadata": metadata, "outputs": [], "execution_count": None}


def kernel_name(notebook: Mapping[str, Any]) -> str:
    """The kernel that the notebook names; empty when it names none."""
    spec = dict(notebook.get("metadata") or {}).get("kernelspec")
    name = spec.get("name") if isinstance(spec, Mapping) else None
    return name if isinstance(name, str) else ""


def contents_path(path: str) -> str:
    """The contents path without a shared drive's prefix and outer slashes."""
    return path.removeprefix(_SHARED_DRIVE).strip("/")


def home_path(root: str, path: str, home: Path) -> str:
    """Where a notebook lies, relative to the home: ``stereo/cluster.ipynb``.

    Args:
        root: the contents manager's root folder; empty when its contents are no files.
        path: the notebook's contents path, perhaps with a drive's prefix.
        home: the user's home.

    Raises:
        NotebookRefused: the notebook does not lie in the home.
    """
    if root:
        relative = _below(Path(root) / contents_path(path), home)
        if relative is not None:
            return relative
    raise NotebookRefused(
        400,
        "outside-home",
        f"{contents_path(path)} does not lie in your home, where jobs find their files. "
        "Copy the notebook into your home and submit it from there.",
    )


def locate(root: str, home: Path) -> tuple[str | None, str | None]:
    """Root relative to the home, and home relative to the root.

    Each is empty when both are one folder, ``None`` when it does not lie in the other.
    """
    if not root:
        return None, None
    return _below(Path(root), home), _below(home, Path(root))


def is_own(place: str, home: Path) -> bool:
    """Whether a folder lies in the home, but not in the environment that runs this server."""
    return _below(Path(place), home) is not None and _below(Path(place), Path(sys.prefix)) is None


def _below(place: Path, folder: Path) -> str | None:
    """``place`` relative to ``folder``; as it is spelt, else with links followed."""
    pairs = (
        (os.path.abspath(place), os.path.abspath(folder)),
        (os.path.realpath(place), os.path.realpath(folder)),
    )
    for inner, outer in pairs:
        if Path(inner).is_relative_to(outer):
            relative = Path(inner).relative_to(outer).as_posix()
            return "" if relative == "." else relative
    return None
