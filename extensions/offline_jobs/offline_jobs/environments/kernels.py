"""A kernel that a user installed in the home: whether it can run here, and how to mend it.

A home goes from image to image, and what is installed in it stays as it was: an environment may
point to a Python that another image has not. Asked by the server extension before a submission, by
the runner before the start, and by the command that makes environments. Files are looked at, no
program is run. Standard library only.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND = "jupyter environment create"
_CONFIGURATION = "pyvenv.cfg"
#: What a conda-like environment has at its top.
_CONDA = "conda-meta"
_VERSION = re.compile(r"(\d+\.\d+)")
_PYTHON = re.compile(r"python(\d+\.\d+)")


def find_environment(program: str) -> Path | None:
    """Find the environment that a kernel's program belongs to, whole or not; None: to none."""
    folder = Path(program).parent.parent
    if (folder / _CONFIGURATION).is_file() or (folder / _CONDA).is_dir():
        return folder
    return None


def show_place(place: Path, home: Path) -> str:
    """Write a place as its owner does: ``~/work/.venv``."""
    return f"~/{place.relative_to(home)}" if place.is_relative_to(home) else str(place)


def find_flaw(name: str, argv: Sequence[str], home: Path, variables: Mapping[str, str]) -> str:
    """Find what keeps a kernel of the home from running in this image.

    Args:
        name: of the kernel.
        argv: its command, as its specification has it.
        home: of the user.
        variables: of whoever would start it; ``PATH``, ``SCRATCH`` and ``TMPDIR`` are read.

    Returns:
        One sentence or two, with how to mend it; empty where nothing is seen.
    """
    program = argv[0] if argv else ""
    if not os.path.isabs(program):
        if shutil.which(program, path=variables.get("PATH")):
            return ""
        return f"Kernel {name} runs {program or 'nothing'}, which this image does not have."
    if flaw := _find_place_flaw(name, program, home, variables):
        return flaw
    if not os.path.exists(program):
        return _describe_absence(name, program, home)
    environment = find_environment(program)
    if environment is None:
        return ""
    return _find_environment_flaw(name, argv, environment, home)


def needs_python_of_image(argv: Sequence[str], home: Path) -> str:
    """Find the Python outside the home that a kernel of the home stands on; empty: on none."""
    program = argv[0] if argv else ""
    if not os.path.isabs(program) or not Path(program).is_relative_to(home):
        return ""
    real = os.path.realpath(program)
    return "" if Path(real).is_relative_to(os.path.realpath(home)) else real


def _find_place_flaw(name: str, program: str, home: Path, variables: Mapping[str, str]) -> str:
    """What lies on the machine's own disk is gone when the session is."""
    place = Path(program)
    if place.is_relative_to(home) or place.is_relative_to(sys.prefix):
        return ""
    passing = (variables.get("SCRATCH"), variables.get("TMPDIR"), tempfile.gettempdir())
    if any(folder and place.is_relative_to(folder) for folder in passing):
        return (
            f"Kernel {name} runs {program}, which only this session has:"
            f" make its environment in your home ({COMMAND})."
        )
    return ""


def _describe_absence(name: str, program: str, home: Path) -> str:
    environment, target = find_environment(program), os.path.realpath(program)
    if environment is None or Path(target).is_relative_to(os.path.realpath(home)):
        return (
            f"Kernel {name} runs {show_place(Path(program), home)}, which is not there (any more):"
            f" make its environment again ({COMMAND}), or choose another kernel."
        )
    return _describe_stranger(name, environment, home, f"needs {target}, which this image has not")


def _describe_stranger(name: str, environment: Path, home: Path, why: str) -> str:
    return (
        f"Kernel {name} {why}: its environment was made in another image. Choose that image, or"
        f" make it anew in a session of this one: {COMMAND} {show_place(environment.parent, home)}"
    )


def _find_environment_flaw(name: str, argv: Sequence[str], environment: Path, home: Path) -> str:
    settings = read_settings(environment)
    said = _VERSION.match(settings.get("version_info") or settings.get("version", ""))
    found = _PYTHON.search(os.path.basename(os.path.realpath(argv[0])))
    if said and found and said[1] != found[1]:
        why = f"was made for Python {said[1]}, and this image has {found[1]}"
        return _describe_stranger(name, environment, home, why)
    if settings.get("include-system-site-packages", "").lower() == "true":
        return ""
    wanted = [word for word in argv if word.startswith("ipykernel")]
    if wanted and not any(environment.glob("lib/python3*/site-packages/ipykernel_launcher.py")):
        return describe_no_ipykernel(name, argv, home)
    return ""


def describe_no_ipykernel(name: str, argv: Sequence[str], home: Path) -> str:
    """Say that a kernel's Python cannot be one, and how to mend it."""
    environment = find_environment(argv[0])
    if environment is None:
        return f"Kernel {name} runs {argv[0]}, which lacks the package ipykernel: install it there."
    place = show_place(environment, home)
    mend = f"{COMMAND} {show_place(environment.parent, home)}"
    return f"The environment of kernel {name}, {place}, lacks the package ipykernel: {mend} adds it"


def read_settings(environment: Path) -> dict[str, str]:
    """Read what an environment says of itself (``pyvenv.cfg``); nothing where it has none."""
    try:
        lines = (environment / _CONFIGURATION).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    parts = (line.partition("=") for line in lines)
    return {key.strip().lower(): value.strip() for key, _, value in parts}
