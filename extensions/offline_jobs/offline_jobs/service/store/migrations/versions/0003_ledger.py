"""The ledger of state changes; of earlier jobs it has their beginning, start and end."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LEDGER = (
    sa.Column("number", sa.Integer(), nullable=False),
    sa.Column("at", sa.BigInteger(), nullable=False),
    sa.Column("job", sa.String(12), nullable=False),
    sa.Column("attempt", sa.Integer(), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("group", sa.String(64), nullable=False),
    sa.Column("image", sa.String(64), nullable=False),
    sa.Column("machine_class", sa.String(64), nullable=False),
    sa.Column("previous", sa.String(16)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(32)),
    sa.Column("cause", sa.String(32)),
    sa.Column("facts", sa.JSON(), nullable=False),
)
_JOBS = sa.table(
    "jobs",
    sa.column("id", sa.String(12)),
    sa.column("attempt", sa.Integer()),
    sa.column("owner", sa.String(255)),
    sa.column("request", sa.JSON()),
    sa.column("state", sa.String(16)),
    sa.column("cause", sa.String(32)),
    sa.column("facts", sa.JSON()),
    sa.column("created", sa.BigInteger()),
    sa.column("started", sa.BigInteger()),
    sa.column("ended", sa.BigInteger()),
)


def upgrade() -> None:
    """Make the table, with the beginning, start and end of the jobs that are there."""
    op.create_table("ledger", *_LEDGER, sa.PrimaryKeyConstraint("number", name="pk_ledger"))
    op.create_index("ix_ledger_job_number", "ledger", ["job", "number"])
    op.create_index("ix_ledger_owner", "ledger", ["owner"])
    connection = op.get_bind()
    _mend_facts(connection)
    jobs = connection.execute(sa.select(*_JOBS.columns).order_by(_JOBS.c.created)).all()
    turns = [turn for job in jobs for turn in _list_turns(job)]
    turns.sort(key=lambda turn: int(turn["at"]))
    if turns:
        table = sa.table("ledger", *(sa.column(c.name, c.type) for c in _LEDGER))
        connection.execute(sa.insert(table), turns)


def _mend_facts(connection: sa.Connection) -> None:
    """No sentence is stored any more: what began as this one is a fact of its own."""
    begin = "could not be started: "
    failed = sa.select(_JOBS.c.id, _JOBS.c.facts).where(_JOBS.c.cause == "internal")
    for job in connection.execute(failed).all():
        message = str(job.facts.get("message", ""))
        if message.startswith(begin):
            facts = {"never_started": message.removeprefix(begin)}
            connection.execute(sa.update(_JOBS).where(_JOBS.c.id == job.id).values(facts=facts))


def _list_turns(job: Any) -> list[dict[str, Any]]:
    whose = {"job": job.id, "owner": job.owner}
    whose |= {key: job.request[key] for key in ("group", "image", "machine_class")}
    usual = {**whose, "attempt": job.attempt, "reason": None, "cause": None, "facts": {}}
    first = {"attempt": 1, "at": job.created, "state": "queued", "reason": "service"}
    turns = [{**usual, **first, "previous": None}]
    if job.started is not None:
        turns.append({**usual, "at": job.started, "previous": "queued", "state": "running"})
    if job.ended is not None:
        end = {"at": job.ended, "state": job.state, "cause": job.cause, "facts": job.facts}
        turns.append({**usual, **end, "previous": turns[-1]["state"]})
    return turns
