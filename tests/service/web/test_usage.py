"""Reports of use: whose somebody may see, in which months, as JSON and as a table."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import State
from offline_jobs.service.model import SessionTurn
from offline_jobs.service.rules.usage import add_months, begin_month
from tests.service.core.factories import create_job, make_new_job
from tests.service.web.factories import Client, Service

NOW = datetime.now(UTC)
MONTH = begin_month(NOW)
BEFORE = add_months(MONTH, -1)


def name(month: datetime) -> str:
    return f"{month:%Y-%m}"


def keep_session(service: Service, owner: str, group: str, begin: datetime, hours: float) -> None:
    """A session that ran for so long on the class `standard`."""
    turns = [
        SessionTurn(
            session=f"{owner}-{begin:%Y%m%d%H%M}",
            number=number,
            at=at,
            owner=owner,
            group=group,
            image="notebook",
            machine_class="standard",
            state=state,
            reason=None,
        )
        for number, at, state in (
            (1, begin, SessionState.RUNNING),
            (2, begin + timedelta(hours=hours), SessionState.ENDED),
        )
    ]
    service.store.keep_turns(turns)


@pytest.fixture
def use(service: Service) -> None:
    """Sessions of last month of Ada's and Ben's, and a job of Ada's that runs."""
    keep_session(service, "ada", "lab", BEFORE + timedelta(days=3), 2)
    keep_session(service, "ada", "lab", BEFORE + timedelta(days=4), 0.5)
    keep_session(service, "ben", "teaching", BEFORE + timedelta(days=3), 1)
    new = make_new_job("1", group="lab", machine_class="large", interruptible=True)
    job = create_job(service.store, new)[0].id
    service.stand(job, State.RUNNING)


def ask(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"usage?{query}")
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows


@pytest.mark.usefixtures("use")
def test_a_row_tells_who_used_what_in_a_month_and_what_it_costs(ada: Client) -> None:
    (row,) = ask(ada, f"first={name(BEFORE)}&last={name(BEFORE)}")
    assert row == {
        "month": name(BEFORE),
        "group": "lab",
        "user": "ada",
        "class": "standard",
        "kind": "session",
        "interruptible": False,
        "count": 2,
        "hours": 2.5,
        "core_hours": 5.0,
        "gpu_hours": 0.0,
        "memory_gib_hours": 10.0,
        "cost": 0.25,
        "currency": "EUR",
    }


@pytest.mark.usefixtures("use")
def test_without_a_month_it_is_this_one(ada: Client) -> None:
    months = {name(begin_month(datetime.now(UTC)))}
    (row,) = ask(ada)
    months.add(name(begin_month(datetime.now(UTC))))
    assert row["month"] in months
    assert (row["kind"], row["class"], row["count"], row["user"]) == ("job", "large", 1, "ada")
    assert row["interruptible"] is True


def test_what_runs_counts_until_now(service: Service) -> None:
    # The end is still to come.
    keep_session(service, "lea", "lab", datetime.now(UTC) - timedelta(minutes=30), 9)
    rows = ask(service.client("lea"), f"first={name(BEFORE)}")
    assert 0.5 <= sum(row["hours"] for row in rows) < 1


@pytest.mark.usefixtures("use")
@pytest.mark.parametrize(
    ("who", "query", "users"),
    [
        ("ada", "", {"ada"}),
        ("ada", "user=ada", {"ada"}),
        ("ada", "user=ada&group=teaching", set()),
        ("lea", "group=lab", {"ada"}),
        ("lea", "group=lab&user=*", {"ada"}),
        ("lea", "", set()),
        ("root", "user=*", {"ada", "ben"}),
        ("root", "user=ben", {"ben"}),
        ("root", "group=teaching", {"ben"}),
        ("root", "", set()),
    ],
)
def test_somebody_sees_the_use_that_is_theirs_to_see(
    service: Service, who: str, query: str, users: set[str]
) -> None:
    rows = ask(service.client(who), f"first={name(BEFORE)}&{query}")
    assert {row["user"] for row in rows} == users


@pytest.mark.usefixtures("use")
@pytest.mark.parametrize("path", ["usage", "usage.csv"])
@pytest.mark.parametrize(
    ("who", "query"),
    [("ada", "user=ben"), ("ada", "user=*"), ("ada", "group=lab"), ("lea", "group=teaching")],
)
def test_the_use_of_others_is_refused(service: Service, path: str, who: str, query: str) -> None:
    answer = service.client(who).get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("first=2026-13", "first"),
        ("last=26-01", "last"),
        ("first=2026-11&last=2026-10", "first"),
        ("first=2023-10&last=2026-10", "first"),
        ("month=2026-10", "month"),
    ],
)
def test_months_that_are_none_are_refused_by_name(ada: Client, query: str, field: str) -> None:
    answer = ada.get(f"usage?{query}")
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_three_years_are_told_and_months_to_come_are_empty(ada: Client) -> None:
    assert ask(ada, "first=2023-11&last=2026-10") == []
    assert ask(ada, "first=2090-01&last=2090-02") == []


@pytest.mark.usefixtures("use")
def test_the_table_has_what_the_answer_has(service: Service) -> None:
    root = service.client("root")
    query = f"first={name(BEFORE)}&last={name(BEFORE)}&user=*"
    answer = root.get(f"usage.csv?{query}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="usage-{name(BEFORE)}-{name(BEFORE)}.csv"'
    )
    table = list(csv.DictReader(io.StringIO(answer.text)))
    rows = ask(root, query)
    assert len(rows) == 2
    assert table == [{key: str(value) for key, value in row.items()} for row in rows]


def test_no_name_becomes_a_formula_in_a_spreadsheet(service: Service) -> None:
    keep_session(service, "=1+1", "lab", BEFORE, 1)
    answer = service.client("root").get(f"usage.csv?first={name(BEFORE)}&user=*")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["user"] == "'=1+1"
