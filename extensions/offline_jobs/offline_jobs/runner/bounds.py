"""Makes an executed notebook small enough for the service's object store. Pure.

The notebook in the home is always whole; only the copy for the service is bounded. Outputs are
left out largest first, each replaced by a line that says so. Bottom of the runner; imports nothing
of it.
"""

import json
from typing import Any

_NOTE = "[An output of {size} was left out of this copy. It is in the notebook in your home.]\n"
_HEADLINE = (
    "**This copy is shortened.** {count} of the largest outputs ({size}) were left out, because"
    " copies that are kept for download hold at most {limit}. The whole notebook is in your home."
)


def fit_notebook(content: bytes, max_bytes: int) -> bytes | None:
    """The notebook's JSON text, with outputs left out where it would be over ``max_bytes``.

    Returns:
        The text, or None where it is too large without any output, too.
    """
    if len(content) <= max_bytes:
        return content
    notebook = json.loads(content)
    outputs = _outputs_by_size(notebook)
    left_out = 0
    bytes_left_out = 0
    size = len(_dump(notebook)) + 2048  # room for the headline
    for output_size, outputs_of_cell, position in outputs:
        if size <= max_bytes:
            break
        note = _note(output_size)
        if output_size <= len(_dump(note)):
            break
        outputs_of_cell[position] = note
        size -= output_size - len(_dump(note))
        left_out += 1
        bytes_left_out += output_size
    _say(notebook, left_out, bytes_left_out, max_bytes)
    shortened = _dump(notebook)
    return shortened if len(shortened) <= max_bytes else None


def _outputs_by_size(notebook: dict[str, Any]) -> list[tuple[int, list[Any], int]]:
    """Every output as (its size in bytes, the list it is in, its place there), largest first."""
    found = [
        (len(_dump(output)), outputs, position)
        for cell in notebook["cells"]
        if (outputs := cell.get("outputs"))
        for position, output in enumerate(outputs)
    ]
    return sorted(found, key=lambda entry: entry[0], reverse=True)


def _note(size: int) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stderr", "text": _NOTE.format(size=_words(size))}


def _say(notebook: dict[str, Any], count: int, size: int, limit: int) -> None:
    text = _HEADLINE.format(count=count, size=_words(size), limit=_words(limit))
    cell = {
        "cell_type": "markdown",
        "id": "offline-jobs-shortened",
        "metadata": {"tags": ["offline-jobs-shortened"]},
        "source": text,
    }
    if (notebook.get("nbformat", 4), notebook.get("nbformat_minor", 0)) < (4, 5):
        del cell["id"]
    notebook["cells"].insert(0, cell)
    notebook["metadata"]["offline_jobs"] = {
        "outputs_left_out": count,
        "bytes_left_out": size,
    }


def _dump(value: object) -> bytes:
    # Lone surrogates may stand in outputs; they cannot be encoded and are replaced.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _words(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB"
