"""The hub deletes a user: jobs end, and whoever is called so later has none of them."""

import httpx
import pytest

from offline_jobs.contract.states import State
from tests.service.web.factories import API, HUB_TOKEN, Client, Service

KEEPER = ".retired/ada-2026-11-28T230512"


def ask(
    service: Service, path: str, token: str = f"token {HUB_TOKEN}", **body: str
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
