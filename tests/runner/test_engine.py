"""papermill's own command with our engine: no service, no runner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from tests.runner.attempts import make_notebook, wait_until

PAPERMILL = str(Path(sys.executable).with_name("papermill"))


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start papermill's command on a notebook; what a failed test left is ended."""
    made: list[subprocess.Popen[bytes]] = []

    def run(notebook: dict[str, Any], *options: str) -> subprocess.Popen[bytes]:
        (tmp_path / "in.ipynb").write_text(json.dumps(notebook))
        command = [PAPERMILL, "--engine", "offline-jobs", *options, "in.ipynb", "out.ipynb"]
        environment = os.environ | {"IPYTHONDIR": str(tmp_path / "ipython")}
        with (tmp_path / "err").open("wb") as errors:
            process = subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=errors
            )
        made.append(process)
        return process

    yield run
    for process in made:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def read(folder: Path) -> Any:
    return nbformat.read(folder / "out.ipynb", as_version=4)


def statuses(folder: Path) -> list[str]:
    return [c.metadata.papermill.status for c in read(folder).cells if c.cell_type == "code"]


def test_parameters_and_outputs(start: Start, tmp_path: Path) -> None:
    notebook = make_notebook("print(a)", parameters="a = 1")
    assert start(notebook, "-p", "a", "5").wait(60) == 0
    assert read(tmp_path).cells[2].outputs[0].text == "5\n"
    assert statuses(tmp_path) == ["completed"] * 3
    assert read(tmp_path).metadata.papermill.output_path == "out.ipynb"


def test_raising_cell_is_marked(start: Start, tmp_path: Path) -> None:
    assert start(make_notebook("1", "1 / 0", "1")).wait(60) == 1
    assert statuses(tmp_path) == ["completed", "failed", "pending"]
    assert "In [2]" in read(tmp_path).cells[0].source
    assert b"ZeroDivisionError" in (tmp_path / "err").read_bytes()


def test_dead_kernel_is_told(start: Start, tmp_path: Path) -> None:
    assert start(make_notebook("1", "import os; os._exit(1)", "1")).wait(60) == 138
    assert statuses(tmp_path) == ["completed", "failed", "pending"]


def test_signal_saves_the_notebook(start: Start, tmp_path: Path) -> None:
    cell = "print('so far', flush=True)\nopen('up', 'w').close()\nimport time; time.sleep(600)"
    process = start(make_notebook("1", cell, "1"))
    wait_until((tmp_path / "up").exists, "the cell runs")
    kernels = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) != 0
    assert statuses(tmp_path) == ["completed", "failed", "pending"]
    assert "so far" in json.dumps(read(tmp_path))
    assert kernels
    wait_until(lambda: not any(k.is_running() for k in kernels), "no kernel left")


def test_long_cell_is_saved_while_it_runs(start: Start, tmp_path: Path) -> None:
    cell = (
        "import time, pathlib\n"
        "print('early')\n"
        "time.sleep(0.3)\n"
        "print('late')\n"
        "while not pathlib.Path('go').exists():\n"
        "    time.sleep(0.05)\n"
    )
    process = start(make_notebook(cell))
    wait_until(
        lambda: (
            (tmp_path / "out.ipynb").exists()
            and "late" in json.dumps(read(tmp_path)["cells"][0].outputs)
        ),
        "the output in the file",
    )
    (tmp_path / "go").touch()
    assert process.wait(30) == 0


def test_a_relative_path_is_meant_from_where_papermill_was_called(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    notebook = make_notebook("open('here', 'w').close()", "import os; os._exit(1)")
    assert start(notebook, "--cwd", "sub").wait(60) == 138
    assert statuses(tmp_path) == ["completed", "failed"]
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["here"]


def test_nothing_runs_where_the_result_cannot_be_kept(start: Start, tmp_path: Path) -> None:
    (tmp_path / "out.ipynb").mkdir()
    assert start(make_notebook("open('ran', 'w').close()")).wait(60) != 0
    assert b"IsADirectoryError" in (tmp_path / "err").read_bytes()
    assert not (tmp_path / "ran").exists()


def test_it_runs_inside_of_a_running_loop(tmp_path: Path) -> None:
    (tmp_path / "in.ipynb").write_text(json.dumps(make_notebook("6 * 7")))
    program = (
        "import asyncio, papermill\n"
        "async def main():\n"
        "    papermill.execute_notebook('in.ipynb', 'out.ipynb', engine_name='offline-jobs')\n"
        "asyncio.run(main())\n"
    )
    environment = os.environ | {"IPYTHONDIR": str(tmp_path / "ipython")}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert read(tmp_path).cells[0].outputs[0].data["text/plain"] == "42"
