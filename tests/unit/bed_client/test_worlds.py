"""A test of the bed that does not say which nodes its pods mean fails, with a sentence."""

from __future__ import annotations

import pytest

from tests.bed.fixtures import why_worlds_are_wrong


@pytest.mark.parametrize(
    ("ring", "fixtures", "complaint"),
    [
        ("control_plane", ["client", "pretended"], ""),
        ("node", ["client", "real"], ""),
        ("node", ["client"], "test_it has to take exactly one of the fixtures"),
        ("node", ["client"], "and takes none of them"),
        ("control_plane", ["client", "real", "pretended"], "and takes `real` and `pretended`"),
        ("control_plane", ["own_bed", "client", "real"], "and takes `real` and `own_bed`"),
        ("control_plane", [], ""),
        ("unit", ["client"], ""),
    ],
)
def test_a_test_takes_exactly_one_world(ring: str, fixtures: list[str], complaint: str) -> None:
    said = why_worlds_are_wrong("test_it", ring, fixtures)

    assert bool(said) is bool(complaint)
    assert complaint in (said or "")
