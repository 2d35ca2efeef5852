"""Waiting has a deadline, and a wait that fails says what it saw last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bed.client import NoAnswer, TooLate, find_condition, is_true, wait


def seeing(*values: Any) -> Callable[[], Any]:
    """A look that sees one value after another, then the last for ever; errors are raised."""
    left: Iterator[Any] = iter([*values[:-1], *[values[-1]] * 1000])

    def look() -> Any:
        value = next(left)
        if isinstance(value, Exception):
            raise value
        return value

    return look


def test_it_returns_what_pleased() -> None:
    seen = wait("three", seeing(1, 2, 3, 4), until=lambda value: value > 2, every=0)

    assert seen == 3


def test_without_a_judge_anything_true_pleases() -> None:
    assert wait("something", seeing(None, [], {"a": 1}), every=0) == {"a": 1}


def test_too_late_tells_what_was_seen_last() -> None:
    look = seeing({"phase": "Pending"}, {"phase": "Inqueue"})

    with pytest.raises(TooLate, match=r'(?s)job j to run: not within 0.1 s; .*"Inqueue"'):
        wait("job j to run", look, 0.1, until=lambda pod: pod["phase"] == "Running", every=0.01)


def test_a_server_that_does_not_answer_is_asked_again() -> None:
    assert wait("an answer", seeing(NoAnswer("refused"), "ok"), every=0) == "ok"


def test_no_answer_is_what_was_seen_last() -> None:
    with pytest.raises(TooLate, match="last seen: NoAnswer: refused"):
        wait("an answer", seeing(NoAnswer("refused")), 0.0, every=0)


def test_a_long_sight_is_shortened() -> None:
    with pytest.raises(TooLate) as caught:
        wait("too much", seeing("x" * 100_000), 0.0, until=lambda _: False, every=0)

    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (None, False),
        ([], False),
        ([{"type": "Ready", "status": "False"}], False),
        ([{"type": "Other", "status": "True"}, {"type": "Ready", "status": "True"}], True),
    ],
)
def test_conditions_are_found_by_type(
    conditions: list[dict[str, str]] | None, expected: bool
) -> None:
    assert is_true({"status": {"conditions": conditions}}, "Ready") is expected
    assert find_condition({}, "Ready") == {}
