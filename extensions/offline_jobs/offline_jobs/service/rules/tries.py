"""Launches that failed: when each is tried again, and since when it is tried in vain.

Kept in memory by the reconciler: a service that starts anew tries anew. Times are seconds of a
monotonic clock, given by the caller.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class _Tried:
    since: float
    again: float
    pause: float


class Tries:
    """The attempts that could not be launched so far, by object name."""

    def __init__(self) -> None:
        self._tried: dict[str, _Tried] = {}

    @property
    def failed(self) -> Collection[str]:
        """All of them."""
        return self._tried.keys()

    def resting(self, now: float) -> Collection[str]:
        """Those that are not to be tried yet."""
        return {name for name, tried in self._tried.items() if now < tried.again}

    def note(self, name: str, now: float) -> float:
        """Note that a try failed; for how long they have been failing."""
        last = self._tried.get(name)
        since = now if last is None else min(last.since, now)
        self._rest(name, since, now)
        return now - since

    def postpone(self, name: str, now: float) -> None:
        """Note that a try was in vain through no fault of its own: nothing is counted against it.

        What failed before is forgotten, too: how long it would have gone on failing nobody knows.
        """
        self._rest(name, math.inf, now)

    def _rest(self, name: str, since: float, now: float) -> None:
        """Have it rest twice as long as the last time."""
        last = self._tried.get(name)
        pause = _FIRST_PAUSE_SECONDS if last is None else last.pause * 2
        pause = min(pause, _LONGEST_PAUSE_SECONDS)
        self._tried[name] = _Tried(since, now + pause, pause)

    def keep(self, names: Collection[str]) -> None:
        """Forget all but these."""
        self._tried = {name: self._tried[name] for name in self._tried if name in names}

    def forget(self, name: str) -> None:
        """It was launched."""
        self._tried.pop(name, None)
