"""What runs come to: by month and account, in hours and in money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub_config.platform.catalogue import GIB, Price
from offline_jobs.service.rules.usage import (
    Account,
    Kind,
    Row,
    Run,
    add_months,
    begin_month,
    report,
)
from tests.factories import make_catalogue, make_class, make_group, make_image

PRICE = Price(0.5, "USD", "2026-11-01", spot_per_hour=0.2)
CATALOGUE = make_catalogue(
    images=[make_image(default=True)],
    classes=[
        make_class(default=True, cores=4, memory_bytes=16 * GIB, price=PRICE),
        make_class("gpu", cores=8, memory_bytes=32 * GIB, gpus=2, price=None),
    ],
    groups=[make_group()],
)
OCTOBER, NOVEMBER, DECEMBER = (datetime(2026, month, 1, tzinfo=UTC) for month in (10, 11, 12))
HOUR = timedelta(hours=1)
ADAS = Account("lab", "ada", "standard", Kind.JOB, False)


def make_account(**changes: Any) -> Account:
    return Account(**{**vars(ADAS), **changes})


def list_figures(row: Row) -> list[object]:
    return [row.core_hours, row.gpu_hours, row.memory_gib_hours, row.cost, row.currency]


def test_a_run_counts_in_each_month_that_it_is_in() -> None:
    run = Run(ADAS, "a", NOVEMBER - 2 * HOUR, NOVEMBER + 3 * HOUR)
    rows = report([run], OCTOBER, DECEMBER, CATALOGUE)
    assert [(row.month, row.hours, row.count) for row in rows] == [
        (NOVEMBER, 3, 1),
        (OCTOBER, 2, 1),
    ]


def test_what_lies_outside_of_the_time_is_not_counted() -> None:
    runs = [
        Run(ADAS, "a", OCTOBER - HOUR, OCTOBER + HOUR),
        Run(ADAS, "b", NOVEMBER - HOUR, NOVEMBER + HOUR),
        Run(ADAS, "c", OCTOBER - 2 * HOUR, OCTOBER),
    ]
    (row,) = report(runs, OCTOBER, NOVEMBER, CATALOGUE)
    assert (row.hours, row.count) == (2, 2)


def test_two_tries_of_a_job_are_one_job() -> None:
    runs = [Run(ADAS, "a", OCTOBER + n * HOUR, OCTOBER + n * HOUR + HOUR / 2) for n in (0, 5)]
    (row,) = report(runs, OCTOBER, NOVEMBER, CATALOGUE)
    assert (row.hours, row.count) == (1, 1)


def test_hours_are_told_in_cores_gpus_memory_and_money() -> None:
    gpu = make_account(machine_class="gpu")
    runs = [Run(ADAS, "a", OCTOBER, OCTOBER + 3 * HOUR), Run(gpu, "b", OCTOBER, OCTOBER + HOUR)]
    without_price, with_price = report(runs, OCTOBER, NOVEMBER, CATALOGUE)
    assert list_figures(with_price) == [12, 0, 48, 1.5, "USD"]
    assert list_figures(without_price) == [8, 2, 32, None, None]


def test_a_machine_that_may_be_taken_away_costs_its_own_price() -> None:
    spot = make_account(interruptible=True)
    runs = [Run(each, "a", OCTOBER, OCTOBER + HOUR) for each in (ADAS, spot)]
    assert [row.cost for row in report(runs, OCTOBER, NOVEMBER, CATALOGUE)] == [0.5, 0.2]


def test_of_a_class_that_is_gone_hours_are_told_and_nothing_else() -> None:
    gone = make_account(machine_class="gone")
    (row,) = report([Run(gone, "a", OCTOBER, OCTOBER + HOUR)], OCTOBER, NOVEMBER, CATALOGUE)
    assert row.hours == 1
    assert list_figures(row) == [None] * 5


def test_rows_stand_by_group_person_class_and_kind() -> None:
    accounts = [
        make_account(group="b", owner="ada"),
        make_account(owner="ben"),
        make_account(kind=Kind.SESSION),
        ADAS,
        make_account(machine_class="gpu"),
    ]
    runs = [Run(each, "a", OCTOBER, OCTOBER + HOUR) for each in accounts]
    rows = report(runs, OCTOBER, NOVEMBER, CATALOGUE)
    assert [row.account for row in rows] == [accounts[i] for i in (0, 4, 3, 2, 1)]


@pytest.mark.parametrize(
    ("kind", "hours"),
    [
        (Kind.JOB, 30 * 24),
        (Kind.SESSION, CATALOGUE.classes["standard"].longest_session_seconds / 3600),
    ],
)
def test_what_nobody_told_the_end_of_goes_on_as_long_as_it_may(kind: Kind, hours: float) -> None:
    # A session whose hub lost its database has ended when the hub had to stop it.
    run = Run(make_account(kind=kind), "a", OCTOBER, None)
    (row,) = report([run], OCTOBER, OCTOBER + timedelta(days=30), CATALOGUE)
    assert row.hours == hours


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, (2026, 12)), (2, (2027, 1)), (14, (2028, 1)), (-10, (2026, 1)), (-11, (2025, 12))],
)
def test_months_are_added_beyond_the_year(number: int, expected: tuple[int, int]) -> None:
    found = add_months(NOVEMBER, number)
    assert (found.year, found.month) == expected
    assert found == begin_month(found + timedelta(days=20, hours=5))


def test_months_are_those_of_utc() -> None:
    east = datetime.fromisoformat("2026-11-01T01:00:00+02:00")
    assert begin_month(east) == OCTOBER
