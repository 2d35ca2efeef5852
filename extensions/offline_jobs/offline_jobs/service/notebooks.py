"""Notebooks: are they sound, what are their parameters, and their text without outputs.

Reads the foreign formats nbformat and papermill's inspection; called by ``web/jobs.py`` (check and
submission) and for nothing else, in a thread. What comes out is plain data; bounds come before any
parsing that could be slow. Both libraries are imported by the first notebook that needs them: they
take as long as all else that the service imports.
"""

import ast
import copy
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from offline_jobs.service.errors import Unsound

MOST_CELLS = 5_000
_MAJOR, _NEWEST_MINOR, _FIRST_MINOR_WITH_IDS = 4, 5, 5
LONGEST_PARAMETERS_CELL = 20_000
LONGEST_PARAMETERS_LINE = 1_000
_PYTHON_KERNELS = frozenset({"python", "python2", "python3"})
#: It logs lines of the notebook that it cannot read; they are not for our log.
logging.getLogger("papermill.translators").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Parameter:
    """A parameter that the notebook names.

    ``type`` is the annotation or the literal's Python type, empty if neither is known; ``default``
    the literal as a JSON value, ``None`` when the source (``source``) is not a literal.
    """

    name: str
    type: str
    default: Any
    help: str
    source: str


@dataclass(frozen=True)
class Inspected:
    """What the service needs to know of a sound notebook.

    ``text`` is the snapshot: canonical JSON without outputs. ``cells`` counts code cells that are
    not empty. ``parameters`` is ``None`` where the language's parameters cannot be read.
    """

    text: str
    cells: int
    language: str
    kernel: str
    parameters: tuple[Parameter, ...] | None


def inspect(notebook: Mapping[str, Any]) -> Inspected:
    """Check a notebook and take what matters from it.

    Args:
        notebook: an untrusted JSON mapping.

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
    try:
        text = json.dumps(
            clean, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        )
        text.encode()
    except (ValueError, RecursionError) as e:
        raise _unsound(
            "not-a-notebook", "The notebook holds a value that is not JSON (such as NaN)."
        ) from e
    kernel, language = _kernel(clean), _language(clean)
    return Inspected(
        text=text,
        cells=sum(1 for c in clean["cells"] if c["cell_type"] == "code" and _source(c).strip()),
        language=language,
        kernel=kernel,
        parameters=_parameters(clean, language),
    )


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
    """A deep copy with outputs, counts and attachments of runs gone, sources as one text."""
    try:
        clean: dict[str, Any] = copy.deepcopy(
            {**notebook, "cells": [_without_output(cell) for cell in notebook["cells"]]}
        )
    except RecursionError as e:
        raise _unsound("not-a-notebook", "The notebook is nested too deeply.") from e
    return clean


def _without_output(cell: Any) -> dict[str, Any]:
    if not isinstance(cell, dict):
        raise _unsound("not-a-notebook", "This is not a notebook: a cell is not an object.")
    clean = {key: value for key, value in cell.items() if key not in ("outputs", "execution_count")}
    source = clean.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        clean["source"] = "".join(source)
    if clean.get("cell_type") == "code":
        clean |= {"outputs": [], "execution_count": None}
    return clean


def _validate(notebook: dict[str, Any]) -> None:
    import nbformat  # noqa: PLC0415
    from nbformat.validator import NotebookValidationError  # noqa: PLC0415

    minor = notebook.get("nbformat_minor")
    if not isinstance(minor, int) or isinstance(minor, bool) or minor < 0:
        raise _unsound("not-a-notebook", "The notebook's nbformat_minor is not a number.")
    _name_cells(notebook["cells"], named=minor >= _FIRST_MINOR_WITH_IDS)
    try:
        nbformat.validate(
            notebook,
            version=_MAJOR,
            version_minor=min(minor, _NEWEST_MINOR),
            relax_add_props=True,
        )
    except NotebookValidationError as e:
        where = "/".join(str(part) for part in list(e.path)[:6])
        raise _unsound(
            "not-a-notebook",
            f"The notebook is damaged{f' at {where}' if where else ''}. "
            "Open it in JupyterLab and save it again.",
        ) from e
    except (ValueError, RecursionError) as e:
        raise _unsound(
            "not-a-notebook", "The notebook is damaged. Open it in JupyterLab and save it again."
        ) from e


def _name_cells(cells: list[dict[str, Any]], *, named: bool) -> None:
    """Give each cell an id of its own, the same at each submission; none before nbformat 4.5."""
    seen: set[str] = set()
    for number, cell in enumerate(cells):
        name = cell.pop("id", None)
        if named:
            if name is None or (isinstance(name, str) and name in seen):
                name = f"cell-{number}-of-{len(cells)}"
            cell["id"] = name
            seen.add(str(name))


def _kernel(notebook: Mapping[str, Any]) -> str:
    spec = notebook["metadata"].get("kernelspec")
    name = spec.get("name") if isinstance(spec, dict) else None
    return name if isinstance(name, str) else ""


def _language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook["metadata"]
    for key, field in (("language_info", "name"), ("kernelspec", "language")):
        part = metadata.get(key)
        if isinstance(part, dict) and isinstance(part.get(field), str) and part[field]:
            return str(part[field]).lower()
    return "python" if _kernel(notebook) in _PYTHON_KERNELS else ""


def _parameters(notebook: Mapping[str, Any], language: str) -> tuple[Parameter, ...] | None:
    """Parameters of the cell tagged ``parameters``; only Python's can be read."""
    if language != "python":
        return None
    cell = next((c for c in notebook["cells"] if "parameters" in _tags(c)), None)
    if cell is None:
        return ()
    source = _source(cell)
    if len(source) > LONGEST_PARAMETERS_CELL or any(
        len(line) > LONGEST_PARAMETERS_LINE for line in source.splitlines()
    ):
        raise _unsound(
            "parameters-cell",
            f"The parameters cell is too long: at most {LONGEST_PARAMETERS_LINE} characters a "
            f"line and {LONGEST_PARAMETERS_CELL} in all.",
        )
    from papermill.translators import papermill_translators  # noqa: PLC0415

    translator = papermill_translators.find_translator("", "python")
    assigned = _assigned(source)
    inspected = {p.name: _parameter(p) for p in translator.inspect({"source": source})}
    return tuple((assigned | {n: p for n, p in inspected.items() if n not in assigned}).values())


def _assigned(source: str) -> dict[str, Parameter]:
    """The cell's plain assignments in their order, read from its syntax.

    papermill's inspection goes by lines: it leaves out one that has a second ``=`` anywhere, in
    its comment too, and misreads a list with comments between. Empty where the cell is not plain
    Python (a magic, say); then papermill's reading is what there is.
    """
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return {}
    lines = source.splitlines()
    assigned = {}
    for statement in statements:
        match statement:
            case ast.AnnAssign(ast.Name(id=name), kind, ast.expr() as value):
                annotation = ast.unparse(kind)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                annotation = ""
            case _:
                continue
        default = ast.get_source_segment(source, value) or ""
        rest = lines[(statement.end_lineno or statement.lineno) - 1].encode()
        comment = rest[statement.end_col_offset or 0 :].decode().partition("#")[2].strip()
        assigned[name] = _build_parameter(name, annotation, default, comment)
    return assigned


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


def _tags(cell: Mapping[str, Any]) -> list[Any]:
    tags = cell["metadata"].get("tags")
    return tags if isinstance(tags, list) else []


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else ""


def _unsound(code: str, message: str) -> Unsound:
    return Unsound(message, code=code, field="notebook")
