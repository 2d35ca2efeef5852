"""Daemons of the test bed: detached, known by pid and start, ended by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bed.processes import DaemonDied, Daemons, read_start
from tests.skips import require

#: Says when it is ready, and does not heed SIGTERM.
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("on", flush=True)
time.sleep(60)
"""


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    require("Linux")
    found = Daemons(tmp_path)
    yield found
    found.stop_all(forced=found.names())


def wait_for(what: str, probe: object) -> None:
    deadline = time.monotonic() + 10
    assert callable(probe)
    while not probe():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def read_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def list_files(pid: int) -> set[str]:
    found = set()
    for each in os.listdir(f"/proc/{pid}/fd"):
        # While it starts, the loader opens and closes libraries.
        with suppress(FileNotFoundError):
            found.add(os.readlink(f"/proc/{pid}/fd/{each}"))
    return found


def test_another_process_takes_a_daemon_up_from_the_folder(
    daemons: Daemons, tmp_path: Path
) -> None:
    pid = daemons.start("sleeper", ["sleep", "60"])
    later = Daemons(tmp_path)
    assert later.names() == ["sleeper"]
    assert later.is_running("sleeper")
    later.stop("sleeper")
    assert not daemons.is_running("sleeper")
    assert read_start(pid) is None


def test_one_whose_starter_died_before_it_was_on_the_list_is_ended_with_the_others(
    daemons: Daemons, tmp_path: Path
) -> None:
    other = Daemons(tmp_path / "other")
    pid = daemons.start("sleeper", ["sleep", "60"])
    (tmp_path / "processes.json").unlink()
    (tmp_path / "other").mkdir()
    other.start("sleeper", ["sleep", "60"])
    try:
        daemons.stop_all()
        assert read_start(pid) is None
        assert other.is_running("sleeper")
    finally:
        other.stop_all()


def test_a_pid_that_belongs_to_somebody_else_by_now_is_not_touched(
    daemons: Daemons, tmp_path: Path
) -> None:
    daemons.start("sleeper", ["sleep", "60"])
    daemons.stop("sleeper")
    # As after a crash and a reboot: the number is given to a process of somebody else.
    with subprocess.Popen(["sleep", "60"]) as other:
        file = tmp_path / "processes.json"
        (recorded,) = json.loads(file.read_text(encoding="utf-8"))
        # Both may have started in one tick of the clock.
        changed = {**recorded, "pid": other.pid, "started": recorded["started"] - 1}
        file.write_text(json.dumps([changed]), encoding="utf-8")
        assert not daemons.is_running("sleeper")
        daemons.stop_all()
        assert other.poll() is None
        other.kill()


def test_a_daemon_holds_none_of_the_callers_descriptors(daemons: Daemons) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    pid = daemons.start("sleeper", ["sleep", "60"])
    wait_for("its own files", lambda: list_files(pid) == {os.devnull, str(daemons.log("sleeper"))})
    os.close(write)
    os.set_blocking(read, False)
    # The end of the pipe, at once, means that nobody else holds it open.
    assert os.read(read, 1) == b""
    os.close(read)
    assert os.getsid(pid) == pid


def test_a_pipeline_ends_while_the_daemon_runs(tmp_path: Path) -> None:
    require("Linux")
    program = (
        "from pathlib import Path; from tests.bed.processes import Daemons;"
        f"Daemons(Path({str(tmp_path)!r})).start('sleeper', ['sleep', '60'])"
    )
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$0" | cat', program],
        timeout=30,
        check=True,
        capture_output=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == b""
    started = Daemons(tmp_path)
    assert started.is_running("sleeper")
    started.stop_all()


def test_one_that_heeds_no_signal_is_killed(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bed.processes.GRACE", 0.3)
    daemons.start("stubborn", [sys.executable, "-c", STUBBORN])
    wait_for("it to be ready", lambda: daemons.read_tail("stubborn") == "on")
    daemons.stop("stubborn")
    assert not daemons.is_running("stubborn")


def test_a_paused_one_stands_still_goes_on_and_can_be_ended(daemons: Daemons) -> None:
    pid = daemons.start("sleeper", ["sleep", "60"])
    daemons.pause("sleeper")
    wait_for("it to stand", lambda: read_state(pid) == "T")
    daemons.resume("sleeper")
    wait_for("it to go on", lambda: read_state(pid) == "S")
    daemons.pause("sleeper")
    daemons.stop("sleeper")
    assert not daemons.is_running("sleeper")


def test_a_restart_keeps_arguments_environment_and_log(daemons: Daemons) -> None:
    program = "import os, time; print(os.environ['WORD'], flush=True); time.sleep(60)"
    first = daemons.start("speaker", [sys.executable, "-c", program], environment={"WORD": "said"})
    wait_for("its word", lambda: daemons.read_tail("speaker") == "said")
    second = daemons.restart("speaker")
    wait_for("its word again", lambda: daemons.read_tail("speaker") == "said\nsaid")
    assert first != second
    assert read_start(first) is None


def test_one_behind_a_forking_word_is_known_itself(daemons: Daemons) -> None:
    within = ["sh", "-c", '"$@"; true', "wrapper"]
    pid = daemons.start("sleeper", ["sleep", "60"], within=within, forks=True)
    assert Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() in {"sleep", "sh"}
    daemons.stop("sleeper")
    assert read_start(pid) is None


def test_whoever_died_is_named_with_the_end_of_its_log(daemons: Daemons) -> None:
    pid = daemons.start("sleeper", ["sh", "-c", "echo last words; exec sleep 60"])
    wait_for("its words", lambda: daemons.read_tail("sleeper") == "last words")
    daemons.check()
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: not daemons.is_running("sleeper"))
    with pytest.raises(DaemonDied, match=r"sleeper has ended.*\nlast words"):
        daemons.check()


def test_a_second_start_under_one_name_is_refused(daemons: Daemons) -> None:
    daemons.start("sleeper", ["sleep", "60"])
    with pytest.raises(ValueError, match="runs already"):
        daemons.start("sleeper", ["sleep", "60"])
