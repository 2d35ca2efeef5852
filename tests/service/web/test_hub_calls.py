"""The hub deletes a user: whoever is called so later has nothing of theirs. It tells sessions."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from offline_jobs.contract.session import MOST_TURNS
from offline_jobs.contract.states import State
from offline_jobs.service.store.overview import MOST_OPEN
from tests.service.web.factories import API, HUB_TOKEN, Client, Service

KEEPER = ".retired/ada-2026-11-28T230512"
TURN = {
    "session": "5e55104",
    "number": 1,
    "at": "2026-11-29T08:00:00.5+01:00",
    "owner": "ada",
    "group": "spatial-lab",
    "image": "notebook",
    "machine_class": "gpu",
    "state": "starting",
}


def read_turns(service: Service) -> list[tuple[object, ...]]:
    """All that the ledger has of sessions, in the order of its columns."""
    with service.store._database.read() as connection:
        rows = connection.execute(text("SELECT * FROM sessions ORDER BY number"))
        return [tuple(row) for row in rows]


def ask(
    service: Service, path: str, token: str = f"token {HUB_TOKEN}", **body: object
) -> httpx.Response:
    client = service.client("nobody").http
    return client.post(f"{API}{path}", headers={"Authorization": token}, json=body)


def begin(service: Service, user: str = "ada") -> int:
    answer = ask(service, "departures", user=user)
    assert answer.status_code == 200, answer.text
    count: int = answer.json()["open"]
    return count


def test_a_departure_ends_what_runs_and_takes_nothing_more(
    service: Service, ada: Client, ben: Client
) -> None:
    first, second = (ada.submit(f"key-0000000{n}").json()["id"] for n in (1, 2))
    service.finish(first)
    service.wakes.clear()

    assert (begin(service), begin(service)) == (1, 1)

    assert service.wakes
    assert service.store.job(second).cancel_requested  # type: ignore[union-attr]
    assert not service.store.job(first).cancel_requested  # type: ignore[union-attr]
    refused = ada.submit("key-00000003")
    assert (refused.status_code, refused.json()["code"]) == (409, "departing")
    again = ada.post(f"jobs/{first}/rerun", **{"Idempotency-Key": "key-00000004"})
    assert again.json()["code"] == "departing"
    # What was taken before the departure is still told.
    assert ada.submit("key-00000001").json()["id"] == first
    assert ben.submit(group="teaching").status_code == 202
    service.finish(second, State.CANCELLED)
    assert begin(service) == 0


def test_afterwards_nobody_has_the_jobs_but_administrators_and_leads(
    service: Service, ada: Client
) -> None:
    job = ada.submit().json()["id"]
    service.finish(job)
    begin(service)
    listed = ada.get("jobs")

    done = ask(service, "departures/complete", user="ada", keeper=KEEPER)

    assert done.json() == {"jobs": 1}
    changed = ada.get("jobs", **{"If-None-Match": listed.headers["etag"]})
    assert (changed.status_code, changed.json()["jobs"]) == (200, [])
    assert ada.get(f"jobs/{job}").status_code == 404
    for name in ("root", "lea"):
        assert service.client(name).get(f"jobs/{job}").json()["owner"] == KEEPER
    # The key is free as well: it was the other's.
    assert ada.submit().json()["code"] == "departing"


def test_a_departure_is_not_completed_while_a_job_is_open(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]

    answer = ask(service, "departures/complete", user="ada", keeper=KEEPER)

    assert answer.status_code == 409
    assert ada.get(f"jobs/{job}").json()["owner"] == "ada"


def test_who_has_no_jobs_departs_too(service: Service) -> None:
    assert begin(service, "ünknown of ours") == 0
    answer = ask(service, "departures/complete", user="ünknown of ours", keeper=KEEPER)
    assert answer.json() == {"jobs": 0}


@pytest.mark.parametrize("token", ["", "token ada", "token root", "cookie root", f"x {HUB_TOKEN}"])
def test_nobody_but_the_hub_may_say_so(service: Service, ada: Client, token: str) -> None:
    job = ada.submit().json()["id"]
    service.finish(job)
    for path, more in (("departures", {}), ("departures/complete", {"keeper": KEEPER})):
        assert ask(service, path, token, user="ada", **more).status_code == 401
    assert ask(service, "sessions", token, turns=[TURN]).status_code == 401
    assert ask(service, "home", token, user="ada", groups=["lab"]).status_code == 401
    assert read_turns(service) == []
    assert ada.get(f"jobs/{job}").json()["owner"] == "ada"
    assert ada.submit("key-00000002").status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {"user": "ada", "keeper": "ben"},
        {"user": "ada"},
        {"user": "", "keeper": KEEPER},
        {"user": "a" * 256, "keeper": KEEPER},
    ],
)
def test_the_keeper_is_nobody_who_could_sign_in(
    service: Service, ada: Client, body: dict[str, str]
) -> None:
    job = ada.submit().json()["id"]
    service.finish(job)
    assert ask(service, "departures/complete", **body).status_code == 422
    assert ada.get(f"jobs/{job}").json()["owner"] == "ada"


def test_a_turn_of_a_session_is_kept_once_however_often_it_is_told(service: Service) -> None:
    waiting = {**TURN, "number": 2, "at": "2026-11-29T07:00:02Z", "reason": "no-node"}

    told = [
        ask(service, "sessions", turns=turns).json()
        for turns in ([TURN], [TURN, waiting], [{**waiting, "state": "ended"}], [])
    ]

    assert [each["kept"] for each in told] == [1, 1, 0, 0]
    row = ("ada", "spatial-lab", "notebook", "gpu", "starting")
    assert read_turns(service) == [
        ("5e55104", 1, 1_795_935_600_500_000, *row, None),
        ("5e55104", 2, 1_795_935_602_000_000, *row, "no-node"),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"session": ""},
        {"session": "x" * 65},
        {"number": 0},
        {"number": 2**31},
        {"at": "2026-11-29T08:00:00"},
        {"owner": ""},
        {"state": "queued"},
        {"reason": "moon"},
        {"machine_class": None},
    ],
)
def test_of_a_message_with_a_wrong_turn_nothing_is_kept(
    service: Service, wrong: dict[str, Any]
) -> None:
    turns = [{**TURN, "number": 7}, {**TURN, **wrong}]
    assert ask(service, "sessions", turns=turns).status_code == 422
    assert read_turns(service) == []


def test_who_departs_leaves_sessions_that_are_nobodys(service: Service) -> None:
    ask(service, "sessions", turns=[TURN, {**TURN, "number": 2, "owner": "ben"}])

    ask(service, "departures/complete", user="ada", keeper=KEEPER)

    assert [row[3] for row in read_turns(service)] == [KEEPER, "ben"]


def test_the_hub_learns_how_long_starts_of_a_class_usually_take(service: Service) -> None:
    def start(session: str, machine_class: str, seconds: int) -> dict[str, Any]:
        turn = {**TURN, "session": session, "machine_class": machine_class}
        ready = f"2026-11-29T08:{seconds // 60:02}:{seconds % 60:02}+01:00"
        begun = {**turn, "at": "2026-11-29T08:00:00+01:00"}
        waiting = {**begun, "number": 2, "reason": "no-node"}
        running = {**turn, "number": 3, "at": ready, "state": "running"}
        answer = ask(service, "sessions", turns=[begun, waiting, running])
        usual: dict[str, Any] = answer.json()["usual_seconds"]
        return usual

    # Of two nothing is learned, and an outlier changes little.
    told = [start(f"gpu-{n}", "gpu", seconds) for n, seconds in enumerate((170, 172, 3000))]
    assert told == [{}, {}, {"gpu": 172.0}]
    for n, seconds in enumerate((10, 20, 30, 40)):
        start(f"small-{n}", "small", seconds)
    # One that never ran says nothing.
    failed = {**TURN, "session": "failed", "machine_class": "small"}
    last = ask(service, "sessions", turns=[failed, {**failed, "number": 2, "state": "ended"}])
    assert last.json()["usual_seconds"] == {"gpu": 172.0, "small": 25.0}


def test_a_full_message_with_the_longest_names_is_taken(service: Service) -> None:
    longest = {key: "x" * 64 for key in ("session", "group", "image", "machine_class")}
    turn = {**TURN, **longest, "owner": "ü" * 255, "reason": "cluster-unreachable"}
    turns = [{**turn, "number": number} for number in range(1, MOST_TURNS + 1)]
    assert ask(service, "sessions", turns=turns).json()["kept"] == MOST_TURNS


def test_the_home_has_what_is_open_and_what_ended_lately(
    service: Service, ada: Client, ben: Client
) -> None:
    first, second, third, fourth = (
        ada.submit(f"key-0000000{n}", name=f"job {n}").json()["id"] for n in range(1, 5)
    )
    other = ben.submit(group="teaching").json()["id"]
    service.finish(first)
    service.finish(second, State.FAILED)
    service.stand(fourth, State.RUNNING)

    told = ask(service, "home", user="ada", groups=["lab", "gone"]).json()

    # What runs before what waits, failures before successes.
    assert [job["id"] for job in told["jobs"]] == [fourth, third]
    assert [job["id"] for job in told["ended"]] == [second, first]
    assert told["open"] == 2
    assert told["jobs"][0] == ada.get(f"jobs/{fourth}").json()
    assert told["groups"] == {
        "lab": {"running": 1, "waiting": 1, "cores": 2},
        "gone": {"running": 0, "waiting": 0, "cores": 0},
    }
    assert other not in str(told)


def test_the_home_is_short_however_many_jobs_there_are(service: Service, ada: Client) -> None:
    for n in range(12):
        assert ada.submit(f"key-000000{n:02}").status_code == 202

    told = ask(service, "home", user="ada", groups=[]).json()

    assert (told["open"], len(told["jobs"]), told["ended"]) == (12, MOST_OPEN, [])
    assert ask(service, "home", user="nobody", groups=[]).json()["open"] == 0


@pytest.mark.parametrize(
    "body",
    [{"user": "ada"}, {"groups": []}, {"user": "ada", "groups": "lab"}, {"user": 1, "groups": []}],
)
def test_the_home_is_asked_for_somebody(service: Service, body: dict[str, Any]) -> None:
    assert ask(service, "home", **body).status_code == 422
