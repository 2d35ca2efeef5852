"""What an attempt took over time, as far as its runner has said."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column: of earlier attempts nobody knows."""
    op.add_column("attempts", sa.Column("series", sa.JSON(none_as_null=True)))
