"""uv's refusals, as the pinned version words them, in one sentence that says what to do."""

from __future__ import annotations

import pytest

from offline_jobs.environments.uv import explain, find_unknown

UNKNOWN = """Using Python 3.11.2 environment at: v
error: No solution found when resolving dependencies
  cause: Because nosuch-one was not found in the package registry and you require nosuch-one,\
 we can conclude that your requirements are unsatisfiable.
"""
AWAY = """error: Request failed after 3 retries in 6.7s
  cause: Failed to fetch: http://someone:secret@index.example:8080/simple/tqdm/
  cause: error sending request for url (http://index.example:8080/simple/tqdm/)
  cause: tcp connect error
"""
OFFLINE = """error: No solution found when resolving dependencies
  cause: Because tqdm was not found in the cache and you require tqdm,\
 we can conclude that your requirements are unsatisfiable.

hint: Packages were unavailable because the network was disabled.
"""
CONFLICT = """error: No solution found when resolving dependencies
  cause: Because you require pandas==2.0 and pandas==3.0.5,\
 we can conclude that your requirements are unsatisfiable.
"""
FULL = "error: Failed to write to the cache\n  cause: No space left on device (os error 28)\n"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (UNKNOWN, "the package index has no nosuch-one: see how it is spelt"),
        (AWAY, "no package index can be reached from here (index.example)"),
        (OFFLINE, "no package index can be reached from here"),
        (CONFLICT, "No solution found when resolving dependencies: Because you require pandas"),
        (FULL, "there is no room left on the disk"),
    ],
)
def test_a_refusal_is_one_line(said: str, sentence: str) -> None:
    line = explain(said)
    assert line.startswith(sentence)
    assert "\n" not in line
    assert "secret" not in line


def test_a_long_refusal_is_kept_short() -> None:
    assert len(explain(f"error: {'x ' * 5000}")) < 500


def test_an_unknown_package_is_found_only_where_that_is_the_reason() -> None:
    assert find_unknown(UNKNOWN) == "nosuch-one"
    assert find_unknown(CONFLICT) == ""
