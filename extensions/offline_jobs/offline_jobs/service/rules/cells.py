"""The cells of a job by their first lines, numbered as the runner counts them. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from offline_jobs.contract.executed import INJECTED_TAG, PARAMETERS_TAG, is_code, tags_of

#: A longer line is cut.
LONGEST_LINE = 120
#: How the cell begins that papermill makes of the parameters that were given.
GIVEN = "# Parameters"


def list_first_lines(notebook: Mapping[str, Any], *, is_given: bool) -> list[str]:
    """The first line of each cell that is run, in order.

    Args:
        notebook: as submitted: an nbformat 4 mapping.
        is_given: parameters were given. papermill puts a cell of their values after the one that
            is tagged ``parameters``, in the place of that of an earlier run, or before all others.
    """
    cells = list(notebook["cells"])
    if not is_given:
        return list(_list(cells))
    tags = [tags_of(cell) for cell in cells]
    injected = next((i for i, each in enumerate(tags) if INJECTED_TAG in each), None)
    named = next((i for i, each in enumerate(tags) if PARAMETERS_TAG in each), None)
    if injected is not None:
        before, after = cells[:injected], cells[injected + 1 :]
    else:
        place = 0 if named is None else named + 1
        before, after = cells[:place], cells[place:]
    return [*_list(before), GIVEN, *_list(after)]


def _list(cells: list[Any]) -> Iterator[str]:
    return (find_first_line(cell) for cell in cells if is_code(cell))


def find_first_line(cell: Mapping[str, Any]) -> str:
    """The first line of a cell in which there is something."""
    source = cell.get("source", "")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    line = text.strip().splitlines()[0].rstrip() if text.strip() else ""
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
