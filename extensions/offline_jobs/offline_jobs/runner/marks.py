"""What people see of a bad end in the notebook, and of an output in the log. Pure.

The marks are those of papermill: one at the top, one before the cell, both with papermill's tag,
so that papermill removes them from a notebook that is run again. Used by the engine.
"""

import json
from collections.abc import Mapping
from typing import Any

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from offline_jobs.runner.stopping import StopReason

#: papermill 2.7's tag and style of its own marks (``papermill/execute.py``).
ERROR_MARKER_TAG = "papermill-error-cell-tag"
ERROR_STYLE = (
    'style="color:red; font-family:Helvetica Neue, Helvetica, Arial, sans-serif; font-size:2em;"'
)

WORDS = {
    StopReason.CANCELLED: "the job was cancelled",
    StopReason.INTERRUPTED: "the run was interrupted",
    StopReason.TIME_LIMIT: "the time limit was reached",
    StopReason.OUT_OF_MEMORY: "the memory of the instance class was used up",
}
#: Ends that nobody asked for.
ENDS: dict[type[Exception], str] = {
    DeadKernelError: "the kernel died",
    CellTimeoutError: "the cell took too long",
}


def mark_stop(notebook: NotebookNode, cell: NotebookNode, reason: str) -> None:
    """Say at the top and before ``cell`` that the run stopped there. Changes the notebook."""
    place = next(i for i, other in enumerate(notebook.cells) if other is cell)
    number = cell.get("execution_count")
    shown = f"In [{number if number is not None else ' '}]"
    link = f'<a href="#papermill-error-cell">{shown}</a>'
    anchor = (
        f'<span id="papermill-error-cell" {ERROR_STYLE}>The run stopped here: {reason}.'
        " What follows did not run.</span>"
    )
    top = f"<span {ERROR_STYLE}>The run stopped at '{link}': {reason}.</span>"
    notebook.cells.insert(place, _mark(anchor))
    notebook.cells.insert(0, _mark(top))


def _mark(source: str) -> NotebookNode:
    return new_markdown_cell(  # type: ignore[no-any-return]
        source, metadata={"tags": [ERROR_MARKER_TAG]}
    )


def text_of(output: NotebookNode) -> str:
    """An output as a log shows it."""
    if output.output_type == "stream":
        return str(output.text)
    if output.output_type == "error":
        return "\n".join(output.traceback) + "\n"
    text = output.get("data", {}).get("text/plain", "")
    return f"{text}\n" if text else ""


def plain_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """A message's content in a shape that a notebook can hold: what is not, becomes text.

    Kernels may send what nbformat has no place for, such as a traceback that is one text or a
    display of numbers.
    """
    plain = {key: value for key, value in content.items() if key not in ("data", "metadata")}
    for key in ("ename", "evalue", "text"):
        if key in plain and not isinstance(plain[key], str):
            plain[key] = _as_text(plain[key])
    if "name" in plain:
        plain["name"] = plain["name"] if plain["name"] in ("stdout", "stderr") else "stdout"
    if "traceback" in plain:
        lines = plain["traceback"]
        lines = lines.splitlines() if isinstance(lines, str) else lines
        plain["traceback"] = [
            _as_text(line) for line in (lines if isinstance(lines, list) else [lines])
        ]
    if "data" in content:
        data = content["data"]
        text = data.get("text/plain") if isinstance(data, Mapping) else None
        plain["data"] = {"text/plain": _as_text(data if text is None else text)}
        plain["metadata"] = {}
    return plain


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def is_same_stream(first: NotebookNode, second: NotebookNode, max_bytes: int) -> bool:
    """Whether ``second`` goes on where ``first`` stopped, and both together stay small."""
    return bool(
        first.output_type == "stream"
        and second.output_type == "stream"
        and first.name == second.name
        and len(first.text) + len(second.text) <= max_bytes
    )
