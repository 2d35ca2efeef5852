"""Versions: each change of a job gets the next number, and its owner's number follows.

So a list's version (its ETag) is read with one row, and a deletion changes it as well. For the
rooms of the store alone.
"""

from sqlalchemy import Connection, func, insert, select, update

from offline_jobs.service.store.tables import jobs, owners


def next_version(connection: Connection, owner: str) -> int:
    """Take the next version and note it for ``owner``; inside a writing transaction."""
    version = current_version(connection, None) + 1
    done = connection.execute(update(owners).where(owners.c.name == owner).values(version=version))
    if not done.rowcount:
        connection.execute(insert(owners).values(name=owner, version=version))
    return version


def touch(connection: Connection, job_id: str, owner: str) -> int:
    """Give the job the next version."""
    version = next_version(connection, owner)
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(version=version))
    return version


def current_version(connection: Connection, owner: str | None) -> int:
    """The newest version of an owner's jobs, of all jobs with ``None``; 0 when there was none."""
    statement = select(func.max(owners.c.version))
    if owner is not None:
        statement = statement.where(owners.c.name == owner)
    return connection.execute(statement).scalar() or 0
