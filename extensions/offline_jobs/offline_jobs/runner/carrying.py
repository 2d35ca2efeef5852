"""The cell of values that papermill injected, mended by what the notebook itself says.

A result that is run again has values of its own, which come before those given now, as the service
has it: papermill puts the latter in the place of the former, and forgets these. And a list that is
given for a vector of R is one. Called by the engine, for it is the first of ours that sees the
notebook; what is decided here is ``contract/executed.py``'s.
"""

import re
from typing import Any

import nbformat
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.translators import translate_parameters

from offline_jobs.contract.executed import INJECTED_TAG, read_sources, settle, tags_of
from offline_jobs.runner.languages import Vector

_STANDARD_INPUT = "-"
_LIST_OF_R = re.compile(r"list\s*\(")


def carry_over(notebook: NotebookNode, source: Any, kernel: str, language: str) -> None:
    """Put an earlier run's values before those that papermill has injected.

    Args:
        notebook: with this run's parameters injected; changed in place.
        source: what papermill read it from. Standard input cannot be read twice, so that what was
            injected before is lost then.
        kernel: name of the kernel that runs it.
        language: of that kernel.
    """
    places = [i for i, cell in enumerate(notebook.cells) if INJECTED_TAG in tags_of(cell)]
    if not places or source in (None, _STANDARD_INPUT):
        return
    place = places[0]
    before = [cell for cell in load_notebook_node(source).cells if INJECTED_TAG in tags_of(cell)]
    if not before:
        return
    injected = notebook.cells[place]
    is_given = injected.source != before[0].source
    others = [cell for i, cell in enumerate(notebook.cells) if i not in places]
    settled = settle([*others[:place], *before, *others[place:]], language.lower())
    if not is_given:
        if settled.values:
            notebook.metadata.papermill["parameters"] = settled.values
        return
    if settled.values:
        values = settled.values | notebook.metadata.papermill["parameters"]
        injected.source = translate_parameters(kernel, language, values, "Parameters")
        notebook.metadata.papermill["parameters"] = values
    cells = [nbformat.from_dict(cell) for cell in settled.cells]
    kept = len(cells) - len(others)
    notebook.cells = [*cells[: place + kept], injected, *cells[place + kept :]]


def keep_vectors(notebook: NotebookNode, kernel: str, language: str) -> None:
    """Write a list that was given for a parameter of R as a vector, unless its default is a list.

    JSON has one word for both, and R's functions do not take the one for the other. A list of
    lists, or of elements that are not of one type, stays one.

    Args:
        notebook: with this run's parameters injected; changed in place.
        kernel: name of the kernel that runs it.
        language: of that kernel.
    """
    injected = next((cell for cell in notebook.cells if INJECTED_TAG in tags_of(cell)), None)
    if language.lower() != "r" or injected is None:
        return
    sources = read_sources(notebook.cells, "r")
    given = notebook.metadata.papermill["parameters"]
    vectors = {
        name: Vector(given[name])
        for name, source in sources.items()
        if not _LIST_OF_R.match(source) and _can_be_vector(given.get(name))
    }
    if vectors:
        injected.source = translate_parameters(kernel, language, given | vectors, "Parameters")


def _can_be_vector(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    kinds = {float if type(each) is int else type(each) for each in value if each is not None}
    return len(kinds) <= 1 and kinds <= {float, str, bool}
