"""What dies is started again, what is ended is gone, and what cannot start says so in one line."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from hub_config.embedded.state import prepare_state
from tests.ledger import WHOLE
from tests.plain import NO_TLS
from tests.platform_fixture import ROOT, Platform, find_processes
from tests.ports import find_free_port
from tests.site import wait_until

SMALL = {"group": "spatial-lab", "image": "notebook", "class": "small"}


def test_a_killed_hub_comes_back_and_finds_the_session_and_so_do_the_others(
    fresh_platform: Platform,
) -> None:
    with fresh_platform.running() as platform:
        ada = platform.sign_in("ada")
        service = platform.child("offline_jobs.service")
        service.suspend()
        ada.start_session(SMALL)
        server = platform.child("jupyterhub.singleuser")
        hub = platform.child("jupyterhub -f")

        hub.kill()
        service.resume()
        wait_until(lambda: "The hub ended (killed by SIGKILL)" in platform.output, "the news")
        wait_until(
            lambda: (
                platform.child("jupyterhub -f").pid != hub.pid and platform.answers("/hub/login")
            ),
            "the hub's return",
        )

        # Signed in still, with the very same server, which the hub can also stop.
        ada.wait_for_lab()
        assert platform.child("jupyterhub.singleuser") == server
        wait_until(lambda: ada.server().get("ready"), "the hub to know the server")
        ada.stop_session()
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
        # What the killed hub had not told yet is told, too.
        wait_until(
            lambda: platform.read_last_session("ada") == WHOLE,
            "the whole session to be told",
        )
        assert len(platform.read_sessions("ada")) == 1
        assert (
            len([p for p in platform.processes() if "configurable-http-proxy" in str(p.cmdline())])
            == 1
        )

        for words in ("offline_jobs.service", "jupyterhub_idle_culler"):
            before = platform.child(words)
            before.kill()
            wait_until(
                lambda words=words, before=before: platform.child(words).pid != before.pid,  # type: ignore[misc]
                f"{words} to come back",
            )


def test_a_closed_terminal_ends_everything(fresh_platform: Platform) -> None:
    with fresh_platform.running() as platform:
        ada = platform.sign_in("ada")
        ada.start_session(SMALL)
        family = platform.processes()
        assert len(family) >= 6  # supervisor, service, hub, culler, proxy, server

        # Ctrl-C is what ends the platforms of all other tests.
        assert platform.stop(signal.SIGHUP) == 0

        assert find_processes(platform.state) == []
        assert "Everything has ended." in platform.output
        assert "was killed" not in platform.output
        assert "left behind" not in platform.output


def test_what_a_killed_supervisor_left_is_taken_up(fresh_platform: Platform) -> None:
    with fresh_platform.running() as platform:
        ada = platform.sign_in("ada")
        ada.start_session(SMALL)
        server = platform.child("jupyterhub.singleuser")
        old = {
            words: platform.child(words).pid
            for words in ("jupyterhub -f", "offline_jobs.service", "configurable-http-proxy")
        }
        assert platform.process is not None
        platform.process.kill()
        platform.process.wait()
        assert platform.answers("/hub/login")  # all goes on without it

        platform.start()
        platform.wait_until_served()

        assert "Taking up what an earlier 'make run' left behind." in platform.output
        for words, pid in old.items():
            assert platform.child(words).pid != pid
            assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
        ada.wait_for_lab()
        assert platform.child("jupyterhub.singleuser") == server


def test_a_second_start_on_the_same_state_is_refused(platform: Platform) -> None:
    second = run_embedded("--state", str(platform.state), "--port", str(find_free_port()))

    assert second.returncode == 2
    assert second.stderr.startswith(f"Another 'make run' is at work on {platform.state};")
    assert platform.answers("/hub/login")


def run_embedded(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the supervisor where it is expected to end at once."""
    return subprocess.run(
        [sys.executable, "-m", "hub_config.embedded", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        refused = run_embedded("--state", str(tmp_path / "state"), "--port", str(port))

    assert refused.returncode == 2
    assert refused.stderr == (
        f"Port {port} on 127.0.0.1 cannot be used (Address already in use); choose another,"
        f" as in 'make run PORT={port + 1 if port < 65535 else port - 1}'.\n"
    )
    assert find_processes(tmp_path) == []


def test_a_state_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    state = tmp_path / "file" / "state"

    refused = run_embedded("--state", str(state), "--port", str(find_free_port()))

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"The state folder {state} cannot be used (Not a directory:")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80 80"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    refused = run_embedded(f"--port={port}")

    assert refused.returncode == 2
    assert "is not a port; use a number up to 65535" in refused.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout like ours whose catalogue and environments a test may change."""
    root = tmp_path / "checkout"
    (root / "helm-values").mkdir(parents=True)
    (root / "build" / "environments").mkdir(parents=True)
    catalogue = (ROOT / "helm-values" / "catalogue.yaml").read_text()
    (root / "helm-values" / "catalogue.yaml").write_text(catalogue)
    return root


def test_all_mistakes_of_a_catalogue_are_told(checkout: Path, tmp_path: Path) -> None:
    file = checkout / "helm-values" / "catalogue.yaml"
    text = file.read_text()
    text = re.sub(r"^(\s+)cores:.*$", r"\1kores: 1", text, count=1, flags=re.MULTILINE)
    file.write_text(text.replace("needs_gpu:", "needs_gppu:", 1))

    refused = run_embedded("--root", str(checkout), "--state", str(tmp_path / "state"))

    assert refused.returncode == 2
    lines = refused.stderr.splitlines()
    assert len(lines) >= 2
    assert all(re.match(rf"{re.escape(str(file))}:\d+: ", line) for line in lines), lines
    assert "kores" in refused.stderr
    assert not (tmp_path / "state").exists()


def test_a_missing_image_names_what_builds_it(checkout: Path, tmp_path: Path) -> None:
    refused = run_embedded("--root", str(checkout), "--state", str(tmp_path / "state"))

    assert refused.returncode == 2
    assert "The image 'notebook' is not built" in refused.stderr
    assert "'make run' builds it" in refused.stderr
    assert refused.stderr.count("\n") == 1


#: The second signal comes 0 to 0.2 ms after the first.
ROUNDS, GAP_SECONDS = 400, 0.000_000_5
LISTENER = """
import sys
from pathlib import Path
from hub_config.embedded.supervisor import serve
for number in range(int(sys.argv[2])):
    say = lambda line: print(line, flush=True)
    serve([], Path(sys.argv[1]), say, lambda: True, lambda: say("serving"))
    say("ended")
    sys.stdin.readline()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_twice_at_once_ends_it(number: signal.Signals, tmp_path: Path) -> None:
    # make passes on what its process group gets, so its program gets it twice.
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, tmp_path / "record", str(ROUNDS)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as listener:
        assert listener.stdin
        assert listener.stdout
        try:
            for turn in range(ROUNDS):
                assert listener.stdout.readline() == "serving\n"
                listener.send_signal(number)
                second = time.perf_counter() + turn * GAP_SECONDS
                while time.perf_counter() < second:
                    pass
                listener.send_signal(number)
                assert listener.stdout.readline() == "Ending jobs, sessions and hub.\n"
                assert listener.stdout.readline() == "ended\n"
                listener.stdin.write("\n")
                listener.stdin.flush()
            assert listener.wait(20) == 0
        finally:
            listener.kill()


def test_a_terminal_that_is_gone_keeps_nothing_from_going_on() -> None:
    program = (
        "import os, sys\n"
        "from hub_config.embedded.__main__ import say\n"
        "sys.stdin.readline()\n"
        "say('one'), say('two')\n"
        "os._exit(7)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(20) == 7


def test_a_damaged_database_is_one_line_and_no_loop(tmp_path: Path) -> None:
    state = tmp_path / "state"
    prepare_state(state)
    database = state / "service" / "jobs.sqlite"
    database.write_bytes(b"no database" * 1000)

    refused = run_embedded("--state", str(state), "--port", str(find_free_port()))

    assert refused.returncode == 2
    assert refused.stderr == "Mend that, then run it again.\n"
    said = [line for line in refused.stdout.splitlines() if "jobs.sqlite" in line]
    assert said == [
        f"offline-jobs: The jobs' database {database} is damaged: put its last good copy there, or"
        " move it away to begin without the records of earlier jobs."
    ]


def test_the_proxy_answers_though_its_log_cannot_be_written() -> None:
    port = find_free_port()
    words = [f"--port={port}", f"--api-port={find_free_port()}", "--ip=127.0.0.1"]
    program = Path(sys.prefix) / "bin" / "configurable-http-proxy"

    def ask() -> int:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/x", verify=NO_TLS, timeout=5).status_code
        except httpx.ConnectError:
            return 0

    with Path("/dev/full").open("w") as full:
        environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": "secret"}
        proxy = subprocess.Popen([program, *words], stdout=full, stderr=full, env=environment)
    try:
        wait_until(ask, "the proxy")
        # Each is a line of the log; its logger keeps some before it waits.
        assert {ask() for _ in range(60)} == {404}
    finally:
        proxy.kill()
        proxy.wait()
