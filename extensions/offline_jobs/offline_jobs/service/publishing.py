"""What is published of an attempt and the attempt's end, in turns.

A body that arrives after the end is never published. A bucket may take seconds for one that
arrived before: for so long neither is the database held nor does the reconciler wait, it ends the
attempt at a later pass. The routes of the runner publish, the reconciler ends.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from offline_jobs.service.errors import Unavailable

Attempt = tuple[str, int]


class Publishing:
    """Who publishes, and what is about to end; callable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: Counter[Attempt] = Counter()
        self._ending: frozenset[Attempt] = frozenset()

    @contextmanager
    def under_way(self, attempt: Attempt) -> Iterator[None]:
        """Hold up the attempt's end while something of it is published.

        Raises:
            Unavailable: it is about to end; to be tried again, which will tell.
        """
        with self._lock:
            if attempt in self._ending:
                raise Unavailable("This attempt is about to end. Try again in a moment.")
            self._under_way[attempt] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[attempt] -= 1
                if not self._under_way[attempt]:
                    del self._under_way[attempt]

    @contextmanager
    def ending(self, attempt: Attempt) -> Iterator[bool]:
        """Let nothing more begin to be published; yields whether the attempt can end now.

        Where it cannot, that stays so until :meth:`keep`: who uploads without pause could hold up
        the end for ever.
        """
        with self._lock:
            self._ending |= {attempt}
            can_end = attempt not in self._under_way
        try:
            yield can_end
        finally:
            if can_end:
                with self._lock:
                    self._ending -= {attempt}

    def keep(self, ending: Collection[Attempt]) -> None:
        """Of what was about to end, only these still are."""
        with self._lock:
            self._ending &= frozenset(ending)
