"""The runner's side: one attempt's token, one attempt's endpoints, nothing decided."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import httpx
import pytest

from offline_jobs.contract import run
from offline_jobs.contract.states import State
from offline_jobs.service.object_store import log_key, result_key
from offline_jobs.service.rules.records import ProgressBody, ResultBody, TerminationBody
from offline_jobs.service.web import runs
from tests.plain import NO_TLS
from tests.service.web.factories import Client, Service, make_notebook

RESULT = {"outcome": "succeeded", "exit_code": 0, "cell": 1, "total": 1}
ENDPOINTS = [
    ("GET", ""),
    ("POST", "/progress"),
    ("PUT", "/notebook"),
    ("PUT", "/log"),
    ("POST", "/result"),
]


def address(service: Service, job: str, number: object = 1) -> str:
    return f"{service.runs}/internal/v1/runs/{job}/{number}"


@pytest.fixture
def job(ada: Client) -> str:
    notebook = make_notebook("print(k)", parameters="k = 1")
    return str(ada.submit(notebook=notebook, parameters={"k": 2}).json()["id"])


def test_the_specification_is_the_contracts(service: Service, ada: Client, job: str) -> None:
    runner = service.runner(job)
    answer = runner.get(address(service, job))
    said = run.Specification.from_json(answer.json())
    shown = ada.get(f"jobs/{job}").json()
    assert (said.job, said.attempt) == (job, 1)
    stored = service.store.job(job)
    assert stored is not None
    assert said.request == stored.request
    assert said.request.parameters == {"k": 2}
    assert f"{said.output}/markers.ipynb" == shown["output_path"]
    assert said.notebook["cells"][0]["outputs"] == []


def test_a_runner_is_told_whose_checkpoints_stay(
    service: Service, ada: Client, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, other = (str(ada.submit(key).json()["id"]) for key in ("key-00000002", "key-00000003"))
    service.client("ben").submit("key-00000004")
    service.finish(ended)

    def list_kept() -> set[str]:
        answer = service.runner(job).get(address(service, job))
        return set(run.Specification.from_json(answer.json()).kept_checkpoints)

    assert list_kept() == {job, ended, other}
    monkeypatch.setattr(runs, "CHECKPOINTS_STAY", timedelta(0))
    assert list_kept() == {job, other}


def test_nobody_is_told_what_to_run_once_a_cell_began(service: Service, job: str) -> None:
    runner = service.runner(job)
    assert runner.get(address(service, job)).status_code == 200
    progress = run.Progress("running", 1, 2).to_json()
    assert runner.post(address(service, job) + run.PATH_PROGRESS, json=progress).is_success
    answer = runner.get(address(service, job))
    assert (answer.status_code, answer.json()["code"]) == (410, "attempt-closed")
    assert runner.post(address(service, job) + run.PATH_PROGRESS, json=progress).is_success


def test_bodies_have_every_field_of_the_contract() -> None:
    assert set(ProgressBody.model_fields) == set(run.Progress.__dataclass_fields__)
    assert set(ResultBody.model_fields) | {"request"} == set(run.ResultRecord.__dataclass_fields__)
    assert set(TerminationBody.model_fields) == set(run.Termination.__dataclass_fields__)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_another_token_opens_nothing(
    service: Service, ada: Client, job: str, method: str, path: str
) -> None:
    other = ada.submit("key-00000002").json()["id"]
    base = address(service, job)
    tokens = service.rooms.tokens
    wrong: list[str | bytes] = [
        "",
        "Bearer ü".encode(),
        f"Bearer {tokens.make(other, 1)}",
        f"Bearer {tokens.make(job, 2)}",
        f"token {tokens.make(job, 1)}",
        "token ada",
    ]
    for said in wrong:
        answer = httpx.request(
            method,
            base + path,
            headers=[(b"Authorization", said.encode() if isinstance(said, str) else said)],
            trust_env=False,
            verify=NO_TLS,
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("number", ["0", "2", "01", "-1", "x", "99999999999999999999"])
def test_an_attempt_that_is_not_there(service: Service, job: str, number: str) -> None:
    base = address(service, job, number)
    right = {"Authorization": f"Bearer {service.rooms.tokens.make(job, 1)}"}
    assert httpx.get(base, headers=right, trust_env=False, verify=NO_TLS).status_code == 401
    future = {"Authorization": f"Bearer {service.rooms.tokens.make(job, 2)}"}
    expected = 410 if number == "2" else 401
    assert httpx.get(base, headers=future, trust_env=False, verify=NO_TLS).status_code == expected


def test_progress_is_stored_and_answers_cancel(service: Service, ada: Client, job: str) -> None:
    runner = service.runner(job)
    progress = {
        "phase": "running",
        "cell": 2,
        "total": 5,
        "cell_seconds": [0.5],
        "memory_bytes": 10,
        "log_tail": "x" * 20_000,
        "a_later_field": 1,
    }
    assert runner.post("/progress", json=progress).json() == {"cancel": False}
    attempt = service.store.attempt(job, 1)
    assert attempt is not None
    assert (attempt.cell, attempt.total) == (2, 5)
    assert len(attempt.log_tail) == run.MAX_LOG_TAIL_CHARACTERS
    shown = ada.get(f"jobs/{job}").json()
    assert shown["cell"] == {"number": 2, "total": 5}
    assert shown["state"] == "queued"  # a state is the reconciler's to change
    ada.post(f"jobs/{job}/cancel")
    assert runner.post("/progress", json=progress).json() == {"cancel": True}


@pytest.mark.parametrize(
    "progress",
    [
        {},
        {"phase": "x" * 100},
        {"phase": "running", "cell": -1},
        {"phase": "running", "cell": "many"},
        {"phase": "running", "memory_bytes": 2**80},
        {"phase": "running", "cell_seconds": ["x"]},
    ],
)
def test_progress_out_of_bounds(service: Service, job: str, progress: object) -> None:
    answer = service.runner(job).post("/progress", json=progress)
    assert answer.status_code == 422
    assert answer.json()["field"]


def test_notebook_log_and_result_are_kept_and_may_be_repeated(
    service: Service, ada: Client, job: str
) -> None:
    runner = service.runner(job)
    assert not ada.get(f"jobs/{job}").json()["has_result"]
    for content in (b"first", b"second"):
        assert runner.put("/notebook", content=content).status_code == 204
        assert runner.put("/log", content=content).status_code == 204
        said = {**RESULT, "job": job, "attempt": 1}
        assert runner.post("/result", json=said).status_code == 200
    for key in (result_key(job, 1), log_key(job, 1)):
        kept = service.rooms.objects.open(key)
        assert kept is not None
        with kept:
            assert kept.read() == b"second"
    assert ada.get(f"jobs/{job}").json()["has_result"]
    attempt = service.store.attempt(job, 1)
    assert attempt is not None
    assert attempt.result is not None
    assert attempt.result.outcome == "succeeded"


def test_a_result_speaks_for_its_own_attempt_only(service: Service, job: str) -> None:
    said = {**RESULT, "job": "a00000000000", "attempt": 7}
    assert service.runner(job).post("/result", json=said).status_code == 200
    attempt = service.store.attempt(job, 1)
    assert attempt is not None
    assert attempt.result is not None
    assert (attempt.result.job, attempt.result.attempt) == (job, 1)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_a_closed_attempt_takes_nothing(service: Service, job: str, method: str, path: str) -> None:
    service.finish(job, State.SUCCEEDED)
    answer = service.runner(job).request(method, address(service, job) + path)
    assert (answer.status_code, answer.json()["code"]) == (410, "attempt-closed")


@pytest.mark.parametrize(("path", "key"), [("/notebook", result_key), ("/log", log_key)])
def test_what_arrives_whole_after_the_end_changes_nothing(
    service: Service,
    ada: Client,
    job: str,
    path: str,
    key: Callable[[str, int], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end comes between the look at the token and the last byte, or the job is deleted."""
    objects = service.rooms.objects
    other = str(ada.submit("key-00000002").json()["id"])
    assert service.runner(other).put(path, content=b"in time").status_code == 204
    under_way = service.rooms.publishing.under_way

    def end_before(attempt: tuple[str, int]) -> AbstractContextManager[None]:
        service.finish(attempt[0], State.FAILED)
        if attempt[0] == job:
            service.store.delete_job(job)
        return under_way(attempt)

    monkeypatch.setattr(service.rooms.publishing, "under_way", end_before)
    for each, status in ((job, 404), (other, 410)):
        assert service.runner(each).put(path, content=b"late").status_code == status
    kept = objects.open(key(other, 1))
    assert kept is not None
    with kept:
        assert kept.read() == b"in time"
    assert objects.open(key(job, 1)) is None


def test_what_is_about_to_end_takes_nothing_more(service: Service, job: str) -> None:
    runner = service.runner(job)
    with service.rooms.publishing.ending((job, 1)) as can_end:
        assert can_end
        told = runner.put("/log", content=b"late")
        assert (told.status_code, told.json()["code"]) == (503, "unavailable")
        assert told.headers["retry-after"]
    assert runner.put("/log", content=b"it did not end").status_code == 204


def test_nothing_ends_amid_an_upload(
    service: Service, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who uploads without pause cannot hold the end up for ever, either."""
    publishing, objects = service.rooms.publishing, service.rooms.objects
    put, runner = objects.put, service.runner(job)
    ends: list[bool] = []

    def put_slowly(key: str, content: bytes) -> None:
        with publishing.ending((job, 1)) as can_end:
            ends.append(can_end)
        put(key, content)

    monkeypatch.setattr(objects, "put", put_slowly)
    assert runner.put("/notebook", content=b"in time").status_code == 204
    assert ends == [False]
    assert runner.put("/notebook", content=b"more").status_code == 503
    publishing.keep([(job, 1)])
    assert runner.put("/notebook", content=b"more").status_code == 503
    publishing.keep([])
    assert runner.put("/notebook", content=b"more").status_code == 204


def test_what_is_over_its_bound_is_refused(service: Service, ada: Client, job: str) -> None:
    runner = service.runner(job)
    for path, most in (("/log", run.MAX_LOG_BYTES), ("/notebook", run.MAX_NOTEBOOK_BYTES)):
        assert runner.put(path, content=b"x" * (most + 1)).status_code == 413
    assert not ada.get(f"jobs/{job}").json()["has_result"]
    assert runner.put("/log", content=b"x" * run.MAX_LOG_BYTES).status_code == 204


def test_the_two_sides_do_not_answer_for_each_other(service: Service, job: str) -> None:
    token = service.rooms.tokens.make(job, 1)
    headers = {"Authorization": f"Bearer {token}"}
    inside = f"/internal/v1/runs/{job}/1"
    assert (
        httpx.get(
            service.public + inside, headers=headers, trust_env=False, verify=NO_TLS
        ).status_code
        == 404
    )
    outside = "/services/offline-jobs/api/v1/jobs"
    named = {"Authorization": "token ada"}
    assert (
        httpx.get(service.runs + outside, headers=named, trust_env=False, verify=NO_TLS).status_code
        == 404
    )
