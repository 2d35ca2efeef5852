"""GEM files: what is read is what a plain count of the records finds, and bad files are refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stereo_seq import StereoSeqError, gem, read_gem
from tests.unit.stereo_seq.files import (
    HEAD,
    Record,
    count_bins,
    count_cells,
    draw_records,
    list_counts,
    write_bins,
    write_gem,
)

RECORDS = draw_records(1)
ALL = ("geneID", "geneName", "x", "y", "MIDCount", "ExonCount", "CellID")


@pytest.mark.parametrize("name", ["a.gem", "a.gem.gz"])
@pytest.mark.parametrize("count", ["MIDCount", "MIDCounts", "UMICount"])
@pytest.mark.parametrize("bin_size", [1, 20, 64])
def test_counts_of_bins_are_those_of_a_plain_count(
    tmp_path: Path, name: str, count: str, bin_size: int
) -> None:
    path = write_gem(tmp_path / name, RECORDS, ("geneID", "x", "y", count))
    assert list_counts(read_gem(path, bin_size=bin_size)) == count_bins(RECORDS, bin_size)


def test_it_does_not_matter_in_how_many_parts_a_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_gem(tmp_path / "a.gem", RECORDS, ALL)
    whole = read_gem(path, bin_size=10)
    monkeypatch.setattr(gem, "PART_BYTES", 500)
    parts = read_gem(path, bin_size=10)
    assert list(parts.var_names) == list(whole.var_names)
    assert (parts.X != whole.X).nnz == 0
    assert np.array_equal(parts.obsm["spatial"], whole.obsm["spatial"])


def test_a_bin_has_its_middle_in_micrometres_and_says_where_it_comes_from(tmp_path: Path) -> None:
    path = write_gem(tmp_path / "a.gem", [Record("G1", 125, 60, 3)])
    data = read_gem(path, bin_size=50)
    assert list(data.obs_names) == ["100_50"]
    # DNBs 100 to 149 lie around 124.5, of half a micrometre each.
    assert data.obsm["spatial"].tolist() == [[62.25, 37.25]]
    said = data.uns["stereo_seq"]
    assert said.pop("offset_dnb").tolist() == [7, 0]
    assert said == {
        "bin_size": 50,
        "format": "GEM",
        "unit": "micrometre",
        "resolution_nm": 500.0,
        "chip": "C1",
    }
    assert read_gem(path, resolution_nm=715).obsm["spatial"][0, 0] == pytest.approx(89.0175)


def test_genes_have_their_names_and_ids(tmp_path: Path) -> None:
    with_names = read_gem(write_gem(tmp_path / "a.gem", RECORDS, ALL))
    assert set(with_names.var_names) == {f"name-G{n}" for n in range(5)}
    assert (with_names.var["gene_name"] == "name-" + with_names.var["gene_id"]).all()
    without = read_gem(write_gem(tmp_path / "b.gem", RECORDS))
    assert set(without.var_names) == {f"G{n}" for n in range(5)}


def test_a_gene_may_be_called_na_or_have_a_quote(tmp_path: Path) -> None:
    odd = [Record(name, 1, 1, 1) for name in ("NA", '"Nrg', "#3")]
    assert set(read_gem(write_gem(tmp_path / "a.gem", odd)).var_names) == {"NA", '"Nrg', "#3"}


@pytest.mark.parametrize("cell", ["CellID", "label"])
def test_cells_have_their_counts_and_the_middle_of_their_molecules(
    tmp_path: Path, cell: str
) -> None:
    path = write_gem(tmp_path / "a.gem", RECORDS, ("geneID", "x", "y", "MIDCount", cell))
    data = read_gem(path, cells=True)
    pairs = data.X.tocoo()
    found = {
        (int(data.obs_names[i]), data.var["gene_id"].iloc[j]): int(n)
        for i, j, n in zip(pairs.row, pairs.col, pairs.data, strict=True)
    }
    assert found == count_cells(RECORDS)
    own = [each for each in RECORDS if each.cell == int(data.obs_names[0])]
    weights = [each.count for each in own]
    middle = np.average([(each.x, each.y) for each in own], axis=0, weights=weights)
    assert data.obsm["spatial"][0] == pytest.approx(middle / 2)


def break_start(path: Path) -> None:
    path.write_bytes(b"\x00\x01\xff" * 100)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def spoil(path: Path) -> None:
    # Its sum, which gzip writes last.
    path.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)


def replace(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = gzip.decompress(path.read_bytes()).decode()
        assert old in text
        path.write_bytes(gzip.compress(text.replace(old, new, 1).encode()))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (break_start, "is no text, and no gzip of a text"),
        (cut, "ends early: copy it again"),
        (spoil, "is damaged, .*: copy it again"),
        (replace("geneID\t", "gene\t"), "has no column geneID, separated by tabs; found: gene, x"),
        (replace("geneID\tx\ty\t", "geneID x y "), "has no column geneID, .*: geneID x y MIDCount"),
        (replace("MIDCount", "total"), "has no column MIDCount or MIDCounts or UMICount; found: "),
        (replace("BinSize=1", "BinSize=3"), "holds bins of 3 DNBs: choose a multiple of that, not"),
        (replace("BinSize=1", "BinSize=x"), "says #BinSize=x, which is no number of DNBs"),
        (replace("OffsetX=7", "OffsetX=far"), "says #OffsetX=far, which is no whole number"),
        (replace("MIDCount\n", "MIDCount\nG1\t1\t2\t-4\n"), "has a negative count, -4"),
        (replace("MIDCount\n", "MIDCount\nG1\t-1\t2\t4\n"), "has a negative x, -1"),
        (replace("MIDCount\n", "MIDCount\nG1\t1\t2\n"), "has a record in lines 6 to .* is none"),
        (replace("MIDCount\n", "MIDCount\nG1\t1\t2\tmany\n"), "has a record in lines 6 to "),
        (replace("MIDCount\n", "MIDCount\nG1\t1\t2\t2.5\n"), "has a record in lines 6 to "),
        (replace("MIDCount\n", "MIDCount\nG1\t9999999999\t2\t2\n"), "places that are on no chip"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(
    tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    path = write_gem(tmp_path / "a.gem.gz", RECORDS)
    change(path)
    with pytest.raises(StereoSeqError, match=said) as refused:
        read_gem(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_a_line_with_too_much_is_refused(tmp_path: Path) -> None:
    path = write_gem(tmp_path / "a.gem", RECORDS)
    with path.open("a") as file:
        file.write("G1\t1\t2\t3\t4\t5\n")
    with pytest.raises(StereoSeqError, match="that is none"):
        read_gem(path)


def test_what_a_file_does_not_hold_is_said(tmp_path: Path) -> None:
    with pytest.raises(StereoSeqError, match="has no column CellID or label, so no cells"):
        read_gem(write_gem(tmp_path / "a.gem", RECORDS), cells=True)
    nowhere = [Record("G1", 1, 1, 1)]
    with pytest.raises(StereoSeqError, match=r"has no record of a cell"):
        read_gem(write_gem(tmp_path / "b.gem", nowhere, ALL), cells=True)
    with pytest.raises(StereoSeqError, match=r"has no record$"):
        read_gem(write_gem(tmp_path / "c.gem", []))
    (tmp_path / "d.gem").touch()
    with pytest.raises(StereoSeqError, match=r"has no column geneID.*found: nothing"):
        read_gem(tmp_path / "d.gem")
    with pytest.raises(StereoSeqError, match="is an HDF5 file: read it with read_gef"):
        read_gem(write_bins(tmp_path / "e.gef", RECORDS, 1))
    with pytest.raises(FileNotFoundError):
        read_gem(tmp_path / "none.gem")


def test_a_file_of_bins_is_read_in_multiples_of_them(tmp_path: Path) -> None:
    binned = [Record(g, x, y, n) for (x, y, g), n in count_bins(RECORDS, 10).items()]
    path = write_gem(tmp_path / "a.gem", binned, head={**HEAD, "BinSize": "10"})
    assert list_counts(read_gem(path, bin_size=20)) == count_bins(RECORDS, 20)
