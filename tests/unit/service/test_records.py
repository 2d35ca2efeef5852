"""What a runner says of itself arrives whole: the wire's fields and the service's are the same.

Not what was asked for: the service knows that, and takes nobody's word for it.
"""

import json
from dataclasses import fields
from typing import Any

import pytest

from offline_jobs.contract.message import Message
from offline_jobs.contract.request import Request
from offline_jobs.contract.run import Progress, ResultRecord, Specification, Termination
from offline_jobs.service.rules.records import (
    ProgressBody,
    ResultBody,
    TerminationBody,
    parse_record,
)
from tests.unit.service.test_methods import WHOLE


@pytest.mark.parametrize(
    ("message", "body"),
    [(Progress, ProgressBody), (ResultRecord, ResultBody), (Termination, TerminationBody)],
)
def test_no_field_of_a_message_is_dropped(message: type[Message], body: Any) -> None:
    names = {field.name for field in fields(message)}  # type: ignore[arg-type]
    assert set(body.model_fields) == names - {"request"}


ASKED = {
    *("name", "path", "group", "image", "machine_class", "kernel", "parameters"),
    *("time_limit_seconds", "interruptible"),
}


def test_what_travels_between_runner_and_service_is_flat_and_only_grows() -> None:
    """Runners of an earlier version live for months in users' images."""
    asked = Request(name="n", path="a.ipynb", kernel={"name": "python3", "source": "image"})
    told = Specification(job="j", attempt=1, request=asked, notebook={}, output="o").to_json()
    assert set(told) == ASKED | {
        *("job", "attempt", "notebook", "output", "image_reference", "kept_checkpoints")
    }
    assert (told["name"], told["path"], told["kernel"]["name"]) == ("n", "a.ipynb", "python3")
    assert set(WHOLE.to_json()) == ASKED | {
        *("job", "attempt", "outcome", "exit_code", "cell", "total", "cell_seconds", "error"),
        *("message", "started", "ended", "memory_peak_bytes", "memory_limit_bytes", "output"),
        *("git", "versions", "notebook_parameters", "snapshot_sha256", "image_reference"),
        *("lock_sha256", "packages_sha256", "machine", "cpu_seconds", "cores_peak", "series"),
        "result_sha256",
    }
    assert WHOLE.to_json()["kernel"]["version"] == "3.11.7"


def test_a_whole_record_arrives_as_it_was_sent() -> None:
    error = {"name": "KeyError", "value": "'bin50'", "cell": "2"}
    sent = WHOLE.to_json() | {"error": error, "cell_seconds": [0.5], "message": "m"}
    sent |= {"lock_sha256": "d", "result_sha256": "e", "output": "o", "memory_limit_bytes": 5}
    sent |= {"cpu_seconds": 12.5, "cores_peak": 0.75}
    sent["series"] = {
        "every_seconds": 2.0,
        "memory_mib": [120],
        "cores": [0.5],
        "gpus": {"count": 1, "memory_limit_mib": 16, "percent": [7], "memory_mib": [8]},
        "first_cell_seconds": 1.5,
    }
    own = {field.name for field in fields(WHOLE)} - {"request"}
    assert {name for name in own if not sent[name]} == {"exit_code"}
    arrived = parse_record(json.dumps(sent).encode(), WHOLE.job, WHOLE.attempt)
    assert arrived is not None
    assert {name: arrived.to_json()[name] for name in own} == {name: sent[name] for name in own}
    asked = arrived.request
    assert (asked.path, asked.parameters, asked.image) == ("", {}, "")


def test_what_no_database_holds_as_json_is_no_record() -> None:
    whole = {"job": "a", "attempt": 1, "outcome": "succeeded", "exit_code": 0}
    assert parse_record(
        json.dumps(whole | {"git": {"commit": "c", "clean": None}}).encode(), "a", 1
    )
    assert parse_record(json.dumps(whole | {"git": {"a": float("nan")}}).encode(), "a", 1) is None
