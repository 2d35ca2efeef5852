"""The store: the only writer of the database.

Submissions are one transaction (:meth:`Store.create_jobs`): job, snapshot and first attempt are
durable before anybody is told. What the runner says is kept by :meth:`Store.record_progress` and
:meth:`Store.record_result`. A job's *state* is changed only by the reconciler, through
:attr:`Store.states`. Each change gives the job a new version and is published after its commit.
All methods are short, synchronous and callable from any thread.
"""

import secrets
import string
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from offline_jobs.contract.facts import Facts
from offline_jobs.contract.names import output_folder
from offline_jobs.contract.run import Progress, ProgressAnswer, ResultRecord
from offline_jobs.contract.states import Reason, State
from offline_jobs.service.changes import Changes
from offline_jobs.service.crash import crash_at
from offline_jobs.service.errors import (
    AttemptClosed,
    IdempotencyConflict,
    NotFinished,
    NotFound,
    StorageFull,
    TooManyJobs,
    Unavailable,
)
from offline_jobs.service.model import Attempt, Job, NewJob, Selection, SessionTurn, Turn
from offline_jobs.service.rules.searching import write_searched
from offline_jobs.service.store import ledger, queries
from offline_jobs.service.store.census import Census
from offline_jobs.service.store.database import Database
from offline_jobs.service.store.departures import Departures
from offline_jobs.service.store.occupancy import Occupancy
from offline_jobs.service.store.overview import Overviews
from offline_jobs.service.store.rows import make_cursor, parse_cursor
from offline_jobs.service.store.states import StateWriter, new_attempt_row
from offline_jobs.service.store.tables import (
    attempts,
    jobs,
    removals,
    snapshots,
    to_microseconds,
)
from offline_jobs.service.store.usage import Usage
from offline_jobs.service.store.versions import current_version, next_version, touch


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def make_job_id() -> str:
    """A new job's id: unguessable, a DNS label, a letter first."""
    first = secrets.choice(string.ascii_lowercase)
    rest = (secrets.choice(string.ascii_lowercase + string.digits) for _ in range(11))
    return first + "".join(rest)


class Store:
    """Jobs, attempts and snapshots in one database.

    Raises:
        StartRefused: no database can have this address.
    """

    def __init__(self, url: str, changes: Changes, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = Database(url)
        self._changes = changes
        self._clock = clock
        #: What the reconciler alone uses.
        self.states = StateWriter(self._database, changes, clock)
        #: What the hub asks before it deletes a user.
        self.departures = Departures(self._database, changes, clock)
        #: What the hub's home says.
        self.overview = Overviews(self._database)
        #: Who has machines now.
        self.occupancy = Occupancy(self._database)
        #: What was used, for reports.
        self.usage = Usage(self._database)
        #: What is measured.
        self.census = Census(self._database)

    def migrate(self) -> None:
        """Bring the tables to the newest version.

        Raises:
            StartRefused: an administrator has to mend something before.
            Unavailable: the database cannot be used now.
        """
        self._database.migrate()

    @property
    def name(self) -> str:
        """How people call the database."""
        return self._database.name

    def keep(self) -> None:
        """See that the database is still ours to write, and take it again where it was lost.

        Raises:
            StateInUse: another service has it.
            Unavailable: it cannot be used now.
        """
        self._database.keep()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def find_trouble(self) -> str:
        """Why nothing can be written, as far as the last write tells; empty if nothing is wrong.

        Raises:
            Unavailable: nothing can be read either.
        """
        self.version(None)
        trouble = self._database.trouble
        if trouble is not None and not isinstance(trouble, StorageFull):
            # Whether another program still holds the database is soon found out.
            with suppress(Unavailable), self._database.write():
                pass
            trouble = self._database.trouble
        return trouble.message if trouble else ""

    # Sessions.

    def keep_turns(self, turns: Sequence[SessionTurn]) -> int:
        """Keep changes of sessions in the ledger.

        Returns:
            how many it did not have yet.
        """
        with self._database.write() as connection:
            return ledger.keep_sessions(connection, turns)

    def find_usual_starts(self) -> dict[str, float]:
        """How long sessions usually take to start, in seconds, by class."""
        with self._database.read() as connection:
            return ledger.find_usual_starts(connection)

    # Submission.

    def create_jobs(self, news: Sequence[NewJob], *, open_limit: int) -> list[tuple[Job, bool]]:
        """Store submissions, all or none: job, snapshot and first attempt, durable on return.

        Returns:
            Of each the job and whether it is new; the same key with the same digest gives the first
            job.

        Raises:
            IdempotencyConflict: the owner used a key for another submission.
            Departing: the hub deletes the owner.
            TooManyJobs: the owner has ``open_limit`` jobs that have not ended.
        """
        with self._database.write() as connection:
            made = [self._find_or_insert(connection, new, open_limit) for new in news]
            crash_at("before-commit")
        crash_at("after-commit")
        for job, is_new in made:
            if is_new:
                self._publish(job)
        return made

    def job_of_key(self, owner: str, key: str, digest: str) -> Job | None:
        """The job that an earlier submission with this key made, if there is one.

        Raises:
            IdempotencyConflict: the owner used the key for another submission.
        """
        with self._database.read() as connection:
            earlier = queries.read_job_of_key(connection, owner, key)
        return None if earlier is None else _same(earlier, digest)

    def _find_or_insert(
        self, connection: Connection, new: NewJob, open_limit: int
    ) -> tuple[Job, bool]:
        earlier = queries.read_job_of_key(connection, new.owner, new.idempotency_key)
        if earlier is not None:
            return _same(earlier, new.digest), False
        self.departures.check(new.owner)
        if len(queries.find_open(connection, new.owner)) >= open_limit:
            raise TooManyJobs(open_limit)
        return self._insert_job(connection, new), True

    def _insert_job(self, connection: Connection, new: NewJob) -> Job:
        now = self._clock()
        job_id = make_job_id()
        row = {
            "id": job_id,
            "owner": new.owner,
            "idempotency_key": new.idempotency_key,
            "digest": new.digest,
            "request": new.request.to_json(),
            "group": new.request.group,
            "output": output_folder(new.request.path, now, job_id),
            "state": State.QUEUED,
            "reason": Reason.SERVICE,
            "facts": {},
            "attempt": 1,
            "has_result": False,
            "created": now,
            "rerun_of": new.rerun_of,
            "version": next_version(connection, new.owner),
            "image": new.request.image,
            "machine_class": new.request.machine_class,
            "searched": write_searched(new.request),
        }
        connection.execute(insert(jobs).values(row))
        connection.execute(insert(snapshots).values(job=job_id, notebook=new.notebook))
        connection.execute(insert(attempts).values(new_attempt_row(job_id, 1, now)))
        job = _known(queries.read_job(connection, job_id))
        ledger.enter(connection, job, now, previous=None)
        return job

    def request_cancel(self, job_id: str, facts: Facts | None = None) -> Job:
        """Note that an end is wanted; a job that has ended stays as it is.

        Args:
            job_id: of the job.
            facts: who wants it and why, where that is not the owner; the first one's stay.

        Raises:
            NotFound: there is no such job.
        """
        with self._database.write() as connection:
            job = _known(queries.read_job(connection, job_id))
            if job.state.is_terminal or job.cancel_requested is not None:
                return job
            statement = update(jobs).where(jobs.c.id == job_id)
            values = {"cancel_requested": self._clock(), "cancel_facts": facts or {}}
            connection.execute(statement.values(values))
            touch(connection, job_id, job.owner)
            job = _known(queries.read_job(connection, job_id))
        self._publish(job)
        return job

    def set_shared(self, job_id: str, shared: bool) -> Job:
        """Let the group that is charged look at a job's result, or do so no longer.

        Raises:
            NotFound: there is no such job.
        """
        with self._database.write() as connection:
            job = _known(queries.read_job(connection, job_id))
            if job.shared == shared:
                return job
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(shared=shared))
            touch(connection, job_id, job.owner)
            job = _known(queries.read_job(connection, job_id))
        self._publish(job)
        return job

    def delete_job(self, job_id: str) -> None:
        """Delete the record of a job that has ended; its files are cleared away later.

        Raises:
            NotFound: there is no such job.
            NotFinished: it has not ended.
        """
        with self._database.write() as connection:
            job = _known(queries.read_job(connection, job_id))
            if not job.state.is_terminal:
                raise NotFinished(job_id)
            connection.execute(insert(removals).values(job=job_id, attempts=job.attempt))
            connection.execute(delete(jobs).where(jobs.c.id == job_id))
            version = next_version(connection, job.owner)
        self._changes.publish(job_id, job.owner, version, removed=True)

    # Reading.

    def job(self, job_id: str) -> Job | None:
        """One job, or ``None``."""
        with self._database.read() as connection:
            return queries.read_job(connection, job_id)

    def jobs(
        self, wanted: Selection, limit: int, cursor: str | None
    ) -> tuple[list[Job], str | None]:
        """A page of jobs, newest first, and the next page's cursor (``None``: no more).

        A place is a time of submission, so a job that changes meanwhile keeps its own.

        Raises:
            Unsound: the cursor is none of ours.
        """
        before = None if cursor is None else parse_cursor(cursor)
        with self._database.read() as connection:
            page = queries.read_jobs(connection, wanted, limit + 1, before)
        if len(page) <= limit:
            return page, None
        last = page[limit - 1]
        return page[:limit], make_cursor(to_microseconds(last.created), last.id)

    def count_jobs(self, wanted: Selection) -> dict[State, int]:
        """How many jobs there are in each state."""
        with self._database.read() as connection:
            return queries.count_jobs(connection, wanted)

    def version(self, owner: str | None) -> int:
        """Grows with every change of the owner's jobs (everybody's with ``None``)."""
        with self._database.read() as connection:
            return current_version(connection, owner)

    def attempt(self, job_id: str, number: int) -> Attempt | None:
        """One attempt, or ``None``."""
        with self._database.read() as connection:
            return queries.read_attempt(connection, job_id, number)

    def series(self, job_id: str, number: int) -> dict[str, Any] | None:
        """What an attempt took over time, as its runner said last; ``None`` where it did not."""
        with self._database.read() as connection:
            return queries.read_series(connection, job_id, number)

    def list_earlier(self, job: Job, limit: int) -> list[Job]:
        """At most so many jobs of the owner that ran the same notebook and succeeded, newest first.

        Only the newest of all that succeeded are looked through.
        """
        with self._database.read() as connection:
            return queries.read_earlier(connection, job, limit)

    def turns(self, job_id: str) -> list[Turn]:
        """Every change of a job's state, in order; also of one whose record is deleted."""
        with self._database.read() as connection:
            return ledger.read_turns(connection, job_id)

    def snapshot(self, job_id: str) -> str:
        """The notebook as submitted, JSON text.

        Raises:
            NotFound: there is no such job.
        """
        with self._database.read() as connection:
            statement = select(snapshots.c.notebook).where(snapshots.c.job == job_id)
            notebook = connection.execute(statement).scalar_one_or_none()
        if notebook is None:
            raise NotFound
        return str(notebook)

    def list_recent(self, owner: str, since: datetime) -> list[str]:
        """The ids of an owner's jobs that have not ended, or ended since then."""
        with self._database.read() as connection:
            return queries.find_recent(connection, owner, since)

    def open_names(self) -> list[str]:
        """Object names of the current attempts of jobs that have not ended, oldest first."""
        with self._database.read() as connection:
            return queries.read_open_names(connection)

    def open_attempts(self) -> list[tuple[Job, Attempt]]:
        """Jobs that have not ended with their current attempts, oldest first."""
        with self._database.read() as connection:
            return queries.read_open(connection)

    # What the runner says.

    def record_progress(self, job_id: str, number: int, progress: Progress) -> ProgressAnswer:
        """Keep how far an attempt is; an older message than the last is only a sign of life.

        Raises:
            NotFound: there is no such attempt.
            AttemptClosed: its record is closed.
        """
        now = self._clock()
        with self._database.write() as connection:
            job, attempt = self._open_attempt(connection, job_id, number)
            crash_at("on-first-contact" if attempt.contacted is None else "on-progress")
            values: dict[str, object] = {"last_contact": now}
            if attempt.contacted is None:
                values["contacted"] = now
            if progress.cell and attempt.first_cell is None:
                values["first_cell"] = now
            if progress.cell >= attempt.cell and attempt.result is None:
                values |= {
                    "phase": progress.phase[:16],
                    "cell": progress.cell,
                    "total": progress.total,
                    "cell_seconds": list(progress.cell_seconds),
                    "memory_bytes": progress.memory_bytes,
                    "memory_peak_bytes": progress.memory_peak_bytes,
                    "memory_limit_bytes": progress.memory_limit_bytes,
                    "log_tail": progress.log_tail,
                }
                if progress.series is not None:
                    values["series"] = progress.series
            self._update_attempt(connection, job_id, number, values)
            version = touch(connection, job_id, job.owner)
        self._changes.publish(job_id, job.owner, version)
        return ProgressAnswer(cancel=job.cancel_requested is not None)

    def record_result(self, job_id: str, number: int, result: ResultRecord) -> None:
        """Keep how an attempt ended, by its runner's own word; the first record stays.

        Raises:
            NotFound: there is no such attempt.
            AttemptClosed: its record is closed.
        """
        now = self._clock()
        with self._database.write() as connection:
            job, attempt = self._open_attempt(connection, job_id, number)
            crash_at("on-result")
            if attempt.result is None:
                values: dict[str, object] = {
                    "last_contact": now,
                    "contacted": attempt.contacted or now,
                    "phase": "ending",
                    "result": result.to_json(),
                    "cell": max(result.cell, attempt.cell),
                    "total": result.total or attempt.total,
                    "cell_seconds": list(result.cell_seconds) or list(attempt.cell_seconds),
                    "memory_peak_bytes": max(result.memory_peak_bytes, attempt.memory_peak_bytes),
                }
                if result.cell and attempt.first_cell is None:
                    values["first_cell"] = now
                self._update_attempt(connection, job_id, number, values)
            version = touch(connection, job_id, job.owner)
        crash_at("after-result")
        self._changes.publish(job_id, job.owner, version)

    def check_open(self, job_id: str, number: int) -> None:
        """See that an attempt's record is open.

        Raises:
            NotFound: there is no such attempt.
            AttemptClosed: its record is closed.
        """
        with self._database.read() as connection:
            self._open_attempt(connection, job_id, number)

    def note_notebook(self, job_id: str, number: int) -> None:
        """Note that there is an executed notebook, or a part of one.

        Raises:
            NotFound: there is no such attempt.
            AttemptClosed: its record is closed.
        """
        with self._database.write() as connection:
            job, _ = self._open_attempt(connection, job_id, number)
            if job.has_result:
                return
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(has_result=True))
            version = touch(connection, job_id, job.owner)
        self._changes.publish(job_id, job.owner, version)

    def _open_attempt(
        self, connection: Connection, job_id: str, number: int
    ) -> tuple[Job, Attempt]:
        job = _known(queries.read_job(connection, job_id))
        attempt = queries.read_attempt(connection, job_id, number)
        if attempt is None:
            raise NotFound
        if job.state.is_terminal or job.attempt != number or attempt.ended is not None:
            raise AttemptClosed
        return job, attempt

    def _update_attempt(
        self, connection: Connection, job_id: str, number: int, values: dict[str, object]
    ) -> None:
        connection.execute(
            update(attempts)
            .where(attempts.c.job == job_id, attempts.c.number == number)
            .values(values)
        )

    def _publish(self, job: Job) -> None:
        self._changes.publish(job.id, job.owner, job.version)


def _same(earlier: Job, digest: str) -> Job:
    if earlier.digest != digest:
        raise IdempotencyConflict(earlier.id)
    return earlier


def _known(job: Job | None) -> Job:
    if job is None:
        raise NotFound
    return job
