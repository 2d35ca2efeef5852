"""The result record: what is known when a run has ended, and its file ``run.json``.

Built by the execution from the specification, the progress and the ending. Bottom of the runner;
imports only the contract.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from offline_jobs.contract.run import ResultRecord

RUN_FILE = "run.json"
PACKAGES_FILE = "packages.txt"
_GIT_SECONDS = 5.0
#: A list of numbers, known or not, over several lines; no text in JSON has an end of a line.
_NUMBERS = re.compile(r"\[\n(?:[-+.\deE,\s]|null)*\]")
_VERSIONS = ("offline-jobs", "papermill", "nbclient", "jupyter-client")


def describe_repository(folder: Path) -> dict[str, Any] | None:
    """``{"commit", "clean"}`` of the git repository that holds ``folder``.

    None where there is no repository or no git. ``clean`` is None where git took too long to say
    (a large repository on a network file system).
    """
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit.strip(), "clean": None if changes is None else not changes.strip()}


def _git(folder: Path, *arguments: str) -> str | None:
    # A repository's own configuration must not start programs while it is only looked at.
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            env=environment,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout


def find_versions() -> dict[str, str]:
    """Versions of what ran the notebook."""
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def describe_machine() -> dict[str, str]:
    """What the run is on: cores that it may use, memory of the machine, architecture, processor."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": str(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else "",
        "memory_bytes": str(pages * page),
        "architecture": platform.machine(),
        "processor": _find_processor(),
    }


def _find_processor() -> str:
    """The processor's name by Linux's word, else by Python's."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor()


def hash_snapshot(notebook: dict[str, Any]) -> str:
    """The hash of a notebook as it was submitted: of the text that the service keeps."""
    text = json.dumps(notebook, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def hash_file(path: Path) -> str:
    """The hash of a file's content.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encode_record(record: ResultRecord) -> bytes:
    """What is in ``run.json``."""
    text = json.dumps(record.to_json(), indent=1, ensure_ascii=False)
    text = _NUMBERS.sub(lambda found: " ".join(found[0].split()), text)
    return f"{text}\n".encode(errors="replace")


def read_attempt(folder: Path) -> int | None:
    """The attempt whose ``run.json`` lies in the folder, or None where none can be read."""
    try:
        attempt = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["attempt"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return attempt if isinstance(attempt, int) else None
