"""The shell blocks of README that are marked to be run do run: fresh clone, empty home."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.plain import NO_TLS
from tests.platform.checkout import ROOT, Block, list_files, read_blocks
from tests.ports import find_free_port

BLOCKS = [block for block in read_blocks() if block.runs]
PATIENCE_SECONDS = 600
KEPT = ("PATH", "LANG", "TZ", "TMPDIR")
KEPT_PREFIXES = ("PIP_", "UV_", "NPM_", "npm_", "YARN_", "SSL_", "PYENV_", "REQUESTS_", "NODE_")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git has or would take."""
    target = tmp_path_factory.mktemp("fresh") / "clone"
    for source in list_files():
        copy = target / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    return target


@pytest.fixture(scope="module")
def environ(clone: Path) -> dict[str, str]:
    """The environment of a new user: empty home and cache, and how this machine reaches registries.

    The cache is named, since a machine may have moved it elsewhere for everybody.
    """
    home = clone.parent / "home"
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if k in KEPT or k.startswith(KEPT_PREFIXES)}
    kept["PATH"] = os.pathsep.join(p for p in os.get_exec_path() if "/.venv/" not in p + "/")
    cache = home / ".cache" / "notebook-hpc"
    return kept | {
        "HOME": str(home),
        "PORT": str(find_free_port()),
        "NOTEBOOK_HPC_CACHE": str(cache),
    }


@pytest.fixture
def start(clone: Path, environ: dict[str, str]) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a block in a session of its own, as a terminal would; what is left is ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(text: str) -> subprocess.Popen[str]:
        with (clone.parent / f"said-{len(started)}").open("w") as said:
            process = subprocess.Popen(
                ["sh", "-e", "-c", text],
                cwd=clone,
                env=environ,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield begin
    for left in find_processes(clone):
        left.kill()
    for process in started:
        process.wait(30)


def find_processes(clone: Path) -> list[psutil.Process]:
    """Find the processes that run anything of the clone."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(str(clone) in word for word in words):
            found.append(process)
    return found


def answers(url: str) -> bool:
    """Tell whether a page is served."""
    try:
        return httpx.get(url, timeout=5, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(
    condition: Callable[[], bool], seconds: float, process: subprocess.Popen[str]
) -> float:
    """Wait for a condition and return how long it took; a process that ends is a failure."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        assert process.poll() is None, f"ended with {process.returncode}"
        assert waited < seconds, f"not there after {waited:.0f} s"
        time.sleep(0.1)
    return time.monotonic() - started


def serve_and_interrupt(process: subprocess.Popen[str], port: str, clone: Path) -> float:
    """Wait for the login page, press Ctrl-C, and see that nothing is left running."""
    url = f"http://127.0.0.1:{port}/hub/login"
    took = wait_until(lambda: answers(url), PATIENCE_SECONDS, process)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    deadline = time.monotonic() + 20
    while (left := find_processes(clone)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    return took


def test_readme_has_a_block_that_starts_everything() -> None:
    assert [b for b in BLOCKS if b.document == "README.md" and "make run" in b.text]


@pytest.mark.timeout(2 * PATIENCE_SECONDS + 120)
@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.document}:{b.text.splitlines()[0]}")
def test_a_marked_block_runs_in_a_fresh_clone(
    block: Block,
    clone: Path,
    environ: dict[str, str],
    start: Callable[[str], subprocess.Popen[str]],
    record_property: Callable[[str, object], None],
) -> None:
    try:
        if "make run" not in block.text:
            assert start(block.text).wait(600) == 0
            return
        cold = serve_and_interrupt(start(block.text), environ["PORT"], clone)
        warm = serve_and_interrupt(start(block.text), environ["PORT"], clone)
    except AssertionError as error:
        said = [p.read_text(encoding="utf-8")[-4000:] for p in sorted(clone.parent.glob("said-*"))]
        raise AssertionError(f"{error}\n" + "\n---\n".join(said)) from error
    record_property("cold_seconds", round(cold, 1))
    record_property("warm_seconds", round(warm, 1))
    # The second start finds everything made.
    first, second = (path.read_text() for path in sorted(clone.parent.glob("said-*"))[-2:])
    made = re.compile(r"^  \S.* \d+\.\d s$", re.MULTILINE)
    assert made.search(first)
    assert not made.search(second)
