"""Jobs by the API: submit, list, cancel, run again, delete, and who may."""

import json
import threading
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from sqlalchemy import event

from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.changes import Change, Changes
from offline_jobs.service.errors import Unsound
from offline_jobs.service.intake import Sent
from offline_jobs.service.model import Ending, Selection, Standing
from offline_jobs.service.store.store import Store
from offline_jobs.service.web import reading
from offline_jobs.service.web.identity import Caller
from offline_jobs.service.web.schema import Submission
from tests.factories import make_person
from tests.files import largest_file
from tests.service.web.factories import (
    Client,
    Service,
    make_notebook,
    make_submission,
    running_service,
)


@pytest.fixture
def own(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service for one test, which does something to its database."""
    with running_service(tmp_path, database_url=database_url) as running:
        yield running


@pytest.fixture
def elsewhere(own: Service, database_url: str) -> Iterator[Store]:
    """That database by connections of its own."""
    store = Store(database_url, Changes())
    yield store
    store.close()


def test_a_submission_is_stored_before_the_answer(service: Service, ada: Client) -> None:
    answer = ada.submit()
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["owner"]) == ("queued", "ada")
    stored = service.store.job(job["id"])
    assert stored is not None
    assert stored.request.path == "stereo/markers.ipynb"
    assert service.wakes
    snapshot = json.loads(service.store.snapshot(job["id"]))
    assert snapshot["cells"][0]["outputs"] == []
    assert snapshot["cells"][0]["execution_count"] is None


def test_several_are_accepted_together_or_not_at_all(own: Service) -> None:
    intake = own.rooms.intake
    ada = make_person("ada")
    offered = intake.offer(ada)

    def send(**changes: Any) -> Sent:
        return reading.read(json.dumps(make_submission(**changes)).encode(), offered)

    wrong = send(parameters={"colour": 1})
    with pytest.raises(Unsound, match="does not name this parameter"):
        intake.accept_all(ada, offered, [(send(name="one"), "key-00001"), (wrong, "key-00002")])
    assert own.store.jobs(Selection("ada"), 9, None)[0] == []
    one, _ = intake.accept(ada, offered, send(name="one"), "key-00001")
    pair = [(send(name="two"), "key-00002"), (send(name="one"), "key-00001")]
    (two, is_new), again = intake.accept_all(ada, offered, pair)
    assert (two.request.name, is_new, again) == ("two", True, (one, False))
    assert intake.accept_all(ada, offered, pair) == [(two, False), (one, False)]


def test_the_history_of_a_job_in_words(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    line = Standing(State.QUEUED, Reason.LOCAL_SLOTS, {"ahead": 2})
    service.store.states.set_standings({(job, 1): line})
    service.store.states.add_attempt(job, 1, Ending(State.FAILED, Cause.INTERRUPTED))
    service.store.states.set_standings({(job, 2): Standing(State.RUNNING)})
    service.store.states.finish(job, 2, Ending(State.CANCELLED))
    answer = ada.get(f"jobs/{job}/history").json()
    assert set(answer) == {"turns"}
    told = [(t["attempt"], t["state"], t["reason"], t["sentence"]) for t in answer["turns"]]
    assert told == [
        (1, "queued", "service", "Accepted, about to be started"),
        (1, "queued", "local-slots", "Waiting for a free slot, 2 jobs ahead"),
        (2, "queued", "service", "Interrupted; tried again"),
        (2, "running", None, "Running"),
        (2, "cancelled", None, "Cancelled before it began"),
    ]
    assert answer["turns"][2]["cause"] == "interrupted"
    assert answer["turns"][0]["at"] == ada.get(f"jobs/{job}").json()["created"]
    assert service.client("ben").get(f"jobs/{job}/history").status_code == 404
    assert service.client("lea").get(f"jobs/{job}/history").status_code == 200


def test_202_comes_once_another_connection_sees_the_job(own: Service, elsewhere: Store) -> None:
    ada = own.client("ada")
    answered = threading.Event()
    # The commit takes until the answer is there, or a second where the answer waits for it.
    event.listen(own.store._database._place.writer, "commit", lambda _: answered.wait(1))
    answer = ada.submit()
    seen = elsewhere.job(answer.json()["id"])
    answered.set()
    assert answer.status_code == 202
    assert seen is not None


def test_a_submission_that_cannot_be_committed_is_not_taken(
    own: Service, elsewhere: Store, tmp_path: Path
) -> None:
    ada = own.client("ada")
    ada.submit("key-00000001")
    told: list[Change] = []
    own.rooms.changes.listen(told.append)
    with largest_file((tmp_path / "jobs.sqlite-wal").stat().st_size):
        answer = ada.submit("key-00000002")
    assert answer.status_code == 503
    assert told == []
    assert len(elsewhere.jobs(Selection(), 9, None)[0]) == 1
    assert ada.submit("key-00000002").status_code == 202


def test_the_same_key_and_body_give_the_same_job(ada: Client) -> None:
    first, second = ada.submit("key-12345678"), ada.submit("key-12345678")
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len(ada.get("jobs").json()["jobs"]) == 1


def test_a_repeated_submission_gets_its_job_whatever_may_be_chosen_by_now(tmp_path: Path) -> None:
    groups = ["lab"]

    async def identify(request: Request) -> Caller:
        return Caller(make_person("ada", groups))

    with running_service(tmp_path, who=identify) as service:
        ada = service.client("ada")
        first = ada.submit("key-12345678")
        service.finish(first.json()["id"])
        again = ada.post(f"jobs/{first.json()['id']}/rerun", **{"Idempotency-Key": "key-87654321"})
        assert (first.status_code, again.status_code) == (202, 202)
        groups[:] = ["teaching"]
        repeated = ada.submit("key-12345678")
        assert (repeated.status_code, repeated.json()["id"]) == (200, first.json()["id"])
        repeated = ada.post(
            f"jobs/{first.json()['id']}/rerun", **{"Idempotency-Key": "key-87654321"}
        )
        assert (repeated.status_code, repeated.json()["id"]) == (200, again.json()["id"])
        conflict = ada.submit("key-12345678", time_limit_seconds=60)
        assert (conflict.status_code, conflict.json()["id"]) == (409, first.json()["id"])
        assert ada.submit("key-00000009").status_code == 422


def test_outputs_make_no_other_submission(ada: Client) -> None:
    first = ada.submit("key-12345678")
    clean = make_notebook("print(1)")
    clean["cells"][0] |= {"outputs": [], "execution_count": None, "source": ["print", "(1)"]}
    again = ada.submit("key-12345678", notebook=clean)
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]


def test_a_key_of_another_user_is_free(ada: Client, ben: Client) -> None:
    assert ada.submit("key-12345678").status_code == 202
    assert ben.submit("key-12345678", group="teaching").status_code == 202


def test_the_same_key_with_another_body_names_the_job(ada: Client) -> None:
    first = ada.submit("key-12345678").json()
    answer = ada.submit("key-12345678", time_limit_seconds=60)
    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["id"]) == ("idempotency-conflict", first["id"])


def test_open_jobs_are_limited_for_each_user(tmp_path: Path) -> None:
    with running_service(tmp_path, open_limit=2) as service:
        ada, lea = service.client("ada"), service.client("lea")
        assert [ada.submit(f"key-0000000{n}").status_code for n in range(3)] == [202, 202, 429]
        assert lea.submit().status_code == 202
        service.finish(ada.get("jobs").json()["jobs"][0]["id"])
        assert ada.submit("key-00000009").status_code == 202


def test_what_is_left_out_is_filled_in(ben: Client) -> None:
    body = {
        "notebook": make_notebook("1"),
        "path": "a/qc.ipynb",
        "image": "notebook",
        "class": "standard",
    }
    job = ben.post("jobs", body, **{"Idempotency-Key": "key-12345678"}).json()
    assert (job["name"], job["group"]) == ("qc", "teaching")
    assert job["kernel"] == {"name": "python3", "source": "image"}
    assert job["time_limit_seconds"] == 4 * 3600


def test_check_creates_nothing_and_names_every_problem(ada: Client) -> None:
    body = make_submission(
        path="../x.ipynb",
        image="gpu",
        kernel={"name": "no-such", "source": "image"},
        parameters={"k": 1},
        notebook=make_notebook("1"),
    )
    answer = ada.post("jobs/check", body)
    assert answer.status_code == 200
    found = {(p["field"], p["code"]) for p in answer.json()["problems"]}
    assert found == {
        ("path", "bad-path"),
        ("image", "unknown-image"),
        ("parameters.k", "unknown-parameter"),
    }
    assert ada.get("jobs").json()["jobs"] == []


def test_check_says_what_will_happen(ada: Client) -> None:
    answer = ada.post("jobs/check", make_submission(**{"class": "large"})).json()
    assert answer["problems"] == []
    assert answer["sentence"] == (
        "Runs on Large (16 cores, 16 GiB); at most 1 h; you may close the browser. "
        "Gets 2 cores here: this machine has no more."
    )
    assert answer["cells"] == 1


def make_result(**values: object) -> dict[str, Any]:
    """An executed notebook: its parameters cell, then the cell with the values of a run."""
    result = make_notebook("print(k)", parameters="k = 1\nm = 2")
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    injected = make_notebook("\n".join(lines))["cells"][0]
    result["cells"].insert(1, injected | {"id": "i", "metadata": {"tags": ["injected-parameters"]}})
    return result


def test_a_submitted_result_runs_with_the_values_that_its_check_shows(
    service: Service, ada: Client
) -> None:
    result = make_result(k=42, own="x")
    body = make_submission(notebook=result, parameters={"m": 7})
    check = ada.post("jobs/check", body).json()
    shown = check["parameters"]
    assert check["cells"] == 3  # two, and the one that is injected
    assert {p["name"]: (p["default"], p["carried"]) for p in shown} == {
        "k": (42, True),
        "m": (2, False),
        "own": ("x", True),
    }
    job = ada.submit(notebook=result, parameters={"m": 7}).json()
    assert job["parameters"] == {"k": 42, "own": "x", "m": 7}
    snapshot = json.loads(service.store.snapshot(job["id"]))
    assert [cell["source"] for cell in snapshot["cells"]] == ["k = 1\nm = 2", "print(k)"]
    again = ada.post(f"jobs/{job['id']}/rerun", **{"Idempotency-Key": "key-00000002"}).json()
    assert again["parameters"] == job["parameters"]


def test_results_that_differ_in_their_values_alone_are_two_submissions(ada: Client) -> None:
    first = ada.submit("key-00000001", notebook=make_result(k=42))
    again = ada.submit("key-00000001", notebook=make_result(k=42))
    other = ada.submit("key-00000001", notebook=make_result(k=43))
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-conflict")


def test_lists_go_page_by_page_newest_first(ada: Client) -> None:
    made = [ada.submit(f"key-0000000{n}", name=f"job {n}").json()["id"] for n in range(5)]
    seen, cursor = [], None
    while True:
        page = ada.get(f"jobs?limit=2{f'&cursor={cursor}' if cursor else ''}").json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


def test_lists_can_be_narrowed_to_a_state(service: Service, ada: Client) -> None:
    first, second = (ada.submit(f"key-0000000{n}").json()["id"] for n in range(2))
    service.finish(first)
    assert [j["id"] for j in ada.get("jobs?state=succeeded").json()["jobs"]] == [first]
    assert [j["id"] for j in ada.get("jobs?state=queued").json()["jobs"]] == [second]


def test_an_unchanged_list_is_not_sent_again(service: Service, ada: Client, ben: Client) -> None:
    job = ada.submit().json()
    etag = ada.get("jobs").headers["etag"]
    assert ada.get("jobs", **{"If-None-Match": etag}).status_code == 304
    assert ada.get("jobs", **{"If-None-Match": f'"x", W/{etag}'}).status_code == 304
    assert ben.get("jobs", **{"If-None-Match": etag}).status_code == 200
    assert ada.get("jobs?limit=1", **{"If-None-Match": etag}).status_code == 200
    service.finish(job["id"])
    changed = ada.get("jobs", **{"If-None-Match": etag})
    assert changed.status_code == 200
    ada.delete(f"jobs/{job['id']}")
    etag = changed.headers["etag"]
    assert ada.get("jobs", **{"If-None-Match": etag}).json()["jobs"] == []


def test_one_list_is_never_taken_for_another(service: Service, ada: Client) -> None:
    root = service.client("root")
    job, *_ = (ada.submit(f"key-0000000{n}").json()["id"] for n in range(3))
    root.submit()
    page = "user=ada&limit=1"
    cursors = [root.get(f"jobs?{page}").json()["next_cursor"]]
    cursors.append(root.get(f"jobs?{page}&cursor={cursors[0]}").json()["next_cursor"])
    queries = [
        "",
        "state=queued",
        "state=failed",
        "user=*",
        "user=*&state=failed",
        "user=ada",
        page,
        *(f"{page}&cursor={cursor}" for cursor in cursors),
        "group=lab",
        "group=teaching",
        "group=lab&user=ada",
        "group=lab&state=failed",
        *("q=markers", "q=x", "image=notebook", "image=x", "class=standard", "class=x"),
        *("since=2026-01-01T00:00:00Z", "until=2026-01-01T00:00:00Z", "state=queued,failed"),
    ]
    lists = {query: root.get(f"jobs?{query}") for query in queries}
    for one, other in permutations(queries, 2):
        answer = root.get(f"jobs?{other}", **{"If-None-Match": lists[one].headers["etag"]})
        assert (answer.status_code, answer.content) == (200, lists[other].content), (one, other)
    service.stand(job, State.RUNNING)
    for query in queries[3:13]:
        etag = lists[query].headers["etag"]
        assert root.get(f"jobs?{query}", **{"If-None-Match": etag}).status_code == 200


def test_cancel_is_noted_and_may_be_repeated(service: Service, ada: Client) -> None:
    job = ada.submit().json()
    assert [ada.post(f"jobs/{job['id']}/cancel").status_code for _ in range(2)] == [202, 202]
    stored = service.store.job(job["id"])
    assert stored is not None
    assert stored.cancel_requested is not None
    service.finish(job["id"], State.CANCELLED)
    assert ada.post(f"jobs/{job['id']}/cancel").status_code == 202


@pytest.mark.parametrize("who", ["lea", "root"])
def test_an_owner_is_told_who_cancelled_the_job_and_why(
    service: Service, ada: Client, who: str
) -> None:
    job = ada.submit().json()["id"]
    other = service.client(who)
    answer = other.post(f"jobs/{job}/cancel", {"because": "  the budget\nis spent "})
    assert answer.status_code == 202
    # Who comes later changes nothing of it.
    assert ada.post(f"jobs/{job}/cancel", {"because": "mine"}).status_code == 202
    stored = service.store.job(job)
    assert stored is not None
    assert stored.cancel_facts == {"cancelled_by": who, "because": "the budget is spent"}
    service.finish(job, State.CANCELLED, facts=stored.cancel_facts)
    shown = ada.get(f"jobs/{job}").json()
    assert shown["sentence"] == f"Cancelled by {who} before it began: “the budget is spent”"
    assert ada.get(f"jobs/{job}/history").json()["turns"][-1]["sentence"] == shown["sentence"]


def test_of_ones_own_cancel_nothing_is_told(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    assert ada.post(f"jobs/{job}/cancel", {"because": "a typo"}).status_code == 202
    stored = service.store.job(job)
    assert stored is not None
    assert stored.cancel_facts == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [({"because": "x" * 301}, "because"), ({"because": 1}, "because"), ({"why": "x"}, "why")],
)
def test_a_cancel_of_another_shape_is_refused_by_its_field(
    service: Service, ada: Client, body: dict[str, object], field: str
) -> None:
    job = ada.submit().json()["id"]
    answer = ada.post(f"jobs/{job}/cancel", body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    stored = service.store.job(job)
    assert stored is not None
    assert stored.cancel_requested is None


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED])
def test_a_job_that_ended_cannot_be_cancelled(service: Service, ada: Client, state: State) -> None:
    job = ada.submit().json()
    service.finish(job["id"], state, cause=Cause.INTERNAL if state is State.FAILED else None)
    answer = ada.post(f"jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "already-ended")


def test_a_field_that_comes_later_makes_no_other_submission(
    ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(Submission):
        note: str = "none"

    first = ada.submit("key-00000001")
    monkeypatch.setattr(reading, "Submission", Later)
    repeated, said = ada.submit("key-00000001"), ada.submit("key-00000001", note="none")
    assert [(a.status_code, a.json()["id"]) for a in (repeated, said)] == [
        (200, first.json()["id"])
    ] * 2
    assert ada.submit("key-00000001", note="other").status_code == 409


def test_rerun_runs_the_same_snapshot_as_a_new_job(service: Service, ada: Client) -> None:
    notebook = make_notebook("print(k)", parameters="k = 1")
    asked: dict[str, Any] = {
        "name": "by hand",
        "parameters": {"k": 5},
        "time_limit_seconds": 77,
        "kernel": {"name": "own", "source": "home"},
    }
    job = ada.submit(notebook=notebook, **asked).json()
    service.finish(job["id"])
    answers = [
        ada.post(f"jobs/{job['id']}/rerun", **{"Idempotency-Key": "rerun-0001"}) for _ in range(2)
    ]
    assert [a.status_code for a in answers] == [202, 200]
    again = answers[0].json()
    assert again["id"] != job["id"]
    assert again["rerun_of"] == job["id"]
    assert {name: job[name] for name in asked} == asked
    same = (*asked, "path", "group", "image", "class")
    assert [again[name] for name in same] == [job[name] for name in same]
    assert service.store.snapshot(again["id"]) == service.store.snapshot(job["id"])


def test_a_key_is_for_the_rerun_of_one_job(ada: Client) -> None:
    first, second = (ada.submit(f"key-0000000{n}").json()["id"] for n in range(2))
    key = {"Idempotency-Key": "rerun-0001"}
    again = ada.post(f"jobs/{first}/rerun", **key)
    other = ada.post(f"jobs/{second}/rerun", **key)
    assert (again.status_code, other.status_code) == (202, 409)
    assert (other.json()["code"], other.json()["id"]) == (
        "idempotency-conflict",
        again.json()["id"],
    )


def test_rerun_checks_anew_what_may_be_used(tmp_path: Path) -> None:
    groups = ["lab"]

    async def who(request: Request) -> Caller:
        return Caller(make_person("ada", groups))

    with running_service(tmp_path, who=who) as service:
        ada = service.client("ada")
        job = ada.submit(**{"class": "large"}).json()
        groups[:] = ["teaching"]
        answer = ada.post(f"jobs/{job['id']}/rerun", **{"Idempotency-Key": "rerun-0001"})
        assert (answer.status_code, answer.json()["field"]) == (422, "group")


def test_only_the_record_of_an_ended_job_can_be_deleted(service: Service, ada: Client) -> None:
    job = ada.submit().json()
    assert ada.delete(f"jobs/{job['id']}").status_code == 409
    service.finish(job["id"])
    assert ada.delete(f"jobs/{job['id']}").status_code == 204
    assert ada.get(f"jobs/{job['id']}").status_code == 404


class TestOwnership:
    """Others' jobs look like none; leads see and end, administrators may delete as well."""

    READS = ("", "/log", "/notebook", "/result")

    def test_others_find_nothing(self, service: Service, ada: Client, ben: Client) -> None:
        job = ada.submit().json()["id"]
        key = {"Idempotency-Key": "key-87654321"}
        none = ben.get("jobs/a00000000000").json()
        for path in self.READS:
            answer = ben.get(f"jobs/{job}{path}")
            assert (answer.status_code, answer.json()) == (404, none)
        assert ben.post(f"jobs/{job}/cancel").status_code == 404
        assert ben.post(f"jobs/{job}/rerun", **key).status_code == 404
        assert ben.delete(f"jobs/{job}").status_code == 404
        assert ben.get(f"events?job={job}").status_code == 404
        assert ben.get("jobs").json()["jobs"] == []
        assert ben.get("jobs?user=ada").status_code == 403
        assert ben.get("events?user=*").status_code == 403
        stored = service.store.job(job)
        assert stored is not None
        assert stored.cancel_requested is None

    def test_a_cursor_of_another_user_shows_nothing(self, ada: Client, ben: Client) -> None:
        for n in range(3):
            ada.submit(f"key-0000000{n}")
        cursor = ada.get("jobs?limit=1").json()["next_cursor"]
        assert ben.get(f"jobs?cursor={cursor}").json()["jobs"] == []

    def test_leads_see_the_jobs_of_their_group(self, service: Service, ada: Client) -> None:
        job = ada.submit().json()["id"]
        lea = service.client("lea")
        assert lea.get(f"jobs/{job}").status_code == 200
        assert lea.get(f"jobs/{job}/log").status_code == 200
        assert lea.delete(f"jobs/{job}").status_code == 403
        key = {"Idempotency-Key": "key-87654321"}
        assert lea.post(f"jobs/{job}/rerun", **key).status_code == 403

    def test_leads_list_the_jobs_of_their_group(
        self, service: Service, ada: Client, ben: Client
    ) -> None:
        lea, root = service.client("lea"), service.client("root")
        hers, others = ada.submit().json()["id"], root.submit().json()["id"]
        ben.submit(group="teaching")

        def listed(client: Client, query: str) -> set[str]:
            return {job["id"] for job in client.get(f"jobs?{query}").json()["jobs"]}

        for client in (lea, root):
            assert listed(client, "group=lab") == {hers, others}
            assert listed(client, "group=lab&user=ada") == {hers}
            assert listed(client, "group=lab&state=failed") == set()
        assert listed(lea, "") == set()
        first = lea.get("jobs?group=lab&limit=1").json()
        second = lea.get(f"jobs?group=lab&limit=1&cursor={first['next_cursor']}").json()
        assert {page["jobs"][0]["id"] for page in (first, second)} == {hers, others}
        assert second["next_cursor"] is None

    def test_a_list_of_a_group_is_not_sent_again_until_it_changed(
        self, service: Service, ada: Client
    ) -> None:
        lea = service.client("lea")
        job = ada.submit().json()["id"]
        etag = lea.get("jobs?group=lab").headers["etag"]
        assert lea.get("jobs").headers["etag"] != etag
        assert lea.get("jobs?group=lab", **{"If-None-Match": etag}).status_code == 304
        service.finish(job)
        assert lea.get("jobs?group=lab", **{"If-None-Match": etag}).status_code == 200

    @pytest.mark.parametrize("group", ["lab", "teaching", "no-such-group", ""])
    def test_others_may_not_list_a_group(self, service: Service, ada: Client, group: str) -> None:
        ada.submit()
        for client in (ada, service.client("ben"), service.client("eve")):
            answer = client.get(f"jobs?group={group}")
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
            assert client.get(f"jobs?group={group}&user=lea").status_code == 403
            assert client.get(f"jobs/counts?group={group}").status_code == 403
            assert client.get(f"events?group={group}").status_code == 403

    def test_administrators_see_all_and_may_end_and_delete(
        self, service: Service, ada: Client
    ) -> None:
        job = ada.submit().json()["id"]
        root = service.client("root")
        assert root.get("jobs").json()["jobs"] == []
        assert [j["id"] for j in root.get("jobs?user=*").json()["jobs"]] == [job]
        assert [j["id"] for j in root.get("jobs?user=ada").json()["jobs"]] == [job]
        assert root.post(f"jobs/{job}/cancel").status_code == 202
        service.finish(job, State.CANCELLED)
        key = {"Idempotency-Key": "key-87654321"}
        assert root.post(f"jobs/{job}/rerun", **key).status_code == 403
        assert root.delete(f"jobs/{job}").status_code == 204

    def test_without_a_group_of_the_catalogue_nothing_can_be_had(self, service: Service) -> None:
        eve = service.client("eve")
        for answer in (eve.get("catalogue"), eve.submit()):
            assert (answer.status_code, answer.json()["code"]) == (403, "no-group")
        assert eve.get("jobs").json()["jobs"] == []

    def test_a_class_of_another_group_cannot_be_had(self, ben: Client) -> None:
        answer = ben.submit(group="teaching", **{"class": "large"})
        assert (answer.status_code, answer.json()["field"]) == (422, "class")
        assert ben.submit(group="lab").status_code == 422


def test_times_are_utc_and_sentences_are_made_on_the_way_out(service: Service, ada: Client) -> None:
    job = ada.submit().json()
    assert job["created"].endswith("Z")
    service.stand(job["id"], State.RUNNING)
    shown = ada.get(f"jobs/{job['id']}").json()
    assert shown["sentence"] == "Running, before the first cell"
