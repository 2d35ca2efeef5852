"""A busy kernel is activity: a long silent analysis must not be taken for an idle server.

jupyter_server counts a kernel's messages, so a kernel that computes for hours without printing
looks idle to it. While any kernel is busy, the time that jupyter_server reports (and the hub's
idle culler reads) is kept fresh, at most for the class's longest session. Started by
:mod:`extension`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from tornado.ioloop import PeriodicCallback

from offline_jobs.contract.session import ENV_LONGEST

#: Name of our entry among jupyter_server's times of activity.
ACTIVITY = "offline_jobs_busy_kernel"
LOOK_SECONDS = 30.0


def is_activity(states: Iterable[str], started: datetime, now: datetime, longest: float) -> bool:
    """Whether kernels in these states make the server active.

    Args:
        states: the kernels' execution states.
        started: when the server started.
        now: the time of asking.
        longest: seconds that a session may last; 0 for no end.
    """
    if longest > 0 and now - started > timedelta(seconds=longest):
        return False
    return "busy" in states


def longest_session(environment: Mapping[str, str]) -> float:
    """Seconds that this session may last; 0 when it is not said."""
    text = environment.get(ENV_LONGEST, "")
    return float(text) if text.isdecimal() else 0.0


class BusyKernels:
    """Looks at the kernels now and then, and notes the time while one is busy."""

    def __init__(
        self, kernels: MappingKernelManager, settings: dict[str, Any], longest: float
    ) -> None:
        """Watch ``kernels``; ``settings`` are jupyter_server's, with ``started`` in them."""
        self._kernels = kernels
        self._settings = settings
        self._longest = longest
        self._callback = PeriodicCallback(self.look, LOOK_SECONDS * 1000)

    def start(self) -> None:
        """Look every half minute, from now on."""
        self._callback.start()

    def stop(self) -> None:
        """Look no more."""
        self._callback.stop()

    def look(self) -> None:
        """Note the time if a kernel is busy."""
        now = datetime.now(UTC)
        if is_activity(self._states(), self._settings["started"], now, self._longest):
            self._settings["last_activity_times"][ACTIVITY] = now

    def _states(self) -> list[str]:
        kernels = (self._kernels.get_kernel(key) for key in self._kernels.list_kernel_ids())
        return [getattr(kernel, "execution_state", "") for kernel in kernels]
