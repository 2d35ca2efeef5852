"""Writes small GEM and GEF files as the SAW pipeline does, and counts their molecules plainly."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from anndata import AnnData

HEAD = {"FileFormat": "GEMv0.1", "BinSize": "1", "Stereo-seqChip": "C1", "OffsetX": "7"}


@dataclass(frozen=True)
class Record:
    """A line of a GEM."""

    gene: str
    x: int
    y: int
    count: int
    cell: int = 0


def draw_records(seed: int, number: int = 3000) -> list[Record]:
    """Draw records of five genes on 90 × 70 DNBs, some of a gene and place twice, in nine cells."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 90, number), rng.integers(0, 70, number)
    gene, count = rng.integers(0, 5, number), rng.integers(1, 5, number)
    cell = np.where((x // 30 + y // 30) % 2 == 0, 1 + x // 30 + 3 * (y // 30), 0)
    rows = zip(gene, x, y, count, cell, strict=True)
    return [Record(f"G{g}", int(a), int(b), int(c), int(n)) for g, a, b, c, n in rows]


def write_gem(
    path: Path,
    records: Sequence[Record],
    columns: Sequence[str] = ("geneID", "x", "y", "MIDCount"),
    head: Mapping[str, str] = HEAD,
) -> Path:
    """Write a GEM, compressed if its name says so."""
    lines = [f"#{key}={value}" for key, value in head.items()] + ["\t".join(columns)]
    for each in records:
        values = {"geneID": each.gene, "geneName": f"name-{each.gene}", "x": each.x, "y": each.y}
        values |= {"ExonCount": 1, "CellID": each.cell, "label": each.cell}
        lines.append("\t".join(str(values.get(name, each.count)) for name in columns))
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_bins(path: Path, records: Sequence[Record], *sizes: int, named: bool = True) -> Path:
    """Write a GEF with bins of some sizes; genes have ID and name, or one name as formerly."""
    with h5py.File(path, "w") as file:
        file.attrs["version"] = np.array([2], np.uint32)
        file.attrs["sn"] = np.array([b"C1"], "S32")
        for size in sizes:
            sums = count_bins(records, size)
            genes = sorted({gene for _, _, gene in sums})
            rows, table, offset = [], [], 0
            for gene in genes:
                own = [(x, y, n) for (x, y, other), n in sums.items() if other == gene]
                rows += own
                texts = (gene, f"name-{gene}") if named else (gene,)
                table.append((*texts, offset, len(own)))
                offset += len(own)
            texts = ("geneID", "geneName") if named else ("gene",)
            fields: list[Any] = [(name, "S64") for name in texts]
            fields += [("offset", "<u4"), ("count", "<u4")]
            group = file.create_group(f"geneExp/bin{size}")
            kinds = [("x", "<i4"), ("y", "<i4"), ("count", "<u2")]
            made = group.create_dataset("expression", data=np.array(rows, kinds))
            for key, value in (("minX", 7), ("minY", 0), ("resolution", 500)):
                made.attrs[key] = np.array([value], np.int32)
            group.create_dataset("gene", data=np.array(table, fields))
    return path


def write_cells(path: Path, records: Sequence[Record]) -> Path:
    """Write a cell bin GEF; a cell's place is its number times ten and times five."""
    sums = count_cells(records)
    genes = sorted({gene for _, gene in sums})
    cells: list[tuple[int, ...]] = []
    pairs: list[tuple[int, int]] = []
    for cell in sorted({cell for cell, _ in sums}):
        own = [(genes.index(gene), n) for (other, gene), n in sums.items() if other == cell]
        cells.append((cell, cell * 10, cell * 5, len(pairs), len(own), 3, 40))
        pairs += sorted(own)
    fields = ("id", "x", "y", "offset", "geneCount", "dnbCount", "area")
    with h5py.File(path, "w") as file:
        for key, value in (("resolution", 500), ("offsetX", 7), ("offsetY", 3)):
            file.attrs[key] = np.array([value], np.int32)
        group = file.create_group("cellBin")
        group.create_dataset("cell", data=np.array(cells, [(name, "<u4") for name in fields]))
        kinds = [("geneID", "<u4"), ("count", "<u2")]
        group.create_dataset("cellExp", data=np.array(pairs, kinds))
        group.create_dataset("gene", data=np.array([(g,) for g in genes], [("geneName", "S64")]))
    return path


def count_bins(records: Sequence[Record], size: int) -> Counter[tuple[int, int, str]]:
    """Count the molecules by a bin's corner and gene."""
    sums: Counter[tuple[int, int, str]] = Counter()
    for each in records:
        sums[each.x // size * size, each.y // size * size, each.gene] += each.count
    return sums


def count_cells(records: Sequence[Record]) -> Counter[tuple[int, str]]:
    """Count the molecules by cell and gene."""
    sums: Counter[tuple[int, str]] = Counter()
    for each in records:
        if each.cell:
            sums[each.cell, each.gene] += each.count
    return sums


def list_counts(data: AnnData) -> dict[tuple[int, int, str], int]:
    """List the counts of bins that were read, by corner and gene's ID."""
    pairs = data.X.tocoo()
    places = data.obs[["x", "y"]].to_numpy()
    ids = list(data.var["gene_id"])
    rows = zip(pairs.row, pairs.col, pairs.data, strict=True)
    return {(int(places[i, 0]), int(places[i, 1]), ids[j]): int(n) for i, j, n in rows}
