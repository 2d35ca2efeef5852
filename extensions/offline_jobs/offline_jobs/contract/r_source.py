"""What a cell of R assigns, and what its literals stand for, read without R.

For :mod:`executed` what `ast` is for Python. Statements are told apart by R's tokens, whatever
their values are; of values only what JSON can say is read. Standard library only.

Source: https://cran.r-project.org/doc/manuals/r-release/R-lang.html#Parser
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from offline_jobs.contract.r_literals import name_type, read_literal
from offline_jobs.contract.r_tokens import Token, tokenize

_ASSIGN, _ASSIGN_RIGHT = frozenset({"<-", "<<-", "="}), frozenset({"->", "->>"})
_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}
_WITH_HEADER = frozenset({"if", "for", "while", "function", "\\"})
_OTHER_SCOPE = frozenset({"for", "while", "repeat", "function", "\\"})
#: Blocks, branches and assignments within each other. All that is in one is read again for each.
_DEEPEST = 50
#: After one of these a statement goes on in the next line.
_GOES_ON = re.compile(r"[-+*/^~?!<>=&|:,$@]+|%.*%|else|repeat", re.DOTALL)


@dataclass(frozen=True)
class RAssignment:
    """A name that a cell assigns: the value's tokens and source, and the comment behind it."""

    name: str
    tokens: tuple[Token, ...]
    source: str
    comment: str

    def read_value(self) -> tuple[str, Any]:
        """The value's type as JSON schemas name it, and the value; of no literal neither."""
        try:
            value = read_literal(self.tokens)
        except (ValueError, RecursionError):
            return "", None
        return name_type(self.tokens, value), value


def find_r_assignments(source: str) -> list[RAssignment]:
    """Find what a cell assigns in its own scope, in its order; a name may come more than once.

    Functions, loops and names that R wants between backticks are left out.

    Raises:
        SyntaxError: the cell is not plain R.
    """
    return [
        RAssignment(name, value, _cut(source, value), _read_comment(source, statement))
        for statement in _split(tokenize(source))
        for name, value in _find_assigned(statement)
    ]


def read_r_values(source: str) -> dict[str, Any]:
    """Read a cell that assigns literals to names, as papermill injects it, and does nothing else.

    Raises:
        SyntaxError: the cell is not plain R, or does something else.
        ValueError: JSON cannot say a value.
    """
    values: dict[str, Any] = {}
    for statement in _split(tokenize(source)):
        match statement:
            case [Token("name", name), Token("sign", sign), *value] if sign in _ASSIGN:
                values[name] = read_literal(value)
            case _:
                raise SyntaxError("more than assignments")
    return values


def _split(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Tell statements apart; lines inside of a block stay in its statement.

    Raises:
        SyntaxError: a bracket is not closed, or was not opened.
    """
    statement: list[Token] = []
    is_open: list[tuple[str, str]] = []  # brackets, each with what stands before it
    closed_after = ""
    for number, token in enumerate(tokens):
        is_end = token.text in ("\n", ";")
        if is_end and not is_open:
            following = tokens[number + 1 :]
            if statement and not _goes_on(statement, token.text, closed_after, following):
                yield statement
                statement = []
            continue
        if is_end and is_open[-1][0] != "{":
            continue
        if token.text in _CLOSED_BY and token.kind == "sign":
            is_open.append((token.text, statement[-1].text if statement else ""))
        elif token.text in _CLOSED_BY.values() and token.kind == "sign":
            if not is_open or _CLOSED_BY[is_open[-1][0]] != token.text:
                raise SyntaxError(f"{token.text} closes nothing")
            closed_after = is_open.pop()[1]
        statement.append(token)
    if is_open:
        raise SyntaxError(f"{is_open[-1][0]} is not closed")
    if statement:
        yield statement


def _goes_on(
    statement: Sequence[Token], end: str, closed_after: str, following: Sequence[Token]
) -> bool:
    """Whether what follows an end belongs to a statement, too."""
    if end == ";":
        return False
    last = statement[-1]
    if last.text == ")" and closed_after in _WITH_HEADER:
        return True
    if last.kind in ("sign", "name") and _GOES_ON.fullmatch(last.text):
        return True
    after = next((token.text for token in following if token.text != "\n"), "")
    return after == "else" and statement[0].text == "if"


def _find_assigned(
    statement: Sequence[Token], depth: int = 0
) -> Iterator[tuple[str, tuple[Token, ...]]]:
    """Names that a statement assigns in the cell's own scope, each with its value.

    Raises:
        SyntaxError: it has too much within each other.
    """
    if depth > _DEEPEST:
        raise SyntaxError("nested too deeply")
    match statement:
        case [Token("name", "if"), *rest]:
            for branch in _split_branches(rest):
                yield from _find_assigned(branch, depth + 1)
        case [Token("sign", "{"), *inner, Token("sign", "}")]:
            for each in _split(inner):
                yield from _find_assigned(each, depth + 1)
        case [Token("name", name), Token("sign", sign), *value] if sign in _ASSIGN and value:
            if value[0].text not in _OTHER_SCOPE:
                inner_names = list(_find_assigned(value, depth + 1))
                yield name, inner_names[-1][1] if inner_names else tuple(value)
                yield from inner_names
        case [*value, Token("sign", sign), Token("name", name)] if sign in _ASSIGN_RIGHT and value:
            yield name, tuple(value)


def _split_branches(rest: Sequence[Token]) -> list[list[Token]]:
    """What follows `if`: its branches, without condition and `else`."""
    branches: list[list[Token]] = [[]]
    depth, has_condition = 0, False
    for token in rest:
        if has_condition and depth == 0 and token.text == "else":
            branches.append([])
            continue
        if token.kind == "sign":
            depth += (token.text in _CLOSED_BY) - (token.text in _CLOSED_BY.values())
        if has_condition:
            branches[-1].append(token)
        has_condition = has_condition or depth == 0
    return branches


def _cut(source: str, tokens: Sequence[Token]) -> str:
    return source[tokens[0].start : tokens[-1].end]


def _read_comment(source: str, statement: Sequence[Token]) -> str:
    """The comment behind a statement, in its last line."""
    line = source[statement[-1].end :].partition("\n")[0].strip()
    return line.lstrip("#").strip() if line.startswith("#") else ""
