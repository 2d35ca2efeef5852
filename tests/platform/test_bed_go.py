"""The bed's own programs, as the bed builds them: `pause` and `probe`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from images._tool.tools import find_places
from tests.bed import pins
from tests.bed.programs import Programs
from tests.bed.workshop import Workshop
from tests.skips import require

DEADLINE_SECONDS = 20


@pytest.fixture(scope="module")
def programs() -> Programs:
    """Built into the user's cache, where the bed finds them again."""
    require("Linux")
    own = [family for family in pins.FAMILIES if family.name == "own"]
    return Programs(Workshop(find_places(os.environ), lambda line: None, own).prepare())


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS} s: {what}"
        time.sleep(0.02)


class Probe:
    """Runs `probe`, with its termination message in a file of the test."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._log = folder / "termination-log"
        self._environ = {"TERMINATION_LOG": str(self._log)}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *words],
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A probe that runs and has said its first line, if it says one."""
        command = [str(self._program), *words]
        with subprocess.Popen(
            command, env=self._environ, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def message(self) -> str:
        return self._log.read_text()


@pytest.fixture
def probe(programs: Programs, tmp_path: Path) -> Probe:
    return Probe(programs.path("probe"), tmp_path)


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("name", ["pause", "probe"])
def test_they_need_nothing_of_an_image(programs: Programs, name: str) -> None:
    # A program that is linked to libraries names the loader that it wants.
    assert b"ld-linux" not in programs.path(name).read_bytes()
    assert programs.path(name).stat().st_size < {"pause": 2 << 20, "probe": 10 << 20}[name]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_pause_takes_up_what_ended_and_ends_with_0(programs: Programs, end: int) -> None:
    # The child of the shell becomes a child of `pause`, which never started it.
    script = f"sleep 0.2 & exec {programs.path('pause')}"
    with subprocess.Popen(["sh", "-c", script]) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        executable = Path(f"/proc/{process.pid}/exe")
        wait_until(lambda: executable.resolve().name == "pause", "the shell becomes pause")
        wait_until(lambda: not children.read_text(), "the child is taken up")
        process.send_signal(end)
        assert process.wait(DEADLINE_SECONDS) == 0


def test_probe_ends_with_the_code_it_is_told(probe: Probe) -> None:
    assert probe.run("exit", "0").returncode == 0
    assert probe.run("exit", "7").returncode == 7


def test_probe_leaves_a_message(probe: Probe) -> None:
    assert probe.run("message", '{"cell": 3}', "5").returncode == 5
    assert probe.message == '{"cell": 3}'


def test_probe_holds_memory(probe: Probe) -> None:
    with probe.running("allocate", "64") as process:
        assert read_line(process) == "holding 64 MiB"
        status = Path(f"/proc/{process.pid}/status").read_text()
        (resident,) = (line.split()[1] for line in status.splitlines() if line[:6] == "VmRSS:")
        assert int(resident) > 64 * 1024
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 0


def test_probe_answers_and_asks(probe: Probe) -> None:
    with probe.running("serve", "0", "hello") as server:
        port = read_line(server).rpartition(":")[2]
        answer = probe.run("get", f"http://127.0.0.1:{port}/")
        assert (answer.returncode, answer.stdout) == (0, "hello")
        server.terminate()
        assert server.wait(DEADLINE_SECONDS) == 0
    # Nobody is there any more.
    assert probe.run("get", f"http://127.0.0.1:{port}/").returncode == 1


def test_probe_asks_again_until_somebody_answers(probe: Probe) -> None:
    with probe.running("serve", "0", "x") as server:
        port = read_line(server).rpartition(":")[2]
    url = f"http://127.0.0.1:{port}/"
    with (
        probe.running("get", "-retry", str(DEADLINE_SECONDS), url) as client,
        probe.running("serve", port, "late") as server,
    ):
        assert client.wait(DEADLINE_SECONDS) == 0
        assert read_line(client) == "late"


def test_probe_finds_names(probe: Probe) -> None:
    assert {"127.0.0.1", "::1"} & set(probe.run("lookup", "localhost").stdout.split())
    # Nothing answers names there.
    refused = probe.run("lookup", "name.invalid", "127.0.0.1:9")
    assert refused.returncode == 1
    assert "127.0.0.1:9" in refused.stderr


def test_probe_is_asked_to_end(probe: Probe) -> None:
    with probe.running("term", "1", "9") as process:
        assert read_line(process) == "waiting for SIGTERM"
        asked = time.monotonic()
        process.terminate()
        assert process.wait(DEADLINE_SECONDS) == 9
        assert time.monotonic() - asked >= 1
    assert probe.message == "terminated"


def test_probe_waits_for_a_file(probe: Probe, tmp_path: Path) -> None:
    with probe.running("wait", str(tmp_path / "it")) as process:
        assert process.poll() is None
        (tmp_path / "it").touch()
        assert process.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize(
    "words", [(), ("nonsense",), ("exit",), ("exit", "one"), ("exit", "-1"), ("get", "-x", "y")]
)
def test_probe_refuses_what_it_does_not_know(probe: Probe, words: tuple[str, ...]) -> None:
    done = probe.run(*words)
    assert done.returncode == 2
    assert done.stderr
