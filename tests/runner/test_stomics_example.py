"""The example of image `stomics` finds what it planted, in the local environment of that image.

That environment takes 1.6 GB, so all but the look at the stored notebook is for the long run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from images._tool.tools import run_program
from tests.runner.executing import Execution, execute, read_score

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "images" / "stomics" / "examples" / "4-stereo-seq-file.ipynb"
NEIGHBOURS = r"Neighbours found: (\d+) of (\d+), and (\d+) that are none\n"
#: What raises the markers, and so is all that tells one domain from another.
PLANTING, NO_PLANTING = "np.geomspace(2, 8, PER_DOMAIN)", "np.ones(PER_DOMAIN)"


def read_example() -> Any:
    return nbformat.read(EXAMPLE, as_version=4)


@pytest.fixture(scope="module")
def python() -> str:
    """The Python of the image's local environment, made as `make environment` does."""
    command = [sys.executable, "-m", "images._tool.environment", "stomics"]
    run_program(command, ROOT, os.environ)
    return str(ROOT / "build" / "environments" / "stomics" / "bin" / "python")


@pytest.fixture(scope="module")
def analysis(python: str, tmp_path_factory: pytest.TempPathFactory) -> Execution:
    """The example as it is stored."""
    run = execute(read_example(), tmp_path_factory.mktemp("stored"), {}, python)
    assert run.code == 0, run.stderr
    return run


def test_the_example_is_stored_clean() -> None:
    notebook = read_example()
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert code[0].metadata.tags == ["parameters"]
    assert sum(PLANTING in cell.source for cell in code) == 1


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_finds_what_was_planted(
    analysis: Execution, record_property: Callable[[str, object], None]
) -> None:
    record_property("example_seconds", round(analysis.seconds, 1))
    score = read_score(analysis.text, NEIGHBOURS)
    neighbours, true_neighbours, wrong_neighbours = score.others
    assert score.records >= 1_500_000
    assert score.ari >= 0.8
    assert score.planted > score.recovered >= 36  # one where all came back is too easy
    assert neighbours >= true_neighbours - 1
    assert wrong_neighbours <= 1


@pytest.mark.long
@pytest.mark.timeout(900)
def test_it_leaves_figures_and_files(analysis: Execution) -> None:
    assert len(analysis.plots) == 4
    assert all(plot.startswith(b"\x89PNG") and len(plot) > 10_000 for plot in analysis.plots)
    (folder,) = (analysis.folder / "results").iterdir()
    assert {"section.gef", "section.h5ad"} <= {path.name for path in folder.iterdir()}
    planted = analysis.read_table("planted-markers.csv")
    names = {row["names"] for row in analysis.read_table("markers.csv")}
    back = {row["gene"] for row in planted if row["recovered"] == "True"}
    assert len(back) == read_score(analysis.text, NEIGHBOURS).recovered
    assert back <= names


@pytest.mark.long
@pytest.mark.timeout(900)
def test_where_nothing_is_planted_nothing_is_found(python: str, tmp_path: Path) -> None:
    notebook = read_example()
    for cell in notebook.cells:
        cell.source = cell.source.replace(PLANTING, NO_PLANTING)
    run = execute(notebook, tmp_path, {}, python)
    assert run.code == 1
    assert "no gene tells the domains apart" in run.stderr
    assert "0 genes listed" in run.text


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("bin_size", 10, "bin_size is 10; choose 40 to 100 DNBs"),
        ("resolution", 9, "resolution is 9; choose 0.1 to 3"),
    ],
)
def test_a_parameter_out_of_range_is_refused(
    python: str, tmp_path: Path, name: str, value: int, said: str
) -> None:
    run = execute(read_example(), tmp_path, {}, python, **{name: value})
    assert run.code == 1
    assert said in run.stderr
