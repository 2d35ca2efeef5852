"""Whether members of the group that is charged may look at a job's result."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: nobody was asked, so nothing is shared."""
    kind = sa.Boolean(create_constraint=False)
    op.add_column("jobs", sa.Column("shared", kind, nullable=False, server_default=sa.false()))
