"""What sessions and jobs used in a month, by group, person and class, and what that costs. Pure.

Counted is the time that something ran on a machine: not what it waited for, between two tries
nothing. Months are those of UTC.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from hub_config.platform.catalogue import GIB, Catalogue, InstanceClass

_HOUR = timedelta(hours=1)
_MONTHS = 12


class Kind(StrEnum):
    """What ran."""

    JOB = "job"
    SESSION = "session"


@dataclass(frozen=True, order=True)
class Account:
    """Who used what: all that a row of a report is about but its month.

    Attributes:
        group: slug of the group that is charged.
        owner: who.
        machine_class: slug of the class.
        kind: jobs, or sessions.
        interruptible: on machines that could be taken away.
    """

    group: str
    owner: str
    machine_class: str
    kind: Kind
    interruptible: bool


@dataclass(frozen=True)
class Run:
    """A time in which a job or a session ran without a break.

    Attributes:
        name: of the job, or the session.
        end: when it ran no more; ``None`` where nobody told that yet.
    """

    account: Account
    name: str
    begin: datetime
    end: datetime | None


@dataclass
class Use:
    """What came together: how much time, of how many jobs or sessions."""

    time: timedelta = timedelta()
    names: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Row:
    """A row of a report.

    What the catalogue does not tell, for the class has gone from it or has no price, is ``None``.

    Attributes:
        month: its first moment.
        account: who used what.
        count: of the jobs or sessions that ran in it.
        hours: for which they ran, in sum.
        core_hours: the same times the class's cores; likewise its GPUs and its memory in GiB.
        cost: at the price that the catalogue has now, in ``currency``.
    """

    month: datetime
    account: Account
    count: int
    hours: float
    core_hours: float | None
    gpu_hours: float | None
    memory_gib_hours: float | None
    cost: float | None
    currency: str | None


def begin_month(moment: datetime) -> datetime:
    """The first moment of the month that a moment is in."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def add_months(month: datetime, number: int) -> datetime:
    """The first moment of the month so many later."""
    years, index = divmod(month.month - 1 + number, _MONTHS)
    return month.replace(year=month.year + years, month=index + 1)


def report(
    runs: Iterable[Run], since: datetime, until: datetime, catalogue: Catalogue
) -> list[Row]:
    """Sum up runs by month and account: newest month first, in it by group, person and class.

    Args:
        runs: what ran; what lies outside of the time is not counted.
        since: the first moment of a month.
        until: the first moment that is not counted any more, not later than now.
        catalogue: where classes and their prices are.
    """
    uses: defaultdict[tuple[datetime, Account], Use] = defaultdict(Use)
    for run in runs:
        end = _find_end(run, until, catalogue.classes.get(run.account.machine_class))
        for month, time in _split(max(run.begin, since), end):
            use = uses[month, run.account]
            use.time += time
            use.names.add(run.name)
    rows = [
        _build(month, account, use, catalogue.classes.get(account.machine_class))
        for (month, account), use in uses.items()
    ]
    return sorted(rows, key=lambda row: (-row.month.timestamp(), row.account))


def _find_end(run: Run, until: datetime, machine: InstanceClass | None) -> datetime:
    """When a run ended, at the latest.

    A hub whose database was lost never tells the end of a session; it had ended when it had to.
    """
    if run.end is not None:
        return min(run.end, until)
    if run.account.kind is Kind.SESSION and machine and machine.longest_session_seconds:
        return min(run.begin + timedelta(seconds=machine.longest_session_seconds), until)
    return until


def _split(begin: datetime, end: datetime) -> Iterator[tuple[datetime, timedelta]]:
    """The months that a time is in, and how much of it."""
    while begin < end:
        month = begin_month(begin)
        rest = min(end, add_months(month, 1))
        yield month, rest - begin
        begin = rest


def _build(month: datetime, account: Account, use: Use, machine: InstanceClass | None) -> Row:
    hours = use.time / _HOUR
    per_hour, currency = _find_price(account, machine)
    return Row(
        month=month,
        account=account,
        count=len(use.names),
        hours=hours,
        core_hours=None if machine is None else hours * machine.cores,
        gpu_hours=None if machine is None else hours * machine.gpus,
        memory_gib_hours=None if machine is None else hours * machine.memory_bytes / GIB,
        cost=None if per_hour is None else hours * per_hour,
        currency=currency,
    )


def _find_price(
    account: Account, machine: InstanceClass | None
) -> tuple[float, str] | tuple[None, None]:
    """What an hour costs, and in which currency."""
    price = machine and machine.price
    if not price:
        return None, None
    return price.find_per_hour(interruptible=account.interruptible), price.currency
