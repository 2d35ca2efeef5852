"""The bed itself: it returns, is found again, has others beside it, and leaves nothing behind."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bed import __main__ as commands
from tests.bed import bed as beds
from tests.bed.bed import Bed
from tests.bed.client import NAMESPACE, Client
from tests.bed.processes import DaemonDied
from tests.skips import require

# Each starts a bed, some also end one, beside the ring's and whatever else runs.
pytestmark = [pytest.mark.upstream, pytest.mark.timeout(4 * beds.PATIENCE)]

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", str(commands.__package__), "--without-nodes")
NAME = f"t{os.getpid() % 100_000}"


@pytest.fixture
def name() -> Iterator[str]:
    require("the bed's programs")
    yield NAME
    beds.down(NAME)


def run(name: str, command: str, pipe: str = "cat") -> subprocess.CompletedProcess[str]:
    line = f"{shlex.join(COMMAND)} --name {name} {command} | {pipe}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=ROOT,
        timeout=2 * beds.PATIENCE,
        text=True,
        capture_output=True,
        check=False,
    )


def wait_for(what: str, probe: Callable[[], object]) -> None:
    deadline = time.monotonic() + beds.PATIENCE
    while not probe():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def list_processes(name: str) -> list[str]:
    """Command lines of all processes that were told of this bed's folder."""
    folder = f"/build/bed/{name}/".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if folder in words:
            found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_a_second_bed_starts_in_a_pipeline_is_found_again_and_leaves_nothing(
    bed: Bed, pretended: None, name: str
) -> None:
    started = run(name, "up", "tail -n 1")
    assert started.returncode == 0, started.stdout
    kubeconfig = beds.FOLDER / name / "kubeconfig"
    assert started.stdout == f"KUBECONFIG={kubeconfig}\n"

    # Two clusters, not one: what is made in one is not in the other.
    client = Client(kubeconfig)
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-here"}})
    assert bed.client.find(*NAMESPACE, "only-here") is None

    again = run(name, "up")
    assert f"Bed {name} runs already." in again.stdout
    assert client.find(*NAMESPACE, "only-here")

    assert run(name, "status").returncode == 0
    second = beds.find(name)
    assert second is not None
    second.daemons.stop("karpenter", force=True)
    told = run(name, "status")
    assert told.returncode == 1
    assert any(line.split() == ["karpenter", "ended"] for line in told.stdout.splitlines())
    assert beds.load(name) is None

    assert len(list_processes(name)) > 5
    assert run(name, "down").returncode == 0
    assert list_processes(name) == []
    assert list(beds.FOLDER.glob(f"{name}*")) == []


def test_what_a_killed_start_left_behind_is_removed_by_the_next_command(name: str) -> None:
    words = [*COMMAND, "--name", name, "up"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL) as starting:
        try:
            wait_for("the server", lambda: any("kube-apiserver" in p for p in list_processes(name)))
        finally:
            starting.send_signal(signal.SIGKILL)
    assert list_processes(name) != []
    assert run(name, "down").returncode == 0
    assert list_processes(name) == []
    assert not (beds.FOLDER / name).exists()


def test_a_part_that_does_not_start_is_named_with_its_last_words_and_all_else_is_ended(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = tmp_path / "stages.yaml"
    stages.write_text("apiVersion: kwok.x-k8s.io/v1alpha1\nkind: Stage\nspec: {delay: no}\n")
    monkeypatch.setattr(beds, "STAGES", stages)
    with pytest.raises(DaemonDied, match="kwok has ended"):
        beds.up(name, with_nodes=False)
    assert list_processes(name) == []
    assert (beds.FOLDER / name / "logs" / "kwok.log").exists()
