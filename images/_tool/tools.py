"""Where this checkout keeps its things, and how other programs are run for it.

Place in the path: the ground of `make run`, `make setup` and `make lock`; run by the machine's own
Python before anything is installed, so standard library only. Imported by `environment`, `builds`
and `lock`.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from images._tool.steps import StepFailed

TAIL_LINES = 25


@dataclass(frozen=True)
class Places:
    """The folders of one checkout, and the cache that all checkouts of this user share.

    The cache may be deleted at any time: what is missing is fetched again.
    """

    root: Path
    cache: Path

    @property
    def build(self) -> Path:
        """Everything that is made here and can be made again, and the default state folder."""
        return self.root / "build"

    @property
    def environments(self) -> Path:
        """One folder for each environment; a folder's name is an image's slug, or `platform`."""
        return self.build / "environments"

    @property
    def extension(self) -> Path:
        """The distribution with the Lab extension."""
        return self.root / "extensions" / "offline_jobs"


def find_places(environ: Mapping[str, str]) -> Places:
    """Find this checkout and the cache (`NOTEBOOK_HPC_CACHE` moves it)."""
    cache = environ.get("NOTEBOOK_HPC_CACHE") or "~/.cache/notebook-hpc"
    return Places(Path(__file__).resolve().parents[2], Path(cache).expanduser().resolve())


@contextmanager
def hold(path: Path, tell_waiting: Callable[[], object]) -> Iterator[None]:
    """Let one process at a time hold a lock file; it goes with the process that has it.

    Args:
        path: of the file; its folder is made.
        tell_waiting: called when another process has it, before it is waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell_waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_tool_environment(places: Places, path_first: Sequence[Path] = ()) -> dict[str, str]:
    """Build the environment for uv and jlpm: their caches are ours, nothing is asked or sent."""
    environ = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    environ |= {
        "UV_CACHE_DIR": str(places.cache / "uv"),
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_CONFIG": "1",
        "UV_HTTP_TIMEOUT": os.environ.get("UV_HTTP_TIMEOUT", "120"),
        "YARN_GLOBAL_FOLDER": str(places.cache / "yarn"),
        "YARN_ENABLE_GLOBAL_CACHE": "true",
        "YARN_ENABLE_TELEMETRY": "false",
        "YARN_ENABLE_PROGRESS_BARS": "false",
    }
    front = os.pathsep.join(str(folder) for folder in path_first)
    if front:
        environ["PATH"] = front + os.pathsep + environ.get("PATH", os.defpath)
    return environ


def run_program(command: Sequence[str | Path], cwd: Path, environ: Mapping[str, str]) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        StepFailed: with the end of its output, when it fails or is not there.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise StepFailed(f"{words[0]} cannot be started: {error.strerror}") from error
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-TAIL_LINES:])
        raise StepFailed(f"{' '.join(words)} ended with {done.returncode}:\n{tail}")
    return done.stdout


def read_uv_version(places: Places) -> str:
    """Read the version of uv that the lock names."""
    lock = (places.root / "requirements-uv.txt").read_text(encoding="utf-8")
    match = re.search(r"^uv==([0-9.]+)", lock, re.MULTILINE)
    if match is None:
        raise StepFailed("requirements-uv.txt names no version of uv")
    return match.group(1)


def find_uv(places: Places) -> Path | None:
    """Find uv of the locked version: on the path, else in the cache."""
    version = read_uv_version(places)
    environ = build_tool_environment(places)
    own = places.cache / f"uv-{version}" / "bin" / "uv"
    for uv in (own, *(Path(folder) / "uv" for folder in os.get_exec_path())):
        if os.access(uv, os.X_OK) and _says_version(uv, version, environ):
            return uv
    return None


@functools.cache
def get_uv(places: Places) -> Path:
    """Return the uv that an earlier step found or installed."""
    uv = find_uv(places)
    if uv is None:
        raise StepFailed(f"uv {read_uv_version(places)} is not there")
    return uv


def _says_version(uv: Path, version: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a file is uv of that version and runs."""
    try:
        said = run_program([uv, "--version"], Path.cwd(), environ)
    except StepFailed:
        return False
    return said.split()[1:2] == [version]


def install_uv(places: Places) -> None:
    """Let pip install uv of the locked version, with hashes, into a venv of its own."""
    home = places.cache / f"uv-{read_uv_version(places)}"
    environ = build_tool_environment(places)
    lock = places.root / "requirements-uv.txt"
    options: list[str | Path] = [
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        lock,
    ]
    try:
        run_program([sys.executable, "-m", "venv", "--clear", home], places.root, environ)
    except StepFailed as error:
        # Debian's Python without python3-venv: its pip, where there is one, can do without a venv.
        try:
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--target",
                home,
                *options,
            ]
            run_program(command, places.root, environ)
        except StepFailed:
            message = f"{sys.executable} can neither make a venv nor run pip: install python3-venv"
            raise StepFailed(message) from error
        return
    command = [home / "bin" / "python", "-m", "pip", "install", *options]
    run_program(command, places.root, environ)
