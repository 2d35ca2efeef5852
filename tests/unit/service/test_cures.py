"""How a job that has ended is best run again: what is changed, and what would only fail again."""

from dataclasses import replace
from typing import Any

import pytest

from hub_config.platform.catalogue import GIB, InstanceClass
from offline_jobs.contract.states import Cause, State
from offline_jobs.service.rules.cures import CURED_BY_CLASS, Again, advise
from tests.factories import make_class
from tests.service.core.factories import make_job

HOUR = 3600
SMALL = make_class("small", memory_bytes=8 * GIB, longest_job_seconds=10 * HOUR)
LARGE = make_class("large", name="Large", memory_bytes=64 * GIB, longest_job_seconds=10 * HOUR)
HUGE = make_class("huge", name="Huge", memory_bytes=256 * GIB, longest_job_seconds=10 * HOUR)
GPU = replace(LARGE, slug="gpu", name="GPU", memory_bytes=32 * GIB, gpus=1)


def fail(cause: Cause, **changes: Any) -> Any:
    return make_job(state=State.FAILED, cause=cause, **{"machine_class": "small", **changes})


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.CANCELLED])
def test_of_a_job_that_did_not_fail_nothing_is_to_be_changed(state: State) -> None:
    assert advise(make_job(state=state), [SMALL, LARGE]) == Again("", {}, unchanged=True)


@pytest.mark.parametrize(
    ("classes", "label", "changes"),
    [
        ([HUGE, LARGE, SMALL], "Run on Large", {"class": "large"}),
        # Less memory than another, but nobody needs its GPU.
        ([SMALL, GPU, LARGE], "Run on Large", {"class": "large"}),
        ([SMALL, GPU], "Run on GPU", {"class": "gpu"}),
        ([SMALL], "", {}),
        # Nobody knows what it had.
        ([LARGE], "", {}),
    ],
)
def test_without_enough_memory_it_runs_where_there_is_more(
    classes: list[InstanceClass], label: str, changes: dict[str, Any]
) -> None:
    found = advise(fail(Cause.OUT_OF_MEMORY), classes)
    assert found == Again(label, changes, unchanged=False)


@pytest.mark.parametrize(
    ("limit", "label", "changes"),
    [
        (4 * HOUR, "Run with 8 h", {"time_limit_seconds": 8 * HOUR}),
        (7 * HOUR, "Run with 10 h", {"time_limit_seconds": 10 * HOUR}),
        (
            10 * HOUR,
            "Run on Patient with 20 h",
            {"class": "patient", "time_limit_seconds": 20 * HOUR},
        ),
        (40 * HOUR, "", {}),
    ],
)
def test_without_enough_time_it_gets_more_of_it(
    limit: int, label: str, changes: dict[str, Any]
) -> None:
    patient = replace(SMALL, slug="patient", name="Patient", longest_job_seconds=40 * HOUR)
    lesser = [
        replace(patient, slug="tight", memory_bytes=4 * GIB),
        replace(patient, slug="slow", cores=SMALL.cores / 2),
    ]
    dearer = replace(patient, slug="dear", memory_bytes=64 * GIB)
    job = fail(Cause.TIME_LIMIT, time_limit_seconds=limit)
    found = advise(job, [SMALL, *lesser, dearer, patient])
    assert found == Again(label, changes, unchanged=False)


def test_without_enough_disk_it_runs_where_there_is_more() -> None:
    own = replace(SMALL, scratch_bytes=10 * GIB)
    others = [
        replace(SMALL, slug="vast", name="Vast", scratch_bytes=100 * GIB),
        replace(SMALL, slug="roomy", name="Roomy", scratch_bytes=20 * GIB),
        replace(SMALL, slug="tight", memory_bytes=4 * GIB, scratch_bytes=15 * GIB),
    ]
    job = fail(Cause.INTERRUPTED, facts={"filled_scratch": True}, interruptible=True)
    assert advise(job, [own, *others]) == Again("Run on Roomy", {"class": "roomy"}, unchanged=False)
    assert advise(job, [own]) == Again(unchanged=False)


def test_what_a_spot_machine_lost_runs_on_another() -> None:
    lost = advise(fail(Cause.INTERRUPTED, interruptible=True), [SMALL])
    assert lost == Again("Run on an on-demand machine", {"interruptible": False})
    assert advise(fail(Cause.INTERRUPTED), [SMALL]) == Again()


@pytest.mark.parametrize(
    ("cause", "facts", "unchanged"),
    [
        (Cause.NO_CAPACITY, {"beyond_limit": True}, False),
        (Cause.NO_CAPACITY, {}, True),
        (Cause.REFUSED, {"not_member": "spatial-lab"}, False),
        (Cause.REFUSED, {"not_in_catalogue": ["gpu"]}, False),
        (Cause.REFUSED, {}, True),
        (Cause.KERNEL_DIED, {}, True),
    ],
)
def test_what_must_fail_again_is_not_offered(
    cause: Cause, facts: dict[str, Any], unchanged: bool
) -> None:
    assert advise(fail(cause, facts=facts), [SMALL, LARGE]) == Again(unchanged=unchanged)


@pytest.mark.parametrize("cause", list(Cause))
def test_classes_are_looked_at_for_these_causes_alone(cause: Cause) -> None:
    better = replace(LARGE, scratch_bytes=SMALL.scratch_bytes + GIB)
    job = fail(cause, facts={"filled_scratch": True}, time_limit_seconds=HOUR)
    is_of_use = advise(job, [SMALL, better]) != advise(job, [])
    assert is_of_use == (cause in CURED_BY_CLASS)
