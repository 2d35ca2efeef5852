"""What a notebook that was executed with parameters means when it is run again.

papermill leaves the values of a run in a cell of their own, tagged ``injected-parameters``. Run
again, that notebook begins with these values: they are its defaults, and what is given now comes
after them. The cell itself goes, for the next run makes its own; one whose values cannot be read
(another language than Python and R, an expression) stays and is what the next values are injected
after. Standard library only; used by the service for what it is sent and by the engine for a bare
papermill, so that a notebook means the same to both.
"""

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offline_jobs.contract.r_source import RAssignment, find_r_assignments, read_r_values

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"
#: No cell of parameters is longer; a parser's memory grows with a multiple of it.
LONGEST_CELL = 20_000
#: What a parameter may be at most: every kernel's language has such an integer.
LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class Settled:
    """A notebook's cells as they are to run, and the values that come before those given now."""

    cells: list[Any]
    values: dict[str, Any]


def settle(cells: Sequence[Any], language: str) -> Settled:
    """Take the values of an earlier run out of a notebook, or make its cell one of parameters.

    Args:
        cells: nbformat cells, each a mapping; they are not changed.
        language: of the kernel that is to run them, in lower case.
    """
    injected = [cell for cell in cells if INJECTED_TAG in tags_of(cell)]
    if not injected:
        return Settled(list(cells), {})
    read = [read_values(cell.get("source"), language) for cell in injected]
    if any(values is None for values in read):
        last = injected[-1]
        return Settled([_retag(cell, is_last=cell is last) for cell in cells], {})
    values = {name: value for each in read if each for name, value in each.items()}
    return Settled([cell for cell in cells if INJECTED_TAG not in tags_of(cell)], values)


def read_values(source: Any, language: str) -> dict[str, Any] | None:
    """Read a cell that assigns plain values to names, each as JSON has it; None for any other."""
    read = {"python": _read_python_values, "r": read_r_values}.get(language)
    if read is None or not isinstance(source, str) or len(source) > LONGEST_CELL:
        return None
    try:
        values = read(source)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None
    return values if all(_is_plain(value) for value in values.values()) else None


def _read_python_values(source: str) -> dict[str, Any]:
    values = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=node):
                values[name] = ast.literal_eval(node)
            case ast.AnnAssign(ast.Name(id=name), _, ast.expr() as node):
                values[name] = ast.literal_eval(node)
            case _:
                raise SyntaxError("more than assignments")
    return values


def read_sources(cells: Sequence[Any], language: str) -> dict[str, str]:
    """Read the parameters of a notebook's own cell: name -> source of its value as it stands.

    Empty for another language than Python and R, and for a cell that is not plain.
    """
    known: Mapping[str, Callable[[str], Sequence[Assignment | RAssignment]]]
    known = {"python": find_assignments, "r": find_r_assignments}
    find = known.get(language)
    tagged = (each for each in cells if PARAMETERS_TAG in tags_of(each))
    source = next((each.get("source") for each in tagged), None)
    if isinstance(source, list):
        source = "".join(map(str, source))
    if find is None or not isinstance(source, str) or len(source) > LONGEST_CELL:
        return {}
    try:
        return {each.name: each.source for each in find(source)}
    except SyntaxError:
        return {}


def _is_plain(value: Any) -> bool:
    """Whether a value is the same after its way through JSON: no tuple, no set, no NaN."""
    match value:
        case bool() | None | str():
            return True
        case int():
            return abs(value) <= LARGEST_INTEGER
        case float():
            return math.isfinite(value)
        case list():
            return all(_is_plain(each) for each in value)
        case dict():
            return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
        case _:
            return False


@dataclass(frozen=True)
class Assignment:
    """A name that a cell assigns or declares.

    ``annotation`` and ``source`` of the value are as they stand there, empty where there is none,
    ``source`` also where the syntax does not show which part is meant. ``end`` is the line (from
    1) and the column (in bytes of UTF-8) where its statement ends.
    """

    name: str
    annotation: str
    source: str
    end: tuple[int, int]


def find_assignments(source: str) -> list[Assignment]:
    """Find what a cell assigns or declares, in its order; a name may come more than once.

    Raises:
        SyntaxError: the cell is not plain Python.
    """
    try:
        return [
            Assignment(
                name,
                ast.unparse(kind) if kind else "",
                (ast.get_source_segment(source, value) if value else "") or "",
                (statement.end_lineno or statement.lineno, statement.end_col_offset or 0),
            )
            for statement in _find_statements(ast.parse(source).body)
            for name, kind, value in _find_targets(statement)
        ]
    except (ValueError, MemoryError, RecursionError) as e:
        raise SyntaxError(str(e)) from e


def _find_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a cell that run in its own scope, loops left out."""
    for statement in body:
        yield statement
        match statement:
            case ast.If() | ast.Try():
                handlers = [h.body for h in getattr(statement, "handlers", [])]
                final = getattr(statement, "finalbody", [])
                for block in (statement.body, *handlers, statement.orelse, final):
                    yield from _find_statements(block)
            case ast.With():
                yield from _find_statements(statement.body)


_Target = tuple[str, ast.expr | None, ast.expr | None]


def _find_targets(statement: ast.stmt) -> Iterator[_Target]:
    """Names that a statement assigns or declares: each with its annotation and its value."""
    match statement:
        case ast.AnnAssign(ast.Name(id=name), kind, value):
            yield name, kind, value
        case ast.Assign(targets, value):
            for target in targets:
                yield from _unpack(target, value)


def _unpack(target: ast.expr, value: ast.expr | None) -> Iterator[_Target]:
    """The names of a target; each has its part of the value where the syntax shows which."""
    match target:
        case ast.Name(id=name):
            yield name, None, value
        case ast.Starred(inner):
            yield from _unpack(inner, None)
        case ast.Tuple(inner) | ast.List(inner):
            parts: list[ast.expr | None] = [None] * len(inner)
            starred = any(isinstance(each, ast.Starred) for each in inner)
            if isinstance(value, ast.Tuple | ast.List) and not starred:
                parts = list(value.elts) if len(value.elts) == len(inner) else parts
            for each, part in zip(inner, parts, strict=True):
                yield from _unpack(each, part)


def is_code(cell: Mapping[str, Any]) -> bool:
    """Whether a cell has code to run: what is counted where a job tells its cells."""
    return cell.get("cell_type") == "code" and bool(str(cell.get("source", "")).strip())


def tags_of(cell: Any) -> list[Any]:
    """Return a cell's tags, none where they are no list."""
    metadata = cell.get("metadata") if isinstance(cell, Mapping) else None
    tags = metadata.get("tags") if isinstance(metadata, Mapping) else None
    return tags if isinstance(tags, list) else []


def _retag(cell: Any, *, is_last: bool) -> Any:
    """Give the last injected cell the tag that the next values are injected after."""
    tags = [tag for tag in tags_of(cell) if tag not in (INJECTED_TAG, PARAMETERS_TAG)]
    if is_last:
        tags.append(PARAMETERS_TAG)
    if tags == tags_of(cell):
        return cell
    return {**cell, "metadata": {**cell["metadata"], "tags": tags}}
