"""The sum of counts takes room for its pairs of place and gene, however many records there are."""

from __future__ import annotations

import tracemalloc

import numpy as np

from stereo_seq.summing import MAX_X, MAX_Y, Sum, join_bin, split_bin


def test_a_hundred_times_the_records_take_no_more_room() -> None:
    place, gene, count = np.arange(10_000), np.zeros(10_000, np.int64), np.ones(10_000, np.int64)
    total = Sum()
    total.add(place, gene, count)
    tracemalloc.start()
    for _ in range(99):
        total.add(place, gene, count)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All of them at once would be 16 MB.
    assert most < 3_000_000
    assert total.build(1)[1].sum() == 1_000_000


def test_places_keep_their_column_and_row() -> None:
    x, y = np.array([0, MAX_X, 3]), np.array([MAX_Y, 0, 5])
    back = split_bin(join_bin(x, y))
    assert (back[0] == x).all()
    assert (back[1] == y).all()


def test_counts_of_more_than_32_bits_are_kept() -> None:
    total = Sum()
    for _ in range(3):
        total.add(np.array([7]), np.array([1]), np.array([2**30]))
    place, counts = total.build(2)
    assert place.tolist() == [7]
    assert counts.toarray().tolist() == [[0, 3 * 2**30]]
