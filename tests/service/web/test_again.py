"""Running a job again with changes: what stays, what is checked, what it is told apart by."""

from typing import Any

import pytest

from offline_jobs.contract.states import Cause, State
from offline_jobs.service import notebooks
from offline_jobs.service.web import reading
from tests.service.web.factories import Client, Service, make_notebook

KEY = {"Idempotency-Key": "again-00000001"}
NOTEBOOK = make_notebook("print(k)", parameters="k: float = 1  # how many\nname = 'a'")


@pytest.fixture
def job(service: Service, ada: Client) -> dict[str, Any]:
    made = ada.submit(notebook=NOTEBOOK, parameters={"k": 5}, time_limit_seconds=77).json()
    service.finish(made["id"])
    return dict(made)


def test_what_is_changed_changes_and_all_else_stays(
    service: Service, ada: Client, job: dict[str, Any]
) -> None:
    changes = {
        "name": "with more",
        "class": "large",
        "parameters": {"name": "b"},
        "time_limit_seconds": 120,
    }
    answer = ada.post(f"jobs/{job['id']}/rerun", changes, **KEY)
    again = answer.json()
    assert (answer.status_code, again["rerun_of"]) == (202, job["id"])
    assert {name: again[name] for name in changes} == {
        **changes,
        "parameters": {"k": 5, "name": "b"},
    }
    same = ("path", "group", "image", "kernel", "interruptible")
    assert [again[name] for name in same] == [job[name] for name in same]
    assert service.store.snapshot(again["id"]) == service.store.snapshot(job["id"])


def test_a_key_is_for_one_set_of_changes(ada: Client, job: dict[str, Any]) -> None:
    place = f"jobs/{job['id']}/rerun"
    first = ada.post(place, {"class": "large"}, **KEY)
    again = ada.post(place, {"class": "large"}, **KEY)
    other = ada.post(place, {}, **KEY)
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert again.json()["id"] == other.json()["id"] == first.json()["id"]


def test_a_check_tells_the_values_of_the_run_and_makes_nothing(
    ada: Client, job: dict[str, Any]
) -> None:
    said = ada.post(f"jobs/{job['id']}/rerun/check", {"class": "large"}).json()
    assert said["problems"] == []
    assert said["sentence"].startswith("Runs on Large")
    assert said["kernel"] == job["kernel"]
    told = [
        (each["name"], each["type"], each["default"], each["help"], each["carried"])
        for each in said["parameters"]
    ]
    assert told == [("k", "float", 5, "how many", True), ("name", "str", "a", "", False)]
    assert [each["id"] for each in ada.get("jobs").json()["jobs"]] == [job["id"]]


def test_values_of_a_result_that_was_submitted_can_be_changed_too(
    service: Service, ada: Client
) -> None:
    """Its notebook names them no more: they are in the job alone."""
    result = make_notebook("print(seed)", parameters="k = 1")
    result["cells"].insert(
        1,
        {**result["cells"][0], "source": "seed = 7", "metadata": {"tags": ["injected-parameters"]}},
    )
    made = ada.submit(notebook=result).json()
    service.finish(made["id"])
    place = f"jobs/{made['id']}/rerun"
    said = ada.post(f"{place}/check", {}).json()
    assert [(each["name"], each["default"]) for each in said["parameters"]] == [
        ("k", 1),
        ("seed", 7),
    ]
    again = ada.post(place, {"parameters": {"seed": 8}}, **KEY)
    assert (again.status_code, again.json()["parameters"]) == (202, {"seed": 8})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"parameters": {"unknown": 1}}, "parameters.unknown"),
        ({"class": "nothing"}, "class"),
        ({"image": "nothing"}, "image"),
        ({"time_limit_seconds": 10**8}, "time_limit_seconds"),
        ({"path": "other.ipynb"}, "path"),
        ({"notebook": {}}, "notebook"),
        ({"kernel": {"name": "nothing", "source": "image"}}, "kernel"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(
    ada: Client, job: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    answer = ada.post(f"jobs/{job['id']}/rerun", changes, **KEY)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert len(ada.get("jobs").json()["jobs"]) == 1


def test_only_its_owner_may_ask(service: Service, job: dict[str, Any]) -> None:
    lead, stranger = service.client("lea"), service.client("ben")
    place = f"jobs/{job['id']}/rerun/check"
    assert [each.post(place, {}).status_code for each in (lead, stranger)] == [403, 404]


def test_a_large_snapshot_is_read_in_a_process_of_its_own(
    ada: Client, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE_BYTES", 10)
    monkeypatch.setattr(notebooks, "inspect", None)
    said = ada.post(f"jobs/{job['id']}/rerun/check", {"parameters": {"k": 6}})
    assert (said.status_code, said.json()["problems"]) == (200, [])


def test_the_answer_names_the_cure_where_the_owner_may_have_it(
    service: Service, ada: Client
) -> None:
    made = ada.submit().json()
    service.finish(made["id"], State.FAILED, cause=Cause.TIME_LIMIT)
    cure = ada.get(f"jobs/{made['id']}").json()["again"]
    assert cure["label"].startswith("Run with")
    again = ada.post(f"jobs/{made['id']}/rerun", cure["changes"], **KEY)
    assert again.status_code == 202
    assert again.json()["time_limit_seconds"] > made["time_limit_seconds"]
