"""The runner and the service: specification, progress, cancel, hand-over; also when it is away."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from offline_jobs.runner.handing import ServiceCopier
from offline_jobs.runner.service_client import ServiceClient
from offline_jobs.service.rules.kept import count_finished
from tests.runner.attempts import Attempt, make_specification, wait_until
from tests.runner.recording_service import TOKEN, RecordingService

MakeAttempt = Callable[..., Attempt]
Serve = Callable[[Attempt], RecordingService]


def waiting_for(path: Path) -> str:
    return (
        "import pathlib, time\n"
        f"while not pathlib.Path({str(path)!r}).exists():\n"
        "    time.sleep(0.02)\n"
    )


def test_everything_is_handed_over(make_attempt: MakeAttempt, serve: Serve) -> None:
    attempt = make_attempt("print('hello')", "1 / 0")
    seen = serve(attempt).seen
    assert attempt.run() == 10
    assert seen.tokens == {f"Bearer {TOKEN}"}
    assert seen.notebook == (attempt.output / "markers.ipynb").read_bytes()
    assert seen.log is not None
    assert b"hello\n" in seen.log
    assert seen.result == attempt.record
    # The last of each comes after all else; a run that takes long has sent some before.
    assert [name for method, name in seen.calls if method == "PUT"][-2:] == ["notebook", "log"]
    assert seen.calls[-1] == ("POST", "result")


def test_what_is_done_can_be_had_of_a_runner_that_was_killed(
    make_attempt: MakeAttempt, serve: Serve, tmp_path: Path
) -> None:
    looked = tmp_path / "looked"
    attempt = make_attempt("print('one')", "print('two')", waiting_for(looked))
    service = serve(attempt)
    attempt.start()
    wait_until(lambda: count_finished(service.seen.notebook or b"") == 2, "a copy of both cells")
    wait_until(lambda: b"two" in (service.seen.log or b""), "a copy of the log")
    # What the service has, the home had before.
    notebook = service.seen.notebook
    assert notebook is not None
    assert count_finished((attempt.output / "markers.ipynb").read_bytes()) == 2
    assert b"one\n" in notebook.replace(b"\\n", b"\n")
    assert service.seen.log is not None
    assert b"one\n[cell 2 of 3]\ntwo\n" in service.seen.log
    attempt.end()
    assert service.seen.result is None


def test_nothing_is_copied_before_a_cell_has_ended(
    make_attempt: MakeAttempt, serve: Serve, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    attempt = make_attempt(waiting_for(gate), "print('end')")
    service = serve(attempt)
    attempt.start()
    wait_until((attempt.output / "markers.ipynb").exists, "the home's first copy")
    assert attempt.process is not None
    assert not [name for method, name in service.seen.calls if method == "PUT"]
    gate.touch()
    assert attempt.wait() == 0
    copied = [name for method, name in service.seen.calls if method == "PUT"]
    # On a busy machine there is time for a copy between the two cells.
    assert copied in (["notebook", "log"], ["notebook", "log"] * 2)


def test_what_was_copied_is_not_copied_again_nor_replaced_by_nothing() -> None:
    service = RecordingService(make_specification("1"))
    copier = ServiceCopier(ServiceClient(service.url, TOKEN), lambda: b"log")
    copier.offer(b"earlier")
    copier.offer(b"newest")
    # The news of a copy may come after it was taken.
    copier._copy()
    copier._copy()
    service.stop()
    assert service.seen.calls == [("PUT", "notebook"), ("PUT", "log")]
    assert service.seen.notebook == b"newest"


def test_cell_is_said_before_it_runs(
    make_attempt: MakeAttempt, serve: Serve, tmp_path: Path
) -> None:
    gate, looked = tmp_path / "gate", tmp_path / "looked"
    cell = (
        f"import os, shutil\nshutil.copy(os.environ['OFFLINE_TEST_TERMINATION'], {str(looked)!r})\n"
    )
    attempt = make_attempt("1", cell + waiting_for(gate), "1")
    attempt.environment["OFFLINE_TEST_TERMINATION"] = str(attempt.termination_file)
    service = serve(attempt)
    attempt.start()
    wait_until(lambda: any(p["cell"] == 2 for p in service.seen.progress), "cell 2 reported")
    wait_until(looked.exists, "the cell's own look")
    assert json.loads(looked.read_text())["cell"] == 2
    assert attempt.termination["cell"] == 2
    assert attempt.termination["total"] == 3
    told = service.seen.progress[-1]
    assert (told["cell"], told["total"], told["phase"]) == (2, 3, "running")
    assert len(told["cell_seconds"]) == 1
    gate.touch()
    assert attempt.wait() == 0
    assert max(p["cell"] for p in service.seen.progress) == 3 or service.seen.result is not None


def test_progress_is_batched(make_attempt: MakeAttempt, serve: Serve, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    stand_in = programs / "nvidia-smi"
    stand_in.write_text("#!/bin/sh\nprintf '30, 100, 1000\\n50, 200, 1000\\n'\n", "utf-8")
    stand_in.chmod(0o755)
    attempt = make_attempt(
        "import time\nfor i in range(300):\n    print('line', i, flush=True)\n    time.sleep(0.01)",
        environment={
            "OFFLINE_JOB_MEMORY_BYTES": str(4 * 2**30),
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
    )
    seen = serve(attempt).seen
    assert attempt.run() == 0
    # Three hundred lines in three seconds or more. A busy machine may delay one report and not the
    # next, so they are counted.
    assert 4 <= len(seen.times) <= (seen.times[-1] - seen.times[0]) / 0.5 + 2
    assert any("line 1" in p["log_tail"] for p in seen.progress)
    assert max(p["memory_bytes"] for p in seen.progress) > 30 * 2**20
    assert seen.progress[-1]["memory_limit_bytes"] == 4 * 2**30
    assert seen.progress[0]["phase"] == "kernel-start"
    # What was taken over time goes out where there is more of it, and whole with the record.
    told = [p["series"] for p in seen.progress if p["series"]]
    assert len({len(series["memory_mib"]) for series in told}) == len(told) > 0
    assert seen.result is not None
    whole = seen.result["series"]
    assert whole["memory_mib"][: len(told[-1]["memory_mib"]) - 1] == told[-1]["memory_mib"][:-1]
    assert 30 < max(whole["memory_mib"]) <= seen.result["memory_peak_bytes"] / 2**20 + 1
    assert max(whole["cores"]) > 0
    gpus = whole["gpus"]
    assert (gpus["count"], gpus["memory_limit_mib"]) == (2, 2000)
    # On a busy machine the first span may be over before there is an answer.
    assert {*gpus["percent"], None} == {None, 40}
    assert {*gpus["memory_mib"], 0} == {0, 300}
    assert len(gpus["percent"]) == len(gpus["memory_mib"]) == len(whole["cores"])
    assert 0 < whole["first_cell_seconds"] < len(whole["cores"]) * whole["every_seconds"]
    text = (attempt.output / "run.json").read_text()
    assert re.search(r'"cores": \[ ?\d[\d., ]*\]', text)
    assert json.loads(text) == seen.result


def test_cancel(make_attempt: MakeAttempt, serve: Serve) -> None:
    attempt = make_attempt("1", "print('up', flush=True)\nimport time; time.sleep(600)", "1")
    service = serve(attempt)
    attempt.start()
    wait_until(lambda: "up" in (service.seen.progress or [{"log_tail": ""}])[-1]["log_tail"], "up")
    service.is_cancelled = True
    assert attempt.wait(15) == 16
    attempt.assert_nothing_left()
    assert (attempt.record["outcome"], attempt.record["cell"]) == ("cancelled", 2)
    assert attempt.statuses == ["completed", "failed", "pending"]
    assert service.seen.result == attempt.record


def test_attempt_that_is_over_for_the_service_stops(
    make_attempt: MakeAttempt, serve: Serve
) -> None:
    attempt = make_attempt("import time; time.sleep(600)")
    service = serve(attempt)
    service.refusals = {"progress": 410, "notebook": 410, "log": 410, "result": 410}
    attempt.start()
    assert attempt.wait(20) == 16
    attempt.assert_nothing_left()


def test_refused_progress_does_not_disturb(make_attempt: MakeAttempt, serve: Serve) -> None:
    attempt = make_attempt("import time; time.sleep(1); print('done')")
    service = serve(attempt)
    service.refusals = {"progress": 401, "result": 500}
    attempt.environment["OFFLINE_JOB_PATIENCE_SECONDS"] = "1"
    assert attempt.run() == 0
    assert service.seen.notebook is not None
    assert attempt.record["outcome"] == "succeeded"


def test_service_that_is_never_there(make_attempt: MakeAttempt, serve: Serve) -> None:
    attempt = make_attempt("print('never')")
    serve(attempt).stop()
    attempt.environment["OFFLINE_JOB_PATIENCE_SECONDS"] = "2"
    assert attempt.run() == 30
    assert attempt.termination == attempt.termination | {"cell": 0, "exit_code": 30}
    assert not attempt.output.exists()


def test_service_that_is_late(make_attempt: MakeAttempt, serve: Serve) -> None:
    attempt = make_attempt("print('late')")
    service = serve(attempt)
    service.stop()
    attempt.start()
    wait_until(lambda: "away" in attempt.stderr, "the first try")
    service.start()
    assert attempt.wait() == 0
    assert service.seen.result is not None


def test_service_that_goes_away_and_comes_back(
    make_attempt: MakeAttempt, serve: Serve, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    attempt = make_attempt(waiting_for(first), waiting_for(second), "print('end')")
    service = serve(attempt)
    attempt.start()
    wait_until(lambda: any(p["cell"] == 1 for p in service.seen.progress), "cell 1")
    service.stop()
    first.touch()
    wait_until(lambda: attempt.termination["cell"] == 2, "cell 2 without the service")
    wait_until(lambda: "the run goes on" in attempt.stderr, "a line in the runner's own log")
    service.start()
    wait_until(lambda: any(p["cell"] == 2 for p in service.seen.progress), "news of cell 2")
    second.touch()
    assert attempt.wait() == 0
    assert service.seen.result is not None
    assert service.seen.result["outcome"] == "succeeded"


def test_service_that_stays_away(make_attempt: MakeAttempt, serve: Serve, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    attempt = make_attempt(waiting_for(gate), "print('end')")
    attempt.environment["OFFLINE_JOB_PATIENCE_SECONDS"] = "2"
    service = serve(attempt)
    attempt.start()
    wait_until(lambda: service.seen.progress, "the first message")
    service.stop()
    gate.touch()
    assert attempt.wait() == 0
    attempt.assert_nothing_left()
    assert attempt.record["outcome"] == "succeeded"
    assert attempt.termination["outcome"] == "succeeded"


def test_limits_hold_while_the_service_is_away(
    make_attempt: MakeAttempt, serve: Serve, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    cell = waiting_for(gate) + "x = bytearray(900 * 2**20)\ntime.sleep(60)"
    attempt = make_attempt(cell, environment={"OFFLINE_JOB_MEMORY_BYTES": str(600 * 2**20)})
    attempt.environment["OFFLINE_JOB_PATIENCE_SECONDS"] = "1"
    service = serve(attempt)
    attempt.start()
    wait_until(lambda: service.seen.progress, "the first message")
    service.stop()
    gate.touch()
    assert attempt.wait() == 15
    attempt.assert_nothing_left()


def test_result_reaches_the_service_when_the_home_cannot_be_written(
    make_attempt: MakeAttempt, serve: Serve
) -> None:
    attempt = make_attempt("print('precious')", "")
    remove = (
        "import pathlib, shutil\n"
        f"folder = pathlib.Path({str(attempt.home / 'offline-jobs')!r})\n"
        "while not folder.exists(): pass\n"
        "shutil.rmtree(folder, ignore_errors=True)\n"
        "while folder.exists(): shutil.rmtree(folder, ignore_errors=True)\n"
        "folder.write_text('in the way')\n"
    )
    attempt.specification["notebook"]["cells"][1]["source"] = remove
    service = serve(attempt)
    attempt.start()
    assert attempt.wait() == 14
    assert service.seen.result is not None
    assert service.seen.result["outcome"] == "output-lost"
    assert service.seen.notebook is not None
    assert b"precious" in service.seen.notebook
    assert attempt.termination["outcome"] == "output-lost"


def test_token_is_not_to_be_found_by_the_kernel(make_attempt: MakeAttempt, serve: Serve) -> None:
    look = (
        "import os, pathlib\n"
        f"token = {TOKEN[::-1]!r}[::-1].encode()\n"
        "for pid in (os.getpid(), os.getppid()):\n"
        "    for name in ('environ', 'cmdline'):\n"
        "        content = pathlib.Path('/proc', str(pid), name).read_bytes()\n"
        "        print(name, len(content) > 10, token in content)\n"
        "print(sorted(name for name in os.environ if name.startswith('OFFLINE_JOB_')))\n"
    )
    attempt = make_attempt(look)
    serve(attempt)
    assert attempt.run() == 0
    printed = attempt.cells[0].outputs[0].text
    seen = "environ True False\ncmdline True False\n"
    assert printed == 2 * seen + "['OFFLINE_JOB_ATTEMPT', 'OFFLINE_JOB_ID']\n"
    everything = [p for p in attempt.folder.rglob("*") if p.is_file()]
    assert [p for p in everything if TOKEN.encode() in p.read_bytes()] == []


@pytest.mark.parametrize("status", [401, 404, 410])
def test_specification_that_is_refused(
    make_attempt: MakeAttempt, serve: Serve, status: int
) -> None:
    attempt = make_attempt("1")
    service = serve(attempt)
    service.refusals = {"1": status}
    assert attempt.run() == 20
    assert str(status) in attempt.stderr
