"""The JSON that travels, held by golden files that the Lab's tests read as well."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub_config.platform.catalogue import GIB
from offline_jobs.contract.job import JOB_FIELDS, SUBMISSION_FIELDS, TURN_FIELDS
from offline_jobs.contract.run import Progress
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.errors import ServiceError
from offline_jobs.service.model import Job, Turn
from offline_jobs.service.web.answers import answer_job, answer_turn
from offline_jobs.service.web.schema import Submission
from tests.factories import make_catalogue, make_class
from tests.service.core.factories import NOON, make_job
from tests.service.web.factories import Client, Service, make_notebook, make_submission

WIRE = Path(__file__).parents[2] / "golden" / "wire"
RUNNING: dict[str, Any] = {
    "group": "lab",
    "machine_class": "standard",
    "path": "stereo/markers.ipynb",
    "parameters": {"bin_size": 50, "plot": True},
    "started": NOON + timedelta(seconds=12),
    "memory_bytes": 3 * GIB,
    "memory_peak_bytes": 3 * GIB + GIB // 2,
    "memory_limit_bytes": 4 * GIB,
}
JOBS: dict[str, Job] = {
    "job-queued": make_job(
        group="lab", machine_class="standard", reason=Reason.LOCAL_SLOTS, facts={"ahead": 3}
    ),
    "job-starting": make_job(
        group="lab", machine_class="standard", state=State.STARTING, reason=Reason.KERNEL_START
    ),
    "job-running": make_job(
        **RUNNING, state=State.RUNNING, reason=None, cell=12, total=30, cell_seconds=(0.5, 2.25)
    ),
    "job-succeeded": make_job(
        **RUNNING,
        state=State.SUCCEEDED,
        reason=None,
        cell=2,
        total=2,
        cell_seconds=(0.5, 2.25),
        ended=NOON + timedelta(minutes=12),
        has_result=True,
    ),
    "job-cell-error": make_job(
        **RUNNING,
        state=State.FAILED,
        reason=None,
        cause=Cause.CELL_ERROR,
        facts={"error_name": "KeyError", "error_value": "'bin50'"},
        cell=5,
        total=9,
        cell_seconds=(1.0, 1.0, 1.0, 1.0, 0.1),
        ended=NOON + timedelta(minutes=3),
        has_result=True,
    ),
    "job-out-of-memory": make_job(
        **{**RUNNING, "memory_peak_bytes": 3 * GIB + 9 * GIB // 10},
        state=State.FAILED,
        reason=None,
        cause=Cause.OUT_OF_MEMORY,
        cell=17,
        total=30,
        ended=NOON + timedelta(minutes=41),
        has_result=True,
        attempt=2,
        rerun_of="a00000000001",
    ),
    "job-cancelled": make_job(
        **RUNNING,
        state=State.CANCELLED,
        reason=None,
        cell=4,
        total=9,
        ended=NOON + timedelta(minutes=2),
        has_result=True,
    ),
}


def golden(name: str) -> Any:
    return json.loads((WIRE / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", JOBS)
def test_a_job_travels_like_this(service: Service, name: str) -> None:
    answer = answer_job(JOBS[name], service.rooms)
    assert answer == golden(name)
    assert tuple(answer) == JOB_FIELDS


def test_a_submission_travels_like_this() -> None:
    sent = golden("submission")
    assert sent == make_submission(
        notebook=make_notebook("print(bin_size)", parameters="bin_size = 50  # in spots"),
        parameters={"bin_size": 20},
    )
    assert tuple(sent) == SUBMISSION_FIELDS
    assert Submission.model_validate_json(json.dumps(sent)).machine_class == "standard"


def test_the_catalogue_travels_like_this(ada: Client) -> None:
    assert ada.get("catalogue").json() == golden("catalogue")


def test_a_check_travels_like_this(ada: Client) -> None:
    parameters = (
        "bin_size: int = 50  # in spots\nratio = 0.5\nnames = ['a', 'b']\npath = home / 'x'"
    )
    notebook = make_notebook("print(bin_size)", parameters=parameters)
    answer = ada.post("jobs/check", make_submission(notebook=notebook, **{"class": "huge"}))
    assert answer.status_code == 200
    assert answer.json() == golden("check")


def test_the_course_of_a_run_travels_like_this(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    said = Progress("running", series=golden("course")["series"])
    assert service.runner(job).post("/progress", json=said.to_json()).is_success
    assert ada.get(f"jobs/{job}/course").json() == golden("course")


def test_a_history_travels_like_this() -> None:
    job = JOBS["job-cell-error"]
    waiting = Turn(
        at=NOON,
        job=job.id,
        attempt=1,
        owner=job.owner,
        group="lab",
        image="notebook",
        machine_class="standard",
        previous=None,
        state=State.QUEUED,
        reason=Reason.LOCAL_SLOTS,
        cause=None,
        facts={"ahead": 2},
    )
    failed = replace(
        waiting,
        at=NOON + timedelta(seconds=9),
        previous=State.RUNNING,
        state=State.FAILED,
        reason=None,
        cause=Cause.CELL_ERROR,
        facts=job.facts,
    )
    turns = [answer_turn(job, turn, make_catalogue()) for turn in (waiting, failed)]
    assert {"turns": turns} == golden("history")
    assert {tuple(turn) for turn in turns} == {TURN_FIELDS}


def test_sentences_name_things_as_people_call_them(service: Service) -> None:
    small = make_class("small", name="Small machine", default=True)
    waiting = replace(make_job(), state=State.QUEUED, reason=Reason.NO_NODE, attempt=1)
    turn = Turn(
        at=NOON,
        job=waiting.id,
        attempt=1,
        owner=waiting.owner,
        group="lab",
        image="notebook",
        machine_class="small",
        previous=None,
        state=State.QUEUED,
        reason=Reason.NO_NODE,
        cause=None,
        facts={},
    )
    job = replace(waiting, request=replace(waiting.request, machine_class="small"))

    named = answer_turn(job, turn, make_catalogue(classes=(small,)))["sentence"]
    # A class that the catalogue had once.
    gone = answer_turn(job, turn, make_catalogue())["sentence"]

    assert named.startswith("No machine of class Small machine can be had")
    assert gone.startswith("No machine of class small can be had")
    catalogue = service.rooms.catalogue
    slug, known = next(iter(catalogue.classes.items()))
    shown = replace(job, request=replace(job.request, machine_class=slug))
    assert f"class {known.name} " in answer_job(shown, service.rooms)["sentence"]


def test_a_page_of_jobs_travels_like_this(service: Service) -> None:
    page = golden("jobs")
    assert set(page) == {"jobs", "next_cursor"}
    assert page["jobs"] == [golden("job-running"), golden("job-queued")]


def test_a_refusal_travels_like_this(ada: Client) -> None:
    answers = {
        "error-unknown-class": ada.submit(**{"class": "enormous"}),
        "error-unknown-field": ada.submit(colour="red"),
        "error-not-found": ada.get("jobs/a00000000000"),
    }
    first = ada.submit()
    conflict = ada.submit(name="another")
    assert conflict.status_code == 409
    assert conflict.json()["id"] == first.json()["id"]
    for name, answer in answers.items():
        assert answer.json() == golden(name)


def test_every_error_has_its_status_and_code() -> None:
    def below(kind: type[ServiceError]) -> list[type[ServiceError]]:
        return [kind, *(k for sub in kind.__subclasses__() for k in below(sub))]

    found = {kind.code: kind.status for kind in below(ServiceError)}
    assert found == golden("errors")


def test_a_larger_class_is_named_only_where_the_machine_has_it(service: Service) -> None:
    job = JOBS["job-out-of-memory"]
    step = answer_job(job, service.rooms)["next_step"]
    assert step.endswith("Large has 16 GiB.")
    intake = replace(service.rooms.intake, measure=lambda: None)
    cluster = replace(service.rooms, intake=intake)
    assert answer_job(job, cluster)["next_step"].endswith("Large has 16 GiB.")
    largest = replace(job.request, machine_class="large")
    last = answer_job(replace(job, request=largest), service.rooms)["next_step"]
    assert last.endswith("no class with more memory is to be had for this job.")
