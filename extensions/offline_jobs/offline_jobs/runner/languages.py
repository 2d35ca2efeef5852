"""Values of parameters as R and Julia write them, exactly; for other languages papermill's own.

papermill's translators escape text as Python does: ``é`` becomes a byte that is no UTF-8, Julia
takes a ``$`` for a variable of its own, and what is not a number is written ``nan``. Those here
take their place in papermill's list when the engine is loaded, as papermill itself is then.

Sources: https://cran.r-project.org/doc/manuals/r-release/R-lang.html#Literal-constants,
https://docs.julialang.org/en/v1/manual/strings/
"""

import math
from collections.abc import Mapping
from typing import Any

from papermill.translators import JuliaTranslator, RTranslator, papermill_translators

from offline_jobs.contract.r_literals import LARGEST_OF_R


def install() -> None:
    """Have papermill write the values of R and Julia kernels as this module does."""
    papermill_translators.register("R", R)
    papermill_translators.register("julia", Julia)


def explain_refusal(language: str, parameters: Mapping[str, Any]) -> str:
    """Say which parameters a language cannot take, where papermill can write no list or dict."""
    names = [name for name, value in parameters.items() if isinstance(value, list | dict)]
    return (
        f"A {language} kernel takes numbers, text and true or false as parameters, and neither "
        f"lists nor objects: {', '.join(names)}."
    )


def _write_float(value: float) -> str:
    """Both languages call what is no number, and what has no bound, alike."""
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else "-Inf" if value < 0 else "Inf"


class Vector(list[Any]):
    """A list for a kernel of R that is a vector there: its elements are plain and of one type."""


class R(RTranslator):  # type: ignore[misc]
    """R: a list is a ``list``, an object a named one, null is ``NULL``, each number a double.

    In a vector, which what was a list can be (:class:`Vector`), null is ``NA``.

    A refusal is a ValueError with the sentence for it.
    """

    translate_float = staticmethod(_write_float)

    @classmethod
    def translate_str(cls, val: str) -> str:
        """R's text holds any character but NUL."""
        if "\0" in val:
            raise ValueError("Text with the character NUL cannot be given to an R kernel.")
        return f'"{"".join(_escape(each) for each in _check(val))}"'

    @classmethod
    def translate_int(cls, val: int) -> str:
        """A whole number that a double holds."""
        if abs(val) > LARGEST_OF_R:
            raise ValueError(f"R has no whole number as large as {val}: give it as text.")
        return str(val)

    @classmethod
    def translate_list(cls, val: list[Any]) -> str:
        """A list, or a vector."""
        if not isinstance(val, Vector):
            return str(super().translate_list(val))
        return f"c({', '.join('NA' if each is None else cls.translate(each) for each in val)})"

    @classmethod
    def translate_dict(cls, val: dict[str, Any]) -> str:
        """A named list; where a name is empty, or there is none, R wants them apart."""
        values = [cls.translate(each) for each in val.values()]
        names = [cls.translate_str(each) for each in val]
        if val and all(val):
            return f"list({', '.join(map(' = '.join, zip(names, values, strict=True)))})"
        given = f"c({', '.join(names)})" if names else "character(0)"
        return f"setNames(list({', '.join(values)}), {given})"


class Julia(JuliaTranslator):  # type: ignore[misc]
    """Julia: null is ``nothing``, an object a ``Dict``; a list keeps the type of each element."""

    translate_float = staticmethod(_write_float)

    @classmethod
    def translate_str(cls, val: str) -> str:
        """Text in which nothing is a variable."""
        return f'"{"".join(_escape(each, more="$") for each in _check(val))}"'

    @classmethod
    def translate_list(cls, val: list[Any]) -> str:
        """A vector: of anything where the elements differ, for Julia would make them alike."""
        kinds = {type(each) for each in val}
        is_alike = len(kinds) == 1 and not kinds & {list, dict}
        return f"{'' if is_alike else 'Any'}[{', '.join(map(cls.translate, val))}]"

    @classmethod
    def translate_dict(cls, val: dict[str, Any]) -> str:
        """A dictionary of anything."""
        pairs = (f"{cls.translate_str(key)} => {cls.translate(each)}" for key, each in val.items())
        return f"Dict{{String, Any}}({', '.join(pairs)})"


def _check(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise ValueError(f"Text holds half of a character (U+{ord(half):04X}).") from error
    return text


def _escape(character: str, *, more: str = "") -> str:
    r"""A character as both languages read it between quotes: ``\uXXXX`` where it is not plain."""
    if character in '\\"' + more:
        return f"\\{character}"
    if character.isprintable():
        return character
    digits = f"{ord(character):04x}"
    return f"\\u{digits}" if len(digits) == len("XXXX") else f"\\U{digits:0>8}"
