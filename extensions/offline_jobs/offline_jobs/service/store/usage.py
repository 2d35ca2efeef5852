"""What ran when, and how jobs ended, as the ledger tells it: the former for ``rules/usage.py``."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import TERMINAL, State
from offline_jobs.service.rules.usage import Account, Kind, Run
from offline_jobs.service.store.database import Database
from offline_jobs.service.store.tables import ledger, sessions


@dataclass(frozen=True)
class Period:
    """A time, of somebody or everybody: ``None`` narrows nothing; ``until`` is not included."""

    since: datetime
    until: datetime
    owner: str | None = None
    group: str | None = None


class Usage:
    """The store's side of the reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_ends(
        self, since: datetime, until: datetime, groups: Collection[str] | None
    ) -> dict[tuple[str, str], dict[State, int]]:
        """How many jobs ended in which state, by group and person, also of deleted records.

        An attempt after which another was made ended no job. Of these groups or (``None``) of all.
        """
        alike = (ledger.c.group, ledger.c.owner, ledger.c.state)
        statement = (
            select(*alike, func.count())
            .where(
                ledger.c.state.in_(sorted(TERMINAL)),
                ledger.c.at >= since,
                ledger.c.at < until,
                *([] if groups is None else [ledger.c.group.in_(groups)]),
            )
            .group_by(*alike)
            .order_by(ledger.c.group, ledger.c.owner)
        )
        ends: defaultdict[tuple[str, str], dict[State, int]] = defaultdict(dict)
        with self._database.read() as connection:
            for group, owner, state, count in connection.execute(statement):
                ends[group, owner][State(state)] = count
        return dict(ends)

    def read(self, period: Period) -> list[Run]:
        """All runs of jobs and sessions in a period."""
        with self._database.read() as connection:
            return [*_read_jobs(connection, period), *_read_sessions(connection, period)]


def _read_jobs(connection: Connection, period: Period) -> Iterator[Run]:
    """A job runs from the turn that says so to the next one, also while it is being cancelled."""
    runs = or_(
        ledger.c.state == State.RUNNING,
        and_(ledger.c.state == State.CANCELLING, ledger.c.previous == State.RUNNING),
    )
    following = func.lead(ledger.c.at, type_=ledger.c.at.type)
    turns = (
        select(
            ledger.c.job.label("name"),
            *(ledger.c[name] for name in ("owner", "group", "machine_class", "interruptible")),
            ledger.c.at.label("begin"),
            following.over(partition_by=ledger.c.job, order_by=ledger.c.number).label("end"),
            runs.label("runs"),
        )
        .where(*_narrow(ledger.c.owner, ledger.c.group, period))
        .subquery()
    )
    statement = select(turns).where(
        turns.c.runs,
        turns.c.begin < period.until,
        or_(turns.c.end.is_(None), turns.c.end > period.since),
    )
    for row in connection.execute(statement):
        account = Account(row.group, row.owner, row.machine_class, Kind.JOB, row.interruptible)
        yield Run(account, row.name, row.begin, row.end)


def _read_sessions(connection: Connection, period: Period) -> Iterator[Run]:
    """A session runs from its first turn that says so to the one that says that it ended."""
    began, ended = (
        select(sessions.c.session, func.min(sessions.c.at, type_=sessions.c.at.type).label("at"))
        .where(sessions.c.state == state)
        .group_by(sessions.c.session)
        .subquery()
        for state in (SessionState.RUNNING, SessionState.ENDED)
    )
    first = sessions.c.number == 1
    statement = (
        select(
            sessions.c.session,
            *(sessions.c[name] for name in ("owner", "group", "machine_class")),
            began.c.at.label("begin"),
            ended.c.at.label("end"),
        )
        .join(began, and_(began.c.session == sessions.c.session, first))
        .outerjoin(ended, ended.c.session == sessions.c.session)
        .where(
            began.c.at < period.until,
            or_(ended.c.at.is_(None), ended.c.at > period.since),
            *_narrow(sessions.c.owner, sessions.c.group, period),
        )
    )
    for row in connection.execute(statement):
        account = Account(row.group, row.owner, row.machine_class, Kind.SESSION, False)
        yield Run(account, row.session, row.begin, row.end)


def _narrow(
    owner: ColumnElement[str], group: ColumnElement[str], period: Period
) -> Iterator[ColumnElement[bool]]:
    if period.owner is not None:
        yield owner == period.owner
    if period.group is not None:
        yield group == period.group
