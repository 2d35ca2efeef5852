"""What was asked for becomes one column; beside it stays what jobs are looked up by."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ASKED = (
    sa.column("name", sa.Text()),
    sa.column("path", sa.Text()),
    sa.column("group", sa.String(64)),
    sa.column("image", sa.String(64)),
    sa.column("machine_class", sa.String(64)),
    sa.column("kernel", sa.JSON()),
    sa.column("parameters", sa.JSON()),
    sa.column("time_limit_seconds", sa.Integer()),
    sa.column("interruptible", sa.Boolean()),
)
_JOBS = sa.table("jobs", sa.column("id", sa.String(12)), sa.column("request", sa.JSON()), *_ASKED)


def upgrade() -> None:
    """Fill the new column from those that it stands for, and drop these."""
    op.add_column("jobs", sa.Column("request", sa.JSON(), nullable=False, server_default="{}"))
    connection = op.get_bind()
    jobs = [row._asdict() for row in connection.execute(sa.select(_JOBS.c.id, *_ASKED))]
    # One statement each, and none that makes the table anew: what refers to jobs would go with it.
    filled = [{"job": job.pop("id"), "asked": job} for job in jobs]
    if filled:
        statement = sa.update(_JOBS).where(_JOBS.c.id == sa.bindparam("job"))
        connection.execute(statement.values(request=sa.bindparam("asked", type_=sa.JSON())), filled)
    for column in _ASKED:
        if column.name != "group":
            op.drop_column("jobs", column.name)
