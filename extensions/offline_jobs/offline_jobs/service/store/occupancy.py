"""Who has machines now, or waits for one: for ``rules/queues.py`` to sort out."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import and_, exists, func, select

from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import State
from offline_jobs.service.model import Job
from offline_jobs.service.rules.line import Waiter, find_place, order_waiters
from offline_jobs.service.rules.queues import Crowd, OpenSession
from offline_jobs.service.store.database import Database
from offline_jobs.service.store.queries import NOT_TERMINAL, read_some
from offline_jobs.service.store.tables import attempts, jobs, sessions

_LATEST = and_(attempts.c.job == jobs.c.id, attempts.c.number == jobs.c.attempt)


class Occupancy:
    """The store's side of the page of groups."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_jobs(self, groups: Collection[str] | None) -> list[Crowd]:
        """Jobs that have not ended, of these groups or (``None``) of all.

        A job that is tried again has waited since then, not since it was submitted.
        """
        alike = (jobs.c.group, jobs.c.owner, jobs.c.machine_class, jobs.c.state)
        statement = (
            select(*alike, func.count(), func.min(attempts.c.created))
            .select_from(jobs.join(attempts, _LATEST))
            .where(NOT_TERMINAL, *([] if groups is None else [jobs.c.group.in_(groups)]))
            .group_by(*alike)
        )
        with self._database.read() as connection:
            return [
                Crowd(group, owner, machine_class, state == State.QUEUED, count, since)
                for group, owner, machine_class, state, count, since in connection.execute(
                    statement
                )
            ]

    def read_line(self, group: str, limit: int) -> tuple[list[tuple[Job, Waiter]], int]:
        """The first of a group's jobs that wait, in their order, and how many wait in all."""
        statement = (
            select(jobs.c.id, jobs.c.created, attempts.c.created, jobs.c.reason, jobs.c.facts)
            .select_from(jobs.join(attempts, _LATEST))
            .where(jobs.c.group == group, jobs.c.state == State.QUEUED)
        )
        with self._database.read() as connection:
            waiters = [
                Waiter(job, created, since, find_place(reason, facts))
                for job, created, since, reason, facts in connection.execute(statement)
            ]
            first = order_waiters(waiters)[:limit]
            chosen = jobs.c.id.in_([each.job for each in first])
            found = {job.id: job for job in read_some(connection, [chosen], [jobs.c.id], limit)}
        return [(found[each.job], each) for each in first if each.job in found], len(waiters)

    def read_sessions(self, since: datetime, groups: Collection[str] | None) -> list[OpenSession]:
        """Sessions that start or run by the hub's last word of each, if it came since then.

        The newest first; of these groups or (``None``) of all.
        """
        turn, later = sessions.alias(), sessions.alias()
        of_it = turn.c.session == sessions.c.session
        begun = select(func.min(turn.c.at)).where(of_it).scalar_subquery()
        running = (
            select(func.min(turn.c.at))
            .where(of_it, turn.c.state == SessionState.RUNNING)
            .scalar_subquery()
        )
        has_later = exists().where(
            later.c.session == sessions.c.session, later.c.number > sessions.c.number
        )
        words = ("session", "owner", "group", "image", "machine_class", "state")
        statement = (
            select(
                *(sessions.c[word] for word in words),
                begun.label("begun"),
                running.label("running"),
            )
            .where(
                sessions.c.at > since,
                sessions.c.state != SessionState.ENDED,
                ~has_later,
                *([] if groups is None else [sessions.c.group.in_(groups)]),
            )
            .order_by(begun.desc(), sessions.c.session)
        )
        with self._database.read() as connection:
            return [
                OpenSession(
                    session=row.session,
                    owner=row.owner,
                    group=row.group,
                    image=row.image,
                    machine_class=row.machine_class,
                    state=SessionState(row.state),
                    begun=row.begun,
                    running=row.running,
                )
                for row in connection.execute(statement)
            ]
