"""Adds up counts by place and gene, a part of the records at a time.

Place in the path: `gem` and `gef` hand over what they read; `annotated` makes AnnData of the sum.
Memory grows with the pairs of place and gene that have counts, not with the records.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

Numbers = npt.NDArray[np.int64]

GENE_BITS, X_BITS, Y_BITS = 20, 22, 21
#: Of a bin's number in a row or a column; a chip of 13 cm has 260,000 DNBs in a row.
MAX_X, MAX_Y = (1 << X_BITS) - 1, (1 << Y_BITS) - 1
MAX_PLACE = (1 << (X_BITS + Y_BITS)) - 1
MAX_GENES = 1 << GENE_BITS


def join_bin(x: Numbers, y: Numbers) -> Numbers:
    """Make one number of a bin's column and row; they sort by row, then by column."""
    return (y << X_BITS) | x


def split_bin(place: Numbers) -> tuple[Numbers, Numbers]:
    """Return column and row of bins."""
    return place & MAX_X, place >> X_BITS


class Sum:
    """Counts by place and gene."""

    def __init__(self) -> None:
        self._keys: list[Numbers] = [np.empty(0, np.int64)]
        self._counts: list[Numbers] = [np.empty(0, np.int64)]
        self._waiting = 0

    def add(self, place: Numbers, gene: Numbers, count: Numbers) -> None:
        """Add records.

        Args:
            place: number of each record's bin or cell, below 2^43.
            gene: number of its gene, below 2^20.
            count: its molecules.
        """
        keys, counts = _add_up((place << GENE_BITS) | gene, count)
        self._keys.append(keys)
        self._counts.append(counts)
        self._waiting += keys.size
        # As often as the sum doubles: each record is sorted a few times, whatever their number.
        if self._waiting > self._keys[0].size:
            self._merge()

    def build(self, genes: int) -> tuple[Numbers, sparse.csr_matrix]:
        """Return the places that have counts, in order, and the counts (places × genes)."""
        self._merge()
        keys, counts = self._keys[0], self._counts[0]
        place, first = np.unique(keys >> GENE_BITS, return_index=True)
        starts = np.append(first, keys.size)
        kind = np.int32 if counts.max(initial=0) <= np.iinfo(np.int32).max else np.int64
        matrix = sparse.csr_matrix(
            (counts.astype(kind), keys & (MAX_GENES - 1), starts), shape=(place.size, genes)
        )
        return place, matrix

    def _merge(self) -> None:
        keys, counts = _add_up(np.concatenate(self._keys), np.concatenate(self._counts))
        self._keys, self._counts, self._waiting = [keys], [counts], 0


def _add_up(keys: Numbers, counts: Numbers) -> tuple[Numbers, Numbers]:
    """Add up the counts of equal keys; return the keys in order and their sums."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    sums = np.add.reduceat(counts[order], first) if keys.size else counts
    return keys[first], sums
