"""Reports of what sessions and jobs used, and what it cost: for oneself, one's group, everybody.

As JSON for the page, and as CSV for a spreadsheet. Whose use somebody may see is ``access.py``'s.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from offline_jobs.service.errors import Unsound
from offline_jobs.service.rules.usage import Row, add_months, begin_month, report
from offline_jobs.service.store.usage import Period
from offline_jobs.service.web.identity import CallerOf
from offline_jobs.service.web.rooms import rooms_of
from offline_jobs.service.web.wanted import Whose

router = APIRouter(tags=["usage"])

MOST_MONTHS = 36
Month = Annotated[
    str | None, Query(pattern=r"^20\d\d-(0[1-9]|1[0-2])$", description="A month, as in 2026-11.")
]
#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = (
    *("month", "group", "user", "class", "kind", "interruptible", "count"),
    *("hours", "core_hours", "gpu_hours", "memory_gib_hours", "cost", "currency"),
)


@dataclass(frozen=True)
class Asked(Whose):
    """Whose use is asked for, and in which months (UTC), both included: this one, if none is said.

    An administrator may name another user, or ``*`` for all; a lead or an administrator a group.
    """

    first: Month = None
    last: Month = None

    def read_months(self, now: datetime) -> tuple[datetime, datetime]:
        """The first moment of the first month, and the first after the last month.

        Raises:
            Unsound: these are no months in a row, or too many.
        """
        last = _read_month(self.last) or begin_month(now)
        first = _read_month(self.first) or last
        if first > last:
            raise Unsound(
                "The first month is after the last one.", code="wrong-months", field="first"
            )
        until = add_months(last, 1)
        if add_months(first, MOST_MONTHS) < until:
            raise Unsound(
                f"A report has at most {MOST_MONTHS} months: ask for it in parts.",
                code="too-many-months",
                field="first",
            )
        return first, until


@router.get("/usage")
def show_usage(request: Request, caller: CallerOf, asked: Annotated[Asked, Depends()]) -> Response:
    """What ran in some months, by month, group, person, class and kind, newest month first.

    ``hours`` are of running, not of waiting; ``cost`` is at today's price of the class. What the
    catalogue does not tell is null.
    """
    return JSONResponse({"rows": [_answer(row) for row in _report(request, caller, asked)]})


@router.get("/usage.csv")
def download_usage(
    request: Request, caller: CallerOf, asked: Annotated[Asked, Depends()]
) -> Response:
    """The same as a table with a head, to be opened by a spreadsheet."""
    rows = _report(request, caller, asked)
    name = "-".join(filter(None, ("usage", asked.first, asked.last)))
    return Response(
        write_csv(_answer(row) for row in rows),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def write_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Rows as comma-separated values; no name of anybody becomes a formula."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _make_plain(value) for name, value in row.items()})
    return text.getvalue()


def _report(request: Request, caller: CallerOf, asked: Asked) -> list[Row]:
    rooms = rooms_of(request)
    owner = rooms.access.choose_owner(caller.person, asked.user, asked.group)
    now = datetime.now(UTC)
    since, until = asked.read_months(now)
    until = min(until, now)
    runs = rooms.store.usage.read(Period(since, until, owner, asked.group))
    return report(runs, since, until, rooms.catalogue)


def _answer(row: Row) -> dict[str, Any]:
    account = row.account
    return {
        "month": f"{row.month:%Y-%m}",
        "group": account.group,
        "user": account.owner,
        "class": account.machine_class,
        "kind": account.kind.value,
        "interruptible": account.interruptible,
        "count": row.count,
        "hours": _round(row.hours),
        "core_hours": _round(row.core_hours),
        "gpu_hours": _round(row.gpu_hours),
        "memory_gib_hours": _round(row.memory_gib_hours),
        "cost": _round(row.cost),
        "currency": row.currency,
    }


def _round(value: float | None) -> float | None:
    """To ten thousandths: of an hour less than half a second."""
    return None if value is None else round(value, 4)


def _read_month(said: str | None) -> datetime | None:
    return datetime.strptime(said, "%Y-%m").replace(tzinfo=UTC) if said else None


def _make_plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
