"""How groups stand: queues and sessions, and who is told of whose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub_config.platform.catalogue import GIB, Budget
from offline_jobs.contract.facts import Facts
from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Reason, State
from offline_jobs.service.model import SessionTurn
from tests.service.core.factories import create_job, make_new_job
from tests.service.web.factories import Client, Service

NOW = datetime.now(UTC).replace(microsecond=0)
PATHS = ("queues", "sessions", "outcomes")


def open_session(
    service: Service,
    owner: str,
    group: str = "lab",
    *,
    hours: float = 2,
    machine_class: str = "standard",
    runs: bool = True,
) -> str:
    """A session that was asked for some hours ago and, if it is to, has run since; its name."""
    session = f"{owner}-{group}-{machine_class}"
    begun = NOW - timedelta(hours=hours)
    states = (SessionState.STARTING, SessionState.RUNNING)[: 2 if runs else 1]
    turns = [
        SessionTurn(session, number, begun, owner, group, "notebook", machine_class, state, None)
        for number, state in enumerate(states, 1)
    ]
    service.store.keep_turns(turns)
    return session


def submit(service: Service, owner: str, state: State, **changes: Any) -> str:
    """A job in a state, in the group ``lab`` on the class ``standard`` unless told otherwise."""
    changes = {"group": "lab", "machine_class": "standard", **changes}
    new = make_new_job("1", owner=owner, **changes)
    job = create_job(service.store, new)[0].id
    if state is not State.QUEUED:
        service.stand(job, state)
    return job


def end(service: Service, owner: str, *states: str, **changes: Any) -> list[str]:
    """Jobs that ran and ended in these states."""
    jobs = [submit(service, owner, State.RUNNING, **changes) for _ in states]
    for job, state in zip(jobs, states, strict=True):
        service.finish(job, State(state))
    return jobs


@pytest.fixture
def use(service: Service) -> None:
    """Jobs and sessions of Ada's and Lea's in the lab, and one of each of Ben's elsewhere."""
    for state in (State.RUNNING, State.STARTING, State.QUEUED):
        submit(service, "ada", state)
    submit(service, "lea", State.RUNNING, machine_class="large")
    submit(service, "ben", State.RUNNING, group="teaching")
    open_session(service, "lea")
    open_session(service, "ada", machine_class="large", runs=False)
    open_session(service, "ben", "teaching")
    end(service, "ada", "succeeded", "failed", "failed", "cancelled")
    end(service, "ben", "failed", group="teaching")


def ask(client: Client, path: str) -> dict[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


@pytest.mark.usefixtures("use")
def test_a_queue_says_what_is_used_of_what_by_whom_and_who_waits(service: Service) -> None:
    said = ask(service.client("lea"), "queues")
    (queue,) = said["queues"]
    assert (said["slots"], said["weights"]) == (None, 2)
    assert (queue["group"], queue["name"], queue["weight"]) == ("lab", "Lab", 1)
    assert queue["limits"] == {"cores": 64, "memory_bytes": 512 * GIB, "gpus": 0}
    whole = queue["all"]
    assert (whole["running"], whole["waiting"], whole["sessions"]) == (3, 1, 2)
    assert whole["by_jobs"] == {"cores": 20, "memory_bytes": 24 * GIB, "gpus": 0}
    assert whole["by_sessions"] == {"cores": 18, "memory_bytes": 20 * GIB, "gpus": 0}
    waited = datetime.now(UTC) - datetime.fromisoformat(whole["waiting_since"])
    assert timedelta() <= waited < timedelta(minutes=5)
    people = [(each["key"], each["running"], each["waiting"]) for each in queue["people"]]
    assert people == [("ada", 2, 1), ("lea", 1, 0)]
    classes = [(each["name"], each["running"], each["sessions"]) for each in queue["classes"]]
    assert classes == [("Standard", 2, 1), ("Large", 1, 1)]


@pytest.mark.usefixtures("use")
def test_an_administrator_is_told_of_all_groups(service: Service) -> None:
    root = service.client("root")
    assert [each["group"] for each in ask(root, "queues")["queues"]] == ["lab", "teaching"]
    assert {each["user"] for each in ask(root, "sessions")["sessions"]} == {"ada", "lea", "ben"}
    assert [each["group"] for each in ask(root, "queues?group=teaching")["queues"]] == ["teaching"]
    assert [each["user"] for each in ask(root, "sessions?group=teaching")["sessions"]] == ["ben"]


@pytest.mark.usefixtures("use")
def test_a_lead_is_told_of_the_groups_they_lead_alone(service: Service) -> None:
    lea = service.client("lea")
    for query in ("", "?group=lab"):
        assert {each["user"] for each in ask(lea, f"sessions{query}")["sessions"]} == {"ada", "lea"}
        assert [each["group"] for each in ask(lea, f"queues{query}")["queues"]] == ["lab"]
    assert "ben" not in lea.get("queues").text + lea.get("sessions").text


@pytest.mark.usefixtures("use")
def test_outcomes_are_of_each_person_in_a_group(service: Service) -> None:
    ada = {"group": "lab", "user": "ada", "succeeded": 1, "failed": 2, "cancelled": 1}
    ben = {"group": "teaching", "user": "ben", "succeeded": 0, "failed": 1, "cancelled": 0}
    month = f"{datetime.now(UTC):%Y-%m}"
    assert ask(service.client("lea"), "outcomes") == {"month": month, "rows": [ada]}
    root = service.client("root")
    assert ask(root, "outcomes")["rows"] == [ada, ben]
    assert ask(root, "outcomes?group=teaching")["rows"] == [ben]


def queue_up(service: Service, owner: str, ahead: int, **changes: Any) -> str:
    """A job that waits behind so many for its group's share."""
    job = submit(service, owner, State.QUEUED, **changes)
    group = str(changes.get("group", "lab"))
    facts: Facts = {"group": group, "ahead": ahead}
    service.stand(job, State.QUEUED, reason=Reason.QUEUE_QUOTA, facts=facts)
    return job


def test_a_line_is_told_in_its_order_with_owner_class_and_time(service: Service) -> None:
    """The latest may be the next: people take turns."""
    second = queue_up(service, "ada", 1, machine_class="large")
    new = submit(service, "ada", State.QUEUED)
    limited = submit(service, "ada", State.QUEUED)
    service.stand(limited, State.QUEUED, reason=Reason.POOL_LIMIT)
    first = queue_up(service, "lea", 0)
    queue_up(service, "ben", 0, group="teaching")
    submit(service, "ada", State.RUNNING)
    said = ask(service.client("lea"), "line?group=lab")
    assert said["waiting"] == 4
    assert [(each["id"], each["place"], each["owner"]) for each in said["jobs"]] == [
        (first, 1, "lea"),
        (second, 2, "ada"),
        (new, None, "ada"),
        (limited, None, "ada"),
    ]
    told = said["jobs"][1]
    assert (told["class"], told["waiting_since"]) == ("large", told["created"])
    assert told["sentence"] == "Waiting until Lab has room in its share, 1 job ahead"
    assert ask(service.client("root"), "line?group=teaching")["waiting"] == 1
    assert ask(service.client("root"), "line?group=none") == {"waiting": 0, "jobs": []}


def test_of_a_long_line_the_first_are_told(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offline_jobs.service.web.groups.MOST_IN_LINE", 2)
    for ahead in (3, 1, 2, 0):
        queue_up(service, "ada", ahead)
    said = ask(service.client("lea"), "line?group=lab")
    assert (said["waiting"], [each["place"] for each in said["jobs"]]) == (4, [1, 2])


@pytest.mark.parametrize(
    ("who", "group"),
    [
        ("ada", "lab"),
        ("ben", "teaching"),
        ("eve", "lab"),
        ("lea", "teaching"),
        ("lea", "none-such"),
    ],
)
def test_a_line_is_told_to_nobody_else(service: Service, who: str, group: str) -> None:
    queue_up(service, who, 0)
    client = service.client(who)
    answer = client.get(f"line?group={group}")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert set(answer.json()) == {"code", "message"}
    assert client.get("line").json()["field"] == "group"


@pytest.mark.usefixtures("use")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("who", "query"),
    [
        ("ada", ""),
        ("ada", "?group=lab"),
        ("ben", "?group=teaching"),
        ("eve", ""),
        ("eve", "?group=lab"),
        ("lea", "?group=teaching"),
        ("lea", "?group=none-such"),
    ],
)
def test_nobody_else_is_told_anything(service: Service, path: str, who: str, query: str) -> None:
    answer = service.client(who).get(path + query)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert set(answer.json()) == {"code", "message"}


@pytest.mark.parametrize("path", PATHS)
def test_what_a_group_that_does_not_exist_answers_is_alike(service: Service, path: str) -> None:
    lea = service.client("lea")
    assert lea.get(f"{path}?group=teaching").json() == lea.get(f"{path}?group=none").json()


@pytest.mark.parametrize("path", PATHS)
def test_what_is_not_heeded_is_refused(service: Service, path: str) -> None:
    answer = service.client("root").get(f"{path}?user=ada")
    assert (answer.status_code, answer.json()["field"]) == (422, "user")


def test_a_session_says_what_it_is_and_what_it_has_cost(service: Service) -> None:
    name = open_session(service, "ada")
    (session,) = ask(service.client("lea"), "sessions")["sessions"]
    begun = NOW - timedelta(hours=2)
    hours = (datetime.now(UTC) - begun) / timedelta(hours=1)
    assert session.pop("cost") == pytest.approx(0.1 * hours, abs=0.01)
    assert session == {
        "id": name,
        "user": "ada",
        "group": "lab",
        "group_name": "Lab",
        "image": "notebook",
        "image_name": "Notebook",
        "class": "standard",
        "class_name": "Standard",
        "state": "running",
        "since": f"{begun:%Y-%m-%dT%H:%M:%S}.000Z",
        "running_since": f"{begun:%Y-%m-%dT%H:%M:%S}.000Z",
        "ends_at": f"{begun + timedelta(hours=12):%Y-%m-%dT%H:%M:%S}.000Z",
        "currency": "EUR",
    }


def test_one_that_starts_has_cost_nothing_and_one_that_has_ended_is_not_told(
    service: Service,
) -> None:
    open_session(service, "ada", runs=False)
    ended = SessionTurn(
        *(open_session(service, "lea"), 3, NOW, "lea", "lab", "notebook", "standard"),
        SessionState.ENDED,
        None,
    )
    service.store.keep_turns([ended])
    (session,) = ask(service.client("root"), "sessions")["sessions"]
    assert (session["user"], session["state"], session["cost"]) == ("ada", "starting", 0)
    assert session["running_since"] is session["ends_at"] is None


def test_what_has_gone_from_the_catalogue_is_told_by_its_slug(service: Service) -> None:
    open_session(service, "zoe", "gone", machine_class="old")
    root = service.client("root")
    (session,) = ask(root, "sessions")["sessions"]
    assert (session["group_name"], session["class_name"], session["cost"]) == ("gone", "old", None)
    queue = ask(root, "queues")["queues"][-1]
    assert (queue["name"], queue["weight"], queue["limits"]) == ("gone", None, None)
    assert queue["all"]["sessions"] == 1


@pytest.fixture
def on_one_machine(service: Service) -> Iterator[None]:
    """A service whose backend is local processes, two at once."""
    service.app.state.rooms = replace(service.rooms, slots=2)
    yield
    service.app.state.rooms = service.rooms


@pytest.mark.usefixtures("on_one_machine")
def test_on_one_machine_no_queue_has_a_limit(service: Service) -> None:
    said = ask(service.client("root"), "queues")
    assert said["slots"] == 2
    assert [each["limits"] for each in said["queues"]] == [None, None]


@contextmanager
def budgets(service: Service, **months: float) -> Iterator[None]:
    """A service whose catalogue gives these groups a budget."""
    catalogue = service.rooms.catalogue
    groups = {
        slug: replace(group, budget=Budget(months[slug], "EUR") if slug in months else None)
        for slug, group in catalogue.groups.items()
    }
    rooms = replace(service.rooms, catalogue=replace(catalogue, groups=groups))
    service.app.state.rooms = rooms
    try:
        yield
    finally:
        service.app.state.rooms = service.rooms


def test_a_budget_is_told_to_leads_and_administrators_alone(service: Service) -> None:
    with budgets(service, lab=500):
        told = [each["budget"] for each in ask(service.client("root"), "queues")["queues"]]
        assert told == [{"month": 500, "currency": "EUR"}, None]
        (queue,) = ask(service.client("lea"), "queues")["queues"]
        assert queue["budget"] == {"month": 500, "currency": "EUR"}
        for path in ("catalogue", "jobs", "usage"):
            assert "budget" not in service.client("ada").get(path).text


@pytest.mark.parametrize(
    ("who", "query", "status"),
    [
        ("root", "", 200),
        ("root", "?group=teaching", 200),
        ("lea", "", 200),
        ("lea", "?group=lab&show=line&person=a", 200),
        ("lea", "?group=teaching", 403),
        ("ada", "", 403),
        ("ada", "?group=lab", 403),
        ("eve", "", 403),
    ],
)
def test_the_page_is_there_for_leads_and_administrators(
    service: Service, who: str, query: str, status: int
) -> None:
    client = service.client(who, "cookie")
    answer = client.http.get(f"{SERVICE_PREFIX}groups{query}", headers=client.headers())
    assert answer.status_code == status
    assert ('id="queues"' in answer.text) == (status == 200)


@pytest.mark.parametrize(("who", "shown"), [("root", True), ("lea", True), ("ada", False)])
def test_the_way_to_it_is_there_for_those_who_may_go(
    service: Service, who: str, shown: bool
) -> None:
    client = service.client(who, "cookie")
    for path in ("", "usage"):
        text = client.http.get(SERVICE_PREFIX + path, headers=client.headers()).text
        assert (f'href="{SERVICE_PREFIX}groups"' in text) == shown, path
