"""A notebook as HTML: a head, then cell by cell, by nbconvert.

Markup that a notebook holds is kept, but for what a browser's policy does not reach (links of a
head, frames): nothing here makes it harmless. The page is to be shown where no script runs and
nothing is fetched (``web/viewing.py`` sees to that).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import nbformat.reader
from pygments.formatters.html import HtmlFormatter

from offline_jobs.contract.executed import is_code, tags_of
from offline_jobs.service.viewer.figures import PAPERMILLS_TAG
from offline_jobs.service.viewer.markdown import Artist, Exporter
from offline_jobs.service.viewer.vectors import MOST_BYTES, VECTORS, complete

#: What a page without scripts can show, best first: a picture before the markup that draws it.
STILL = (VECTORS, "image/png", "image/jpeg", "text/html", "text/markdown", "text/latex")
NEEDS_SCRIPT = '<p class="note">What is here needs scripts: open the notebook in JupyterLab.</p>'
UNREADABLE = '<p class="note">This is not a {} that can be shown: {}.</p>\n'
TOO_LARGE = (
    '<p class="note">This figure is an SVG of more than 6 MiB: open the notebook in JupyterLab.</p>'
)
EMPTY = '<p class="note">This notebook has no cells.</p>\n'
END = "</main></body></html>\n"
#: Asks for what the browser's policy does not keep it from.
_LINK = re.compile(r"<link\b[^>]*>", re.IGNORECASE)
#: Shows nothing here, and Chromium connects to where it would lead before it asks the policy.
_FRAME = re.compile(r"<iframe\b[^>]*>", re.IGNORECASE)
#: A place in the page itself: not to be opened in another tab.
_WITHIN = re.compile(r'<a (?=[^>]*\bhref="#)')
_STYLE = Path(__file__).parent / "page.css"


def render(file: IO[bytes], theme: str = "") -> Iterator[str]:
    """A page of a notebook, in pieces: head, cells, end.

    The ``n``-th cell with code (from 1) has the anchor ``cell-n``. The cells are left out in which
    papermill says that one failed.

    Args:
        file: the notebook, of any nbformat; read to its end before there is a piece.
        theme: `light` or `dark`; empty: as the reader's system has it.
    """
    try:
        notebook = nbformat.convert(nbformat.reader.reads(file.read().decode()), 4)
        cells = list(notebook.cells)
    except MemoryError:
        raise
    except Exception as e:  # noqa: BLE001 - a notebook is what a user wrote: anything may be in it
        yield (
            make_head(theme)
            + UNREADABLE.format("notebook", html.escape(f"{type(e).__name__}: {e}"[:300]))
            + END
        )
        return
    # The rest is copied for each cell, and says nothing of how it looks.
    said = ("kernelspec", "language_info")
    notebook.metadata = {key: notebook.metadata[key] for key in said if key in notebook.metadata}
    yield make_head(theme) + ("" if cells else EMPTY)
    exporter = Exporter()
    number = 0
    for cell in cells:
        if PAPERMILLS_TAG in tags_of(cell):
            continue
        anchor = ""
        if is_code(cell):
            number += 1
            anchor = f' id="cell-{number}"'
        yield f"<section{anchor}>\n"
        yield f"{show(exporter, notebook, cell).strip()}\n</section>\n"
    yield END


def show(exporter: Exporter, notebook: Any, cell: Any) -> str:
    """One cell of a notebook; where it cannot be shown, what is written in it."""
    source = f"<pre>{html.escape(str(cell.get('source', '')))}</pre>"
    if cell.get("cell_type") == "raw":
        return source
    try:
        keep_still(cell, exporter.artist)
        notebook.cells = [cell]
        body, _ = exporter.from_notebook_node(notebook)
    except MemoryError:
        raise
    except Exception as e:  # noqa: BLE001 - what a user wrote: the next cell may be a sound one
        return source + UNREADABLE.format("cell", html.escape(type(e).__name__))
    body = _FRAME.sub(NEEDS_SCRIPT, _LINK.sub("", body))
    return _WITHIN.sub('<a target="_self" ', body)


def make_head(theme: str) -> str:
    """Begin the page; its styles are in it, in light and dark."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    styles = {"": f"@media (prefers-color-scheme: dark) {{\n{dark}\n}}", "light": "", "dark": dark}
    style = _STYLE.read_text(encoding="utf-8")
    if theme:
        style += f":root {{ color-scheme: {theme}; }}\n"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<base target="_blank">\n'
        f"<title>Result</title><style>\n{light}\n"
        f"{styles[theme]}\n{style}</style></head><body><main>\n"
    )


def outputs_of(cell: Mapping[str, Any]) -> list[Any]:
    """What a cell printed and showed."""
    outputs = cell.get("outputs")
    return outputs if isinstance(outputs, list) else []


def keep_still(cell: Any, artist: Artist) -> None:
    """Choose of each output what can be shown without scripts, or say that there is nothing."""
    for output in outputs_of(cell):
        data = output.get("data")
        if not isinstance(data, dict):
            continue
        is_scripted = "<script" in html.unescape(str(data.get("text/html", ""))).lower()
        found = [kind for kind in STILL if data.get(kind)]
        is_vast = len(str(data.get(VECTORS, ""))) > MOST_BYTES
        if is_vast:
            found.remove(VECTORS)
        if is_scripted and found != ["text/html"]:
            found.remove("text/html")
        plain = data.get("text/plain")
        needs_script = found == ["text/html"] if is_scripted else data and not found and not plain
        shown = {kind: data[kind] for kind in found[:1]}
        if is_vast and not found:
            shown["text/html"] = TOO_LARGE
        elif needs_script:
            shown["text/html"] = str(shown.get("text/html", "")) + NEEDS_SCRIPT
        elif plain and not found:
            shown["text/plain"] = plain
        output["data"] = type(output)(_draw(shown, artist))


def _draw(shown: dict[str, Any], artist: Artist) -> dict[str, Any]:
    """What nbconvert writes as it is: formulas are drawn, a picture is a document of its own."""
    if "text/latex" in shown:
        drawn = artist.draw_output(str(shown["text/latex"]))
        return {"text/html": f'<div class="output_latex">{drawn}</div>'}
    if VECTORS in shown:
        return {VECTORS: complete(str(shown[VECTORS]))}
    return shown
