"""Bounds of what is handed over: the notebook's copy, the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat

from offline_jobs.contract.run import MAX_LOG_BYTES, MAX_NOTEBOOK_BYTES
from offline_jobs.runner.bounds import fit_notebook
from offline_jobs.runner.transcript import Transcript
from tests.runner.attempts import Attempt, make_notebook
from tests.runner.recording_service import RecordingService

MakeAttempt = Callable[..., Attempt]
Serve = Callable[[Attempt], RecordingService]


def with_outputs(*sizes: int) -> dict[str, Any]:
    notebook = make_notebook(*["1"] * len(sizes))
    for cell, size in zip(notebook["cells"], sizes, strict=True):
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * size}]
    return notebook


def fit(notebook: dict[str, Any], limit: int) -> dict[str, Any]:
    content = fit_notebook(json.dumps(notebook).encode(), limit)
    assert content is not None
    assert len(content) <= limit
    nbformat.validate(nbformat.reads(content.decode(), as_version=4))
    loaded: dict[str, Any] = json.loads(content)
    return loaded


def test_small_notebook_is_not_touched() -> None:
    content = json.dumps(with_outputs(10), indent=1).encode()
    assert fit_notebook(content, 10_000) is content


def test_largest_outputs_are_left_out_first() -> None:
    fitted = fit(with_outputs(100, 50_000, 2_000, 60_000), 10_000)
    headline, *cells = fitted["cells"]
    assert "2 of the largest outputs" in headline["source"]
    texts = [cell["outputs"][0]["text"] for cell in cells]
    assert [len(texts[0]), len(texts[2])] == [100, 2_000]
    assert "left out" in texts[1]
    assert "left out" in texts[3]
    assert fitted["metadata"]["offline_jobs"]["outputs_left_out"] == 2
    assert fitted["metadata"]["offline_jobs"]["bytes_left_out"] > 110_000


def test_only_as_many_as_needed() -> None:
    fitted = fit(with_outputs(30_000, 30_001, 30_002), 80_000)
    assert fitted["metadata"]["offline_jobs"]["outputs_left_out"] == 1
    assert len(fitted["cells"][1]["outputs"][0]["text"]) == 30_000


def test_too_large_without_outputs() -> None:
    notebook = make_notebook("x" * 20_000)
    assert fit_notebook(json.dumps(notebook).encode(), 10_000) is None


def test_old_notebook_gets_no_cell_id() -> None:
    notebook = with_outputs(50_000)
    notebook["nbformat_minor"] = 4
    del notebook["cells"][0]["id"]
    assert "id" not in fit(notebook, 20_000)["cells"][0]


def test_log_keeps_its_end(tmp_path: Path) -> None:
    with closing(Transcript(tmp_path, max_bytes=10_000)) as log:
        for i in range(5_000):
            log.write(f"line {i}\n")
        content = log.content()
    assert len(content) <= 10_000
    assert len(content) > 9_000
    lines = content.decode().splitlines()
    assert "left out" in lines[0]
    assert lines[-1] == "line 4999"
    assert int(lines[1].split()[1]) + len(lines) - 2 == 4999
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 20_100


def test_log_of_one_endless_line(tmp_path: Path) -> None:
    with closing(Transcript(tmp_path, max_bytes=10_000)) as log:
        for _ in range(100):
            log.write("ü" * 500)
        assert len(log.content()) <= 10_000
        assert len(log.tail) == 16_000


def test_log_without_terminal_codes(tmp_path: Path) -> None:
    with closing(Transcript(tmp_path)) as log:
        log.write("\x1b[31mred\x1b[0m \x1b]0;title\x07plain\n")
        assert log.content() == b"red plain\n"


def test_what_the_kernels_process_says_does_not_fill_the_disk(make_attempt: MakeAttempt) -> None:
    """Past the kernel, which takes what cells print: as a library says it before a crash."""
    cell = (
        "import os, pathlib, time\n"
        "kept, = (path for path in pathlib.Path(os.environ['TMPDIR']).rglob('kernel-output.txt'))\n"
        "with kept.open('ab') as said:\n"
        "    for _ in range(2):\n"
        "        said.write(b'x' * 5 * 2**20)\n"
        "        said.flush()\n"
        "        deadline = time.monotonic() + 20\n"
        "        while kept.stat().st_size > 4 * 2**20:\n"
        "            assert time.monotonic() < deadline\n"
        "            time.sleep(0.02)\n"
    )
    attempt = make_attempt(cell)
    assert attempt.run() == 0


def test_huge_outputs_of_a_run(make_attempt: MakeAttempt, serve: Serve) -> None:
    attempt = make_attempt(
        "print('small')",
        "line = 'x' * 999_999\nfor _ in range(60):\n    print(line)",
        "print('last')",
    )
    seen = serve(attempt).seen
    assert attempt.run(100) == 0
    whole = (attempt.output / "markers.ipynb").stat().st_size
    assert whole > 60_000_000
    assert seen.notebook is not None
    assert seen.log is not None
    assert len(seen.notebook) <= MAX_NOTEBOOK_BYTES
    assert len(seen.log) <= MAX_LOG_BYTES
    assert (attempt.output / "log.txt").stat().st_size <= MAX_LOG_BYTES
    assert b"This copy is shortened" in seen.notebook
    assert b"small" in seen.notebook
    assert seen.log.endswith(b"last\n[succeeded]\n")
