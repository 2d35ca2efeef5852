"""What is installed where a kernel imports from: names and versions, for the record of a run.

Read from the names of the folders that installers leave (``NAME-VERSION.dist-info``): that takes
milliseconds, where reading each package's metadata takes a second.
Source: https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

import json
import os
import re
import site
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_INSTALLED = re.compile(
    r"(?P<name>[^-]+(?:-[^-]+)*?)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info"
)
_SECONDS = 30.0
_SAY_PATH = "import json, sys; print(json.dumps(sys.path))"


def find_search_path(argv: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    """Find the folders that a Python kernel imports from; None where that cannot be told.

    Args:
        argv: the kernel's command, as its specification has it.
        environment: of the kernel.
    """
    program = argv[0] if argv else ""
    is_own = program in ("python", "python3", sys.executable) or (
        os.path.dirname(program) == os.path.dirname(sys.executable)
    )
    if is_own:
        # The kernel has the user's own packages, which the runner goes without.
        return [*sys.path, site.getusersitepackages()]
    try:
        done = subprocess.run(
            [program, "-c", _SAY_PATH],
            env=dict(environment),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        folders = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return folders if isinstance(folders, list) else None


def list_packages(folders: Iterable[str]) -> list[str]:
    """List what is installed in some folders as ``NAME==VERSION``; the first of a name counts."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            names = os.listdir(folder) if folder else []
        except OSError:
            continue
        for match in filter(None, map(_INSTALLED.fullmatch, names)):
            name = match["name"].replace("_", "-")
            found.setdefault(name.lower(), f"{name}=={match['version']}")
    return [found[name] for name in sorted(found)]


def find_lock(prefix: str) -> str:
    """Find the hash of the lock that a local image was made from; empty for any other."""
    try:
        said = Path(prefix, ".stamps", "lock").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return ""
    return said[-1] if said else ""
