"""How often Volcano's scheduler has looked at everything, from its metrics.

A job that still waits after some of its cycles was judged and found wanting; a job that still waits
after some seconds may only have met a slow machine.
"""

from __future__ import annotations

import re
from urllib.request import urlopen

from tests.bed.bed import Bed
from tests.bed.client import wait
from tests.bed.jobs import Jobs, get_phase

CYCLES = re.compile(r"^volcano_open_session_duration_milliseconds_count (\d+)$", re.MULTILINE)


def read_cycles(bed: Bed) -> int:
    """How many cycles the scheduler has begun since it was started."""
    address = bed.control_plane.get_metrics_address("vc-scheduler")
    with urlopen(f"http://{address}/metrics", timeout=10) as answer:
        found = CYCLES.search(answer.read().decode())
    # Nothing stands there before the first.
    return int(found[1]) if found else 0


def wait_for_cycles(bed: Bed, cycles: int, seconds: float = 60.0) -> None:
    """Wait until the scheduler has begun so many more cycles."""
    before = read_cycles(bed)
    wait(
        f"{cycles} cycles of the scheduler",
        lambda: read_cycles(bed) - before,
        seconds,
        until=lambda done: done >= cycles,
    )


def wait_in_vain(bed: Bed, jobs: Jobs, name: str, cycles: int = 8) -> None:
    """Let the scheduler judge a job again and again, and see that it got no pod."""
    wait(
        f"the pod group of {name}",
        lambda: get_phase(jobs.find_group(name) or {}),
        until=lambda phase: phase == "Pending",
    )
    wait_for_cycles(bed, cycles)
    seen = jobs.look_at(name)
    assert (seen["job"], seen["group"], seen["pods"]) == ("Pending", "Pending", [])
