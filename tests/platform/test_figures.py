"""What the benchmarks make of their seconds."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figure, percentile


@pytest.mark.parametrize(("percent", "expected"), [(0, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: int, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == expected


def test_of_few_values_the_99th_percentile_is_the_largest() -> None:
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0


def test_a_figure_at_its_goal_holds_and_one_above_is_short() -> None:
    assert Figure("B7", "list", 1.3, 1.3).line == "B7 list ratio 1.30 goal 1.30 holds"
    assert Figure("B7", "list", 1.31, 1.3).line == "B7 list ratio 1.31 goal 1.30 short"
    assert Figure("B7", "list", 9.0, None).line == "B7 list ratio 9.00"
