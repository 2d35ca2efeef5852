"""What the hub's home says: a person's jobs that are news, and what jobs of groups use."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import case, func, select

from offline_jobs.contract.states import State
from offline_jobs.service.model import Job
from offline_jobs.service.store.census import Census
from offline_jobs.service.store.database import Database
from offline_jobs.service.store.queries import NOT_TERMINAL, read_some
from offline_jobs.service.store.tables import jobs

#: So many of each kind are told.
MOST_OPEN, MOST_ENDED = 8, 4
_WAITS = frozenset({State.QUEUED, State.STARTING})


@dataclass(frozen=True)
class Overview:
    """A person's jobs: how many are open, the first of them, and what ended lately."""

    open: int
    first: list[Job]
    ended: list[Job]


@dataclass
class Use:
    """Jobs of a group; ``machines`` counts by class those that run."""

    running: int = 0
    waiting: int = 0
    machines: Counter[str] = field(default_factory=Counter)


class Overviews:
    """The store's side of the hub's home."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._census = Census(database)

    def read(self, owner: str, since: datetime) -> Overview:
        """What somebody's home says; ``ended``: since then, failures first."""
        is_theirs = jobs.c.owner == owner
        waits = case((jobs.c.state == State.QUEUED, 1), else_=0)
        ends_well = case((jobs.c.state == State.FAILED, 0), else_=1)
        with self._database.read() as connection:
            count = select(func.count()).where(is_theirs, NOT_TERMINAL)
            return Overview(
                connection.execute(count).scalar_one(),
                # What waits longest is next.
                read_some(
                    connection,
                    (is_theirs, NOT_TERMINAL),
                    (waits, jobs.c.created, jobs.c.id),
                    MOST_OPEN,
                ),
                read_some(
                    connection,
                    (is_theirs, ~NOT_TERMINAL, jobs.c.ended >= since),
                    (ends_well, jobs.c.ended.desc(), jobs.c.id),
                    MOST_ENDED,
                ),
            )

    def count(self, groups: Collection[str]) -> dict[str, Use]:
        """What jobs of these groups use, everybody's."""
        uses = {group: Use() for group in groups}
        for each in self._census.count_open():
            use = uses.get(each.group)
            if use is None:
                continue
            if State(each.state) in _WAITS:
                use.waiting += each.count
            else:
                use.running += each.count
                use.machines[each.machine_class] += each.count
        return uses
