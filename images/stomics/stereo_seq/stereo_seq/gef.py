"""Reads a GEF: an HDF5 file with tables of counts by square bins, or by cells.

By bins: `geneExp/binN/expression` (`x`, `y` of the bin's corner in DNBs, `count`) has the records
gene after gene, `geneExp/binN/gene` says where each gene's begin (`offset`) and how many there are
(`count`); a gene is called `gene`, since geftools 1 `geneID` and `geneName`. By cells:
`cellBin/cell` (`id`, `x`, `y`, `offset`, `geneCount` ...), `cellBin/cellExp` (`geneID`, which is a
row of `cellBin/gene`, and `count`). Distances are `resolution` nanometres for each DNB.

Source: SAW 8.1, "Expression matrix format", Gene Expression File; STOmics/geftools of 2024-02,
`gef.h`, `bgef_writer.cpp`, `cgef_writer.cpp`, `main_bgef.cpp`. Place in the path: `read_gef` is
called by people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData
from scipy import sparse

from stereo_seq.annotated import Source, annotate_bins, annotate_cells, build_genes
from stereo_seq.errors import StereoSeqError
from stereo_seq.summing import MAX_GENES, MAX_X, MAX_Y, Numbers, Sum, join_bin

#: Records that are worked on at a time.
PART = 4_000_000
#: Columns of a cell that are told of it: what the file calls it -> what we do.
OF_A_CELL = {"dnbCount": "dnb_count", "area": "area_dnb"}


def read_gef(path: str | Path, *, bin_size: int = 50, cells: bool = False) -> AnnData:
    """Read a GEF.

    Args:
        path: of the file.
        bin_size: side of a square bin in DNBs; made of the file's smaller ones where it has none.
        cells: read the cells of a cell bin GEF instead.

    Returns:
        bins (or cells) × genes; `obs` has `x` and `y` in DNBs, of a bin's corner or a cell's
        centre, `obsm["spatial"]` the middle in micrometres. No exon counts.

    Raises:
        StereoSeqError: the file is no sound GEF, or has no cells or no such bins.
        OSError: it cannot be read.
    """
    where = Path(path)
    with where.open("rb"):
        pass  # what is not there, or may not be read, is the system's to say
    try:
        opened = h5py.File(where)
    except OSError as error:
        raise StereoSeqError(where, f"is no HDF5 file, or not all of one: {error}") from error
    with opened:
        matrix = Matrix(where, opened)
        try:
            return _read_cells(matrix) if cells else _read_bins(matrix, bin_size)
        except OSError as error:
            raise StereoSeqError(where, f"is damaged: {error}") from error


def _read_bins(matrix: Matrix, bin_size: int) -> AnnData:
    own = _choose_bins(matrix, bin_size)
    group = f"geneExp/bin{own}"
    records = matrix.get(f"{group}/expression", "x", "y", "count")
    genes = matrix.get(f"{group}/gene", "offset", "count")[:]
    ends = np.cumsum(genes["count"].astype(np.int64))
    matrix.check(genes["offset"], ends, len(records), f"{group}/gene")
    total = Sum()
    for first in range(0, len(records), PART):
        part = records[first : first + PART]
        x, y = (matrix.check_places(part[name]) // bin_size for name in ("x", "y"))
        gene = np.searchsorted(ends, np.arange(first, first + len(part)), side="right")
        if x.max() > MAX_X or y.max() > MAX_Y:
            matrix.fail("has places that are on no chip")
        total.add(join_bin(x, y), gene, matrix.check_counts(part["count"]))
    place, counts = total.build(len(genes))
    said = dict(records.attrs)
    source = matrix.build_source(said.get("resolution"), said.get("minX"), said.get("minY"))
    return annotate_bins(place, counts, matrix.build_genes(genes), bin_size, source)


def _choose_bins(matrix: Matrix, bin_size: int) -> int:
    """Choose the largest bins of the file that the wanted ones can be made of."""
    sizes = matrix.list_bin_sizes()
    if not sizes:
        hint = ": read it with cells=True" if matrix.has("cellBin") else ""
        matrix.fail(f"holds no matrix by bins (geneExp/binN){hint}")
    fitting = [size for size in sizes if bin_size > 0 and bin_size % size == 0]
    if not fitting:
        there = ", ".join(map(str, sizes))
        matrix.fail(f"has no bins of {bin_size} DNBs, nor any to make them of; it has: {there}")
    return max(fitting)


def _read_cells(matrix: Matrix) -> AnnData:
    if not matrix.has("cellBin"):
        there = ", ".join(map(str, matrix.list_bin_sizes()))
        matrix.fail(f"holds no cells (cellBin); it has bins of: {there or 'none'}")
    cells = matrix.get("cellBin/cell", "id", "x", "y", "offset", "geneCount")[:]
    genes = matrix.get("cellBin/gene")[:]
    records = matrix.get("cellBin/cellExp", "geneID", "count")
    ends = np.cumsum(cells["geneCount"].astype(np.int64))
    matrix.check(cells["offset"], ends, len(records), "cellBin/cell")
    gene, count = np.empty(len(records), np.int32), np.empty(len(records), np.int32)
    for first in range(0, len(records), PART):
        part, rows = records[first : first + PART], slice(first, first + PART)
        gene[rows], count[rows] = part["geneID"], matrix.check_counts(part["count"])
    if gene.min() < 0 or gene.max() >= len(genes):
        matrix.fail(f"has a gene {gene.max()} in cellBin/cellExp, and {len(genes)} in cellBin/gene")
    counts = sparse.csr_matrix((count, gene, np.append(0, ends)), (len(cells), len(genes)))
    counts.sum_duplicates()
    found = pd.DataFrame(
        {"x": cells["x"].astype(np.int64), "y": cells["y"].astype(np.int64)}
        | {ours: cells[name] for name, ours in OF_A_CELL.items() if name in cells.dtype.names},
        index=cells["id"].astype(str),
    )
    said = matrix.attributes
    source = matrix.build_source(said.get("resolution"), said.get("offsetX"), said.get("offsetY"))
    return annotate_cells(found, counts, matrix.build_genes(genes), source)


class Matrix:
    """A GEF that is being read."""

    def __init__(self, path: Path, file: h5py.File) -> None:
        self._path, self._file = path, file
        self.attributes: dict[str, Any] = dict(file.attrs)

    def fail(self, said: str) -> NoReturn:
        """Refuse the file.

        Raises:
            StereoSeqError: always.
        """
        raise StereoSeqError(self._path, said)

    def has(self, name: str) -> bool:
        """Tell whether there is a group or a table."""
        return name in self._file

    def list_bin_sizes(self) -> list[int]:
        """List the sides of the bins that there are, in DNBs."""
        found = [re.fullmatch(r"bin([1-9]\d*)", name) for name in self._file.get("geneExp", ())]
        return sorted(int(each[1]) for each in found if each)

    def get(self, name: str, *columns: str) -> h5py.Dataset:
        """Get a table that has some columns, and rows."""
        table = self._file.get(name)
        if not isinstance(table, h5py.Dataset):
            self.fail(f"has no table {name}")
        there = table.dtype.names or ()
        if missing := [column for column in columns if column not in there]:
            self.fail(f"has no column {missing[0]} in {name}; found: {', '.join(there) or 'none'}")
        if not len(table):
            self.fail(f"has nothing in {name}")
        return table

    def check(self, offset: npt.NDArray[Any], ends: Numbers, records: int, name: str) -> None:
        """See that the records of one after the other are all records."""
        if ends[-1] != records or not np.array_equal(offset, np.append(0, ends[:-1])):
            self.fail(
                f"tells of {ends[-1]} records in {name}, which are not the {records} there are"
            )

    def check_counts(self, counts: npt.NDArray[Any]) -> Numbers:
        """See that none is negative."""
        if counts.min() < 0:
            self.fail(f"has a negative count, {counts.min()}")
        return counts.astype(np.int64)

    def check_places(self, places: npt.NDArray[Any]) -> Numbers:
        """See that none is negative."""
        if places.min() < 0:
            self.fail(f"has a negative place, {places.min()}")
        return places.astype(np.int64)

    def build_source(self, resolution: Any, x: Any, y: Any) -> Source:
        """Build what is known of where the counts come from, from attributes as they are stored."""
        if resolution is None or _number(resolution) <= 0:
            self.fail("does not say its resolution, the distance of two DNBs in nanometres")
        offset = (_number(0 if x is None else x), _number(0 if y is None else y))
        chip = np.ravel(self.attributes.get("sn", b""))
        return Source("GEF", float(_number(resolution)), offset, _decode(chip)[0])

    def build_genes(self, genes: npt.NDArray[Any]) -> pd.DataFrame:
        """Build the table of genes, whichever way the file names them."""
        there = genes.dtype.names or ()
        ids = next((name for name in ("geneID", "gene", "geneName") if name in there), "")
        if not ids:
            self.fail(f"does not name its genes; found: {', '.join(there)}")
        if len(genes) > MAX_GENES:
            self.fail(f"has more than {MAX_GENES} genes")
        names = "geneName" if "geneName" in there else ids
        return build_genes(_decode(genes[ids]), _decode(genes[names]))


def _number(value: Any) -> int:
    """Read an attribute, which is stored as an array of one."""
    return int(np.ravel(value)[0])


def _decode(texts: Sequence[Any] | npt.NDArray[Any]) -> list[str]:
    return [t.decode("utf-8", "replace") if isinstance(t, bytes) else str(t) for t in texts]
