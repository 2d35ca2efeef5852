r"""Values of R's literals that JSON can say. Standard library only; for :mod:`r_source`.

A vector (``c``) and a ``list`` without names are a JSON array, a list with names is an object. What
has no word in JSON (``NA``, ``Inf``, a named vector, a call) is no literal here.

Source: https://cran.r-project.org/doc/manuals/r-release/R-lang.html#Literal-constants
"""

import math
import re
from collections.abc import Sequence

from offline_jobs.contract.r_tokens import Token

#: R counts in double precision: each whole number up to this one is its own.
LARGEST_OF_R = 2**53
_WORDS = {"TRUE": True, "T": True, "FALSE": False, "F": False, "NULL": None}
_EMPTY = frozenset({"character", "integer", "numeric", "double", "logical"})
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u\{?([0-9a-fA-F]{1,4})\}?|U\{?([0-9a-fA-F]{1,8})\}?"
    r"|([0-7]{1,3})|(.))",
    re.DOTALL,
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "a": "\a", "f": "\f", "v": "\v"}
_ESCAPED |= {each: each for each in "\\\"'` \n"}


def read_literal(tokens: Sequence[Token]) -> object:
    """Read the value of an expression, as JSON has it.

    Raises:
        ValueError: it is no literal, or JSON has no word for it.
    """
    reader = _Reader([token for token in tokens if token.text != "\n"])
    value = reader.read()
    if reader.next_text:
        raise ValueError("more than a literal")
    return value


def name_type(tokens: Sequence[Token], value: object) -> str:
    """Name the type of a literal as JSON schemas do, ``integer`` only where R's is one."""
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "integer" if tokens[-1].text.endswith("L") else "number"
        case list():
            return "array"
        case dict():
            return "object"
    return ""


class _Reader:
    """Reads values from tokens; what is none is a ValueError."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def next_text(self) -> str:
        return self._tokens[self._place].text if self._place < len(self._tokens) else ""

    def read(self) -> object:
        token = self._take()
        match token.kind:
            case "number":
                return _read_number(token.text)
            case "text":
                return _read_text(token.text)
            case "raw":
                return token.text[2:-1].strip("-")[1:-1]
            case "sign" if token.text in "+-":
                number = self.read()
                if isinstance(number, bool) or not isinstance(number, int | float):
                    raise ValueError("a sign before what is no number")
                return -number if token.text == "-" else number
        return self._read_word(token.text)

    def _read_word(self, word: str) -> object:
        if word in _WORDS:
            return _WORDS[word]
        self._take("(")
        if word in _EMPTY:
            self._take("0")
            self._take(")")
            return []
        names, values = self._read_items()
        match word, values:
            case "c", [_, *_] if not any(names):
                return _check_vector(values)
            case "list", _ if not any(names):
                return values
            case "list", _ if all(names):
                return _name_values(names, values)
            case "setNames", [list(inner), list(given)] if not any(names):
                return _name_values(given, inner)
        raise ValueError("no literal")

    def _read_items(self) -> tuple[list[str], list[object]]:
        """The rest of a call: names, empty where there is none, and values."""
        names: list[str] = []
        values: list[object] = []
        while values or self.next_text != ")":
            names.append(self._read_name())
            values.append(self.read())
            if self.next_text == ")":
                break
            self._take(",")
        self._take(")")
        return names, values

    def _read_name(self) -> str:
        match self._tokens[self._place : self._place + 2]:
            case [name, Token("sign", "=")]:
                self._place += 2
                return _read_text(name.text) if name.kind == "text" else name.text.strip("`")
        return ""

    def _take(self, wanted: str = "") -> Token:
        if not self.next_text or (wanted and self.next_text != wanted):
            raise ValueError("no literal")
        self._place += 1
        return self._tokens[self._place - 1]


def _read_number(text: str) -> int | float:
    """A whole number where a double holds just that, as R has it."""
    if text.endswith("i"):
        raise ValueError("a complex number")
    digits = text.removesuffix("L")
    value = float(int(digits, 16)) if digits[:2] in ("0x", "0X") else float(digits)
    if not math.isfinite(value):
        raise ValueError("a number without a bound")
    is_whole = text.endswith("L") or not re.search(r"[.eE]", digits)
    return int(value) if is_whole and value.is_integer() and value <= LARGEST_OF_R else value


def _read_text(text: str) -> str:
    value = _ESCAPE.sub(_unescape, text[1:-1])
    value.encode()  # half of a character is none
    return value


def _unescape(found: re.Match[str]) -> str:
    *hexadecimal, octal, plain = found.groups()
    if plain:
        if plain not in _ESCAPED:
            raise ValueError(f"R knows no \\{plain}")
        return _ESCAPED[plain]
    return chr(int(octal, 8) if octal else int("".join(filter(None, hexadecimal)), 16))


def _check_vector(values: list[object]) -> list[object]:
    """The elements of a vector are of one type, or R makes them so."""
    kinds = {"number" if type(each) in (int, float) else type(each).__name__ for each in values}
    if len(kinds) > 1 or not kinds <= {"number", "str", "bool"}:
        raise ValueError("a vector of more than one type")
    return values


def _name_values(names: list[object] | list[str], values: list[object]) -> dict[str, object]:
    named = {name: value for name, value in zip(names, values, strict=True)}
    if len(named) < len(names) or not all(isinstance(name, str) for name in names):
        raise ValueError("names that are not each its own")
    return {str(name): value for name, value in named.items()}
