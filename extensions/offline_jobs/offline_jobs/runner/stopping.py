"""That a run is to stop before its end, and why.

Set by a signal, by the service's answer *cancel* or by the watchdog; read by the engine, which
ends the kernel. The first reason wins: what comes later is a consequence. Bottom of the runner;
imports nothing of it.
"""

import time
from collections.abc import Callable
from enum import StrEnum


class StopReason(StrEnum):
    """Why a run is stopped from outside its notebook."""

    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    TIME_LIMIT = "time-limit"
    OUT_OF_MEMORY = "out-of-memory"


class RunStoppedError(Exception):
    """The run was stopped; the notebook holds what was done until then."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


_SLICE_SECONDS = 0.05


class Stopping:
    """One run's wish to stop; may be asked for from any thread and from a signal handler.

    There is no lock in it: a handler runs in the middle of anything, also of a wait for that lock.
    """

    def __init__(self) -> None:
        self._reason: StopReason | None = None
        self._listener: Callable[[], None] | None = None

    @property
    def reason(self) -> StopReason | None:
        """Why the run is to stop, or None while it may go on."""
        return self._reason

    def ask(self, reason: StopReason) -> None:
        """Ask for the end. Only the first reason counts."""
        if self._reason is None:
            self._reason = reason
        if self._listener is not None:
            self._listener()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call ``listener`` when the end is asked for, at once where it was already."""
        self._listener = listener
        if listener is not None and self._reason is not None:
            listener()

    def wait(self, seconds: float) -> bool:
        """Wait; returns early, and True, when the end is asked for."""
        deadline = time.monotonic() + seconds
        while self._reason is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))
        return self._reason is not None

    def check(self) -> None:
        """Raise where the run is to stop.

        Raises:
            RunStoppedError: the end was asked for.
        """
        if self._reason is not None:
            raise RunStoppedError(self._reason)
