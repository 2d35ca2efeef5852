"""What the benchmarks make of their seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest

from tests.bench import bench_burst, bench_job, bench_session
from tests.bench.bench_burst import Burst
from tests.bench.figures import Figure, percentile
from tests.bench.jobs import NOTEBOOK, read_cells
from tests.bench.trace import STEPS, list_steps, parse, show_shares
from tests.runner.attempts import make_notebook


@pytest.mark.parametrize(("percent", "expected"), [(0, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: int, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == expected


def test_of_few_values_the_99th_percentile_is_the_largest() -> None:
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0


def test_a_figure_at_its_goal_holds_and_one_above_is_short() -> None:
    assert Figure("B7", "list", 1.3, 1.3).line == "B7 list ratio 1.30 goal 1.30 holds"
    assert Figure("B7", "list", 1.31, 1.3).line == "B7 list ratio 1.31 goal 1.30 short"
    assert Figure("B7", "list", 9.0, None).line == "B7 list ratio 9.00"
    assert Figure("B7", "list", 9.0, None, seen="9 s").line == "B7 list ratio 9.00 (9 s)"


def make_burst(*, wall_seconds: float = 1.0, right: int = 100) -> Burst:
    """A burst as good as another, unless told otherwise."""
    return Burst(wall_seconds, 2**30, 9, [0.1, 0.2], right, {"succeeded": right})


def test_a_job_is_compared_with_the_median_of_either_peer() -> None:
    seconds = {"ours": [1.0, 2.0, 9.0], "scheduler": [8.0, 8.0, 1.0], "mended": [4.0, 4.0, 4.0]}

    stock, mended = bench_job.make_figures(seconds, {})

    assert (stock.value, stock.goal, stock.seen) == (0.25, 0.28, "2.00 s against 8.00 s")
    assert (mended.value, mended.goal) == (0.5, None)


def test_one_lost_job_among_all_makes_a_burst_short() -> None:
    ours = [make_burst(), make_burst(wall_seconds=3.0), make_burst(wall_seconds=2.0)]
    theirs = [make_burst(wall_seconds=10.0, right=93)] * 3

    whole = bench_burst.make_figures({"ours": ours, "scheduler": theirs}, 100)
    lost = bench_burst.make_figures({"ours": [make_burst(right=99)], "scheduler": theirs[:1]}, 100)

    assert [(each.name, each.value) for each in whole] == [
        ("100-jobs-wall", 0.2),
        ("100-jobs-memory", 1.0),
        ("100-jobs-slowest-post", 1.0),
        ("100-jobs-not-right", 0.0),
    ]
    assert [each.holds for each in whole] == [True, False, False, True]
    assert whole[-1].seen == "of 300, 300 are right against 279"
    assert not lost[-1].holds


def test_fewer_jobs_than_a_goal_is_for_have_none_but_to_end_right() -> None:
    figures = bench_burst.make_figures(
        {"ours": [make_burst(right=20)], "scheduler": [make_burst(right=20)]}, 20
    )
    assert [each.goal for each in figures] == [None, None, None, 0.0]


def test_sessions_have_a_goal_for_one_and_one_for_ten() -> None:
    seconds = {"ours": [2.0], "stock": [8.0], "mended": [4.0]}

    figures = [bench_session.make_figures(number, seconds) for number in (1, 10)]

    assert [(each.name, each.value, each.goal) for pair in figures for each in pair] == [
        ("session", 0.25, 0.35),
        ("session, without slow import", 0.5, None),
        ("ten-sessions", 0.25, 0.33),
        ("ten-sessions, without slow import", 0.5, None),
    ]


def test_the_steps_of_a_trace_are_all_of_a_job() -> None:
    marks = {mark: 100.0 + number**2 for number, mark in enumerate(STEPS)}

    steps = list_steps(marks)

    assert list(steps) == list(STEPS.values())[1:]
    assert sum(steps.values()) == marks["seen"] - marks["sent"]


def test_a_step_is_shown_with_its_median_and_its_share() -> None:
    traces = [{"first": 1.0, "then": 3.0}, {"first": 9.0, "then": 3.0}, {"first": 1.0, "then": 3.0}]
    assert show_shares(traces) == [
        "B2 trace  1.000 s  25 % first",
        "B2 trace  3.000 s  75 % then",
    ]


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock shows another time."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_a_time_without_a_zone_is_utc() -> None:
    assert parse("2026-11-30T08:00:00.5") == parse("2026-11-30T09:00:00.500+01:00")


def test_cells_differ_by_what_they_show() -> None:
    shown = read_cells(read(NOTEBOOK))
    assert shown == read_cells(read(make_notebook("1+1")))
    assert shown != read_cells(read(make_notebook("1+2")))
    ran = read(NOTEBOOK)
    ran.cells[0].execution_count = 1
    assert shown != read_cells(ran)


def read(notebook: dict[str, Any]) -> Any:
    """A notebook as those that are compared are read."""
    return nbformat.reads(json.dumps(notebook), as_version=4)
