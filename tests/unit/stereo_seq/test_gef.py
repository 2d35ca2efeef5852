"""GEF files: what is read is what a plain count of the records finds, and bad files are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pytest

from stereo_seq import StereoSeqError, gef, read_gef
from tests.unit.stereo_seq.files import (
    Record,
    count_bins,
    count_cells,
    draw_records,
    list_counts,
    write_bins,
    write_cells,
    write_gem,
)

RECORDS = draw_records(2)


@pytest.mark.parametrize("bin_size", [1, 20, 60])
@pytest.mark.parametrize("named", [True, False])
def test_counts_of_bins_are_those_of_a_plain_count(
    tmp_path: Path, bin_size: int, named: bool
) -> None:
    path = write_bins(tmp_path / "a.gef", RECORDS, 1, 20, named=named)
    data = read_gef(path, bin_size=bin_size)
    assert list_counts(data) == count_bins(RECORDS, bin_size)
    prefix = "name-" if named else ""
    assert (data.var_names == prefix + data.var["gene_id"]).all()


def test_bins_that_the_file_has_are_taken_from_there(tmp_path: Path) -> None:
    path = write_bins(tmp_path / "a.gef", RECORDS, 1, 20)
    with h5py.File(path, "r+") as file:
        table = file["geneExp/bin20/expression"][:]
        table["count"] = 9
        file["geneExp/bin20/expression"][:] = table
    assert set(list_counts(read_gef(path, bin_size=20)).values()) == {9}
    assert list_counts(read_gef(path, bin_size=10)) == count_bins(RECORDS, 10)


def test_it_does_not_matter_in_how_many_parts_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bins = write_bins(tmp_path / "a.gef", RECORDS, 1)
    cells = write_cells(tmp_path / "b.gef", RECORDS)
    whole, of_cells = read_gef(bins, bin_size=7), read_gef(cells, cells=True)
    monkeypatch.setattr(gef, "PART", 3)
    assert list_counts(read_gef(bins, bin_size=7)) == list_counts(whole)
    assert (read_gef(cells, cells=True).X != of_cells.X).nnz == 0


def test_a_bin_has_its_middle_in_micrometres_and_says_where_it_comes_from(tmp_path: Path) -> None:
    data = read_gef(write_bins(tmp_path / "a.gef", [Record("G1", 125, 60, 3)], 1), bin_size=50)
    assert list(data.obs_names) == ["100_50"]
    assert data.obsm["spatial"].tolist() == [[62.25, 37.25]]
    said = data.uns["stereo_seq"]
    assert said["offset_dnb"].tolist() == [7, 0]
    assert (said["format"], said["chip"], said["resolution_nm"]) == ("GEF", "C1", 500.0)


def test_cells_have_their_counts_and_places(tmp_path: Path) -> None:
    data = read_gef(write_cells(tmp_path / "a.gef", RECORDS), cells=True)
    pairs = data.X.tocoo()
    found = {
        (int(data.obs_names[i]), data.var_names[j]): int(n)
        for i, j, n in zip(pairs.row, pairs.col, pairs.data, strict=True)
    }
    assert found == count_cells(RECORDS)
    numbers = data.obs_names.astype(int)
    assert data.obsm["spatial"].tolist() == [[n * 10 / 2, n * 5 / 2] for n in numbers]
    assert list(data.obs.columns) == ["x", "y", "dnb_count", "area_dnb"]
    assert data.uns["stereo_seq"]["cells"] is True
    assert data.uns["stereo_seq"]["offset_dnb"].tolist() == [7, 3]


@pytest.mark.parametrize("cells", [True, False])
def test_what_was_read_can_be_written_and_read_again(tmp_path: Path, cells: bool) -> None:
    write: Callable[..., Path] = write_cells if cells else write_bins
    path = write(tmp_path / "a.gef", RECORDS, *(() if cells else (1,)))
    data = read_gef(path, cells=cells)
    data.write_h5ad(tmp_path / "a.h5ad")
    again = anndata.read_h5ad(tmp_path / "a.h5ad")
    assert (again.X != data.X).nnz == 0
    assert again.uns["stereo_seq"]["unit"] == "micrometre"


def change_table(name: str, column: str, row: int, value: int) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        table = file[name][:]
        kinds: list[Any] = [
            (field, "<i8" if field == column else table.dtype[field]) for field in table.dtype.names
        ]
        table = table.astype(kinds)
        table[column][row] = value
        del file[name]
        file[name] = table

    return change


def rename_column(name: str, old: str, new: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        table = file[name][:]
        table.dtype.names = [new if field == old else field for field in table.dtype.names]
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = table
        file[name].attrs.update(attributes)

    return change


def remove(name: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(name)


def empty(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        table = file[name][:0]
        del file[name]
        file[name] = table

    return change


BINS, GENES = "geneExp/bin20/expression", "geneExp/bin20/gene"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (remove("geneExp"), r"holds no matrix by bins \(geneExp/binN\)$"),
        (remove(BINS), f"has no table {BINS}"),
        (remove(GENES), f"has no table {GENES}"),
        (empty(BINS), f"has nothing in {BINS}"),
        (rename_column(BINS, "count", "n"), f"has no column count in {BINS}; found: x, y, n"),
        (rename_column(GENES, "gene", "called"), "does not name its genes; found: called, offset"),
        (change_table(BINS, "count", 5, -2), "has a negative count, -2"),
        (change_table(BINS, "x", 5, -20), "has a negative place, -20"),
        (change_table(BINS, "x", 5, 1 << 40), "has places that are on no chip"),
        (change_table(GENES, "count", 1, 3), f"tells of .* records in {GENES}, which are not the"),
        (change_table(GENES, "offset", 1, 3), f"tells of .* records in {GENES}, which are not the"),
        (lambda file: file[BINS].attrs.__delitem__("resolution"), "does not say its resolution"),
    ],
)
def test_a_bad_file_of_bins_is_refused_in_one_line(
    tmp_path: Path, change: Callable[[h5py.File], None], said: str
) -> None:
    path = write_bins(tmp_path / "a.gef", RECORDS, 20, named=False)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(StereoSeqError, match=said) as refused:
        read_gef(path, bin_size=60)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (remove("cellBin"), r"holds no cells \(cellBin\); it has bins of: none"),
        (remove("cellBin/cellExp"), "has no table cellBin/cellExp"),
        (change_table("cellBin/cell", "offset", 1, 3), "records in cellBin/cell, which are not"),
        (change_table("cellBin/cellExp", "geneID", 1, 5), "has a gene 5 in cellBin/cellExp, and 5"),
        (change_table("cellBin/cellExp", "count", 1, -1), "has a negative count, -1"),
    ],
)
def test_a_bad_file_of_cells_is_refused_in_one_line(
    tmp_path: Path, change: Callable[[h5py.File], None], said: str
) -> None:
    path = write_cells(tmp_path / "a.gef", RECORDS)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(StereoSeqError, match=said):
        read_gef(path, cells=True)


def test_what_a_file_does_not_hold_is_said_with_what_it_holds(tmp_path: Path) -> None:
    bins = write_bins(tmp_path / "a.gef", RECORDS, 20, 30)
    with pytest.raises(
        StereoSeqError, match=r"no bins of 50 DNBs, nor any to make them of; it has: 20, 30$"
    ):
        read_gef(bins)
    with pytest.raises(StereoSeqError, match="no bins of 0 DNBs"):
        read_gef(bins, bin_size=0)
    with pytest.raises(StereoSeqError, match=r"holds no cells .* bins of: 20, 30$"):
        read_gef(bins, cells=True)
    cells = write_cells(tmp_path / "b.gef", RECORDS)
    with pytest.raises(StereoSeqError, match=r"by bins .* read it with cells=True"):
        read_gef(cells)


def test_what_is_no_hdf5_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(StereoSeqError, match="is no HDF5 file, or not all of one"):
        read_gef(write_gem(tmp_path / "a.gem", RECORDS))
    path = write_bins(tmp_path / "a.gef", RECORDS, 1)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(StereoSeqError, match="is no HDF5 file, or not all of one"):
        read_gef(path)
    with pytest.raises(FileNotFoundError):
        read_gef(tmp_path / "none.gef")


def test_genes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    path = write_bins(tmp_path / "a.gef", RECORDS, 1)
    with h5py.File(path, "r+") as file:
        table = file["geneExp/bin1/gene"][:]
        table["geneName"] = b"same"
        file["geneExp/bin1/gene"][:] = table
    data = read_gef(path)
    assert list(data.var_names) == ["same", "same-1", "same-2", "same-3", "same-4"]
    assert np.unique(data.var["gene_id"]).size == 5
