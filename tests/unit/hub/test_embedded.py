"""The parts of the supervisor: machine, state folder, children and what is left of them."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hub_config.embedded.__main__ import parse_order
from hub_config.embedded.children import (
    Child,
    Program,
    base_environment,
    end_proxy,
    kill_recorded,
    word_status,
    write_record,
)
from hub_config.embedded.machine import look, parse_cpu_limit, parse_memory_limit
from hub_config.embedded.state import (
    LAST_PORT,
    choose_ports,
    hold_port,
    hold_state,
    make_secret,
    prepare_state,
)
from hub_config.platform.errors import ConfigurationError
from hub_config.spawners.logs import KEPT_BYTES, LARGEST_LOG_BYTES
from tests.site import wait_until


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000", None),
        ("200000 100000", 2),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("", None),
        ("1 0", None),
        ("nonsense", None),
    ],
)
def test_the_cores_of_a_container(text: str, cores: int | None) -> None:
    assert parse_cpu_limit(text) == cores


@pytest.mark.parametrize(("text", "limit"), [("max\n", None), ("4096\n", 4096), ("", None)])
def test_the_memory_of_a_container(text: str, limit: int | None) -> None:
    assert parse_memory_limit(text) == limit


def test_this_machine_has_something() -> None:
    found = look()

    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 < found.memory_bytes <= psutil.virtual_memory().total
    assert found.gpus >= 0


def test_secrets_are_made_once(tmp_path: Path) -> None:
    prepare_state(tmp_path / "state")
    secrets = {f: f.read_text() for f in (tmp_path / "state" / "secrets").iterdir()}

    prepare_state(tmp_path / "state")

    assert {f: f.read_text() for f in (tmp_path / "state" / "secrets").iterdir()} == secrets
    assert all(len(text) == 64 for text in secrets.values())


def test_a_state_folder_is_its_owners_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    prepare_state(state)
    for folder in (state, state / "homes"):
        folder.chmod(0o755)

    prepare_state(state)

    folders = [state, *(path for path in state.rglob("*") if path.is_dir())]
    assert len(folders) > 8
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    tmp_path.chmod(0o755)

    with pytest.raises(ConfigurationError, match="holds other things"):
        prepare_state(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_state_folder_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse_order(["--state", text])

    assert end.value.code == 2
    assert "name a folder" in capsys.readouterr().err


def test_a_folder_that_is_everybodys_stays_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)

    prepare_state(tmp_path)

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    assert stat.S_IMODE((tmp_path / "homes").stat().st_mode) == 0o700


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert parse_order(["--state", "~/there"]).state == tmp_path / "there"
    assert parse_order(["--state", "here"]).state == Path.cwd() / "here"


def test_a_secret_is_for_its_owner_and_an_interrupted_one_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "token.new").write_text("")

    make_secret(tmp_path / "token")

    assert len((tmp_path / "token").read_text()) == 64
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert not (tmp_path / "token.new").exists()


def test_one_supervisor_at_a_time(tmp_path: Path) -> None:
    with (
        hold_state(tmp_path),
        pytest.raises(ConfigurationError, match="Another 'make run'"),
        hold_state(tmp_path),
    ):
        pass
    with hold_state(tmp_path):
        pass


def test_ports_differ_and_stay_the_same(tmp_path: Path) -> None:
    ports = choose_ports(tmp_path, ("hub", "proxy", "service"))

    assert len(set(ports.values())) == 3
    # Linux gives the others to whoever asks for any.
    assert max(ports.values()) < 32768
    assert choose_ports(tmp_path, ("hub", "proxy", "service")) == ports


def test_a_port_that_was_taken_meanwhile_is_replaced(tmp_path: Path) -> None:
    ports = choose_ports(tmp_path, ("hub", "proxy"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports["hub"]))
        other.listen()

        later = choose_ports(tmp_path, ("hub", "proxy"))

    assert later["hub"] != ports["hub"]
    assert later["proxy"] == ports["proxy"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"hub": "x"}', '{"hub": 99999999}', '{"hub": -1}']
)
def test_a_broken_list_of_ports_is_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)

    assert 0 < choose_ports(tmp_path, ("hub",))["hub"] <= LAST_PORT


def test_a_port_that_is_held_is_chosen_for_nothing_else(tmp_path: Path) -> None:
    before = choose_ports(tmp_path, ("hub", "proxy"))
    with hold_port(before["hub"]):
        assert before["hub"] not in choose_ports(tmp_path, ("hub", "proxy")).values()


def test_our_python_settings_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("LANG", "C.UTF-8")

    environment = base_environment()

    assert "PYTHONPATH" not in environment
    assert environment["LANG"] == "C.UTF-8"


@pytest.mark.parametrize(("status", "words"), [(-9, "killed by SIGKILL"), (3, "exit code 3")])
def test_an_exit_status_in_words(status: int, words: str) -> None:
    assert word_status(status) == words


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def child(tmp_path: Path, said: list[str]) -> Iterator[Child]:
    """A child that writes a warning, starts a child of its own, and waits."""
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('[I 2026] all is well', '[E 2026] all is lost', sep='\\n', flush=True)\n"
        "time.sleep(600)\n"
    )
    program = Program(
        name="thing",
        command=(sys.executable, "-c", code),
        environment=base_environment(),
        folder=tmp_path,
        log=tmp_path / "thing.log",
    )
    made = Child(program, said.append)
    yield made
    if made.process is not None and made.process.poll() is None:
        family = psutil.Process(made.process.pid).children(recursive=True)
        for process in family:
            process.kill()
        made.process.kill()
        made.process.wait()


def test_errors_in_the_log_are_told_and_the_rest_is_not(child: Child, said: list[str]) -> None:
    # An earlier run's complaint is not this one's.
    child.program.log.write_text("[C 2025] Received signal SIGTERM\n")
    child.tend()

    def has_said() -> bool:
        child.tell_alarms()
        return bool(said)

    wait_until(has_said, "the warning")

    assert said == ["thing: [E 2026] all is lost"]
    child.tell_alarms()
    assert len(said) == 1


def test_the_log_of_a_running_child_stays_bounded(child: Child, said: list[str]) -> None:
    child.tend()
    log = child.program.log
    with log.open("ab") as other:
        other.write(b"[I 2026] chatter chatter\n" * (LARGEST_LOG_BYTES // 25 + 1))

    assert not child.tend()

    assert log.stat().st_size == 0
    kept = log.with_suffix(".old.log").read_text()
    assert len(kept) > KEPT_BYTES - 100
    assert kept.startswith("[I 2026] chatter chatter\n")
    # It goes on from the beginning of the emptied file, and what is told is told from there.
    with log.open("ab") as other:
        other.write(b"[E 2026] lost again\n")
    said.clear()
    child.tend()
    assert "thing: [E 2026] lost again" in said


def test_a_child_that_dies_is_started_again_and_later_each_time(
    child: Child, said: list[str]
) -> None:
    assert child.tend()
    for wait in ("0.5", "1"):
        assert child.process is not None
        first = child.process
        family = psutil.Process(first.pid).children(recursive=True)
        first.kill()
        first.wait()
        for process in family:
            process.kill()
        assert not child.tend()  # not at once
        assert f"killed by SIGKILL); starting it again in {wait} s" in said[-1]
        wait_until(child.tend, "the next start", 10)
        assert child.process is not None
        assert child.process.pid != first.pid


def test_the_end_takes_the_whole_family_along(child: Child) -> None:
    child.tend()
    assert child.process is not None
    own = psutil.Process(child.process.pid)
    family = wait_until(lambda: own.children(recursive=True), "a grandchild")

    child.ask_to_end()
    child.wait_for_end(deadline=0)

    assert not own.is_running()
    assert not any(process.is_running() for process in family)


def test_what_was_recorded_is_killed(child: Child, tmp_path: Path) -> None:
    child.tend()
    write_record(tmp_path / "record", [child])

    assert kill_recorded(tmp_path / "record") == 1

    assert child.process is not None
    assert not psutil.pid_exists(child.process.pid)
    assert not (tmp_path / "record").exists()
    assert kill_recorded(tmp_path / "record") == 0


def test_a_number_that_is_another_processes_by_now_is_left_alone(
    child: Child, tmp_path: Path
) -> None:
    child.tend()
    assert child.process is not None
    record = tmp_path / "record"
    record.write_text(json.dumps([{"pid": child.process.pid, "started": 1.0}]))

    assert kill_recorded(record) == 0
    assert child.process.poll() is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"pid": "x", "started": 1}]', "\x00"])
def test_a_broken_record_is_no_obstacle(tmp_path: Path, text: str) -> None:
    (tmp_path / "record").write_text(text)

    assert kill_recorded(tmp_path / "record") == 0
    assert not (tmp_path / "record").exists()


def test_only_a_proxy_is_ended_as_a_proxy(child: Child, tmp_path: Path) -> None:
    child.tend()
    assert child.process is not None
    pid_file = tmp_path / "proxy.pid"
    pid_file.write_text(str(child.process.pid))

    end_proxy(pid_file)

    assert child.process.poll() is None
    assert not pid_file.exists()
    program = "import time; print(flush=True); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", program, "configurable-http-proxy"], stdout=subprocess.PIPE
    ) as proxy:
        # A process that has just begun has no words yet.
        assert proxy.stdout is not None
        proxy.stdout.readline()
        pid_file.write_text(str(proxy.pid))
        end_proxy(pid_file)
        assert not psutil.pid_exists(proxy.pid)
    end_proxy(pid_file)  # nothing is there
