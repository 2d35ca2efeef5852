"""Whether a job could run on a machine that may be taken away, in the ledger: it costs less."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_JOBS = sa.table("jobs", sa.column("id", sa.String(12)), sa.column("request", sa.JSON()))
_LEDGER = sa.table(
    "ledger", sa.column("job", sa.String(12)), sa.column("interruptible", sa.Boolean())
)


def upgrade() -> None:
    """Add the column, filled for the jobs whose record is there."""
    op.add_column(
        "ledger",
        sa.Column("interruptible", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    connection = op.get_bind()
    asked = connection.execute(sa.select(_JOBS.c.id, _JOBS.c.request)).all()
    names = [{"name": job} for job, request in asked if request.get("interruptible")]
    if names:
        statement = sa.update(_LEDGER).where(_LEDGER.c.job == sa.bindparam("name"))
        connection.execute(statement.values(interruptible=True), names)
