"""What GPUs do, asked of a stand-in for `nvidia-smi`: no machine here has a GPU."""

import os
import queue
import threading
from pathlib import Path

import psutil
import pytest

from offline_jobs.runner import gpus
from offline_jobs.runner.gpus import GpuUse, GpuWatch, parse
from tests.site import wait_until


@pytest.mark.parametrize(
    ("answer", "use"),
    [
        ("37, 2048, 16384\n", GpuUse(1, 37, 2048, 16384)),
        ("0, 1, 10\n100, 2, 20\n", GpuUse(2, 50, 3, 30)),
        ("[N/A], 5, 10\n", GpuUse(1, None, 5, 10)),
        ("[N/A], 5, 10\n40, 5, 10\n", GpuUse(2, 40, 10, 20)),
        ("50, [Not Supported], [Not Supported]\n", GpuUse(1, 50, 0, 0)),
        ("400, 1, 10\n", GpuUse(1, 100, 1, 10)),
        ("40, -1, 10\n", None),
        (f"40, 1, {10**23}\n", None),
        ("37, 2048, 16", None),
        ("", None),
        ("No devices were found\n", None),
        ("1, 2\n", None),
        ("nan, 2, 3\n", None),
        ("1, 2, 3\nlost, 2, 3\n", None),
    ],
)
def test_an_answer_is_read_or_is_none(answer: str, use: GpuUse | None) -> None:
    assert parse(answer) == use


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one `nvidia-smi` there is; it says nothing until it is written."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(gpus, "_PERIOD_SECONDS", 0.01)
    monkeypatch.setattr(gpus, "_REST", 0)
    return folder / "nvidia-smi"


def write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_each_answer_is_handed_on_until_it_is_over(stand_in: Path) -> None:
    write(
        stand_in,
        """test "$*" = "--query-gpu=utilization.gpu,memory.used,memory.total \\
--format=csv,noheader,nounits" && echo 7, 8, 9""",
    )
    seen: queue.Queue[GpuUse | None] = queue.Queue()
    watch = GpuWatch(seen.put)
    watch.start()
    assert [seen.get(timeout=60) for _ in range(3)] == [GpuUse(1, 7, 8, 9)] * 3
    watch.stop()
    wait_until(lambda: not is_watched(), "nobody asks any more")


def test_who_tells_nothing_is_asked_three_times(stand_in: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    write(stand_in, f"echo x >>{asked}; exit 9")
    seen: list[GpuUse | None] = []
    GpuWatch(seen.append).start()
    wait_until(
        lambda: asked.exists() and asked.read_text().count("x") == 3 and not is_watched(),
        "three questions and no more",
    )
    assert seen == [None]


def is_watched() -> bool:
    return any(thread.name == gpus.NAME for thread in threading.enumerate())


def test_one_that_hangs_is_ended(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_PATIENCE_SECONDS", 0.1)
    write(stand_in, "exec sleep 61234")
    seen: list[GpuUse | None] = []
    GpuWatch(seen.append).start()
    wait_until(lambda: not is_watched(), "nobody asks any more")
    assert seen == [None]
    words = [each.info["cmdline"] for each in psutil.process_iter(["cmdline"])]
    assert ["sleep", "61234"] not in words


def test_without_the_program_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    GpuWatch(lambda use: None).start()
    assert not is_watched()


def test_once_it_is_over_nothing_is_started(stand_in: Path, tmp_path: Path) -> None:
    write(stand_in, f"touch {tmp_path / 'started'}; echo 1, 2, 3")
    watch = GpuWatch(lambda use: None)
    with watch._starting:
        watch.start()
        wait_until(is_watched, "the first question, which waits")
        watch._is_over.set()
    wait_until(lambda: not is_watched(), "nobody asks any more")
    assert not (tmp_path / "started").exists()
