"""The cells that are listed are those that papermill runs; which earlier runs tell of the time."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from papermill.parameterize import parameterize_notebook

from offline_jobs.contract.executed import is_code
from offline_jobs.contract.states import State
from offline_jobs.service.model import Job
from offline_jobs.service.rules.cells import LONGEST_LINE, find_first_line, list_first_lines
from offline_jobs.service.rules.earlier import MOST_RUNS, find_run_times
from tests.service.core.factories import NOON, make_job


def make_notebook(*cells: tuple[str, str]) -> Any:
    """Cells of code by source and tag; a source that begins with ``#md`` is text."""
    metadata = {"kernelspec": {"name": "python3", "display_name": "P", "language": "python"}}
    made = [
        new_markdown_cell(source, metadata={"tags": []})
        if source.startswith("#md")
        else new_code_cell(source, metadata={"tags": [tag] if tag else []})
        for source, tag in cells
    ]
    return new_notebook(cells=made, metadata={**metadata, "papermill": {}})


NOTEBOOKS = {
    "parameters": [("#md t", ""), ("import a", ""), ("k = 1", "parameters"), ("plot(k)", "")],
    "none": [("import a\nimport b", ""), ("  \n", ""), ("\n\n# Plot\nplot()", "")],
    "kept": [("f()", ""), ("k = f()", "injected-parameters"), ("k", "parameters"), ("g()", "")],
    "twice": [("k = 1", "parameters"), ("n = 2", "parameters"), ("g()", "")],
}


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.parametrize("is_given", [False, True])
def test_cells_are_listed_as_they_are_run(name: str, is_given: bool) -> None:
    notebook = make_notebook(*NOTEBOOKS[name])
    run = parameterize_notebook(deepcopy(notebook), {"k": 5}) if is_given else notebook
    expected = [find_first_line(cell) for cell in run.cells if is_code(cell)]
    assert list_first_lines(notebook, is_given=is_given) == expected


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("\n \n  x = 1  \ny", "x = 1"),
        ("a" * LONGEST_LINE, "a" * LONGEST_LINE),
        ("a" * (LONGEST_LINE + 1), "a" * (LONGEST_LINE - 1) + "…"),
        (["# Plot\n", "plot()"], "# Plot"),
        ("<b>&amp;", "<b>&amp;"),
        ("", ""),
    ],
)
def test_a_cell_is_known_by_its_first_line(source: Any, line: str) -> None:
    assert find_first_line({"source": source}) == line


def make_run(minutes: float, machine_class: str = "large") -> Job:
    """A run that succeeded."""
    job = make_job(state=State.SUCCEEDED, machine_class=machine_class)
    return replace(job, started=NOON, ended=NOON + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("earlier", "minutes"),
    [
        ([], []),
        ([make_run(5)], []),
        ([make_run(5), make_run(3)], [3, 5]),
        # Enough of its own class, and too few.
        ([make_run(5), make_run(30, "small"), make_run(3)], [3, 5]),
        ([make_run(5), make_run(30, "small")], [5, 30]),
        ([make_run(30, "small"), make_run(20, "tiny")], [20, 30]),
        ([make_run(n) for n in range(1, MOST_RUNS + 5)], list(range(1, MOST_RUNS + 1))),
        ([make_run(5), replace(make_run(9), started=None)], []),
    ],
)
def test_runs_on_the_same_class_tell_the_time_where_there_are_enough(
    earlier: list[Job], minutes: list[float]
) -> None:
    job = make_job(machine_class="large")
    assert find_run_times(job, earlier) == [60 * each for each in minutes]
