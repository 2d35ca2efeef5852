"""The recorded objects that pure functions are tested with still look like the API's."""

from __future__ import annotations

import pytest

from tests.bed.jobs import Jobs
from tests.bed.record import describe_shape, load, record


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("situation", ["over-quota", "no-machine", "evicted", "image-missing"])
def test_what_is_read_has_the_recorded_shape(jobs: Jobs, situation: str) -> None:
    """Another type, a field that went away or a new one, at a place that somebody reads.

    If it fails after an upgrade, look at who reads the place, and record anew: `make record`.
    """
    assert describe_shape(record(jobs, situation)) == describe_shape(load(situation))
