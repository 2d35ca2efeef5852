"""Fail-points: named steps at which the service kills itself, for the tests of its durability.

``OFFLINE_JOBS_CRASH_AT=<step>`` chooses one; :func:`arm` refuses it unless the demonstration login
is on. A process that is killed here runs no cleanup at all, as in a power cut. Every room of the
service may import this module.
"""

import os
import signal

from offline_jobs.service.errors import StartRefused

#: Every step, in the order of a job's life.
CRASH_POINTS = (
    "before-commit",  # job written, transaction still open
    "after-commit",  # job durable, the answer not yet sent
    "before-launch",  # the reconciler is about to make the process
    "after-claim",  # the attempt's folder exists, no process yet
    "after-launch",  # the process exists, the store does not know
    "after-launched-recorded",  # the store knows
    "on-first-contact",  # the runner's first word, before it is stored
    "on-progress",  # a later word of the runner, before it is stored
    "on-result",  # the result record arrived and is not stored
    "after-result",  # the result record is stored, the job not yet final
    "before-final",  # the job's final state written, transaction still open
    "after-final",  # the job is final
)

_armed: str | None = None


def arm(step: str | None, *, demonstration: bool) -> None:
    """Choose the step at which this process dies; ``None`` or empty chooses none.

    Raises:
        StartRefused: the step is unknown, or the demonstration login is off.
    """
    global _armed  # noqa: PLW0603  (one process, one choice, made once at its start)
    if step and not demonstration:
        raise StartRefused(
            "OFFLINE_JOBS_CRASH_AT is set, which is for tests only: unset it "
            "(it is accepted only with the demonstration login)."
        )
    if step and step not in CRASH_POINTS:
        raise StartRefused(
            f"OFFLINE_JOBS_CRASH_AT names no step: choose one of {', '.join(CRASH_POINTS)}."
        )
    _armed = step or None


def crash_at(step: str) -> None:
    """Kill this process if ``step`` is the chosen one."""
    if step == _armed:
        os.kill(os.getpid(), signal.SIGKILL)
