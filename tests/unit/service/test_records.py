"""What a runner says of itself arrives whole: the wire's fields and the service's are the same."""

import json
from dataclasses import fields
from typing import Any

import pytest

from offline_jobs.contract.run import Message, Progress, ResultRecord, Termination
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
    assert set(body.model_fields) == {field.name for field in fields(message)}  # type: ignore[arg-type]


def test_a_whole_record_arrives_as_it_was_sent() -> None:
    error = {"name": "KeyError", "value": "'bin50'", "cell": "2"}
    sent = WHOLE.to_json() | {"error": error, "cell_seconds": [0.5], "message": "m", "name": "n"}
    sent |= {"lock_sha256": "d", "output": "o", "group": "g", "time_limit_seconds": 9}
    sent |= {"memory_limit_bytes": 5}
    assert {name for name, value in sent.items() if not value} == {"exit_code"}
    arrived = parse_record(json.dumps(sent).encode(), WHOLE.job, WHOLE.attempt)
    assert arrived is not None
    assert arrived.to_json() == sent
