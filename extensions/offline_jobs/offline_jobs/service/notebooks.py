"""Notebooks: are they sound, what are their parameters, and their text without outputs.

Reads the foreign formats nbformat and papermill's inspection; called by ``web/reading.py`` and for
nothing else, in a thread or a process of its own. What comes out is plain data; bounds come before
any parsing that could be slow. Both libraries are imported by the first notebook that needs them:
they take as long as all else that the service imports.
"""

import ast
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from offline_jobs.contract.executed import (
    INJECTED_TAG,
    LONGEST_CELL,
    PARAMETERS_TAG,
    find_assignments,
    is_code,
    settle,
    tags_of,
)
from offline_jobs.contract.r_source import find_r_assignments
from offline_jobs.service.errors import Unsound

MOST_CELLS = 5_000
_MAJOR, _NEWEST_MINOR, _FIRST_MINOR_WITH_IDS = 4, 5, 5
LONGEST_PARAMETERS_LINE = 1_000
#: What ends a line for Python's parser; ``splitlines`` knows more.
_LINE_END = re.compile(r"\r\n?|\n")
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_KERNELS_LANGUAGE = re.compile(r"(python|ir|julia|bash)[0-9.-]*")
#: It logs lines of the notebook that it cannot read; they are not for our log.
logging.getLogger("papermill.translators").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Parameter:
    """A parameter that the notebook names.

    ``type`` is the annotation or the literal's Python type (of R: what JSON calls it), empty if
    neither is known; ``default`` the literal as a JSON value, ``None`` when the source (``source``)
    is not a literal. ``source`` is empty where the notebook only declares the name.
    ``is_carried``: the value is that of the run whose result this notebook is.
    """

    name: str
    type: str
    default: Any
    help: str
    source: str
    is_carried: bool = False


#: Reads what a cell assigns, name by name; a SyntaxError where it cannot.
_Assigned = Callable[[str], dict[str, Parameter]]


@dataclass(frozen=True)
class Inspected:
    """What the service needs to know of a sound notebook.

    ``text`` is the snapshot: canonical JSON without outputs. ``cells`` counts code cells that are
    not empty. ``parameters`` is ``None`` where the language's parameters cannot be read.
    ``carried`` holds the values of the run whose result the notebook is; they come before those
    that are given.
    """

    text: str
    cells: int
    language: str
    kernel: str
    parameters: tuple[Parameter, ...] | None
    carried: Mapping[str, Any]


def inspect(notebook: Mapping[str, Any], kernel: str = "", usual_kernel: str = "") -> Inspected:
    """Check a notebook and take what matters from it.

    Args:
        notebook: an untrusted JSON mapping.
        kernel: the kernel that is to run it, if one was chosen: it decides the language.
        usual_kernel: the one that runs it if neither this nor the notebook names one.

    Raises:
        Unsound: not a notebook that can be run; ``field`` is ``notebook``.
    """
    _check_version(notebook)
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise _unsound("not-a-notebook", "This is not a notebook: it has no list of cells.")
    if len(cells) > MOST_CELLS:
        raise _unsound(
            "too-many-cells",
            f"The notebook has {len(cells)} cells; at most {MOST_CELLS} can be run in one job.",
        )
    clean = _without_outputs(notebook)
    _validate(clean)
    own_kernel = _kernel(clean)
    language = _language(clean, kernel or own_kernel or usual_kernel)
    parameters = _parameters(clean["cells"], language)
    settled = settle(clean["cells"], language)
    clean["cells"] = settled.cells
    try:
        text = json.dumps(
            clean, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
        text.encode()
    except (ValueError, RecursionError) as e:
        raise _unsound(
            "not-a-notebook",
            "The notebook holds a value that is not JSON (such as NaN) or not Unicode.",
        ) from e
    return Inspected(
        text=text,
        cells=sum(map(is_code, clean["cells"])),
        language=language,
        kernel=own_kernel,
        parameters=parameters,
        carried=settled.values,
    )


def carry(inspected: Inspected, values: Mapping[str, Any]) -> Inspected:
    """What is known of a snapshot when it is run again with the values of an earlier run.

    Each of them is a parameter by that run, whether or not the notebook still names it.
    """
    own = {each.name: each for each in inspected.parameters or ()}
    for name, value in values.items():
        known = own.get(name, Parameter(name, "", None, "", ""))
        kind = known.type or ("" if value is None else type(value).__name__)
        own[name] = replace(known, type=kind, default=value, is_carried=True)
    can_tell = inspected.parameters is not None
    return replace(inspected, parameters=tuple(own.values()) if can_tell else None)


def _check_version(notebook: Mapping[str, Any]) -> None:
    major = notebook.get("nbformat")
    if not isinstance(major, int) or isinstance(major, bool):
        raise _unsound(
            "not-a-notebook", "This is not a notebook: it does not say its nbformat version."
        )
    if major < _MAJOR:
        raise _unsound(
            "notebook-version",
            f"The notebook has the old format nbformat {major}. "
            "Open it in JupyterLab and save it: that converts it to nbformat 4.",
        )
    if major > _MAJOR:
        raise _unsound(
            "notebook-version",
            f"The notebook has nbformat {major}, which is newer than the service knows. "
            "Save it as nbformat 4.",
        )


def _without_outputs(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with outputs and counts gone, sources as one text.

    What is mended later (metadata) is copied there; the rest is shared with what was given.
    """
    cells = [_without_output(cell, number) for number, cell in enumerate(notebook["cells"], 1)]
    return {**notebook, "cells": cells}


def _without_output(cell: Any, number: int) -> dict[str, Any]:
    if not isinstance(cell, dict):
        raise _damaged(number, "it is not an object")
    clean = {key: value for key, value in cell.items() if key not in ("outputs", "execution_count")}
    source = clean.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise _damaged(number, "its source is not text")
    clean["source"] = source
    match clean.get("cell_type"):
        case "code":
            clean |= {"outputs": [], "execution_count": None}
        case "markdown" | "raw":
            pass
        case _:
            raise _damaged(number, "its cell_type is not code, markdown or raw")
    return clean


def _damaged(number: int, what: str) -> Unsound:
    return _unsound(
        "not-a-notebook",
        f"Cell {number} of the notebook is damaged: {what}. "
        "Copy what it says into a new cell, and delete this one.",
    )


def _validate(notebook: dict[str, Any]) -> None:
    """Mend what says nothing of what is to run, and check the rest.

    Metadata in a shape that nbformat refuses is common (converters, other front ends), and
    JupyterLab keeps it when it saves: ids, tags, the names of kernel and language are put right,
    and any other entry that is wrong is left out.
    """
    minor = notebook.get("nbformat_minor")
    if not isinstance(minor, int) or isinstance(minor, bool) or minor < 0:
        raise _unsound("not-a-notebook", "The notebook's nbformat_minor is not a number.")
    notebook["metadata"] = _mend_metadata(notebook.get("metadata"))
    for cell in notebook["cells"]:
        cell["metadata"] = _mend_cell_metadata(cell.get("metadata"))
    _name_cells(notebook["cells"], named=minor >= _FIRST_MINOR_WITH_IDS)
    shape = (_MAJOR, min(minor, _NEWEST_MINOR))
    if not _find_errors(notebook, None, shape):
        return
    for number, cell in enumerate(notebook["cells"], 1):
        if errors := _find_errors(cell, f"{cell['cell_type']}_cell", shape):
            raise _damaged(number, f"'{errors[0]}' is not as nbformat wants it")
    raise _unsound(
        "not-a-notebook", "The notebook is not as nbformat wants it: copy its cells into a new one."
    )


def _find_errors(part: dict[str, Any], ref: str | None, shape: tuple[int, int]) -> list[str]:
    """Find what is not as the format wants it; metadata that is not is left out."""
    from nbformat.validator import iter_validate  # noqa: PLC0415

    major, minor = shape
    try:
        errors = iter_validate(
            part, ref, major, minor, relax_add_props=True, strip_invalid_metadata=ref is None
        )
        return ["/".join(str(step) for step in list(error.path)[:4]) for error in errors]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as e:
        return [type(e).__name__]


def _mend_metadata(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        return {}
    mended = dict(metadata)
    for key in ("kernelspec", "language_info"):
        part = mended.get(key)
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            mended.pop(key, None)
    spec = mended.get("kernelspec")
    if spec and not isinstance(spec.get("display_name"), str):
        mended["kernelspec"] = {**spec, "display_name": spec["name"]}
    return mended


def _mend_cell_metadata(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict):
        return {}
    mended = dict(metadata)
    if (tags := mended.get("tags")) is not None:
        words = [tags] if isinstance(tags, str) else tags if isinstance(tags, list) else []
        split = [word.strip() for tag in words if isinstance(tag, str) for word in tag.split(",")]
        mended["tags"] = list(dict.fromkeys(filter(None, split)))
    return mended


def _name_cells(cells: list[dict[str, Any]], *, named: bool) -> None:
    """Give each cell an id of its own, the same at each submission; none before nbformat 4.5."""
    seen: set[str] = set()
    for number, cell in enumerate(cells):
        name = cell.pop("id", None)
        if not named:
            continue
        if not isinstance(name, str) or not _CELL_ID.fullmatch(name) or name in seen:
            made = f"cell-{number}-of-{len(cells)}"
            name = next(each for i in count() if (each := made + "-" * i) not in seen)
        cell["id"] = name
        seen.add(name)


def _kernel(notebook: Mapping[str, Any]) -> str:
    return str(notebook["metadata"].get("kernelspec", {}).get("name", ""))


def _language(notebook: Mapping[str, Any], kernel: str) -> str:
    """The language of the kernel that is to run the notebook, in lower case; empty: unknown.

    A kernel's name says it for the usual ones. Of another the notebook may know.
    """
    if match := _KERNELS_LANGUAGE.fullmatch(kernel):
        return {"ir": "r"}.get(match[1], match[1])
    metadata = notebook["metadata"]
    for key, field in (("language_info", "name"), ("kernelspec", "language")):
        said = metadata.get(key, {}).get(field)
        if isinstance(said, str) and said:
            return said.lower()
    return ""


def _parameters(cells: list[dict[str, Any]], language: str) -> tuple[Parameter, ...] | None:
    """Parameters of the cell tagged ``parameters`` and of what an earlier run injected.

    Only Python's and R's can be read.
    """
    assigned = {"python": _assigned, "r": _assigned_in_r}.get(language)
    if assigned is None:
        return None
    cell = next((c for c in cells if PARAMETERS_TAG in tags_of(c)), None)
    found = _read_parameters(cell["source"], assigned) if cell else {}
    if found is None:
        return None
    for injected in (c for c in cells if INJECTED_TAG in tags_of(c)):
        for name, one in _read_injected(injected["source"], assigned).items():
            own = found.get(name, one)
            is_annotated = own.type not in ("", type(own.default).__name__)
            kind = own.type if is_annotated else one.type
            found[name] = replace(one, type=kind, help=own.help, is_carried=True)
    return tuple(found.values())


def _read_injected(source: str, assigned: _Assigned) -> dict[str, Parameter]:
    """What an earlier run injected; one that cannot be read names nothing, and still runs."""
    if len(source) > LONGEST_CELL:
        return {}
    try:
        return assigned(source)
    except SyntaxError:
        return {}


def _read_parameters(source: str, assigned: _Assigned) -> dict[str, Parameter] | None:
    """What the notebook's own cell assigns; ``None`` where nobody can tell."""
    if len(source) > LONGEST_CELL:
        raise _unsound(
            "parameters-cell",
            f"The parameters cell is too long: at most {LONGEST_CELL} characters.",
        )
    try:
        return assigned(source)
    except SyntaxError:
        # Not plain Python (a magic, say): then papermill's reading is what there is; R has none.
        return _inspect_lines(source) if assigned is _assigned else None


def _inspect_lines(source: str) -> dict[str, Parameter]:
    """Read a cell line by line, as papermill does; slow for long lines."""
    if any(len(line) > LONGEST_PARAMETERS_LINE for line in source.splitlines()):
        raise _unsound(
            "parameters-cell",
            f"A line of the parameters cell is too long: at most {LONGEST_PARAMETERS_LINE} "
            "characters where it is not plain Python.",
        )
    from papermill.translators import papermill_translators  # noqa: PLC0415

    translator = papermill_translators.find_translator("", "python")
    return {p.name: _parameter(p) for p in translator.inspect({"source": source})}


def _assigned(source: str) -> dict[str, Parameter]:
    """What a cell assigns or declares, in its order, read from its syntax.

    Raises:
        SyntaxError: the cell is not plain Python.
    """
    found = find_assignments(source)
    lines = [line.encode() for line in _LINE_END.split(source)]
    assigned = {}
    for each in found:
        line, column = each.end
        comment = lines[line - 1][column:].decode().partition("#")[2].strip()
        assigned[each.name] = _build_parameter(each.name, each.annotation, each.source, comment)
    return assigned


def _assigned_in_r(source: str) -> dict[str, Parameter]:
    """What a cell of R assigns, in its order.

    Raises:
        SyntaxError: the cell is not plain R.
    """
    return {
        each.name: Parameter(each.name, *each.read_value(), each.comment, each.source)
        for each in find_r_assignments(source)
    }


def _parameter(found: Any) -> Parameter:
    annotation = "" if found.inferred_type_name == "None" else found.inferred_type_name
    return _build_parameter(found.name, annotation, found.default, found.help)


def _build_parameter(name: str, annotation: str, source: str, comment: str) -> Parameter:
    value = _literal(source)
    kind = annotation or ("" if value is None else type(value).__name__)
    shown = list(value) if isinstance(value, tuple) else value
    return Parameter(name, kind, shown, comment, source)


def _literal(source: str) -> Any:
    """The value of a Python literal that JSON can say, else ``None``."""
    try:
        value = ast.literal_eval(source)
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value


def _unsound(code: str, message: str) -> Unsound:
    return Unsound(message, code=code, field="notebook")
