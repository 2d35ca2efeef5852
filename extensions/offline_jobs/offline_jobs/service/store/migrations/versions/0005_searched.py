"""What jobs are looked for by: their words, image and class; and an index of an owner's states."""

import json
import unicodedata
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_JOBS = sa.table(
    "jobs",
    sa.column("id", sa.String(12)),
    sa.column("request", sa.JSON()),
    sa.column("image", sa.String(64)),
    sa.column("machine_class", sa.String(64)),
    sa.column("searched", sa.Text()),
)
_AT_ONCE = 1_000
_LONGEST_VALUE = 100


def upgrade() -> None:
    """Add the columns, fill them from what was asked for, and make the index."""
    for name, kind in (("image", sa.String(64)), ("machine_class", sa.String(64))):
        op.add_column("jobs", sa.Column(name, kind, nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("searched", sa.Text(), nullable=False, server_default=""))
    connection = op.get_bind()
    asked = connection.execute(sa.select(_JOBS.c.id, _JOBS.c.request)).all()
    statement = sa.update(_JOBS).where(_JOBS.c.id == sa.bindparam("job"))
    statement = statement.values(
        image=sa.bindparam("an_image"),
        machine_class=sa.bindparam("a_class"),
        searched=sa.bindparam("words"),
    )
    for start in range(0, len(asked), _AT_ONCE):
        rows = [
            {
                "job": job,
                "an_image": request.get("image", "")[:64],
                "a_class": request.get("machine_class", "")[:64],
                "words": _write_searched(request),
            }
            for job, request in asked[start : start + _AT_ONCE]
        ]
        connection.execute(statement, rows)
    op.create_index("ix_jobs_owner_state_created_id", "jobs", ["owner", "state", "created", "id"])


def _write_searched(request: dict[str, Any]) -> str:
    values = [
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in request.get("parameters", {}).items()
    ]
    words = [
        request.get("name", ""),
        request.get("path", ""),
        *(each for each in values if len(each) <= _LONGEST_VALUE),
    ]
    text = unicodedata.normalize("NFKC", " ".join(words)).casefold()
    # What not every database can hold is none in what it has already, but may be in escaped JSON.
    text = "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)
    return f" {' '.join(text.split())[:4000]} "
