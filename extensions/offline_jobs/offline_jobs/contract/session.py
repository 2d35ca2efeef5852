"""A session as hub, jobs service and the user's server speak of it.

The hub gives a session's server the environment below, and tells the service each change of a
session, which the service's ledger keeps. Standard library only; anybody may import it.
"""

from dataclasses import dataclass
from enum import StrEnum

from offline_jobs.contract.message import Message

#: Environment of a session that the server extension reads.
ENV_SERVICE_URL = "OFFLINE_JOBS_URL"
ENV_GROUP = "OFFLINE_JOBS_GROUP"
ENV_IMAGE = "OFFLINE_JOBS_IMAGE"
ENV_CLASS = "OFFLINE_JOBS_CLASS"
#: For so long (seconds) it may run: then the hub stops it, busy or not; absent: for ever.
ENV_LONGEST = "OFFLINE_JOBS_LONGEST_SESSION_SECONDS"

#: Where the hub tells changes of sessions, below the service's API: ``{"turns": [SessionTurn]}``.
PATH_SESSIONS = "sessions"
#: Where the hub asks what its home says of somebody's jobs: ``{"user": name, "groups": [slugs]}``.
PATH_HOME = "home"
#: So many in one message.
MOST_TURNS = 200


class SessionState(StrEnum):
    """Where a session is. It ends once."""

    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True)
class SessionTurn(Message):
    """A change of a session's state, or of what its start waits for.

    ``session`` and ``number`` (1, 2, ...) name it: told twice, it is one. ``at`` is ISO 8601 with
    offset; ``reason`` a :class:`~offline_jobs.contract.states.Reason`, or empty.
    """

    session: str
    number: int
    at: str
    owner: str
    group: str
    image: str
    machine_class: str
    state: str
    reason: str = ""
