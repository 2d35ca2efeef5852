"""A job that its owner shares: members of its group look at the result, nobody else sees it."""

import json
import threading
from dataclasses import replace
from typing import Any

import httpx
import pytest

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.contract.states import State
from offline_jobs.service.object_store import log_key, result_key
from tests.factories import make_person
from tests.service.core.factories import make_record
from tests.service.web import factories
from tests.service.web.factories import API, Client, Service, make_notebook


@pytest.fixture(autouse=True)
def mia(monkeypatch: pytest.MonkeyPatch, service: Service) -> Client:
    """Another member of ada's group, who leads nothing."""
    monkeypatch.setitem(factories.PEOPLE, "mia", make_person("mia", ["lab"]))
    return service.client("mia")


@pytest.fixture
def job(service: Service, ada: Client) -> str:
    """Ada's job, which has ended and left everything."""
    job: str = ada.submit().json()["id"]
    service.rooms.objects.put(result_key(job, 1), json.dumps(make_notebook("print(1)")).encode())
    service.rooms.objects.put(log_key(job, 1), b"a secret of the log")
    kernel = {"name": "own", "source": "home", "environment": "envs/secret", "language": "python"}
    record = make_record(job=job, kernel=kernel, packages_sha256="f" * 64)
    record = replace(record, notebook_parameters={"bin": "50"})
    assert service.runner(job).post("/result", json=record.to_json()).is_success
    service.finish(job)
    return job


def share(client: Client, job: str, shared: Any = True) -> httpx.Response:
    return client.post(f"jobs/{job}/share", {"shared": shared})


#: What a guest may have, and what not.
SHOWN = ("", "/view", "/figures", "/record", "/course", "/cells")
HIDDEN = ("/log", "/notebook", "/result", "/history")


def test_a_member_of_the_group_looks_at_what_is_shared_and_no_longer_than_that(
    service: Service, ada: Client, ben: Client, mia: Client, job: str
) -> None:
    everything = [f"jobs/{job}{what}" for what in (*SHOWN, *HIDDEN)]
    missing = mia.get("jobs/a00000000000")

    def assert_none(client: Client) -> None:
        for path in (*everything, f"events?job={job}"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (404, missing.json()), path
        page = client.http.get(f"{SERVICE_PREFIX}jobs/{job}", headers=client.headers())
        assert page.status_code == 404

    assert_none(mia)
    assert ada.get(f"jobs/{job}").json()["shared"] is False
    answer = share(ada, job)
    assert (answer.status_code, answer.json()["shared"]) == (200, True)
    assert share(ada, job).json() == answer.json()
    for what in SHOWN:
        assert mia.get(f"jobs/{job}{what}").status_code == 200, what
    for what in HIDDEN:
        assert mia.get(f"jobs/{job}{what}").json() == missing.json(), what
    page = mia.http.get(f"{SERVICE_PREFIX}jobs/{job}", headers=mia.headers())
    assert 'data-guest="true"' in page.text
    assert mia.get("jobs").json()["jobs"] == []
    # Of another group, or of none that there is.
    assert_none(ben)
    assert_none(service.client("eve"))

    assert share(ada, job, False).json()["shared"] is False
    assert_none(mia)


def test_a_guest_is_told_nothing_of_the_owners_home(ada: Client, mia: Client, job: str) -> None:
    share(ada, job)
    seen, own = mia.get(f"jobs/{job}").json(), ada.get(f"jobs/{job}").json()
    assert own["output_path"]
    assert seen == {**own, "output_path": "", "again": None, "next_step": None}
    recorded = mia.get(f"jobs/{job}/record").json()
    assert recorded["record"] == {"notebook_parameters": {"bin": "50"}}
    assert "envs/secret" in ada.get(f"jobs/{job}/record").text
    assert "envs/secret" not in json.dumps(recorded)
    assert "f" * 64 not in json.dumps(recorded)


def test_a_guest_changes_nothing(service: Service, ada: Client, mia: Client, job: str) -> None:
    running = ada.submit("key-00000002").json()["id"]
    for each in (job, running):
        share(ada, each)
    key = {"Idempotency-Key": "key-00000003"}
    assert mia.post(f"jobs/{running}/cancel").status_code == 404
    assert mia.post(f"jobs/{job}/rerun", **key).status_code == 404
    assert mia.post(f"jobs/{job}/rerun/check").status_code == 404
    assert mia.delete(f"jobs/{job}").status_code == 404
    assert share(mia, job, False).status_code == 404
    assert ada.get(f"jobs/{job}").json()["shared"] is True


@pytest.mark.parametrize("who", ["lea", "root"])
def test_only_the_owner_shares(service: Service, ada: Client, job: str, who: str) -> None:
    answer = share(service.client(who), job)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-owner")
    assert ada.get(f"jobs/{job}").json()["shared"] is False
    page = service.client(who, "cookie")
    assert (
        'data-guest="false"'
        in page.http.get(f"{SERVICE_PREFIX}jobs/{job}", headers=page.headers()).text
    )


@pytest.mark.parametrize(
    "body", [{}, {"shared": "yes"}, {"shared": 1}, {"shared": True, "with": 1}]
)
def test_what_is_no_sharing_is_refused(ada: Client, job: str, body: Any) -> None:
    answer = ada.post(f"jobs/{job}/share", body)
    assert (answer.status_code, answer.json()["field"]) == (
        422,
        "with" if "with" in body else "shared",
    )


def test_a_guests_stream_ends_with_the_sharing(service: Service, ada: Client, mia: Client) -> None:
    job = ada.submit().json()["id"]
    share(ada, job)
    seen: list[str] = []
    began, told = threading.Event(), threading.Event()

    def listen() -> None:
        path = f"{API}events?job={job}"
        with mia.http.stream("GET", path, headers=mia.headers()) as answer:
            for line in answer.iter_lines():
                if line == ": open":
                    began.set()
                if line.startswith(("event:", "data:")):
                    seen.append(line)
                if line.startswith("data:") and "running" in line:
                    told.set()
                if line == "event: removed":
                    return

    thread = threading.Thread(target=listen)
    thread.start()
    assert began.wait(20)
    service.stand(job, State.RUNNING)
    assert told.wait(20)
    share(ada, job, False)
    thread.join(20)
    assert not thread.is_alive()
    assert seen[-1] == "event: removed"
    assert '"output_path": ""' in seen[1]


def test_whoever_leaves_shares_nothing_any_more(
    service: Service, ada: Client, mia: Client, job: str
) -> None:
    share(ada, job)
    service.store.departures.begin("ada")
    service.store.departures.complete("ada", ".retired/ada-1")
    assert mia.get(f"jobs/{job}").status_code == 404
    stored = service.store.job(job)
    assert stored is not None
    assert not stored.shared
