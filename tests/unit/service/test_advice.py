"""Which lesser class would have done, where that is known; and that nothing is said otherwise."""

from dataclasses import replace
from typing import Any

import pytest

from hub_config.platform.catalogue import GIB, Price
from offline_jobs.contract.run import ResultRecord
from offline_jobs.contract.states import State
from offline_jobs.service.rules.advice import advise_class
from tests.factories import make_class, make_placement, make_pool
from tests.service.core.factories import make_job

HOUR = 3600
SPOT = make_placement(make_pool("jobs", "job"), spot=True)


def price(per_hour: float, spot: float | None = None, currency: str = "EUR") -> Price:
    return Price(per_hour=per_hour, currency=currency, date="2026-11-01", spot_per_hour=spot)


SMALL = make_class("small", cores=2, memory_bytes=6 * GIB, price=price(0.1))
MIDDLE = make_class("middle", cores=4, memory_bytes=12 * GIB, price=price(0.2))
OWN = make_class("own", cores=8, memory_bytes=36 * GIB, price=price(0.4))
HUGE = make_class("huge", cores=64, memory_bytes=256 * GIB, price=price(4))
#: Of half an hour: a ninth of the memory, and one of eight cores.
RECORD = ResultRecord(
    job="j",
    attempt=1,
    outcome="succeeded",
    exit_code=0,
    started="2026-11-24T07:15:00.000+01:00",
    ended="2026-11-24T07:45:00.000+01:00",
    memory_peak_bytes=4 * GIB,
    cpu_seconds=1800.0,
    cores_peak=1.3,
)


def advise(classes: Any = (HUGE, OWN, MIDDLE, SMALL), own: Any = OWN, **changes: Any) -> str:
    """The slug that is advised; empty for none. Changes are of the job, or of the record."""
    known = {name: changes.pop(name) for name in list(changes) if hasattr(RECORD, name)}
    job = make_job(**{"state": State.SUCCEEDED, "machine_class": "own", **changes})
    found = advise_class(job, replace(RECORD, **known), own, classes)
    return found.machine.slug if found else ""


def sentence(own: Any = OWN, classes: Any = (SMALL,), **known: Any) -> str:
    job = make_job(state=State.SUCCEEDED, machine_class="own")
    found = advise_class(job, replace(RECORD, **known), own, classes)
    return found.sentence if found else ""


def test_it_says_what_was_little_and_what_would_do() -> None:
    little = "Peak memory was 4 GiB of 36 GiB"
    assert sentence() == f"{little} and 1 of 8 cores were busy on average: Small would do"
    assert sentence(cpu_seconds=3600.0) == f"{little}: Small would do"
    many = sentence(memory_peak_bytes=12 * GIB, classes=[replace(SMALL, memory_bytes=18 * GIB)])
    assert many == "1 of 8 cores were busy on average: Small would do"
    idle = sentence(cpu_seconds=1.0)
    assert idle == f"{little} and under 0.1 of 8 cores were busy on average: Small would do"


def test_it_does_not_promise_scratch_that_nobody_looked_at() -> None:
    tight = replace(SMALL, scratch_bytes=20 * GIB)
    assert sentence(classes=[tight]).endswith(
        ": where 20 GiB of scratch space are enough, Small would do"
    )


@pytest.mark.parametrize(
    ("known", "slug"),
    [
        # A third of the memory is not little, nor is a quarter of the cores.
        ({"memory_peak_bytes": 12 * GIB - 1, "cpu_seconds": 3600.0, "cores_peak": 2}, ""),
        ({"memory_peak_bytes": 8 * GIB, "cpu_seconds": 3600.0, "cores_peak": 2}, "middle"),
        ({"memory_peak_bytes": 8 * GIB + 1, "cpu_seconds": 3600.0, "cores_peak": 2}, ""),
        ({"memory_peak_bytes": 4 * GIB}, "small"),
        ({"memory_peak_bytes": 4 * GIB + 1}, "middle"),
        ({"cores_peak": 2 / 1.5}, "small"),
        ({"cores_peak": 1.34}, "middle"),
        ({"cores_peak": 4 / 1.5}, "middle"),
        ({"cores_peak": 2.7}, ""),
        # Nobody knows: too short, not measured, no sense in its times.
        ({"memory_peak_bytes": 0}, ""),
        ({"cores_peak": 0.0}, ""),
        ({"ended": "2026-11-24T07:15:59.999+01:00"}, ""),
        ({"ended": "2026-11-24T07:16:00+01:00", "cpu_seconds": 60.0}, "small"),
        ({"ended": "2026-11-24T07:45:00"}, ""),
        ({"ended": "later"}, ""),
        ({"started": ""}, ""),
    ],
)
def test_it_fits_with_room_to_spare(known: dict[str, Any], slug: str) -> None:
    assert advise(**known) == slug


def test_where_both_were_used_nothing_is_said() -> None:
    assert (
        advise(
            memory_peak_bytes=12 * GIB,
            cpu_seconds=3600.0,
            classes=[replace(SMALL, memory_bytes=18 * GIB)],
        )
        == ""
    )


def test_a_runner_that_does_not_say_how_many_cores_gets_no_fewer() -> None:
    wide = replace(SMALL, slug="wide", cores=8)
    assert advise([SMALL, wide], cores_peak=0.0, cpu_seconds=0.0) == "wide"


def test_all_cores_that_it_had_are_enough() -> None:
    wide = replace(SMALL, slug="wide", cores=8)
    assert advise([SMALL, wide], cores_peak=7.9) == "wide"


@pytest.mark.parametrize(
    ("own", "other", "is_lesser"),
    [
        (price(0.4), price(0.39), True),
        (price(0.4), price(0.4), False),
        # Prices that cannot be compared, or are not known: it is smaller.
        (price(0.4), price(0.5, currency="USD"), True),
        (None, None, True),
        (price(0.4), None, True),
    ],
)
def test_the_lesser_class_costs_less_or_is_smaller(
    own: Price | None, other: Price | None, *, is_lesser: bool
) -> None:
    found = advise([replace(SMALL, price=other)], replace(OWN, price=own))
    assert found == ("small" if is_lesser else "")


def test_without_prices_none_that_has_more_of_anything_is_advised() -> None:
    own = replace(OWN, price=None)
    more = [replace(SMALL, cores=9, price=None), replace(SMALL, memory_bytes=37 * GIB, price=None)]
    assert advise([*more, replace(own, slug="twin")], own) == ""


def test_of_a_run_on_spot_machines_only_they_count_and_their_prices() -> None:
    own = replace(OWN, price=price(0.4, 0.15), job=SPOT)
    never = replace(SMALL, slug="never", price=price(0.1))
    dear = replace(SMALL, slug="dear", price=price(0.2, 0.15), job=SPOT)
    cheap = replace(SMALL, slug="cheap", price=price(0.3, 0.14), job=SPOT)
    classes = [never, dear, cheap]
    assert advise(classes, own, interruptible=True) == "cheap"
    assert advise(classes, own) == "never"


def test_it_may_run_as_long_as_it_was_to() -> None:
    short = replace(SMALL, longest_job_seconds=HOUR)
    assert advise([short], time_limit_seconds=HOUR) == "small"
    assert advise([short], time_limit_seconds=HOUR + 1) == ""


def test_nothing_is_said_of_gpus_of_a_class_that_is_gone_or_of_a_job_that_failed() -> None:
    assert advise(own=replace(OWN, gpus=1)) == ""
    assert advise([replace(SMALL, gpus=1)]) == ""
    assert advise(own=None) == ""
    assert advise([]) == ""
    for state in (State.FAILED, State.CANCELLED, State.RUNNING):
        assert advise(state=state) == ""
