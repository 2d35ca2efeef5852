"""Tables of the jobs service.

``jobs`` and ``attempts`` are the record; what was asked for is one column of a job, with beside it
what jobs are looked up by; ``snapshots`` holds the notebooks as submitted,
``owners`` a version per owner (the base of ETags), ``ledger`` each change of a job's state, also of
jobs whose record is deleted, ``sessions`` each change of a session's, as the hub told it,
``removals`` what is still to be cleared away after an owner deleted a record. Words (states,
reasons, causes) are plain strings, so that a new one needs no migration.
Only :mod:`~offline_jobs.service.store.store` reads this module; the
migrations repeat it, and a test holds the two equal.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - EPOCH) // timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A moment, stored as microseconds since 1970: sorts alike in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From the database, in UTC."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")


class Plain(TypeDecorator[str]):
    """Text of others; what not every database can hold (NUL, lone surrogates) becomes U+FFFD."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database, also where something is looked up by it."""
        return None if value is None else _UNSTORABLE.sub("\ufffd", value)


class PlainText(Plain):
    """The same without a bound."""

    impl = Text
    cache_ok = True


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("owner", Plain(255), nullable=False),
    Column("idempotency_key", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("group", Plain(64), nullable=False),
    Column("output", PlainText, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("cause", String(32)),
    Column("facts", JSON, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("has_result", Boolean(create_constraint=False), nullable=False),
    Column("cancel_requested", Instant),
    Column("cancel_facts", JSON, nullable=False, server_default="{}"),
    Column("created", Instant, nullable=False),
    Column("started", Instant),
    Column("ended", Instant),
    Column("rerun_of", String(12)),
    Column("version", BigInteger, nullable=False),
    Column("request", JSON, nullable=False, server_default="{}"),
    Column("image", Plain(64), nullable=False, server_default=""),
    Column("machine_class", Plain(64), nullable=False, server_default=""),
    Column("searched", PlainText, nullable=False, server_default=""),
    Column("shared", Boolean(create_constraint=False), nullable=False, server_default=false()),
    UniqueConstraint("owner", "idempotency_key"),
    Index("ix_jobs_owner_created_id", "owner", "created", "id"),
    Index("ix_jobs_owner_state_created_id", "owner", "state", "created", "id"),
    Index("ix_jobs_created_id", "created", "id"),
    Index("ix_jobs_state_created_id", "state", "created", "id"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job", String(12), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("object_name", String(63), nullable=False),
    Column("created", Instant, nullable=False),
    Column("launched", Instant),
    Column("contacted", Instant),
    Column("first_cell", Instant),
    Column("last_contact", Instant),
    Column("ended", Instant),
    Column("cause", String(32)),
    Column("phase", Plain(16), nullable=False),
    Column("cell", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("cell_seconds", JSON, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("memory_peak_bytes", BigInteger, nullable=False),
    Column("memory_limit_bytes", BigInteger, nullable=False),
    Column("log_tail", PlainText, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("handle", JSON, nullable=False),
    Column("series", JSON(none_as_null=True)),
    UniqueConstraint("object_name"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("job", String(12), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("notebook", Text, nullable=False),
)

owners = Table(
    "owners",
    metadata,
    Column("name", Plain(255), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Index("ix_owners_version", "version"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("job", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("owner", Plain(255), nullable=False),
    Column("group", String(64), nullable=False),
    Column("image", String(64), nullable=False),
    Column("machine_class", String(64), nullable=False),
    Column("previous", String(16)),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("cause", String(32)),
    Column("facts", JSON, nullable=False),
    Column(
        "interruptible",
        Boolean(create_constraint=False),
        nullable=False,
        server_default=false(),
    ),
    Index("ix_ledger_job_number", "job", "number"),
    Index("ix_ledger_owner", "owner"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("owner", Plain(255), nullable=False),
    Column("group", String(64), nullable=False),
    Column("image", String(64), nullable=False),
    Column("machine_class", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Index("ix_sessions_owner", "owner"),
    Index("ix_sessions_at", "at"),
)

removals = Table(
    "removals",
    metadata,
    Column("job", String(12), primary_key=True),
    Column("attempts", Integer, nullable=False),
)
