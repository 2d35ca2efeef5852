"""A user is deleted: jobs end, the home is retired, and only then is the name free.

The hub asks its login before it deletes anybody (``DELETE users/NAME``, also from the admin page),
so whichever login is configured is extended by that. Where a home goes is the spawner's; what the
jobs service does is in ``offline_jobs/service/web/departures.py``. Whatever fails, the user stays,
and the deletion can be tried again. Only :mod:`hub_config.apply` imports it.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.utils import maybe_future
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from hub_config.access import JOBS_SERVICE
from hub_config.homes import RETIRED, name_retired
from hub_config.spawners.choosing import ShownError

#: How long the hub waits for a user's jobs to end, seconds; they go on ending afterwards.
PATIENCE = 60.0
_AGAIN, _TIMEOUT = 0.5, 10.0


@dataclass(frozen=True)
class JobsService:
    """The jobs service, as the hub speaks to it; with the token that it gave it."""

    url: str
    token: str = field(repr=False)

    async def end_jobs(self, user: str) -> None:
        """Wait until no job of a user is open; the service takes no new one.

        Raises:
            ShownError: one has not ended, or the service cannot be asked.
        """
        deadline = time.monotonic() + PATIENCE
        while count := (await self._post("departures", {"user": user}))["open"]:
            if time.monotonic() > deadline:
                jobs = "1 job" if count == 1 else f"{count} jobs"
                raise _refuse(user, f"{jobs} are ending and have not ended yet")
            await asyncio.sleep(_AGAIN)

    async def keep_jobs(self, user: str, keeper: str) -> None:
        """Let the records of a user's jobs be another name's.

        Raises:
            ShownError: one was begun meanwhile, or the service cannot be asked.
        """
        await self._post("departures/complete", {"user": user, "keeper": keeper})

    async def _post(self, path: str, body: Mapping[str, str]) -> dict[str, Any]:
        request = HTTPRequest(
            f"{self.url}/services/{JOBS_SERVICE}/api/v1/{path}",
            method="POST",
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            body=json.dumps(body),
            request_timeout=_TIMEOUT,
        )
        try:
            response = await AsyncHTTPClient().fetch(request)
            answer: dict[str, Any] = json.loads(response.body)
        except (OSError, HTTPClientError, ValueError) as error:
            reason = f"the jobs service did not say that it may be ({error})"
            raise _refuse(body["user"], reason) from error
        return answer


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
    home: str = user.spawner.build_person().home
    name = name_retired(home, datetime.now(UTC))
    await jobs.end_jobs(user.name)
    try:
        await user.spawner.retire_home(name)
    except OSError as error:
        raise _refuse(user.name, f"the home cannot be put aside ({error})") from error
    await jobs.keep_jobs(user.name, f"{RETIRED}/{name}")


def _refuse(user: str, reason: str) -> ShownError:
    return ShownError(503, f"{user} was not deleted: {reason}. Try again in a moment.")
