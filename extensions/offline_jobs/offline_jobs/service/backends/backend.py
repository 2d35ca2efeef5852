"""What the reconciler asks of a backend, be it local processes or a cluster.

A backend makes at most one object (process tree, Volcano Job) for each attempt, by the attempt's
deterministic name, and reports what it sees. It decides nothing: when to start, to stop and to try
again is :mod:`~offline_jobs.service.rules.steps`' business, why something ended
:mod:`~offline_jobs.service.rules.causes`'.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hub_config.platform.workspace import Workspace
from offline_jobs.contract import run as wire
from offline_jobs.contract.run import Specification
from offline_jobs.service.model import Observation, WatchState


@dataclass(frozen=True)
class Launch:
    """Everything that a backend needs to make one attempt's object.

    ``url`` is the attempt's base on the runner's side of the service; ``token`` opens it.
    """

    object_name: str
    specification: Specification
    workspace: Workspace
    url: str
    token: str

    def build_environment(self) -> dict[str, str]:
        """What every runner is told of its attempt, wherever it runs."""
        return {
            wire.ENV_JOB: self.specification.job,
            wire.ENV_ATTEMPT: str(self.specification.attempt),
            wire.ENV_URL: self.url,
            wire.ENV_TOKEN: self.token,
        }


class Backend(Protocol):
    """A place where attempts run."""

    @property
    def slots(self) -> int | None:
        """How many objects may live at once; ``None``: the backend has its own queue."""
        ...

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin to look; ``on_change``, called by any thread, tells that a look is worth it."""
        ...

    def close(self) -> None:
        """End what :meth:`start` began; what was launched is left alone."""
        ...

    async def launch(self, launch: Launch) -> Mapping[str, Any]:
        """Make the object, or adopt the one that is there already; the answer is its handle.

        May be called again for the same attempt, also after a crash: the attempt's runner is never
        started twice.

        Raises:
            BackendError: it could not be made now; nothing of it remains running.
        """
        ...

    async def observe(self, object_names: Collection[str]) -> Mapping[str, Observation]:
        """What is seen of these objects; a name without an object is ``absent``."""
        ...

    async def stop(self, object_name: str, *, force: bool) -> None:
        """Ask the object to end, or end it and everything it started (``force``).

        Does not wait. An object that has not begun will never begin.
        """
        ...

    def watches(self) -> Mapping[str, WatchState]:
        """How the backend's watches of a cluster are, by kind; none where there is no cluster."""
        ...

    async def list_ended(self) -> Collection[str]:
        """Names of objects that have ended, are still there, and are in the way of others."""
        ...

    async def remove_job(self, job_id: str, attempts: int) -> None:
        """Clear away what remains of a deleted job's ``attempts``; nothing there is fine."""
        ...
