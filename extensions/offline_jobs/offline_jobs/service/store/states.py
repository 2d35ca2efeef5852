"""What the reconciler stores: a job's state, and the attempts' lives.

Nobody else changes a state. The methods guard what must never happen, whatever the caller
believes: a job that has ended stays ended, and an attempt whose first cell began has no successor.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from offline_jobs.contract.names import object_name
from offline_jobs.contract.states import Reason, State
from offline_jobs.service.changes import Changes
from offline_jobs.service.crash import crash_at
from offline_jobs.service.model import Attempt, Ending, Job, Standing
from offline_jobs.service.store import ledger, queries
from offline_jobs.service.store.database import Database
from offline_jobs.service.store.tables import attempts, jobs, removals
from offline_jobs.service.store.versions import touch

Clock = Callable[[], datetime]
#: Facts with which a job waits for something else, though the reason has the same name.
TURNING_FACTS = (
    "asking",
    "beyond_limit",
    "failing",
    "full",
    "hindrance",
    "pull",
    "unanswered_seconds",
)


def new_attempt_row(job_id: str, number: int, now: datetime) -> dict[str, Any]:
    """The row of an attempt that has not begun."""
    return {
        "job": job_id,
        "number": number,
        "object_name": object_name(job_id, number),
        "created": now,
        "phase": "",
        "cell": 0,
        "total": 0,
        "cell_seconds": [],
        "memory_bytes": 0,
        "memory_peak_bytes": 0,
        "memory_limit_bytes": 0,
        "log_tail": "",
        "handle": {},
    }


class StateWriter:
    """The reconciler's side of the store."""

    def __init__(self, database: Database, changes: Changes, clock: Clock) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    def set_standings(self, standings: Mapping[tuple[str, int], Standing]) -> None:
        """Store where jobs stand, by job and current attempt, in one transaction.

        A job that has ended, or is at another attempt by now, is left as it is.
        """
        news = []
        with self._database.write() as connection:
            for (job_id, number), standing in standings.items():
                job = queries.read_job(connection, job_id)
                if job is None or job.state.is_terminal or job.attempt != number:
                    continue
                self._change(
                    connection,
                    job,
                    state=standing.state,
                    reason=standing.reason,
                    facts=dict(standing.facts),
                    started=job.started or self._started(connection, job, standing.state),
                )
                news.append((job_id, job.owner, touch(connection, job_id, job.owner)))
        for item in news:
            self._changes.publish(*item)

    def mark_launched(self, job_id: str, number: int, handle: Mapping[str, Any]) -> None:
        """Note that the attempt's object exists; the first note of it stays.

        Where the job stands is for the next look at that object to say.
        """
        with self._database.write() as connection:
            job, attempt = self._current(connection, job_id, number)
            if job is None or attempt is None or attempt.launched is not None:
                return
            connection.execute(
                update(attempts)
                .where(attempts.c.job == job_id, attempts.c.number == number)
                .values(launched=self._clock(), handle=dict(handle))
            )
            version = touch(connection, job_id, job.owner)
        self._changes.publish(job_id, job.owner, version)

    def finish(self, job_id: str, number: int, ending: Ending) -> bool:
        """End attempt and job for good; whether it did (not when the job had ended before)."""
        with self._database.write() as connection:
            job, attempt = self._current(connection, job_id, number)
            if job is None or attempt is None:
                return False
            now = self._clock()
            self._close_attempt(connection, attempt, ending, now)
            self._change(
                connection,
                job,
                state=ending.state,
                reason=None,
                cause=ending.cause,
                facts=dict(ending.facts),
                started=job.started or attempt.first_cell or _parse_started(ending, job, now),
                ended=now,
            )
            version = touch(connection, job_id, job.owner)
            crash_at("before-final")
        crash_at("after-final")
        self._changes.publish(job_id, job.owner, version)
        return True

    def add_attempt(self, job_id: str, number: int, ending: Ending) -> bool:
        """Close attempt ``number`` with ``ending`` and queue the next one; whether it did.

        Refused where the first cell began, by the runner's word or the ending's, unless the job may
        be interrupted.
        """
        with self._database.write() as connection:
            job, attempt = self._current(connection, job_id, number)
            if job is None or attempt is None:
                return False
            has_begun = attempt.first_cell is not None or ending.cell
            if has_begun and not job.request.interruptible:
                return False
            now = self._clock()
            self._close_attempt(connection, attempt, ending, now)
            connection.execute(insert(attempts).values(new_attempt_row(job_id, number + 1, now)))
            self._change(
                connection,
                job,
                because=ending,
                state=State.QUEUED,
                reason=Reason.SERVICE,
                facts={},
                attempt=number + 1,
                started=job.started or attempt.first_cell or _parse_started(ending, job, now),
            )
            version = touch(connection, job_id, job.owner)
        self._changes.publish(job_id, job.owner, version)
        return True

    def find_closed(self, object_names: Collection[str], age: timedelta) -> list[str]:
        """Which of these belong to attempts whose end was stored at least so long ago."""
        statement = select(attempts.c.object_name).where(
            attempts.c.object_name.in_(object_names), attempts.c.ended <= self._clock() - age
        )
        with self._database.read() as connection:
            return list(connection.execute(statement).scalars())

    def removals(self) -> list[tuple[str, int]]:
        """Deleted jobs whose files are still there, each with its number of attempts."""
        with self._database.read() as connection:
            rows = connection.execute(select(removals.c.job, removals.c.attempts))
            return [(row.job, row.attempts) for row in rows]

    def note_removed(self, job_id: str) -> None:
        """Note that nothing is left of a deleted job."""
        with self._database.write() as connection:
            connection.execute(delete(removals).where(removals.c.job == job_id))

    def _current(
        self, connection: Connection, job_id: str, number: int
    ) -> tuple[Job | None, Attempt | None]:
        """The job, if it is open and at this attempt, with the attempt."""
        job = queries.read_job(connection, job_id)
        if job is None or job.state.is_terminal or job.attempt != number:
            return None, None
        return job, queries.read_attempt(connection, job_id, number)

    def _started(self, connection: Connection, job: Job, state: State) -> datetime | None:
        if state is not State.RUNNING:
            return None
        attempt = queries.read_attempt(connection, job.id, job.attempt)
        return (attempt and attempt.first_cell) or self._clock()

    def _close_attempt(
        self, connection: Connection, attempt: Attempt, ending: Ending, now: datetime
    ) -> None:
        values: dict[str, Any] = {
            "ended": now,
            "cause": ending.cause,
            "phase": "ended",
            "cell": max(ending.cell, attempt.cell),
            "total": ending.total or attempt.total,
            "memory_bytes": ending.memory_bytes or attempt.memory_bytes,
            "memory_limit_bytes": ending.memory_limit_bytes or attempt.memory_limit_bytes,
        }
        if attempt.result is None and ending.record is not None:
            # The runner could not hand it over, it was found beside the object.
            values |= {
                "result": ending.record.to_json(),
                "cell_seconds": list(ending.record.cell_seconds),
                "memory_peak_bytes": ending.record.memory_peak_bytes,
            }
        connection.execute(
            update(attempts)
            .where(attempts.c.job == attempt.job, attempts.c.number == attempt.number)
            .values(values)
        )

    def _change(
        self, connection: Connection, job: Job, because: Ending | None = None, **values: Any
    ) -> None:
        """Change a job's columns, and enter it into the ledger where it is a turn.

        When the run began is always a turn, also where nobody looked until it had ended.
        ``because`` is how the attempt before ended, where there is another.
        """
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
        changed = replace(job, **values)
        if job.started is None and changed.started and (changed.ended or because):
            running = replace(job, state=State.RUNNING, reason=None, facts={})
            ledger.enter(connection, running, changed.started, previous=job.state)
            job = running
        if _find_turn(changed) != _find_turn(job):
            has_begun = changed.state is State.RUNNING and job.started is None
            ledger.enter(
                connection,
                changed,
                changed.ended or (changed.started if has_begun else None) or self._clock(),
                previous=job.state,
                cause=because.cause if because else None,
                facts=because.facts if because else None,
            )


def _find_turn(job: Job) -> tuple[object, ...]:
    """What of a job makes another turn when it changes; amounts and times of waiting do not."""
    facts = (job.facts.get(key) for key in TURNING_FACTS)
    return (job.state, job.reason, job.attempt, *facts)


def _parse_started(ending: Ending, job: Job, now: datetime) -> datetime | None:
    """When the run began by its record: for a run that the service saw nothing of.

    It lies within the job's life, whatever the record says.
    """
    if ending.record is None or not ending.cell:
        return None
    try:
        started = datetime.fromisoformat(ending.record.started)
    except ValueError:
        return None
    if started.tzinfo is None:
        return None
    return min(max(started, job.created), now)
