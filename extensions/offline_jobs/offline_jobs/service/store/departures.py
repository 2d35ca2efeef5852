"""Users whom the hub deletes: their jobs end, and nobody who is called so later has them.

A departure begins (:meth:`Departures.begin`, as often as it takes for the last job to end) and is
completed once the user's home is out of the way. Meanwhile, and for as long after it as the hub's
word about a token counts, nothing is taken in that name.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import update

from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import Departing
from offline_jobs.service.store import ledger, queries
from offline_jobs.service.store.database import Database
from offline_jobs.service.store.tables import jobs
from offline_jobs.service.store.versions import next_version, touch

#: How long after the last word about a departure nothing is taken in that name.
CLOSED = timedelta(minutes=2)


class Departures:
    """The store's side of a departure. The names that are closed are forgotten at a restart."""

    def __init__(self, database: Database, changes: Changes, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock
        self._closed: dict[str, datetime] = {}

    def check(self, owner: str) -> None:
        """Refuse a name that is closed; inside a writing transaction.

        Raises:
            Departing: it is.
        """
        until = self._closed.get(owner)
        if until is None:
            return
        if self._clock() < until:
            raise Departing(owner)
        del self._closed[owner]

    def begin(self, owner: str) -> int:
        """Close a name, and want an end of its jobs.

        Returns:
            how many have not ended.
        """
        news = []
        with self._database.write() as connection:
            self._close(owner)
            is_open = queries.find_open(connection, owner)
            for job_id in is_open:
                done = connection.execute(
                    update(jobs)
                    .where(jobs.c.id == job_id, jobs.c.cancel_requested.is_(None))
                    .values(cancel_requested=self._clock())
                )
                if done.rowcount:
                    news.append((job_id, owner, touch(connection, job_id, owner)))
        for item in news:
            self._changes.publish(*item)
        return len(is_open)

    def complete(self, owner: str, keeper: str) -> int:
        """Let a name's jobs be another's, which no user can have.

        Returns:
            how many they are.

        Raises:
            Departing: one has not ended.
        """
        with self._database.write() as connection:
            self._close(owner)
            if queries.find_open(connection, owner):
                raise Departing(owner)
            version = next_version(connection, keeper)
            moved = (
                update(jobs)
                .where(jobs.c.owner == owner)
                .values(owner=keeper, version=version, shared=False)
            )
            ledger.rename_owner(connection, owner, keeper)
            ids = list(connection.execute(moved.returning(jobs.c.id)).scalars())
            # What was read in the old name is out of date.
            next_version(connection, owner)
        for job_id in ids:
            self._changes.publish(job_id, keeper, version)
        return len(ids)

    def _close(self, owner: str) -> None:
        self._closed[owner] = self._clock() + CLOSED
