"""Resolves the locks: every `requirements*.txt` from its `.in` file (`make lock`).

All sets together are resolved first and every lock is held to that, so what two locks pin is
equal; only those in `ALONE` stand by themselves where they must. Locks hold hashes and
no address. Standard library only. Nobody imports it but its test.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from images._tool.steps import StepFailed, log
from images._tool.tools import (
    Places,
    build_tool_environment,
    find_places,
    find_uv,
    get_uv,
    install_uv,
    run_program,
)

#: Locks of what others would install, as they would.
OF_OTHERS = "tests/bench"
NEXT_HUB = "requirements-hub6"
SCHEDULER = f"{OF_OTHERS}/scheduler/requirements"
#: Locks that stand by themselves, and in which packages: jupyter-scheduler asks for time zones of
#: 2024, which nobody else should get for its sake.
ALONE = {NEXT_HUB: ("jupyterhub",), SCHEDULER: ("pytz",)}
OVERRIDES = "requirements-overrides"
OPTIONS = (
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--fork-strategy=fewest",
    "--no-emit-index-url",
    "--no-annotate",
    "--no-header",
)


def read_pins(lock: Path) -> dict[str, str]:
    """Read name -> version of every package that a lock pins."""
    text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)", text, re.MULTILINE))


def list_locks(root: Path) -> list[str]:
    """List the names of all locks but those that stand alone, without their endings."""
    folders = (".", "images/*", f"{OF_OTHERS}/*")
    sources = [path for folder in folders for path in root.glob(f"{folder}/requirements*.in")]
    names = sorted(path.relative_to(root).as_posix().removesuffix(".in") for path in sources)
    return [name for name in names if name not in (*ALONE, OVERRIDES)]


def compile_lock(places: Places, source: Path, target: Path, *options: str) -> None:
    """Resolve one file of requirements."""
    words: list[str | Path] = [get_uv(places), "pip", "compile", *OPTIONS, *options]
    if OF_OTHERS not in source.as_posix():
        words.append(f"--overrides={OVERRIDES}.in")
    words += [source, "-o", target]
    run_program(words, places.root, build_tool_environment(places))


def lock_all(places: Places, upgrade: bool) -> None:
    """Resolve all sets as one, then hold every lock to it."""
    root = places.root
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "whole.in"
        whole = Path(folder) / "whole.txt"
        names = list_locks(root)
        sources.write_text("".join(f"-r {root / name}.in\n" for name in names))
        if not upgrade:
            pins = {n: v for name in names for n, v in read_pins(root / f"{name}.txt").items()}
            whole.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
        compile_lock(places, sources, whole)
        again = ("--upgrade",) if upgrade else ()
        for name in names:
            log.info("  %s.txt", name)
            source, target = root / f"{name}.in", root / f"{name}.txt"
            compile_lock(places, source, target, "--generate-hashes", "-c", str(whole), "--upgrade")
        for name, own in ALONE.items():
            log.info("  %s.txt", name)
            loose = Path(folder) / "loose.txt"
            kept = {n: v for n, v in read_pins(whole).items() if n not in own}
            loose.write_text("".join(f"{n}=={version}\n" for n, version in kept.items()))
            source, target = root / f"{name}.in", root / f"{name}.txt"
            compile_lock(places, source, target, "--generate-hashes", "-c", str(loose), *again)


def main(arguments: Sequence[str]) -> int:
    """Resolve all locks; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="make lock")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions")
    options = parser.parse_args(arguments)
    places = find_places(os.environ)
    try:
        if find_uv(places) is None:
            install_uv(places)
        lock_all(places, options.upgrade)
    except StepFailed as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
