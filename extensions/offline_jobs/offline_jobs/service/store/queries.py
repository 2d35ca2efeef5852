"""Reading jobs and attempts inside a transaction; for the rooms of the store alone."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, or_, select

from offline_jobs.contract.states import TERMINAL, State
from offline_jobs.service.model import Attempt, Job, Selection
from offline_jobs.service.store.rows import (
    ATTEMPT_COLUMNS,
    ATTEMPT_FIELDS,
    JOB_FIELDS,
    build_attempt,
    build_job,
)
from offline_jobs.service.store.tables import EPOCH, PlainText, attempts, jobs

_CURRENT = and_(attempts.c.job == jobs.c.id, attempts.c.number == jobs.c.attempt)
_JOB_COLUMNS = [
    (attempts if name in ATTEMPT_COLUMNS else jobs).c[name].label(name) for name in JOB_FIELDS
]
_ATTEMPT_COLUMNS = [attempts.c[name] for name in ATTEMPT_FIELDS]
#: Of an owner's jobs that succeeded so many are looked through for those of one notebook.
_MOST_LOOKED_THROUGH = 300
NOT_TERMINAL = jobs.c.state.not_in(sorted(TERMINAL))


def _jobs() -> Select[Any]:
    return select(*_JOB_COLUMNS).select_from(jobs.join(attempts, _CURRENT))


def read_job(connection: Connection, job_id: str) -> Job | None:
    """One job with its current attempt's progress."""
    row = connection.execute(_jobs().where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else build_job(row)


def read_job_of_key(connection: Connection, owner: str, key: str) -> Job | None:
    """The owner's job with this idempotency key."""
    statement = _jobs().where(jobs.c.owner == owner, jobs.c.idempotency_key == key)
    row = connection.execute(statement).one_or_none()
    return None if row is None else build_job(row)


def read_jobs(
    connection: Connection, wanted: Selection, limit: int, before: tuple[int, str] | None
) -> list[Job]:
    """At most ``limit`` jobs, newest first, after the place ``before`` (microseconds, id)."""
    statement = _jobs().order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(limit)
    if before is not None:
        created = EPOCH + timedelta(microseconds=before[0])
        statement = statement.where(
            or_(
                jobs.c.created < created,
                and_(jobs.c.created == created, jobs.c.id < before[1]),
            )
        )
    return [build_job(row) for row in connection.execute(statement.where(*_narrow(wanted)))]


def count_jobs(connection: Connection, wanted: Selection) -> dict[State, int]:
    """How many jobs there are in each state."""
    number = func.count()
    statement = select(jobs.c.state, number).where(*_narrow(wanted)).group_by(jobs.c.state)
    found = {row[0]: row[1] for row in connection.execute(statement)}
    return {state: found.get(state.value, 0) for state in State}


def _narrow(wanted: Selection) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (jobs.c.owner, wanted.owner),
        (jobs.c.group, wanted.group),
        (jobs.c.image, wanted.image),
        (jobs.c.machine_class, wanted.machine_class),
    ):
        if value is not None:
            yield column == value
    if wanted.path is not None:
        # As what was stored: of what no database can hold nothing is found.
        yield jobs.c.request["path"].as_string() == literal(wanted.path, PlainText)
    if wanted.states >= TERMINAL:
        # Most jobs have ended. Said in this way no index of states is taken, which would have to
        # sort them all: the newest come from the index of their times.
        yield jobs.c.state.not_in(sorted(set(State) - wanted.states))
    elif wanted.states:
        yield jobs.c.state.in_(sorted(wanted.states))
    for term in wanted.terms:
        yield jobs.c.searched.contains(term, autoescape=True)
    if wanted.since is not None:
        yield jobs.c.created >= wanted.since
    if wanted.until is not None:
        yield jobs.c.created < wanted.until


def read_some(
    connection: Connection,
    conditions: Sequence[ColumnElement[bool]],
    order: Sequence[ColumnElement[Any]],
    limit: int,
) -> list[Job]:
    """At most ``limit`` of the jobs for which all conditions hold."""
    statement = _jobs().where(*conditions).order_by(*order).limit(limit)
    return [build_job(row) for row in connection.execute(statement)]


def find_open(connection: Connection, owner: str) -> list[str]:
    """The owner's jobs that have not ended, by their ids."""
    statement = select(jobs.c.id).where(jobs.c.owner == owner, NOT_TERMINAL)
    return list(connection.execute(statement).scalars())


def find_recent(connection: Connection, owner: str, since: datetime) -> list[str]:
    """The owner's jobs that have not ended, or ended since then, by their ids."""
    is_recent = or_(NOT_TERMINAL, jobs.c.ended >= since)
    statement = select(jobs.c.id).where(jobs.c.owner == owner, is_recent)
    return list(connection.execute(statement).scalars())


def read_attempt(connection: Connection, job_id: str, number: int) -> Attempt | None:
    """One attempt."""
    statement = select(*_ATTEMPT_COLUMNS).where(
        attempts.c.job == job_id, attempts.c.number == number
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else build_attempt(row)


def read_series(connection: Connection, job_id: str, number: int) -> dict[str, Any] | None:
    """What an attempt took over time, by its runner's record, or as far as it has said."""
    statement = select(attempts.c.series, attempts.c.result).where(
        attempts.c.job == job_id, attempts.c.number == number
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    series: dict[str, Any] | None = (row.result or {}).get("series") or row.series
    return series


def read_earlier(connection: Connection, job: Job, limit: int) -> list[Job]:
    """At most ``limit`` of the owner's jobs with the same notebook that succeeded, newest first."""
    newest = (
        select(jobs.c.id, jobs.c.request["path"].as_string().label("path"))
        .where(
            jobs.c.owner == job.owner,
            jobs.c.state == State.SUCCEEDED,
            jobs.c.created < job.created,
        )
        .order_by(jobs.c.created.desc(), jobs.c.id.desc())
        .limit(_MOST_LOOKED_THROUGH)
        .subquery()
    )
    # First try alone: the time between two would count as well.
    conditions = [
        jobs.c.id.in_(select(newest.c.id).where(newest.c.path == job.request.path)),
        jobs.c.attempt == 1,
    ]
    return read_some(connection, conditions, [jobs.c.created.desc(), jobs.c.id.desc()], limit)


def read_open_names(connection: Connection) -> list[str]:
    """Object names of the current attempts of jobs that have not ended, oldest first."""
    statement = (
        select(attempts.c.object_name)
        .select_from(jobs.join(attempts, _CURRENT))
        .where(NOT_TERMINAL)
        .order_by(jobs.c.created, jobs.c.id)
    )
    return list(connection.scalars(statement))


def read_open(connection: Connection) -> list[tuple[Job, Attempt]]:
    """Jobs that have not ended with their current attempts, oldest first."""
    prefix = "attempt_"
    columns = [column.label(f"{prefix}{column.name}") for column in _ATTEMPT_COLUMNS]
    statement = (
        select(*_JOB_COLUMNS, *columns)
        .select_from(jobs.join(attempts, _CURRENT))
        .where(NOT_TERMINAL)
        .order_by(jobs.c.created, jobs.c.id)
    )
    return [
        (build_job(row), build_attempt(row, prefix=prefix)) for row in connection.execute(statement)
    ]
