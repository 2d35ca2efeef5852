"""Rows to nouns, and cursors to positions. Pure; for the store alone."""

import base64
import binascii
from dataclasses import fields
from typing import Any

from sqlalchemy import Row

from offline_jobs.contract.names import JOB_ID
from offline_jobs.contract.request import Request
from offline_jobs.contract.run import ResultRecord
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.errors import Unsound
from offline_jobs.service.model import Attempt, Job

#: Columns of a job that are its current attempt's.
ATTEMPT_COLUMNS = (
    "cell",
    "total",
    "cell_seconds",
    "memory_bytes",
    "memory_peak_bytes",
    "memory_limit_bytes",
)
#: Microseconds since 1970 of the year 9999, about the last that a datetime can say.
_END_OF_TIME = 253_000_000_000_000_000
JOB_FIELDS = tuple(f.name for f in fields(Job))
ATTEMPT_FIELDS = tuple(f.name for f in fields(Attempt))


def build_job(row: Row[Any]) -> Job:
    """A job from a row that has all of :data:`JOB_FIELDS`."""
    values = {name: row._mapping[name] for name in JOB_FIELDS}
    values["request"] = Request.from_json(values["request"])
    values["state"] = State(values["state"])
    values["reason"] = values["reason"] and Reason(values["reason"])
    values["cause"] = values["cause"] and Cause(values["cause"])
    values["cell_seconds"] = tuple(values["cell_seconds"])
    return Job(**values)


def build_attempt(row: Row[Any], prefix: str = "") -> Attempt:
    """An attempt from a row that has all of :data:`ATTEMPT_FIELDS`, each after ``prefix``."""
    values = {name: row._mapping[prefix + name] for name in ATTEMPT_FIELDS}
    values["cell_seconds"] = tuple(values["cell_seconds"])
    if values["result"] is not None:
        values["result"] = ResultRecord.from_json(values["result"])
    return Attempt(**values)


def make_cursor(created_microseconds: int, job_id: str) -> str:
    """The place after a job in a list, as an opaque word."""
    text = f"{created_microseconds}.{job_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(cursor: str) -> tuple[int, str]:
    """The place that :func:`make_cursor` wrote.

    Raises:
        Unsound: it was not made by it.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        created, _, job_id = base64.b64decode(padded, altchars=b"-_", validate=True).partition(b".")
        place = int(created), job_id.decode("ascii")
    except (ValueError, binascii.Error) as e:
        raise _bad_cursor() from e
    if not (0 <= place[0] < _END_OF_TIME and JOB_ID.fullmatch(place[1])):
        raise _bad_cursor()
    return place


def _bad_cursor() -> Unsound:
    return Unsound(
        "This cursor is none of ours: use next_cursor of the page before.",
        code="bad-cursor",
        field="cursor",
    )
