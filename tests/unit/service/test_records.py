"""What a runner says of itself arrives whole: the wire's fields and the service's are the same.

Not what was asked for: the service knows that, and takes nobody's word for it.
"""

import json
from dataclasses import fields
from typing import Any

import pytest

from offline_jobs.contract.message import Message
from offline_jobs.contract.run import Progress, ResultRecord, Termination
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


def test_a_whole_record_arrives_as_it_was_sent() -> None:
    error = {"name": "KeyError", "value": "'bin50'", "cell": "2"}
    sent = WHOLE.to_json() | {"error": error, "cell_seconds": [0.5], "message": "m"}
    sent |= {"lock_sha256": "d", "output": "o", "memory_limit_bytes": 5}
    own = {field.name for field in fields(WHOLE)} - {"request"}
    assert {name for name in own if not sent[name]} == {"exit_code"}
    arrived = parse_record(json.dumps(sent).encode(), WHOLE.job, WHOLE.attempt)
    assert arrived is not None
    assert {name: arrived.to_json()[name] for name in own} == {name: sent[name] for name in own}
    asked = arrived.request
    assert (asked.path, asked.parameters, asked.image) == ("", {}, "")
