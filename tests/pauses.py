"""How long to wait between two looks: little at first, more later.

A look costs computing time of the test and of what it asks, and all that runs beside it is slowed.
Imported by whatever waits for a condition.
"""

from __future__ import annotations

from collections.abc import Iterator

FIRST_SECONDS, GROWTH, LONGEST_SECONDS = 0.05, 1.2, 0.5


def grow_pauses() -> Iterator[float]:
    """Pauses in seconds, without an end: from 0.05, each a fifth longer, up to 0.5."""
    pause = FIRST_SECONDS
    while True:
        yield pause
        pause = min(pause * GROWTH, LONGEST_SECONDS)
