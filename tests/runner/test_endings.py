"""Every way in which a run can end: exit code, record, true notebook, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.attempts import Attempt, make_notebook, wait_until

MakeAttempt = Callable[..., Attempt]
SLEEPER = "import subprocess; subprocess.Popen(['sleep', '600'])"
DETACHED = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        os.execvp('sleep', ['sleep', '601'])\n"
    "    os._exit(0)\n"
)
LINES = (
    "import time\nfor i in range(10_000):\n    print('line', i, flush=True)\n    time.sleep(0.01)\n"
)


def text_of(cell: object) -> str:
    return "".join(o.text for o in cell.outputs if o.output_type == "stream")  # type: ignore[attr-defined]


def marks_of(attempt: Attempt) -> list[str]:
    return [
        cell.source
        for cell in attempt.notebook.cells
        if "papermill-error-cell-tag" in cell.metadata.get("tags", [])
    ]


def test_success(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("#md title", "x = 1", "", "print(x + 1)", "x")
    assert attempt.run() == 0
    assert [cell.execution_count for cell in attempt.cells] == [1, None, 2, 3]
    assert text_of(attempt.cells[2]) == "2\n"
    assert attempt.statuses == ["completed"] * 4
    assert marks_of(attempt) == []
    record = attempt.record
    assert (record["outcome"], record["exit_code"], record["cell"], record["total"]) == (
        "succeeded",
        0,
        3,
        3,
    )
    assert len(record["cell_seconds"]) == 3
    assert record["memory_peak_bytes"] > 20 * 1024**2
    assert record["cpu_seconds"] > 0
    assert attempt.termination["outcome"] == "succeeded"
    assert attempt.termination["exit_code"] == 0
    assert "2\n" in attempt.log
    metadata = attempt.notebook.metadata.papermill
    assert metadata.input_path == "work/markers.ipynb"
    assert metadata.output_path == f"{attempt.specification['output']}/markers.ipynb"
    assert metadata.exception is None


def test_raising_cell(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt(SLEEPER, "{}['bin50']", "print('never')")
    assert attempt.run() == 10
    record = attempt.record
    assert (record["outcome"], record["cell"]) == ("cell-error", 2)
    assert record["error"] == {"name": "KeyError", "value": "'bin50'", "cell": "2"}
    assert attempt.statuses == ["completed", "failed", "pending"]
    assert "In [2]" in marks_of(attempt)[0]
    assert "\x1b" not in attempt.log
    assert "KeyError: 'bin50'" in attempt.log


def test_a_first_cell_whose_number_cannot_be_kept_is_not_begun(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("open('ran', 'w').close()")
    attempt.termination_file.mkdir()
    assert attempt.run() == 30
    assert attempt.statuses == ["pending"]
    assert not (attempt.home / "work" / "ran").exists()


def test_kernel_that_dies(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt(
        DETACHED, "print('before', flush=True)\nimport time, os; time.sleep(0.5); os._exit(3)", "1"
    )
    assert attempt.run() == 11
    assert (attempt.record["outcome"], attempt.record["cell"]) == ("kernel-died", 2)
    assert attempt.statuses == ["completed", "failed", "pending"]
    assert text_of(attempt.cells[1]) == "before\n"
    assert "the kernel died" in marks_of(attempt)[0]


def test_time_limit(make_attempt: MakeAttempt, tmp_path: Path) -> None:
    # A stand-in for nvidia-smi that hangs, and whose child keeps its output open, delays nothing.
    stand_in = tmp_path / "programs" / "nvidia-smi"
    stand_in.parent.mkdir()
    called = tmp_path / "called"
    stand_in.write_text(f"#!/bin/sh\ntrap '' TERM\ntouch {called}\nsleep 600 & wait\n", "utf-8")
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path}
    attempt = make_attempt(DETACHED, LINES, "1", time_limit_seconds=12, environment=environment)
    assert attempt.run() == 12
    assert called.exists()
    assert attempt.record["series"]["gpus"] is None
    assert (attempt.record["outcome"], attempt.record["cell"]) == ("time-limit", 2)
    assert attempt.statuses == ["completed", "failed", "pending"]
    assert text_of(attempt.cells[1]).startswith("line 0\nline 1\n")
    top, anchor = marks_of(attempt)
    assert "In [2]" in top
    assert "time limit" in top
    assert "time limit" in anchor
    assert attempt.notebook.cells[0].source == top
    assert attempt.notebook.cells[2].source == anchor


def test_a_cell_does_not_outlive_the_time_limit(make_attempt: MakeAttempt) -> None:
    """The cell would end long after the limit, but before one that is kept half a minute late."""
    attempt = make_attempt("import time; time.sleep(20)", time_limit_seconds=2)
    assert attempt.run() == 12
    assert attempt.statuses in (["failed"], ["pending"])


def test_time_limit_of_a_cell_that_ignores_interrupts(make_attempt: MakeAttempt) -> None:
    cell = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.1)\n"
    )
    attempt = make_attempt("1", cell, "1", time_limit_seconds=10)
    assert attempt.run() == 12
    assert attempt.statuses == ["completed", "failed", "pending"]
    assert text_of(attempt.cells[1]) == "deaf\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_the_middle_of_a_cell(make_attempt: MakeAttempt, number: signal.Signals) -> None:
    attempt = make_attempt(SLEEPER, LINES, "1")
    attempt.start()
    assert attempt.process is not None
    wait_until(
        lambda: (attempt.output / "log.txt").exists() and "line 9\n" in attempt.log, "ten lines"
    )
    attempt.process.send_signal(number)
    assert attempt.wait(10) == 13
    attempt.assert_nothing_left()
    assert (attempt.record["outcome"], attempt.record["cell"]) == ("interrupted", 2)
    assert attempt.statuses == ["completed", "failed", "pending"]
    lines = text_of(attempt.cells[1]).splitlines()
    assert len(lines) >= 10
    assert lines[:10] == [f"line {i}" for i in range(10)]
    assert attempt.cells[1].outputs[-1].ename == "KeyboardInterrupt"
    assert attempt.termination["outcome"] == "interrupted"


def test_signal_while_the_kernel_starts(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1")
    attempt.start()
    wait_until(lambda: attempt.termination.get("cell") == 0, "the first message")
    assert attempt.process is not None
    attempt.process.terminate()
    assert attempt.wait(10) == 13
    attempt.assert_nothing_left()
    assert attempt.termination["cell"] == 0
    # Before papermill was at it, while it was, or before there was one.
    assert attempt.statuses in ([None], ["pending"], [])


def test_memory_of_a_grandchild(make_attempt: MakeAttempt) -> None:
    grandchild = "x = bytearray(700 * 2**20); import time; time.sleep(60)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    cell = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    attempt = make_attempt("1", cell, "1", environment=limit(600))
    assert attempt.run() == 15
    assert (attempt.record["outcome"], attempt.record["cell"]) == ("out-of-memory", 2)
    assert attempt.record["memory_peak_bytes"] > 600 * 2**20
    assert attempt.statuses == ["completed", "failed", "pending"]
    assert attempt.termination["outcome"] == "out-of-memory"
    assert attempt.termination["cell"] == 2


def test_memory_below_the_limit_is_the_users(make_attempt: MakeAttempt) -> None:
    cell = (
        "import time\n"
        "x = bytearray(300 * 2**20)\n"
        "time.sleep(2)\n"  # longer than from one look of the watchdog to the next
    )
    attempt = make_attempt(cell, environment=limit(700))
    assert attempt.run() == 0


def test_memory_of_two_detached_processes_together(make_attempt: MakeAttempt) -> None:
    code = "x = bytearray(350 * 2**20); import time; time.sleep(60)"
    detached = (
        "import os, sys\n"
        "for _ in range(2):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        f"            os.execv(sys.executable, [sys.executable, '-c', {code!r}])\n"
        "        os._exit(0)\n"
        "import time; time.sleep(60)\n"
    )
    attempt = make_attempt(detached, "1", environment=limit(650))
    assert attempt.run() == 15
    assert (attempt.record["outcome"], attempt.record["cell"]) == ("out-of-memory", 1)


def test_shared_memory_counts_once(make_attempt: MakeAttempt) -> None:
    cell = (
        "import os, time\n"
        "x = bytearray(300 * 2**20)\n"
        "children = []\n"
        "for _ in range(4):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(2)\n"
        "        os._exit(0)\n"
        "    children.append(child)\n"
        "for child in children:\n"
        "    os.waitpid(child, 0)\n"
    )
    attempt = make_attempt(cell, environment=limit(800))
    assert attempt.run() == 0
    assert attempt.record["memory_peak_bytes"] < 800 * 2**20


def test_output_folder_that_cannot_be_made(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("print('never')")
    (attempt.home / "offline-jobs").write_text("a file is in the way")
    assert attempt.run() == 14
    assert attempt.termination["outcome"] == "output-lost"
    assert attempt.termination["cell"] == 0
    # What people read of it names no place of the server's.
    assert "cannot be written to the home: Not a directory" in attempt.stderr


def test_a_home_that_comes_back_is_waited_for(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1")
    away = attempt.home.rename(attempt.folder / "away")
    attempt.start()
    wait_until(attempt.termination_file.exists, "the runner looks for the home")
    away.rename(attempt.home)
    assert attempt.wait() == 0


def test_a_home_that_does_not_come_back_is_no_fault_of_the_notebook(
    make_attempt: MakeAttempt,
) -> None:
    attempt = make_attempt("1", environment={"OFFLINE_JOB_PATIENCE_SECONDS": "0.3"})
    attempt.home.rename(attempt.folder / "away")
    attempt.start()
    assert attempt.wait() == 30
    assert (attempt.termination["outcome"], attempt.termination["cell"]) == ("internal", 0)
    assert not attempt.home.exists()


SHOWS_AN_ERROR = """\
try:
    {}['bin50']
except KeyError:
    get_ipython().showtraceback()
"""


@pytest.mark.parametrize(
    ("cells", "error"),
    [
        (
            ("1", SHOWS_AN_ERROR, "3"),
            {"name": "KeyError", "value": "'bin50'", "cell": "2"},
        ),
        (
            (SHOWS_AN_ERROR, "1 / 0", "3"),
            {"name": "KeyError", "value": "'bin50'", "cell": "1"},
        ),
        (
            ("%no_such_magic", "2", "3"),
            {
                "name": "UsageError",
                "value": "Line magic function `%no_such_magic` not found.",
                "cell": "1",
            },
        ),
        (
            ("1", f"{SHOWS_AN_ERROR}raise SystemExit(0)", "3"),
            {"name": "KeyError", "value": "'bin50'", "cell": "2"},
        ),
    ],
    ids=["shown", "shown before another", "without an output", "before the notebook ends itself"],
)
def test_the_first_cell_that_failed_is_named(
    make_attempt: MakeAttempt, cells: tuple[str, ...], error: dict[str, str]
) -> None:
    attempt = make_attempt(*cells)
    assert attempt.run() == 10
    assert attempt.record["outcome"] == "cell-error"
    assert attempt.record["error"] == error


def test_an_error_that_its_cell_announces_is_none(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1", "1 / 0", "print('more')")
    attempt.specification["notebook"]["cells"][1]["metadata"]["tags"] = ["raises-exception"]
    assert attempt.run() == 0
    assert (attempt.record["outcome"], attempt.record["error"]) == ("succeeded", None)
    assert attempt.cells[1].outputs[0].ename == "ZeroDivisionError"
    assert text_of(attempt.cells[2]) == "more\n"
    assert marks_of(attempt) == []


def test_system_exit_of_zero_is_a_success(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1", "raise SystemExit(0)", "print('never')")
    assert attempt.run() == 0
    assert attempt.statuses == ["completed", "failed", "pending"]
    assert attempt.record["cell"] == 2


def test_system_exit_of_three_is_a_failure(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("import sys; sys.exit(3)")
    assert attempt.run() == 10
    assert attempt.record["error"] == {"name": "SystemExit", "value": "3", "cell": "1"}


def test_processes_of_a_run_that_succeeded_are_ended(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt(SLEEPER, DETACHED)
    assert attempt.run() == 0


def test_the_first_cells_number_is_on_the_disk_before_the_cell_runs(
    make_attempt: MakeAttempt,
) -> None:
    attempt = make_attempt("import pathlib; print((pathlib.Path.home() / 'synced').read_text())")
    attempt.command = [sys.executable, "-I", "-c", NOTES_SYNCS]
    assert attempt.run() == 0
    seen = dict(line.split(" ", 1) for line in text_of(attempt.cells[0]).splitlines() if line)
    synced = json.loads(seen[str(attempt.termination_file)])
    assert (synced["cell"], synced["outcome"]) == (1, "")


def test_kernel_that_is_stopped_does_not_hold_up_the_end(make_attempt: MakeAttempt) -> None:
    cell = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
    attempt = make_attempt(cell, time_limit_seconds=3)
    assert attempt.run() == 12


def test_no_code_cells(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("#md only words")
    assert attempt.run() == 0
    assert (attempt.record["cell"], attempt.record["total"]) == (0, 0)


def test_empty_notebook(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt()
    assert attempt.run() == 0
    assert attempt.notebook.cells == []


def test_earlier_attempt_is_put_aside(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("print('first')")
    assert attempt.run() == 0
    attempt.specification |= {"attempt": 2, "notebook": make_notebook("print('second')")}
    assert attempt.run() == 0
    assert text_of(attempt.cells[0]) == "second\n"
    assert sorted(os.listdir(attempt.output / "attempt-1")) == [
        "log.txt",
        "markers.ipynb",
        "packages.txt",
        "run.json",
    ]
    assert "first" in (attempt.output / "attempt-1" / "log.txt").read_text()
    assert attempt.record["attempt"] == 2


#: The runner, which notes in the home each file that it had synced to the disk, and its content.
NOTES_SYNCS = """
import os, pathlib, runpy
sync, notes = os.fsync, pathlib.Path.home() / "synced"
notes.touch()
def note(file):
    sync(file)
    path = pathlib.Path(os.readlink(f"/proc/self/fd/{file}"))
    with notes.open("a") as synced:
        synced.write(f"{path} {path.read_text()}\\n")
os.fsync = note
runpy.run_module("offline_jobs.runner", run_name="__main__")
"""


def limit(mebibytes: int) -> dict[str, str]:
    return {"OFFLINE_JOB_MEMORY_BYTES": str(mebibytes * 2**20)}


def test_text_that_cannot_be_encoded(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("print('a\\ud800b\\0c')", "raise ValueError('y\\0z')")
    assert attempt.run() == 10
    error = {"name": "ValueError", "value": "y\N{REPLACEMENT CHARACTER}z", "cell": "2"}
    assert attempt.record["error"] == error
    assert "\0" not in attempt.log
    assert attempt.statuses == ["completed", "failed"]


def test_notebook_that_breaks_papermill(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt()
    attempt.specification["notebook"]["cells"] = [{"cell_type": "code"}]
    assert attempt.run() == 20
    assert attempt.termination["outcome"] in {"internal", "refused"}
    assert attempt.record["message"]
