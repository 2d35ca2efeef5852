"""What the hub alone asks: the end of a user's jobs, before it deletes that user.

It shows the token that it gave the service. ``hub_config/departures.py`` is the other side.
"""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request

from offline_jobs.service.errors import Unauthorized, Unsound
from offline_jobs.service.hub import Hub
from offline_jobs.service.web.services import services_of

LONGEST_NAME = 255
Name = Annotated[str, Body(min_length=1, max_length=LONGEST_NAME)]


def require_hub(request: Request) -> None:
    """Refuse whoever is not the hub.

    Raises:
        Unauthorized: the token is not the one that hub and service share.
    """
    hub: Hub | None = request.app.state.hub
    token = request.headers.get("authorization", "").removeprefix("token ")
    if hub is None or not hub.is_own(token):
        raise Unauthorized


router = APIRouter(include_in_schema=False, dependencies=[Depends(require_hub)])


@router.post("/departures")
def begin_departure(request: Request, user: Annotated[Name, Body(embed=True)]) -> dict[str, int]:
    """End a user's jobs, and take no more; to be asked until none is open."""
    services = services_of(request)
    count = services.store.departures.begin(user)
    services.wake()
    return {"open": count}


@router.post("/departures/complete")
def complete_departure(request: Request, user: Name, keeper: Name) -> dict[str, int]:
    """Let the jobs of a user be those of a name that no user of the hub can have."""
    if "/" not in keeper:
        raise Unsound("A user could be called so: it needs a slash.", field="keeper")
    return {"jobs": services_of(request).store.departures.complete(user, keeper)}
