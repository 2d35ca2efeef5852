"""Reads a notebook from standard input and writes its figures as JSON, from the n-th on.

A program of its own like the one that makes the page (``__main__.py``), and without nbconvert.
Figures are pictures of points, PNG and JPEG, and of lines, SVG, that hold nothing that could run.
They leave as base64 in JSON, for an image of the job's page; no address is a user's picture.
"""

import base64
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any

from offline_jobs.contract.executed import is_code, tags_of
from offline_jobs.service.viewer.bounds import keep_within_bounds
from offline_jobs.service.viewer.vectors import (
    MOST_BYTES,
    USUAL_SIDES,
    VECTORS,
    UnfitPicture,
    read_svg,
)

#: Of cells that papermill adds; the job's page says the same.
PAPERMILLS_TAG = "papermill-error-cell-tag"
#: Of one that is in several the first is taken; one of lines where there is none of points, whose
#: cost for a browser is known.
KINDS = ("image/png", "image/jpeg")
#: Letters of base64: of one figure, and of an answer, which has one figure at least.
MOST_OF_ONE = 8 * 1024**2
MOST_OF_ANSWER = 6 * 1024**2
#: A browser needs four bytes for each point.
MOST_POINTS = 50_000_000
MOST_FIGURES = 200
LONGEST_ALT = 300
_SPACE = re.compile(r"\s+")
_PNG = re.compile(rb"\x89PNG\r\n\x1a\n....IHDR(?P<width>....)(?P<height>....)", re.DOTALL)
#: The frame's marker: its length, eight bits, height, width; those of tables are no frames.
_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_FIRST_FRAME, _LAST_FRAME = 0xC0, 0xCF


def list_figures(file: IO[bytes], first: int = 1) -> dict[str, Any]:
    """The figures of a notebook from the ``first`` on, as many as an answer has room for.

    A figure is ``{"number", "cell", "type", "width", "height", "alt", "data"}``: both numbers from
    1, the cell's as the page has it; width and height in points; ``data`` in base64, null of one
    too large to be shown. Beside them ``total`` and ``next``, the number to go on from, null at the
    end. What is no notebook has none.
    """
    figures: list[dict[str, Any]] = []
    total, letters, following = 0, 0, None
    for total, figure in enumerate(find_figures(read_cells(file)), 1):
        if total < first or following or total > MOST_FIGURES:
            continue
        letters += len(figure["data"] or "")
        if figures and letters > MOST_OF_ANSWER:
            following = total
        else:
            figures.append({"number": total, **figure})
    return {"figures": figures, "total": total, "next": following}


def read_cells(file: IO[bytes]) -> list[Any]:
    """Cells of a notebook of nbformat 4, as runs leave it; none of anything else."""
    try:
        notebook = json.loads(file.read())
    except (ValueError, RecursionError):
        return []
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    return cells if isinstance(cells, list) else []


def find_figures(cells: list[Any]) -> Iterator[dict[str, Any]]:
    """Figures of cells with code, with the cell's number, from 1."""
    number = 0
    for cell in cells:
        if not isinstance(cell, dict) or PAPERMILLS_TAG in tags_of(cell):
            continue
        if not is_code({**cell, "source": join(cell.get("source"))}):
            continue
        number += 1
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            figure = read_figure(output) if isinstance(output, dict) else None
            if figure:
                yield {"cell": number, **figure}


def read_figure(output: Mapping[str, Any]) -> dict[str, Any] | None:
    """The figure that an output is; None where it is none that a browser could show."""
    data = output.get("data")
    if not isinstance(data, dict):
        return None
    for kind in KINDS:
        letters = _SPACE.sub("", join(data.get(kind)))
        try:
            size = measure(kind, base64.b64decode(letters, validate=True)) if letters else None
        except ValueError:
            continue
        if size:
            width, height = size
            fits = len(letters) <= MOST_OF_ONE and width * height <= MOST_POINTS
            return {
                "type": kind,
                "width": width,
                "height": height,
                "alt": read_alt(output.get("metadata"), kind),
                "data": letters if fits else None,
            }
    return _read_vectors(join(data.get(VECTORS)), read_alt(output.get("metadata"), VECTORS))


def _read_vectors(text: str, alt: str) -> dict[str, Any] | None:
    """The figure that an SVG is; of one too large to be read the sides are the usual ones."""
    if not text:
        return None
    told: dict[str, Any] = {"type": VECTORS, "alt": alt}
    if len(text) > MOST_BYTES:
        width, height = map(int, USUAL_SIDES)
        return {**told, "width": width, "height": height, "data": None}
    try:
        read = read_svg(text)
    except UnfitPicture:
        return None
    letters = base64.b64encode(read.content).decode()
    fits = len(letters) <= MOST_OF_ONE
    return {
        **told,
        "width": read.width,
        "height": read.height,
        "data": letters if fits else None,
    }


def measure(kind: str, content: bytes) -> tuple[int, int] | None:
    """Width and height of a picture in points; None of what is none of this kind.

    Source: https://www.w3.org/TR/png-3/#11IHDR and https://www.w3.org/Graphics/JPEG/itu-t81.pdf B.2
    """
    size = _measure_png(content) if kind == "image/png" else _measure_jpeg(content)
    return size if size and all(size) else None


def _measure_png(content: bytes) -> tuple[int, int] | None:
    found = _PNG.match(content)
    if not found:
        return None
    return int.from_bytes(found["width"]), int.from_bytes(found["height"])


def _measure_jpeg(content: bytes) -> tuple[int, int] | None:
    """Go from segment to segment to the frame's."""
    if content[:2] != b"\xff\xd8":
        return None
    at = 2
    while content[at : at + 1] == b"\xff" and at + 9 <= len(content):
        marker = content[at + 1]
        if _FIRST_FRAME <= marker <= _LAST_FRAME and marker not in _NO_FRAMES:
            height, width = content[at + 5 : at + 7], content[at + 7 : at + 9]
            return int.from_bytes(width), int.from_bytes(height)
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return None


def read_alt(metadata: Any, kind: str) -> str:
    """What the notebook's author says is to be seen; empty where nothing is said."""
    said = metadata.get(kind) if isinstance(metadata, dict) else None
    alt = said.get("alt") if isinstance(said, dict) else None
    return " ".join(alt.split())[:LONGEST_ALT] if isinstance(alt, str) else ""


def join(text: Any) -> str:
    """A text of nbformat, which may be in lines; empty of what is none."""
    if isinstance(text, list):
        return "".join(line for line in text if isinstance(line, str))
    return text if isinstance(text, str) else ""


def main() -> None:
    """List the figures, within bounds; it says nothing before it has read all."""
    keep_within_bounds()
    found = list_figures(sys.stdin.buffer, *map(int, sys.argv[1:]))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
