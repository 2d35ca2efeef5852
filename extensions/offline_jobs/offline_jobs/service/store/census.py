"""How many jobs and sessions there are, and what became of jobs since: for ``web/measures.py``.

What is counted of jobs' lives comes from the ledger, row after row, each once: from where it ended
when the service began, so that counts are of this process alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, exists, func, select

from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import TERMINAL, State
from offline_jobs.service.store.database import Database
from offline_jobs.service.store.tables import jobs, ledger, sessions

#: So many jobs are looked up at once.
_AT_ONCE = 500
_COLUMNS = [
    ledger.c[name] for name in ("number", "at", "job", "group", "machine_class", "state", "cause")
]


@dataclass(frozen=True)
class Crowd:
    """Jobs, or sessions, that are alike; ``oldest`` is when the first of them was made."""

    group: str
    machine_class: str
    state: str
    reason: str
    count: int
    oldest: datetime


@dataclass(frozen=True)
class Passage:
    """A row of the ledger that is counted.

    ``waited`` is set where a run begins, ``ran`` where a job with a run ends: in seconds.
    """

    group: str
    machine_class: str
    state: State
    cause: str
    waited: float | None
    ran: float | None


class Census:
    """Counts what is in the database; to be called from one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._number: int | None = None

    def begin(self) -> None:
        """Count from here."""
        with self._database.read() as connection:
            self._number = connection.execute(select(func.max(ledger.c.number))).scalar() or 0

    def count_open(self) -> list[Crowd]:
        """Jobs that have not ended."""
        return self._count_jobs(is_open=True)

    def count_kept(self) -> list[Crowd]:
        """Jobs that have ended and whose record is kept; ``reason`` is the cause."""
        return self._count_jobs(is_open=False)

    def _count_jobs(self, *, is_open: bool) -> list[Crowd]:
        states = sorted(set(State) - TERMINAL if is_open else TERMINAL)
        why = jobs.c.reason if is_open else jobs.c.cause
        # The class from the row with which each job began: to look into a request, PostgreSQL has
        # to understand all of it, and a text with a NUL, which it may have, it does not.
        began = and_(ledger.c.job == jobs.c.id, ledger.c.previous.is_(None))
        alike = (jobs.c.group, ledger.c.machine_class, jobs.c.state, why)
        statement = (
            select(*alike, func.count(), func.min(jobs.c.created))
            .select_from(jobs.outerjoin(ledger, began))
            .where(jobs.c.state.in_(states))
            .group_by(*alike)
        )
        with self._database.read() as connection:
            return [
                Crowd(group, machine_class or "", state, reason or "", count, oldest)
                for group, machine_class, state, reason, count, oldest in connection.execute(
                    statement
                )
            ]

    def count_sessions(self, since: datetime) -> list[Crowd]:
        """Sessions that start or run by the hub's last word of each, if it came since then."""
        later = sessions.alias()
        has_later = exists().where(
            and_(later.c.session == sessions.c.session, later.c.number > sessions.c.number)
        )
        alike = (sessions.c.group, sessions.c.machine_class, sessions.c.state)
        statement = (
            select(*alike, func.count(), func.min(sessions.c.at))
            .where(
                sessions.c.at > since,
                sessions.c.state != SessionState.ENDED,
                ~has_later,
            )
            .group_by(*alike)
        )
        with self._database.read() as connection:
            return [
                Crowd(group, machine_class, state, "", count, oldest)
                for group, machine_class, state, count, oldest in connection.execute(statement)
            ]

    def follow(self) -> Iterator[Passage]:
        """What happened since the last call, or since :meth:`begin`."""
        if self._number is None:
            self.begin()
        statement = (
            select(*_COLUMNS).where(ledger.c.number > self._number).order_by(ledger.c.number)
        )
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
            begins: dict[str, tuple[datetime, datetime | None]] = {}
            named = sorted({row.job for row in rows})
            for first in range(0, len(named), _AT_ONCE):
                begins |= _find_begins(connection, named[first : first + _AT_ONCE])
        for row in rows:
            made, began = begins[row.job]
            state = State(row.state)
            begins_now = state is State.RUNNING and row.at == began
            yield Passage(
                row.group,
                row.machine_class,
                state,
                row.cause or "",
                (row.at - made).total_seconds() if begins_now else None,
                (row.at - began).total_seconds() if state.is_terminal and began else None,
            )
            self._number = row.number


def _find_begins(
    connection: Connection, job_ids: Sequence[str]
) -> dict[str, tuple[datetime, datetime | None]]:
    """When these jobs were made, and when their runs began first."""
    of_these = ledger.c.job.in_(job_ids)
    made = select(ledger.c.job, func.min(ledger.c.at)).where(of_these).group_by(ledger.c.job)
    began = made.where(ledger.c.state == State.RUNNING)
    begun = {job: at for job, at in connection.execute(began)}
    return {job: (at, begun.get(job)) for job, at in connection.execute(made)}
