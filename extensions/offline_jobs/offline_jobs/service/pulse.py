"""Whether the loop that starts jobs gets on: liveness.

The reconciler beats at each pass and at each step of one, whether it succeeded or not: a database,
a bucket or a cluster that is away fails passes and stops none. Asked by ``web/health.py``.
"""

import time
from collections.abc import Callable


class Pulse:
    """Since when the loop has done nothing.

    Args:
        patience_seconds: so long a single step may take.
        clock: seconds that only grow.
    """

    def __init__(
        self, patience_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._beaten = clock()

    def beat(self) -> None:
        """Something was done."""
        self._beaten = self._clock()

    def find_silence(self) -> float | None:
        """For how long it has been stuck, in seconds; ``None``: it is not."""
        silent = self._clock() - self._beaten
        return silent if silent > self._patience_seconds else None
