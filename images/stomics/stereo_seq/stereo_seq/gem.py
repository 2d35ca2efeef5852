"""Reads a GEM: a table, separated by tabs, with a record for each gene and place.

Lines with `#` come first, `#KEY=VALUE`; then a line with the columns' names; then the records.
Columns: `geneID`, `x`, `y` (in DNBs), the count as `MIDCount` (published data call it `MIDCounts`
or `UMICount`, too), and perhaps `geneName`, `ExonCount`, and a cell's number, `CellID` or `label`.

Source: SAW 8.1, "Expression matrix format", Gene Expression Matrix; STOmics/geftools of 2024-02,
`geftogem.cpp`, `readCellgemTask.cpp`. Place in the path: `read_gem` is called by people.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from anndata import AnnData

from stereo_seq.annotated import Source, annotate_bins, annotate_cells, build_genes
from stereo_seq.errors import StereoSeqError
from stereo_seq.summing import MAX_GENES, MAX_PLACE, MAX_X, MAX_Y, Sum, join_bin

GZIP, HDF5 = b"\x1f\x8b", b"\x89HDF"
COUNTS = ("MIDCount", "MIDCounts", "UMICount")
CELLS = ("CellID", "label")
#: Of text that is worked on at a time.
PART_BYTES = 32 << 20
#: Of a line of the head; what has none so long is no GEM.
MAX_LINE = 1 << 16
#: Of most chips; a GEM does not say it.
RESOLUTION_NM = 500.0


def read_gem(
    path: str | Path,
    *,
    bin_size: int = 50,
    cells: bool = False,
    resolution_nm: float = RESOLUTION_NM,
) -> AnnData:
    """Read a GEM, as text or compressed by gzip.

    Args:
        path: of the file.
        bin_size: side of a square bin in DNBs; a multiple of the file's own.
        cells: add up by cell instead; records of no cell (number 0) are left out.
        resolution_nm: distance of two neighbouring DNBs of the chip.

    Returns:
        bins (or cells) × genes; `obs` has `x` and `y` in DNBs, of a bin's corner or of the middle
        of a cell's molecules, `obsm["spatial"]` the middle in micrometres. No exon counts.

    Raises:
        StereoSeqError: the file is no sound GEM, or has no cells or no such bins.
        OSError: it cannot be read.
    """
    table = Table(Path(path))
    with table.open() as file:
        table.read_head(file)
        if cells:
            return _read_cells(table, file, resolution_nm)
        return _read_bins(table, file, bin_size, resolution_nm)


def _read_bins(table: Table, file: BinaryIO, bin_size: int, resolution_nm: float) -> AnnData:
    own = table.read_bin_size()
    if bin_size < 1 or bin_size % own:
        table.fail(f"holds bins of {own} DNBs: choose a multiple of that, not {bin_size}")
    source, total = table.build_source(resolution_nm), Sum()
    for part in table.read_parts(file):
        x, y = (part[name].to_numpy() // bin_size for name in ("x", "y"))
        if x.max(initial=0) > MAX_X or y.max(initial=0) > MAX_Y:
            table.fail("has places that are on no chip")
        total.add(join_bin(x, y), part["gene"].to_numpy(), part["count"].to_numpy())
    place, counts = total.build(len(table.build_genes()))
    return annotate_bins(place, counts, table.build_genes(), bin_size, source)


def _read_cells(table: Table, file: BinaryIO, resolution_nm: float) -> AnnData:
    if not table.cell:
        table.fail(f"has no column {' or '.join(CELLS)}, so no cells: read it by bins")
    source, total, middle = table.build_source(resolution_nm), Sum(), Sum()
    for part in table.read_parts(file):
        inside = part[part["cell"] > 0]
        cell, count = inside["cell"].to_numpy(), inside["count"].to_numpy()
        total.add(cell, inside["gene"].to_numpy(), count)
        weighted = (count, count * inside["x"].to_numpy(), count * inside["y"].to_numpy())
        for number, values in enumerate(weighted):
            middle.add(cell, np.full(cell.size, number), values)
    cell, counts = total.build(len(table.build_genes()))
    if not cell.size:
        table.fail("has no record of a cell")
    weights = middle.build(len(weighted))[1].toarray()
    places = weights[:, 1:] / np.maximum(weights[:, :1], 1)
    found = pd.DataFrame(places, columns=["x", "y"], index=cell.astype(str))
    return annotate_cells(found, counts, table.build_genes(), source)


class Table:
    """A GEM that is being read: what its head said, and the genes that were met so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._said: dict[str, str] = {}
        self._columns: list[str] = []
        self._lines = 0
        #: Gene's ID -> its number, in the order of the file; and each one's name.
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self.count, self.cell = "", ""

    def fail(self, said: str) -> NoReturn:
        """Refuse the file.

        Raises:
            StereoSeqError: always.
        """
        raise StereoSeqError(self._path, said)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file, compressed or not; what it turns out not to be is said here."""
        with self._path.open("rb") as file:
            start = file.read(len(HDF5))
            file.seek(0)
            if start == HDF5:
                self.fail("is an HDF5 file: read it with read_gef")
            packed = start.startswith(GZIP)
            try:
                yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
            except EOFError as error:
                raise StereoSeqError(self._path, "ends early: copy it again") from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise StereoSeqError(self._path, f"is damaged, {error}: copy it again") from error

    def read_head(self, file: BinaryIO) -> None:
        """Read the lines before the records."""
        try:
            while (line := self._read_line(file)).startswith("#"):
                key, _, value = line[1:].partition("=")
                self._said[key.strip()] = value.strip()
        except UnicodeDecodeError as error:
            raise StereoSeqError(self._path, "is no text, and no gzip of a text") from error
        self._columns = line.split("\t")
        found = ", ".join(self._columns) if line else "nothing"
        if missing := [name for name in ("geneID", "x", "y") if name not in self._columns]:
            self.fail(f"has no column {missing[0]}, separated by tabs; found: {found}")
        self.count = self._find(COUNTS)
        if not self.count:
            self.fail(f"has no column {' or '.join(COUNTS)}; found: {found}")
        self.cell = self._find(CELLS)

    def read_parts(self, file: BinaryIO) -> Iterator[pd.DataFrame]:
        """Read all records, some at a time.

        Yields:
            a row for each record: `gene` (its number), `x`, `y`, `count` and perhaps `cell`.
        """
        empty = True
        while lines := file.readlines(PART_BYTES):
            part = self._parse(lines)
            self._lines += len(lines)
            empty = empty and part.empty
            yield part
        if empty:
            self.fail("has no record")

    def read_bin_size(self) -> int:
        """Read how many DNBs a record's square has on a side."""
        said = self._said.get("BinSize", "1")
        if not said.isdecimal() or int(said) < 1:
            self.fail(f"says #BinSize={said}, which is no number of DNBs")
        return int(said)

    def build_source(self, resolution_nm: float) -> Source:
        """Build what is known of where the counts come from."""
        offset = []
        for key in ("OffsetX", "OffsetY"):
            said = self._said.get(key, "0")
            if not re.fullmatch(r"-?\d+", said):
                self.fail(f"says #{key}={said}, which is no whole number")
            offset.append(int(said))
        chip = self._said.get("Stereo-seqChip") or self._said.get("STOmicsChip", "")
        return Source("GEM", resolution_nm, (offset[0], offset[1]), chip)

    def build_genes(self) -> pd.DataFrame:
        """Build the table of the genes that were met."""
        return build_genes(list(self._numbers), self._names)

    def _find(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if name in self._columns), "")

    def _read_line(self, file: BinaryIO) -> str:
        self._lines += 1
        return file.readline(MAX_LINE).decode().rstrip("\r\n")

    def _parse(self, lines: list[bytes]) -> pd.DataFrame:
        numbers = ["x", "y", self.count, *([self.cell] if self.cell else [])]
        named = [name for name in ("geneID", "geneName") if name in self._columns]
        text, tabs = b"".join(lines), len(lines) * (len(self._columns) - 1)
        try:
            if text.count(b"\t") != tabs:  # pandas leaves out what is too much
                raise ValueError(f"each has {len(self._columns)} columns")
            table = pd.read_csv(
                io.BytesIO(text),
                sep="\t",
                names=self._columns,
                usecols=[*named, *numbers],
                dtype={name: np.int64 if name in numbers else str for name in [*named, *numbers]},
                na_filter=False,
                quoting=csv.QUOTE_NONE,
                index_col=False,
            )
        except (ValueError, OverflowError) as error:  # pandas' ParserError is one of the first
            where = f"lines {self._lines + 1} to {self._lines + len(lines)}"
            raise StereoSeqError(
                self._path, f"has a record in {where} that is none: {error}"
            ) from (error)
        table = table.rename(columns={self.count: "count", self.cell: "cell"})
        self._check(table)
        table["gene"] = self._number(table)
        return table

    def _check(self, table: pd.DataFrame) -> None:
        for name in ("x", "y", "count", "cell"):
            if name in table and table[name].min() < 0:
                self.fail(f"has a negative {name}, {table[name].min()}")
        if "cell" in table and table["cell"].max() > MAX_PLACE:
            self.fail(f"has a cell {table['cell'].max()}, more than {MAX_PLACE}")

    def _number(self, table: pd.DataFrame) -> npt.NDArray[np.int64]:
        codes, found = pd.factorize(table["geneID"])
        first = np.unique(codes, return_index=True)[1]
        for gene, row in zip(found, first, strict=True):
            if gene not in self._numbers:
                self._numbers[gene] = len(self._numbers)
                self._names.append(table["geneName"].iloc[row] if "geneName" in table else "")
        if len(self._numbers) > MAX_GENES:
            self.fail(f"has more than {MAX_GENES} genes")
        numbers = np.array([self._numbers[gene] for gene in found], np.int64)
        return np.asarray(numbers[codes], np.int64)
