"""A result that is run again: its values come before those given now, as the service has it.

papermill puts the values given now in the place of an earlier run's, and forgets these. Called by
the engine, for it is the first of ours that sees the notebook; what is decided here is
``contract/executed.py``'s.
"""

from typing import Any

import nbformat
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.translators import translate_parameters

from offline_jobs.contract.executed import INJECTED_TAG, settle, tags_of

_STANDARD_INPUT = "-"


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
