"""Asks public sources whether what our locks pin is known to be vulnerable: `make audit`.

Place in the path: `python -m images._tool.audit`, called by the Makefile after `make setup`. All
packages of Python are asked of OSV by pip-audit, those of Node of their registry by yarn. It fails
where something is found, and where a source is not reached: that nothing was found means something
only where somebody was asked. Debian's packages in images, and Go's of the test bed, are not asked
for. Imported by its test.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images._tool.builds import Builds
from images._tool.lock import ALONE, list_locks, read_pins
from images._tool.steps import StepFailed, log
from images._tool.tools import Places, build_tool_environment, find_places

OSV = "https://api.osv.dev/v1/query"
#: Folders with a yarn.lock of ours.
NODE_FOLDERS = ("extensions/offline_jobs", "hub_config/embedded/proxy", "tests/hub/provider")
TAIL_LETTERS = 300


@dataclass(frozen=True)
class Finding:
    """A package that is known to be vulnerable."""

    package: str
    version: str
    advisory: str
    mend: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {self.advisory} ({self.mend})"


def audit_python(places: Places, osv: str) -> list[Finding]:
    """Ask for all packages of all locks.

    Raises:
        StepFailed: OSV is not reached.
    """
    names = [*list_locks(places.root), *ALONE]
    pins = {pin for name in names for pin in read_pins(places.root / f"{name}.txt").items()}
    with tempfile.TemporaryDirectory() as folder:
        # pip-audit takes one version of a package at a time, and the locks have one but for a few.
        findings: list[Finding] = []
        for number, part in enumerate(split_versions(pins)):
            log.info("  asking for %d packages of Python ...", len(part))
            path = Path(folder) / f"{number}.txt"
            path.write_text("".join(f"{n}=={v}\n" for n, v in sorted(part.items())))
            findings += _read_pip_audit(_run_pip_audit(path, osv))
    return sorted(findings, key=str)


def split_versions(pins: set[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Split pins so that no part has two versions of a package."""
    left = set(pins)
    while left:
        part = dict(sorted(left))
        yield part
        left -= set(part.items())


def _run_pip_audit(requirements: Path, osv: str) -> str:
    words = [sys.executable, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip"]
    words += ["--progress-spinner=off", "--format=json", "--vulnerability-service=osv"]
    words += [f"--osv-url={osv}", f"--requirement={requirements}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        said = done.stderr.strip().splitlines() or ["it says nothing"]
        raise StepFailed(f"no answer from {osv}: {said[-1][:TAIL_LETTERS]}")
    return done.stdout


def _read_pip_audit(said: str) -> list[Finding]:
    return [
        Finding(each["name"], each["version"], flaw["id"], _say_fix(flaw["fix_versions"]))
        for each in json.loads(said)["dependencies"]
        for flaw in each["vulns"]
    ]


def audit_node(places: Places, folder: Path) -> list[Finding]:
    """Ask for all packages of a folder's yarn.lock.

    Raises:
        StepFailed: the registry does not answer such questions.
    """
    builds = Builds(places)
    environ = build_tool_environment(places, (builds.tools / "bin", builds.node))
    environ |= {"YARN_ENABLE_COLORS": "false", "NO_COLOR": "1"}
    words = ["jlpm", "npm", "audit", "--all", "--recursive", "--json"]
    done = subprocess.run(
        words, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    # It passes the registry's answer on; all else it says in its own words.
    answers = [json.loads(line) for line in lines if line.startswith('{"actions"')]
    if not answers:
        why = next((line for line in lines if "Response Code" in line), "".join(lines[:1]))
        raise StepFailed(f"no answer from the registry of Node's packages: {why[:TAIL_LETTERS]}")
    return [_read_advisory(each) for each in answers[0]["advisories"].values()]


def _read_advisory(said: dict[str, Any]) -> Finding:
    versions = ", ".join(sorted({each["version"] for each in said["findings"]}))
    mend = f"vulnerable: {said['vulnerable_versions']}"
    return Finding(said["module_name"], versions, said["url"], mend)


def audit(places: Places, osv: str) -> list[str]:
    """Ask all sources; return what was found and who did not answer, a line each."""
    wrong: list[str] = []
    try:
        wrong += map(str, audit_python(places, osv))
    except StepFailed as error:
        wrong.append(f"Python was not audited: {error}")
    for name in NODE_FOLDERS:
        log.info("  asking for Node's packages of %s ...", name)
        try:
            wrong += (f"{name}: {each}" for each in audit_node(places, places.root / name))
        except StepFailed as error:
            wrong.append(f"{name} was not audited: {error}")
    return wrong


def _say_fix(versions: Sequence[str]) -> str:
    return f"mended in {', '.join(versions)}" if versions else "no version mends it yet"


def main(arguments: Sequence[str]) -> int:
    """Ask, and say what was found; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="make audit")
    parser.add_argument("--osv", default=OSV, help="address that speaks as OSV does")
    options = parser.parse_args(arguments)
    wrong = audit(find_places(os.environ), options.osv)
    for line in wrong:
        log.error("WRONG %s", line)
    if not wrong:
        log.info("Nothing that is pinned is known to be vulnerable.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
