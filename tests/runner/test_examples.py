"""The example notebooks do what their text promises, run by papermill with the jobs' engine.

The analysis is run twice, with two seeds; what it printed is held against the tables that it saved.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.runner.executing import Execution, execute, read_score

EXAMPLES = Path(__file__).resolve().parents[2] / "images" / "notebook" / "examples"
TOUR, ANALYSIS, FAILING = (
    "1-tour.ipynb",
    "2-spatial-transcriptomics.ipynb",
    "3-fails-in-the-middle.ipynb",
)
SEEDS = (1, 2)
MEGABYTE = 1_000_000


def read_example(name: str) -> Any:
    return nbformat.read(EXAMPLES / name, as_version=4)


def compute_rand_index(planted: list[str], found: list[str]) -> float:
    """Compute the adjusted Rand index; collecting can do without an import that takes seconds."""
    from sklearn.metrics import adjusted_rand_score  # noqa: PLC0415

    return float(adjusted_rand_score(planted, found))


@pytest.fixture(scope="module")
def analyses(tmp_path_factory: pytest.TempPathFactory) -> list[Execution]:
    """The analysis with each seed; the first is the default and is not passed."""
    made = []
    for number, seed in enumerate(SEEDS):
        folder = tmp_path_factory.mktemp(f"seed-{seed}")
        parameters = {"seed": seed} if number else {}
        execution = execute(read_example(ANALYSIS), folder, {}, **parameters)
        assert execution.code == 0, execution.stderr
        made.append(execution)
    return made


@pytest.mark.parametrize("name", [TOUR, ANALYSIS, FAILING])
def test_an_example_is_stored_clean(name: str) -> None:
    notebook = read_example(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert all(cell.source.strip() for cell in code)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        (TOUR, {"steps": "int", "pause_seconds": "float", "title": "str"}),
        (ANALYSIS, {"seed": "int", "bin_size": "int", "clusters": "int"}),
        (FAILING, {}),
    ],
)
def test_the_dialog_finds_the_parameters(name: str, parameters: dict[str, str]) -> None:
    program = "import json, sys, papermill as p; print(json.dumps(p.inspect_notebook(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert {key: value["inferred_type_name"] for key, value in found.items()} == parameters
    assert all(value["help"] for value in found.values())


def test_the_tour_in_a_session(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    run = execute(read_example(TOUR), tmp_path, {"SCRATCH": str(scratch)}, steps=3)
    assert run.code == 0, run.stderr
    assert "This is a session." in run.text
    assert str(scratch) in run.text
    assert run.text.endswith("step 3 of 3\nDone: 3 steps.\n")
    assert len(run.plots) == 1


def test_the_tour_as_a_job_takes_up_where_an_attempt_was_lost(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    environment = {"CHECKPOINT_DIR": str(checkpoints)}
    first = execute(read_example(TOUR), tmp_path, environment, steps=2, pause_seconds=0)
    second = execute(read_example(TOUR), tmp_path, environment, steps=4, pause_seconds=0)
    assert "This is an offline job." in first.text
    assert "taking up" not in first.text
    assert "taking up after step 2\nstep 3 of 4\nstep 4 of 4\n" in second.text
    assert [path.name for path in checkpoints.iterdir()] == ["walk.npy"]


@pytest.mark.timeout(600)
def test_the_analysis_finds_the_planted_domains(
    analyses: list[Execution], record_property: Callable[[str, object], None]
) -> None:
    record_property("analysis_seconds", round(analyses[0].seconds, 1))
    score = read_score(analyses[0].text)
    assert score.records >= 2 * MEGABYTE
    assert score.ari >= 0.8
    assert score.planted == 56
    assert score.planted > score.recovered >= 35  # a simulation where all came back is too easy


@pytest.mark.timeout(600)
def test_the_seed_changes_tissue_and_markers(analyses: list[Execution]) -> None:
    first, second = (read_score(run.text) for run in analyses)
    assert second.ari >= 0.8
    assert first.ari != second.ari
    assert first.records != second.records
    assert first.recovered != second.recovered
    genes = [{row["gene"] for row in run.read_table("markers.csv")} for run in analyses]
    assert len(genes[0] & genes[1]) < len(genes[0]) / 2


@pytest.mark.timeout(600)
def test_the_printed_figures_follow_from_the_saved_tables(analyses: list[Execution]) -> None:
    for run in analyses:
        score = read_score(run.text)
        bins = [row for row in run.read_table("bins.csv") if row["planted"]]
        planted, found = [row["planted"] for row in bins], [row["cluster"] for row in bins]
        assert len(set(planted)) >= 5
        assert compute_rand_index(planted, found) == pytest.approx(score.ari, abs=1e-4)
        listed = {row["gene"] for row in run.read_table("markers.csv")}
        truth = run.read_table("planted-markers.csv")
        recovered = [row["gene"] for row in truth if row["recovered"] == "True"]
        assert len(recovered) == score.recovered
        assert listed.issuperset(recovered)


@pytest.mark.timeout(600)
def test_permuted_labels_are_not_found(analyses: list[Execution]) -> None:
    for run, seed in zip(analyses, SEEDS, strict=True):
        bins = [row for row in run.read_table("bins.csv") if row["planted"]]
        planted, found = [row["planted"] for row in bins], [row["cluster"] for row in bins]
        random.Random(seed).shuffle(planted)
        assert abs(compute_rand_index(planted, found)) < 0.05


@pytest.mark.timeout(600)
def test_the_executed_analysis_has_its_plots(analyses: list[Execution]) -> None:
    plots = analyses[0].plots
    assert len(plots) == 7
    assert all(plot.startswith(b"\x89PNG") and len(plot) > 10_000 for plot in plots)
    warnings = [o for o in analyses[0].outputs if o.get("name") == "stderr"]
    assert warnings == []


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"bin_size": 5}, "bin_size is 5; choose 20 to 200 DNBs"),
        ({"clusters": 1}, "clusters is 1; choose 2 to 12"),
    ],
)
def test_the_analysis_refuses_a_parameter_out_of_range(
    tmp_path: Path, parameters: dict[str, int], sentence: str
) -> None:
    run = execute(read_example(ANALYSIS), tmp_path, {}, **parameters)
    assert run.code == 1
    assert sentence in run.stderr


def test_the_failing_example_fails_where_it_says(tmp_path: Path) -> None:
    run = execute(read_example(FAILING), tmp_path, {})
    said = " ".join(c.source for c in run.notebook.cells if c.cell_type == "markdown")
    assert "cell 4 of 6" in said
    assert "in its fourth code cell, of six" in said
    assert "`ValueError: could not convert string to float: '2,35'`" in said
    assert run.code == 1
    assert len(run.cells) == 6
    errors = [
        (number, output.ename, output.evalue)
        for number, cell in enumerate(run.cells, start=1)
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert errors == [(4, "ValueError", "could not convert string to float: '2,35'")]
    assert len(run.plots) == 1
    assert [len(cell.outputs) for cell in run.cells[4:]] == [0, 0]
    assert [cell.execution_count for cell in run.cells] == [1, 2, 3, 4, None, None]


def test_the_failing_example_succeeds_with_the_line_that_it_teaches(tmp_path: Path) -> None:
    notebook = read_example(FAILING)
    lesson = notebook.cells[-1].source
    mended = re.search(r"```python\n(.*)\n```", lesson)
    assert mended
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(r".*= float\(.*", lambda _: mended[1], cell.source)
    run = execute(notebook, tmp_path, {})
    assert run.code == 0, run.stderr
    assert "S3: 2.35 mm²" in run.text
    assert "Variation between sections:" in run.text
