"""Who is next: first come, first served, into a bounded number of slots. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """The line's order: who may start now, and how many wait ahead of each of the others."""

    start: tuple[str, ...]
    ahead: dict[str, int]


def form_line(waiting: Sequence[str], occupied: int, slots: int | None) -> Line:
    """Place the waiting, oldest first, into the free slots.

    ``slots`` ``None``: there is no line here, everybody may start.
    """
    free = len(waiting) if slots is None else max(0, slots - occupied)
    rest = waiting[free:]
    return Line(tuple(waiting[:free]), {name: place for place, name in enumerate(rest)})
