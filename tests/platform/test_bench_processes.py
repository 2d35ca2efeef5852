"""How the benchmarks run what they compare with: weighed whole, and ended whole."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.bench.bench_burst import wait_for_ends
from tests.bench.processes import Memory, build_variables, call_at_once, running
from tests.platform_fixture import find_processes
from tests.ports import find_free_port
from tests.site import wait_until

if TYPE_CHECKING:
    from tests.bench.jobs import Side

#: Serves its folder, and has started another that would outlive it.
SERVER = """
import http.server, subprocess, sys
other = "import signal; x = 'x' * 64 * 2**20; signal.pause()"
subprocess.Popen([sys.executable, "-c", other], start_new_session=True)
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""


def interrupt(folder: Path, memory: Memory) -> None:
    """Run the program until both are weighed, then press Ctrl-C."""
    port = find_free_port()
    command = [sys.executable, "-c", SERVER, str(port)]
    variables = {**os.environ, "HOME": str(folder)}
    with running(command, folder, variables, f"http://127.0.0.1:{port}"), memory:
        wait_until(lambda: memory.peak_bytes > 64 * 2**20, "both to be weighed", 20)
        raise KeyboardInterrupt


def test_what_a_program_started_is_weighed_and_ended_with_it(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        interrupt(tmp_path, memory)
    assert memory.peak_processes == 2
    assert find_processes(tmp_path) == []


def test_the_work_of_what_has_ended_still_counts(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.5:\n    pass\ninput()"
    with Memory(tmp_path) as memory:
        for number in (1, 2):
            command = [sys.executable, "-c", busy]
            with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE) as worker:
                wait_until(partial(_has_worked, memory, 0.45 * number), f"work {number}")
                worker.communicate(b"\n")


def _has_worked(memory: Memory, seconds: float) -> bool:
    return memory.work_seconds > seconds


@dataclass
class Slow:
    """Whoever's jobs end after so many looks, or never; works until then."""

    looks: Iterator[str]
    ends = frozenset({"done"})
    work: list[float] = field(default_factory=lambda: [0.0])

    def read_states(self) -> dict[str, str]:
        self.work.append(self.work[-1] + 1)
        return {"one": "done", "two": next(self.looks)}


@pytest.mark.parametrize(("works", "last"), [(True, "done"), (False, "runs")])
def test_what_neither_changes_nor_works_is_left(works: bool, last: str) -> None:
    slow = Slow(iter([*["runs"] * 3, *["done"] * 50]))
    _, states = wait_for_ends(
        cast("Side", slow), ["one", "two"], lambda: works * slow.work[-1], 1.5
    )
    assert states == {"one": "done", "two": last}


def test_a_program_that_ends_at_once_is_told_with_its_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such option')"]
    with (
        pytest.raises(SystemExit, match="no such option"),
        running(command, tmp_path, dict(os.environ), "http://127.0.0.1:9"),
    ):
        pass


def test_calls_are_made_at_once_and_answered_in_their_order() -> None:
    meet = threading.Barrier(3)
    calls = [partial(lambda number: (meet.wait(20), number)[1], number) for number in range(3)]
    assert call_at_once(calls) == [0, 1, 2]


def test_a_call_that_fails_is_not_kept_secret() -> None:
    with pytest.raises(ZeroDivisionError):
        call_at_once([lambda: 1, lambda: 1 // 0])


@pytest.mark.parametrize("mended", [False, True])
def test_the_slow_import_is_taken_from_a_mended_program_alone(tmp_path: Path, mended: bool) -> None:
    (tmp_path / "rfc3987_syntax.py").write_text("")
    variables = build_variables("stock", tmp_path, mended=mended)
    path = f"{variables.get('PYTHONPATH', '')}{os.pathsep}{tmp_path}"

    done = subprocess.run(
        [sys.executable, "-c", "import rfc3987_syntax"],
        env=variables | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("halted; None in sys.modules" in done.stderr) == mended
    assert (done.returncode != 0) == mended
