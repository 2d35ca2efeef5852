"""The tokens of a cell of R. Standard library only; for :mod:`r_source` and :mod:`r_literals`.

Source: https://cran.r-project.org/doc/manuals/r-release/R-lang.html#Parser
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>(?:[^\S\n]|\#[^\n]*)+)
  | (?P<sign>\n)
  | (?P<raw>[rR](?P<quote>["'])(?P<dashes>-*)[(\[{])
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<quoted>`[^`]*`)
  | (?P<number>(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[Li]?)
  | (?P<name>(?:[^\W\d_]|\.(?![0-9]))[\w.]*)
  | (?P<operator><<-|<-|->>|->|\|>|%[^%\n]*%|[<>=!]=|&&|\|\||:::?|[^\s\w"'`])
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Token:
    """A token, where it begins, and what it is.

    ``kind`` is ``name`` (reserved words, too), ``number``, ``text``, ``raw`` (text without
    escapes), ``quoted`` (a name between backticks) or ``sign`` (a line's end, too).
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the next one may begin."""
        return self.start + len(self.text)


def tokenize(source: str) -> list[Token]:
    """Split a cell into tokens; spaces and comments are none.

    Raises:
        SyntaxError: the cell is not plain R.
    """
    tokens = []
    place = 0
    while place < len(source):
        found = _TOKEN.match(source, place)
        if found is None:
            raise SyntaxError(f"no token of R: {source[place : place + 20]!r}")
        kind, end = str(found.lastgroup), found.end()
        if found["raw"]:
            kind, end = "raw", _find_raw_end(source, found)
        if kind != "space":
            tokens.append(Token({"operator": "sign"}.get(kind, kind), source[place:end], place))
        place = end
    return tokens


def _find_raw_end(source: str, begin: re.Match[str]) -> int:
    """Where a text without escapes ends: at what mirrors its begin."""
    closing = _CLOSED_BY[begin[0][-1]] + begin["dashes"] + begin["quote"]
    place = source.find(closing, begin.end())
    if place < 0:
        raise SyntaxError("a raw text is not closed")
    return place + len(closing)
