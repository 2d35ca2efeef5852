"""Errors of the platform's configuration.

Drawn::

    ConfigurationError          something that an administrator wrote cannot be used
    └── CatalogueError          every mistake of a catalogue, with key, place and mend
    Refused                     what a person asked for cannot be had; the only one people see

Everybody in ``hub_config`` may import this module; it imports nothing of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ConfigurationError(Exception):
    """Something an administrator wrote cannot be used; the text says how to mend it."""


@dataclass(frozen=True)
class Mistake:
    """One mistake in a catalogue.

    Attributes:
        key: dotted path, for example ``classes.gpu.memory``.
        message: what is wrong and how to mend it, allowed values included.
        line: line in the file, from 1; 0 when the catalogue did not come from a text.
    """

    key: str
    message: str
    line: int = 0


class CatalogueError(ConfigurationError):
    """A catalogue with mistakes: all of them, not only the first."""

    def __init__(self, mistakes: Sequence[Mistake], source: str = "catalogue") -> None:
        self.mistakes = tuple(mistakes)
        self.source = source
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line per mistake: ``file:line: key: message``."""
        return [
            f"{self.source}{f':{m.line}' if m.line else ''}: {_on_one_line(m.key)}: {m.message}"
            for m in self.mistakes
        ]


def _on_one_line(key: str) -> str:
    return (key if key.isprintable() else repr(key)) or "(file)"


class Refused(Exception):
    """What a person asked for cannot be had.

    Attributes:
        code: stable word for programs, for example ``unknown-class``.
        message: a sentence for the person; says how to mend it.
        field: the submitted field that is at fault, or ``None``.
        allowed: the values that would have been accepted, when there are few.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        allowed: Sequence[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.allowed = None if allowed is None else tuple(allowed)
