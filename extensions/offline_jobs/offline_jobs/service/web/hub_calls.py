"""What the hub alone asks and tells: the end of a user's jobs, turns of sessions, its home's jobs.

It shows the token that it gave the service. ``hub_config/departures.py``,
``hub_config/sessions.py`` and ``hub_config/form/home.py`` are the other side.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Request
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from offline_jobs.contract.session import MOST_TURNS, PATH_HOME, PATH_SESSIONS, SessionState
from offline_jobs.contract.states import Reason
from offline_jobs.service.errors import Unauthorized, Unsound
from offline_jobs.service.hub import Hub
from offline_jobs.service.model import SessionTurn
from offline_jobs.service.web.answers import answer_job
from offline_jobs.service.web.rooms import rooms_of

LONGEST_NAME = 255
Name = Annotated[str, Body(min_length=1, max_length=LONGEST_NAME)]
Groups = Annotated[list[Annotated[str, StringConstraints(max_length=100)]], Body(max_length=200)]
#: What ended since then is news.
LATELY = timedelta(days=1)
Slug = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class TurnBody(BaseModel):
    """One turn, as :class:`offline_jobs.contract.session.SessionTurn` writes it."""

    session: Slug
    number: int = Field(ge=1, lt=2**31)
    at: AwareDatetime
    owner: str = Field(min_length=1, max_length=LONGEST_NAME)
    group: Slug
    image: Slug
    machine_class: Slug
    state: SessionState
    reason: Reason | Literal[""] = ""

    def build_turn(self) -> SessionTurn:
        """As the store keeps it."""
        return SessionTurn(**{**dict(self), "reason": self.reason or None})


class TurnsBody(BaseModel):
    """A message of the hub."""

    turns: list[TurnBody] = Field(max_length=MOST_TURNS)


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
    rooms = rooms_of(request)
    count = rooms.store.departures.begin(user)
    rooms.wake()
    return {"open": count}


@router.post("/departures/complete")
def complete_departure(request: Request, user: Name, keeper: Name) -> dict[str, int]:
    """Let the jobs of a user be those of a name that no user of the hub can have."""
    if "/" not in keeper:
        raise Unsound("A user could be called so: it needs a slash.", field="keeper")
    return {"jobs": rooms_of(request).store.departures.complete(user, keeper)}


@router.post(f"/{PATH_SESSIONS}")
def keep_turns(request: Request, told: TurnsBody) -> dict[str, Any]:
    """Keep changes of sessions in the ledger; those that it has are the hub's word once more.

    The answer tells the hub what was learned from them: how long starts usually take, by class.
    """
    store = rooms_of(request).store
    kept = store.keep_turns([turn.build_turn() for turn in told.turns])
    return {"kept": kept, "usual_seconds": store.find_usual_starts()}


@router.post(f"/{PATH_HOME}")
def show_home(request: Request, user: Name, groups: Groups) -> dict[str, Any]:
    """A user's jobs that have not ended, what ended lately, and what their groups' jobs use.

    The hub knows who looks at its home and which groups they are in.
    """
    rooms = rooms_of(request)
    found = rooms.store.overview.read(user, datetime.now(UTC) - LATELY)
    uses = rooms.store.overview.count(groups)
    sizes = rooms.catalogue.classes
    return {
        "open": found.open,
        "jobs": [answer_job(job, rooms) for job in found.first],
        "ended": [answer_job(job, rooms) for job in found.ended],
        "groups": {
            group: {
                "running": use.running,
                "waiting": use.waiting,
                "cores": sum(
                    count * sizes[size].cores
                    for size, count in use.machines.items()
                    if size in sizes
                ),
            }
            for group, use in uses.items()
        },
    }
