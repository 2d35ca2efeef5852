"""Which jobs a list, its counts or a stream is asked for: the query parameters, read once for all.

Whose jobs somebody may ask for at all is ``access.py``'s.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime

from hub_config.platform.people import Person
from offline_jobs.contract.states import State
from offline_jobs.service.access import Access
from offline_jobs.service.errors import Unsound
from offline_jobs.service.model import Selection
from offline_jobs.service.rules.searching import read_terms
from offline_jobs.service.rules.submission import LONGEST_PATH

LONGEST_SEARCH = 200
Slug = Annotated[str | None, Query(max_length=100)]


@dataclass(frozen=True)
class Whose:
    """Whose jobs are asked for."""

    user: Annotated[str | None, Query(max_length=255)] = None
    group: Slug = None


@dataclass(frozen=True)
class Wanted(Whose):
    """Which of them: what is not said narrows nothing, and all that is said must hold.

    ``state`` is one state or several with commas; ``path`` the notebook's as it was submitted;
    ``q`` words that are all in the job's name, its notebook's path, or a parameter as
    ``name=value``, whatever their case; ``since`` and ``until`` are when it was submitted, the
    latter not included, with a time zone.
    """

    state: Annotated[
        str | None, Query(max_length=100, description="One state, or several with commas.")
    ] = None
    image: Slug = None
    machine_class: Annotated[str | None, Query(alias="class", max_length=100)] = None
    path: Annotated[
        str | None,
        Query(max_length=LONGEST_PATH, description="The notebook, relative to its owner's home."),
    ] = None
    q: Annotated[
        str,
        Query(
            max_length=LONGEST_SEARCH,
            description="Words that are all in name, notebook, or a parameter as name=value.",
        ),
    ] = ""
    since: Annotated[AwareDatetime | None, Query(description="Submitted then or later.")] = None
    until: Annotated[AwareDatetime | None, Query(description="Submitted before.")] = None

    def select(self, access: Access, person: Person) -> Selection:
        """The jobs that are meant.

        Raises:
            Forbidden: they are none that the person may ask for.
            Unsound: there is no such state.
        """
        return Selection(
            owner=access.choose_owner(person, self.user, self.group),
            states=_read_states(self.state),
            group=self.group,
            image=self.image,
            machine_class=self.machine_class,
            path=self.path,
            terms=read_terms(self.q),
            since=self.since,
            until=self.until,
        )

    def spell(self) -> dict[str, Any]:
        """What was asked for, as JSON types."""
        return {name: None if value is None else str(value) for name, value in asdict(self).items()}


def _read_states(said: str | None) -> frozenset[State]:
    if said is None:
        return frozenset()
    words = said.split(",")
    if not set(words) <= set(State):
        raise Unsound(
            "Name one state, or several with commas between them.",
            code="unknown-state",
            field="state",
            allowed=tuple(State),
        )
    return frozenset(State(word) for word in words)
