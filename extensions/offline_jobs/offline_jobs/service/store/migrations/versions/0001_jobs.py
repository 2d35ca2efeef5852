"""Jobs, attempts, snapshots, owners' versions and removals."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(12), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("idempotency_key", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("group", sa.String(64), nullable=False),
        sa.Column("image", sa.String(64), nullable=False),
        sa.Column("machine_class", sa.String(64), nullable=False),
        sa.Column("kernel", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("time_limit_seconds", sa.Integer(), nullable=False),
        sa.Column("interruptible", sa.Boolean(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("cause", sa.String(32)),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("has_result", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.BigInteger()),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger()),
        sa.Column("ended", sa.BigInteger()),
        sa.Column("rerun_of", sa.String(12)),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.UniqueConstraint("owner", "idempotency_key", name="uq_jobs_owner_idempotency_key"),
    )
    op.create_index("ix_jobs_owner_created_id", "jobs", ["owner", "created", "id"])
    op.create_index("ix_jobs_created_id", "jobs", ["created", "id"])
    op.create_index("ix_jobs_state_created_id", "jobs", ["state", "created", "id"])
    op.create_table(
        "attempts",
        sa.Column("job", sa.String(12), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("object_name", sa.String(63), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("launched", sa.BigInteger()),
        sa.Column("contacted", sa.BigInteger()),
        sa.Column("first_cell", sa.BigInteger()),
        sa.Column("last_contact", sa.BigInteger()),
        sa.Column("ended", sa.BigInteger()),
        sa.Column("cause", sa.String(32)),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("cell", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("cell_seconds", sa.JSON(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("memory_peak_bytes", sa.BigInteger(), nullable=False),
        sa.Column("memory_limit_bytes", sa.BigInteger(), nullable=False),
        sa.Column("log_tail", sa.Text(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True)),
        sa.Column("handle", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.id"], name="fk_attempts_job_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job", "number", name="pk_attempts"),
        sa.UniqueConstraint("object_name", name="uq_attempts_object_name"),
    )
    op.create_table(
        "snapshots",
        sa.Column("job", sa.String(12), nullable=False),
        sa.Column("notebook", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job"], ["jobs.id"], name="fk_snapshots_job_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job", name="pk_snapshots"),
    )
    op.create_table(
        "owners",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_owners"),
    )
    op.create_index("ix_owners_version", "owners", ["version"])
    op.create_table(
        "removals",
        sa.Column("job", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_removals"),
    )
