"""uv, which resolves and installs: run with its progress shown, its refusals in one sentence.

Used by the command that makes environments; `explain` also by the one that makes images. Standard
library only.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PROGRESS = re.compile(
    r"(Resolved|Downloading|Downloaded|Prepared|Building|Built|Uninstalled|Installed) "
)
_LONGEST = 400
_UNREACHABLE = re.compile(
    r"Failed to fetch|error sending request|dns error|network was disabled|Request failed after"
)
_HOST = re.compile(r"https?://(?:[^@/\s]*@)?(?P<host>[^/\s`:]+)")
_UNKNOWN = re.compile(
    r"(?:Because )?(?P<name>[\w.\[\]-]+) was not found in the (?:package registry|cache)"
)


class UvFailed(Exception):
    """uv did not do it; ``said`` is all that it printed."""

    def __init__(self, said: str) -> None:
        super().__init__(explain(said))
        self.said = said


def find_uv() -> str | None:
    """Find uv: that of this environment, else one on the path."""
    own = Path(sys.prefix, "bin", "uv")
    return str(own) if os.access(own, os.X_OK) else shutil.which("uv")


def run_uv(
    words: Sequence[str],
    cwd: Path,
    variables: Mapping[str, str],
    show: Callable[[str], None],
) -> None:
    """Run uv to its end; what tells of progress is shown as it comes.

    Raises:
        UvFailed: it failed.
    """
    said: list[str] = []
    with subprocess.Popen(
        list(words),
        cwd=cwd,
        env={**variables, "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None  # noqa: S101 - asked for above
        for line in process.stderr:
            said.append(line)
            if _PROGRESS.match(line):
                show(line.rstrip())
    if process.returncode:
        raise UvFailed("".join(said))


def explain(said: str) -> str:
    """Say in one line why uv failed.

    Args:
        said: all that it printed.
    """
    if "No space left on device" in said:
        return "there is no room left on the disk"
    if _UNREACHABLE.search(said):
        host = _HOST.search(said)
        of_whom = f" ({host['host']})" if host else ""
        mend = "go where one is, or name one in UV_DEFAULT_INDEX"
        return f"no package index can be reached from here{of_whom}: {mend}"
    if unknown := find_unknown(said):
        return f"the package index has no {unknown}: see how it is spelt"
    text = re.sub(r"\x1b\[[0-9;]*m", "", said)
    text = text[text.find("error:") :] if "error:" in text else text
    lines = [
        re.sub(r"^\s*(error|cause|Caused by|hint):?\s*", "", line) for line in text.splitlines()
    ]
    line = re.sub(r"\s+", " ", ": ".join(filter(None, map(str.strip, lines))))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def find_unknown(said: str) -> str:
    """Find the package that uv could not find; empty where it failed for something else."""
    found = _UNKNOWN.search(said)
    return found["name"] if found and "No solution found" in said else ""
