"""Who wanted the end of a job and why, where that was not its owner."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: of earlier jobs nobody knows."""
    op.add_column("jobs", sa.Column("cancel_facts", sa.JSON(), nullable=False, server_default="{}"))
