"""The turns of sessions as the jobs service's ledger has them, read from its database."""

import sqlite3
from contextlib import closing
from pathlib import Path

#: What a session goes through on one machine.
WHOLE = [
    (1, "starting", None),
    (2, "starting", "jupyter-start"),
    (3, "running", None),
    (4, "ended", None),
]
Turn = tuple[int, str, str | None]


def read_sessions(service: Path, owner: str) -> dict[str, list[Turn]]:
    """Number, state and reason of each turn of a person's sessions, by session, oldest first.

    Args:
        service: the folder with the service's state.
        owner: whose.
    """
    database = f"file:{service / 'jobs.sqlite'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True)) as connection:
        rows = connection.execute(
            "SELECT session, number, state, reason FROM sessions WHERE owner = ?"
            " ORDER BY at, number",
            (owner,),
        ).fetchall()
    found: dict[str, list[Turn]] = {}
    for session, *turn in rows:
        found.setdefault(session, []).append((turn[0], turn[1], turn[2]))
    return found
