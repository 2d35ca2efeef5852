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


def run_in_python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run lines of Python that have ``run(**options)`` for the notebook ``in.ipynb``."""
    lines = (
        "import papermill, offline_jobs.runner.engine as engine\n"
        "def run(**options):\n"
        "    papermill.execute_notebook(\n"
        "        'in.ipynb', 'out.ipynb', engine_name='offline-jobs', **options)\n"
    )
    environment = os.environ | {"IPYTHONDIR": str(folder / "ipython")}
    return subprocess.run(
        [sys.executable, "-c", lines + program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("folder", "transport"),
    [("/tmp", "ipc"), ("x" * 90, "tcp")],  # noqa: S108 - as short as it is nearly everywhere
    ids=["names", "ports"],
)
def test_a_reader_that_stands_still_loses_no_output(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, transport: str
) -> None:
    """More than sockets and ZeroMQ's usual limit take, while nobody at all reads."""
    (tmp_path / folder).mkdir(exist_ok=True)
    monkeypatch.setenv("TMPDIR", str(tmp_path / folder))
    code = (
        "import os, signal\n"
        "from ipykernel.kernelapp import IPKernelApp\n"
        "from IPython.display import display\n"
        "os.kill(os.getppid(), signal.SIGSTOP)\n"
        "for i in range(3_000):\n"
        "    display({'text/plain': str(i) + 'x' * 10_000}, raw=True)\n"
        "os.kill(os.getppid(), signal.SIGCONT)\n"
    )
    how = "print(IPKernelApp.instance().transport)"
    assert start(make_notebook(code, how)).wait(120) == 0
    first, last = read(tmp_path).cells
    assert [each.data["text/plain"].rstrip("x") for each in first.outputs] == [
        str(i) for i in range(3_000)
    ]
    assert last.outputs[0].text == f"{transport}\n"


def test_a_cell_whose_end_is_not_heard_ends_nothing(tmp_path: Path) -> None:
    notebook = make_notebook(
        "import sys\n"
        "news = get_ipython().kernel.iopub_thread\n"
        "print('a')\n"
        "sys.stdout.flush()\n"
        "news.send_multipart = lambda *parts, **options: None\n",
        "del news.send_multipart\nprint('b')",
    )
    (tmp_path / "in.ipynb").write_text(json.dumps(notebook))
    done = run_in_python("engine._SILENCE_SECONDS = 0.5\nrun()\n", tmp_path)
    assert (done.returncode, statuses(tmp_path)) == (0, ["completed", "completed"]), done.stderr
    first, last = ([each.text for each in cell.outputs] for cell in read(tmp_path).cells)
    assert first[0] == "a\n"
    assert "may be missing" in first[1]
    assert last == ["b\n"]


def test_papermills_options_are_honoured_or_refused(tmp_path: Path) -> None:
    (tmp_path / "in.ipynb").write_text(json.dumps(make_notebook("1 / 0", "6 * 7")))
    done = run_in_python("run(allow_errors=True)\n", tmp_path)
    assert "ZeroDivisionError" in done.stderr
    assert read(tmp_path).cells[-1].outputs[0].data["text/plain"] == "42"
    (tmp_path / "out.ipynb").unlink()
    done = run_in_python("run(kernel_manager_class='x', no_such=1)\n", tmp_path)
    assert "has no option kernel_manager_class, no_such; it has allow_error_names," in done.stderr
    assert not (tmp_path / "out.ipynb").exists()


def test_the_result_names_the_kernel_that_ran_it(start: Start, tmp_path: Path) -> None:
    notebook = make_notebook("1")
    notebook["metadata"]["kernelspec"] = {"name": "conda-env-work-py", "display_name": "Work"}
    assert start(notebook, "-k", "python3").wait(60) == 0
    spec = read(tmp_path).metadata.kernelspec
    assert (spec.name, spec.language) == ("python3", "python")
    assert spec.display_name.startswith("Python 3")


ODD_OUTPUTS = """\
def send(kind, **content):
    k = get_ipython().kernel
    k.session.send(k.iopub_socket, kind, content, parent=k.get_parent())
send("display_data", data={"text/plain": 7, "image/png": [1]}, metadata={})
send("display_data", data=[1, 2], metadata=None)
send("stream", name="log", text="to nowhere\\n")
send("update_display_data", data={"text/plain": "x"}, metadata={}, transient={"display_id": []})
send("comm_msg", data={})
send("no_such", a=1)
print("went on")
"""


def test_outputs_that_no_notebook_can_hold_are_kept_as_text(start: Start, tmp_path: Path) -> None:
    assert start(make_notebook(ODD_OUTPUTS, "1")).wait(60) == 0
    assert statuses(tmp_path) == ["completed", "completed"]
    nbformat.validate(read(tmp_path))
    outputs = read(tmp_path).cells[0].outputs
    assert [each.get("text") or each.data["text/plain"] for each in outputs] == [
        "7",
        "[1, 2]",
        "to nowhere\n",
        "went on\n",
    ]


def test_an_odd_error_is_still_the_cells_error(start: Start, tmp_path: Path) -> None:
    code = (
        "class E(Exception):\n"
        "    def _render_traceback_(self):\n"
        "        return 'one line'\n"
        "raise E('s')\n"
    )
    assert start(make_notebook(code)).wait(60) == 1
    error = read(tmp_path).cells[-1].outputs[0]
    assert (error.ename, error.evalue, error.traceback) == ("E", "s", ["one line"])


@pytest.mark.parametrize(
    ("options", "printed", "injected"),
    [
        ((), "4 2 c", "n = 4\nother = 'c'"),
        (("-p", "m", "5"), "4 5 c", '# Parameters\nn = 4\nother = "c"\nm = 5'),
        (("-p", "n", "6"), "6 2 c", '# Parameters\nn = 6\nother = "c"'),
    ],
)
def test_a_result_is_run_again_from_its_own_values(
    start: Start, tmp_path: Path, options: tuple[str, ...], printed: str, injected: str
) -> None:
    notebook = make_notebook("n = 4\nother = 'c'", "print(n, m, other)", parameters="n = 1\nm = 2")
    notebook["cells"][1]["metadata"]["tags"] = ["injected-parameters"]
    assert start(notebook, *options).wait(60) == 0
    result = read(tmp_path)
    assert result.cells[2].outputs[0].text == f"{printed}\n"
    assert [cell.source.strip() for cell in result.cells[:2]] == ["n = 1\nm = 2", injected]
    given = {options[1]: int(options[2])} if options else {}
    expected = {"n": 4, "other": "c"} | given
    assert result.metadata.papermill.parameters == expected


def test_values_that_cannot_be_read_come_before_those_given_now(
    start: Start, tmp_path: Path
) -> None:
    notebook = make_notebook("n = 2 + 2", "print(n, m)", parameters="n = 1\nm = 2")
    notebook["cells"][1]["metadata"]["tags"] = ["injected-parameters"]
    assert start(notebook, "-p", "m", "5").wait(60) == 0
    result = read(tmp_path)
    assert result.cells[3].outputs[0].text == "4 5\n"
    assert [cell.metadata.tags for cell in result.cells] == [
        [], ["parameters"], ["injected-parameters"], [],
    ]  # fmt: skip
