"""The ledger: each change of a state, or of what is waited for, is one row that stays.

A job's are written in the transaction of the change itself, a session's when the hub tells them.
For the rooms of the store alone.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from statistics import median
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from offline_jobs.contract.facts import Facts
from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.model import Job, SessionTurn, Turn
from offline_jobs.service.store.tables import ledger, sessions

#: Of so many starts of sessions something is learned, of so few of a class nothing.
_LATEST_STARTS, _FEWEST_STARTS = 200, 3
_COLUMNS = [ledger.c[field.name] for field in fields(Turn)]


def enter(
    connection: Connection,
    job: Job,
    at: datetime,
    *,
    previous: State | None,
    cause: Cause | None = None,
    facts: Facts | None = None,
) -> None:
    """Write that a job came to be where it is now.

    Args:
        connection: of the transaction that changes it.
        job: as it is from now on.
        at: when.
        previous: the state that it was in; ``None`` where it was made.
        cause: where it is not the job's: why there is another attempt.
        facts: of that cause.
    """
    request = job.request
    latest = connection.execute(
        select(func.max(ledger.c.at)).where(ledger.c.job == job.id)
    ).scalar()
    turn = Turn(
        # Two clocks are behind it: what a runner says of itself may be of before the last look.
        at=at if latest is None else max(at, latest),
        job=job.id,
        attempt=job.attempt,
        owner=job.owner,
        group=request.group,
        image=request.image,
        machine_class=request.machine_class,
        previous=previous,
        state=job.state,
        reason=job.reason,
        cause=cause or job.cause,
        facts=job.facts if facts is None else facts,
        interruptible=request.interruptible,
    )
    connection.execute(insert(ledger).values(asdict(turn)))


def read_turns(connection: Connection, job_id: str) -> list[Turn]:
    """All changes of a job, in order."""
    statement = select(*_COLUMNS).where(ledger.c.job == job_id).order_by(ledger.c.number)
    return [_build(dict(row._mapping)) for row in connection.execute(statement)]


def keep_sessions(connection: Connection, turns: Sequence[SessionTurn]) -> int:
    """Write what the ledger does not have yet of these turns of sessions; how many these are."""
    names = {turn.session for turn in turns}
    statement = select(sessions.c.session, sessions.c.number).where(sessions.c.session.in_(names))
    there = {tuple(row) for row in connection.execute(statement)}
    news = {
        (turn.session, turn.number): asdict(turn)
        for turn in turns
        if (turn.session, turn.number) not in there
    }
    if news:
        connection.execute(insert(sessions), list(news.values()))
    return len(news)


def find_usual_starts(connection: Connection) -> dict[str, float]:
    """How long the latest sessions took to start, by class: the median, in seconds.

    A class of which few starts were seen is left out.
    """
    first, run = sessions.alias(), sessions.alias()
    statement = (
        select(run.c.machine_class, first.c.at, run.c.at)
        .join(first, (first.c.session == run.c.session) & (first.c.number == 1))
        .where(run.c.state == SessionState.RUNNING)
        .order_by(run.c.at.desc())
        .limit(_LATEST_STARTS)
    )
    seen: dict[str, list[float]] = {}
    for machine_class, begun, running in connection.execute(statement):
        seen.setdefault(machine_class, []).append((running - begun).total_seconds())
    return {slug: median(each) for slug, each in seen.items() if len(each) >= _FEWEST_STARTS}


def rename_owner(connection: Connection, owner: str, keeper: str) -> None:
    """Let what was a person's be another name's."""
    for table in (ledger, sessions):
        connection.execute(update(table).where(table.c.owner == owner).values(owner=keeper))


def _build(values: dict[str, Any]) -> Turn:
    values["previous"] = values["previous"] and State(values["previous"])
    values["state"] = State(values["state"])
    values["reason"] = values["reason"] and Reason(values["reason"])
    values["cause"] = values["cause"] and Cause(values["cause"])
    return Turn(**values)
