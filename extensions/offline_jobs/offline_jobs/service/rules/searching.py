"""What a job is found by: its name, its notebook, and the values of its parameters. Pure.

The store keeps :func:`write_searched` beside each job and looks for :func:`read_terms` in it, so
that every database finds the same, whatever it takes for the same letter.
"""

import json
import re
import unicodedata
from typing import Any

from offline_jobs.contract.request import Request

#: Longer values tell no run from another at a glance, and nobody types them.
_LONGEST_VALUE = 100
_LONGEST_TEXT = 4_000


def write_searched(request: Request) -> str:
    """The words of a request, each after a space and before one."""
    values = [f"{name}={_word(value)}" for name, value in request.parameters.items()]
    words = [request.name, request.path, *(each for each in values if len(each) <= _LONGEST_VALUE)]
    return f" {_fold(' '.join(words))[:_LONGEST_TEXT]} "


def read_terms(query: str) -> tuple[str, ...]:
    """What is all to be in the searched text; none for a query of spaces.

    A value ends where its word does: ``seed=4`` finds no ``seed=42``.
    """
    words = re.sub(r" ?= ?", "=", _fold(query)).split(" ")
    return tuple(
        f"{word} " if "=" in word and not word.endswith("=") else word for word in words if word
    )


def _fold(text: str) -> str:
    """The text with letters and spaces that people take for the same made the same."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
