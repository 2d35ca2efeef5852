"""A user is deleted: jobs end, the home is retired, and only then is the name free.

The hub asks its login before it deletes anybody (``DELETE users/NAME``, also from the admin page),
so whichever login is configured is extended by that. Where a home goes is the spawner's; what the
jobs service does is in ``offline_jobs/service/web/hub_calls.py``. Whatever fails, the user stays,
and the deletion can be tried again. Only :mod:`hub_config.apply` imports it.
"""

import asyncio
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.utils import maybe_future

from hub_config.homes import RETIRED, name_retired
from hub_config.jobs_service import JobsService, ServiceAway
from hub_config.shown import ShownError
from hub_config.spawners.choosing import ChoosingSpawner

#: How long the hub waits for a user's jobs to end, seconds; they go on ending afterwards.
PATIENCE = 60.0
_AGAIN = 0.5


class DepartingLogin(Authenticator):  # type: ignore[misc]  # JupyterHub has no types
    """What a login inherits, before its own class, to have users leave in good order."""

    jobs: JobsService

    async def delete_user(self, user: Any) -> None:
        """Called by the hub before it deletes a user; an error keeps the user."""
        await depart(user, self.jobs)
        await maybe_future(super().delete_user(user))


@cache
def extend_login(login: type[Authenticator], jobs: JobsService) -> type[Authenticator]:
    """The class of a login with which a deleted user's name stands for nothing of theirs."""
    if issubclass(login, DepartingLogin):
        return login
    return type(f"Departing{login.__name__}", (DepartingLogin, login), {"jobs": jobs})


async def depart(user: Any, jobs: JobsService) -> None:
    """Take from a user of the hub, whose server has ended, all that goes by the name.

    Raises:
        ShownError: something is left; the sentence says what.
    """
    spawner: ChoosingSpawner = user.spawner
    if spawner.pending:
        raise _refuse(user.name, "a session of theirs is starting or stopping")
    name = name_retired(spawner.build_person().home, datetime.now(UTC))
    try:
        await _end_jobs(user.name, jobs)
        await spawner.retire_home(name)
        await spawner.send_turns()
        await jobs.post("departures/complete", {"user": user.name, "keeper": f"{RETIRED}/{name}"})
    except ServiceAway as away:
        reason = f"the jobs service did not say that it may be ({away})"
        raise _refuse(user.name, reason) from away
    except OSError as error:
        raise _refuse(user.name, f"the home cannot be put aside ({error})") from error


async def _end_jobs(user: str, jobs: JobsService) -> None:
    """Wait until no job of a user is open; the service takes no new one."""
    deadline = time.monotonic() + PATIENCE
    while count := (await jobs.post("departures", {"user": user}))["open"]:
        if time.monotonic() > deadline:
            words = "1 job" if count == 1 else f"{count} jobs"
            raise _refuse(user, f"{words} are ending and have not ended yet")
        await asyncio.sleep(_AGAIN)


def _refuse(user: str, reason: str) -> ShownError:
    return ShownError(503, f"{user} was not deleted: {reason}. Try again in a moment.")
