"""`jupyter environment`: a project's own environment, as a kernel for its notebooks and their jobs.

Makes `.venv` beside an environment file with exactly what that asks for and ipykernel, nothing of
the image's, and registers it in the home, where sessions and jobs find it in every image with the
same Python. Whole or not at all: what is resolved comes first, the kernel last. A command of every
image; run by people in a session's terminal.
"""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offline_jobs.environments import files, kernels
from offline_jobs.environments.uv import UvFailed, find_uv, run_uv

FOLDER = ".venv"
#: A file in an environment that this command made; any other is its owner's, and stays as it is.
OWN = ".jupyter-environment"
_KERNELS = Path(".local", "share", "jupyter", "kernels")
#: In a kernel's specification: the folder of the environment that this command made.
_MARK = "environment"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class Refused(Exception):
    """It cannot be done; the message is one line for whoever typed the command."""


@dataclass(frozen=True)
class Place:
    """A project: its folder, in the home, and the file that says what its environment holds.

    Without a file there is an environment already.
    """

    home: Path
    folder: Path
    file: Path | None

    @property
    def environment(self) -> Path:
        """The folder of its environment."""
        return self.folder / FOLDER

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.environment / "bin" / "python"

    @property
    def is_foreign(self) -> bool:
        """Whether the environment is there and was made by somebody else."""
        return self.environment.exists() and not (self.environment / OWN).exists()


def find_place(named: Path, home: Path) -> Place:
    """Find the project that was named by its folder or by its environment file.

    Raises:
        Refused: there is none, or not in the home.
    """
    path = Path(os.path.abspath(named))
    if not path.exists():
        raise Refused(f"There is no {named}.")
    folder = path if path.is_dir() else path.parent
    if not folder.is_relative_to(home):
        raise Refused(f"{folder} does not lie in your home {home}, where jobs find their files.")
    place = Place(home, folder, files.find_file(folder) if path.is_dir() else path)
    if place.file is None and not place.is_foreign:
        names = ", ".join(files.NAMES)
        raise Refused(f"{folder} has none of {names}: write into one what the notebooks need.")
    if place.file is not None and not files.is_known(place.file):
        raise Refused(f"{place.file.name} is no environment file: {', '.join(files.NAMES)}.")
    return place


def choose_name(place: Place, wanted: str, taken: set[str]) -> str:
    """Choose a kernel's name: the wanted one, else the folder's.

    Args:
        place: the project.
        wanted: what was asked for, or nothing.
        taken: names that the image's kernels have.

    Raises:
        Refused: it cannot be one, or is another's.
    """
    folder = place.folder.name if place.folder != place.home else "home"
    name = wanted or re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or "project"
    if not _NAME.fullmatch(name):
        raise Refused(
            f"'{name}' cannot name a kernel: use small letters, digits, '.', '_' and '-'."
        )
    if name in taken:
        raise Refused(f"The image has a kernel {name}: choose another name, --name NAME.")
    specification = place.home / _KERNELS / name
    if specification.exists() and read_environment(specification) != str(place.environment):
        raise Refused(f"You have another kernel {name}: choose another name, --name NAME.")
    return name


def read_environment(specification: Path) -> str:
    """Read which environment a kernel was registered for by this command; empty: for none."""
    try:
        document = json.loads((specification / "kernel.json").read_text(encoding="utf-8"))
        return str(document["metadata"][_MARK])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def list_image_kernels() -> set[str]:
    """List the kernels that the image has."""
    # Only here: this import takes a while.
    from jupyter_core.paths import ENV_JUPYTER_PATH, SYSTEM_JUPYTER_PATH  # noqa: PLC0415

    folders = [Path(each, "kernels") for each in (*ENV_JUPYTER_PATH, *SYSTEM_JUPYTER_PATH)]
    return {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}


def create(named: Path, wanted: str, home: Path) -> None:
    """Make or renew a project's environment, and register its kernel.

    Raises:
        Refused, FileRefused, UvFailed: it cannot be done; what was there before is as it was.
    """
    place = find_place(named, home)
    name = choose_name(place, wanted, list_image_kernels())
    uv = find_uv()
    if uv is None:
        raise Refused("This image has no uv, which makes environments: choose another image.")
    variables = {**os.environ, "UV_LINK_MODE": "copy"}
    if place.is_foreign:
        left_out: tuple[str, ...] = ()
        version = _adopt(place, name, uv, variables)
    else:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        left_out = _make(place, name, uv, variables)
    shown = f"{name} (Python {version})"
    register(place, name, shown)
    if left_out:
        say(f"Left out, for they are no Python packages: {', '.join(left_out)}. An image has such.")
    say(f"Kernel '{shown}' is there: in the job dialog now, in the launcher within a minute.")


def _adopt(place: Place, name: str, uv: str, variables: Mapping[str, str]) -> str:
    """Take an environment that somebody else made as it is; return its version of Python.

    Raises:
        Refused: it is of another Python, or none.
    """
    shown = kernels.show_place(place.environment, place.home)
    if flaw := kernels.find_flaw(name, [str(place.python)], place.home, variables):
        raise Refused(f"{flaw} (Remove {shown} first.)")
    say(f"{shown} was not made by this command: it is taken as it is.")
    if kernels.find_flaw(name, [str(place.python), "ipykernel"], place.home, variables):
        words = [uv, "pip", "install", "--python", str(place.python), "ipykernel"]
        run_uv(words, place.folder, variables, say)
    settings = kernels.read_settings(place.environment)
    version = settings.get("version_info") or settings.get("version", "")
    return ".".join(version.split(".")[:2])


def _make(place: Place, name: str, uv: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Have an environment with just what the file asks for; return what of it PyPI has not."""
    with tempfile.TemporaryDirectory() as scratch:
        source, left_out = _read_file(place, Path(scratch))
        own, lock = Path(scratch, "own.in"), Path(scratch, "lock.txt")
        own.write_text("ipykernel\n", encoding="utf-8")
        say(f"Resolving {place.file.name if place.file else ''} ...")
        compiling = [uv, "pip", "compile", "--quiet", "--python", sys.executable, "--no-header"]
        run_uv([*compiling, str(source), str(own), "-o", str(lock)], place.folder, variables, say)
        with _kept_whole(place.environment):
            if not _suits(place):
                making = [uv, "venv", "--clear", "--python", sys.executable, "--prompt", name]
                run_uv([*making, str(place.environment)], place.folder, variables, say)
                (place.environment / OWN).touch()
            say(f"Installing into {kernels.show_place(place.environment, place.home)} ...")
            installing = [uv, "pip", "sync", "--python", str(place.python), str(lock)]
            run_uv(installing, place.folder, variables, say)
    return left_out


def _read_file(place: Place, scratch: Path) -> tuple[Path, tuple[str, ...]]:
    """The file as uv reads it, and what of it PyPI has not."""
    assert place.file is not None  # noqa: S101 - only what is there already goes without
    if place.file.suffix not in (".yml", ".yaml"):
        return place.file, ()
    asked = files.load_conda(place.file)
    source = scratch / "requirements.in"
    lines = [*asked.requirements, ""]
    source.write_text("\n".join(lines), encoding="utf-8")
    files.check_python(asked.python, sys.version_info[:2], place.file.name)
    return source, asked.left_out


def _suits(place: Place) -> bool:
    """Whether the environment is there, and of this Python."""
    if not place.python.exists():
        return False
    return not kernels.find_flaw("", [str(place.python)], place.home, os.environ)


@contextmanager
def _kept_whole(environment: Path) -> Iterator[None]:
    """Leave no environment behind that is new and not whole."""
    is_new = not environment.exists()
    try:
        yield
    except BaseException:
        if is_new:
            shutil.rmtree(environment, ignore_errors=True)
        raise


def register(place: Place, name: str, shown: str) -> None:
    """Write the kernel's specification, whole or not at all."""
    environment = place.environment
    binaries = str(environment / "bin").replace("$", "$$")
    document: dict[str, Any] = {
        "argv": [
            str(place.python),
            *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
        ],
        "display_name": shown,
        "language": "python",
        # So that `!python` and what a package calls are the environment's as well.
        "env": {"PATH": f"{binaries}:${{PATH}}", "VIRTUAL_ENV": str(environment)},
        "metadata": {"debugger": True, _MARK: str(environment)},
    }
    folder = place.home / _KERNELS
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as fresh:
        made = Path(fresh, name)
        made.mkdir()
        text = json.dumps(document, indent=1, ensure_ascii=False)
        (made / "kernel.json").write_text(f"{text}\n", encoding="utf-8")
        shutil.rmtree(folder / name, ignore_errors=True)
        made.rename(folder / name)


def list_environments(home: Path) -> None:
    """Say which kernels this command made, and what is wrong with each."""
    found = [path for path in sorted((home / _KERNELS).glob("*")) if read_environment(path)]
    for path in found:
        environment = Path(read_environment(path))
        argv = json.loads((path / "kernel.json").read_text(encoding="utf-8"))["argv"]
        flaw = kernels.find_flaw(path.name, argv, home, os.environ)
        say(f"{path.name}  {kernels.show_place(environment, home)}  {flaw or 'whole'}")
    if not found:
        say(f"You have none yet: {kernels.COMMAND}")


def remove(name: str, home: Path) -> None:
    """Remove a kernel that this command made, and its environment.

    Raises:
        Refused: there is none of that name, or somebody else made it.
    """
    specification = home / _KERNELS / name
    if not _NAME.fullmatch(name) or not (environment := read_environment(specification)):
        raise Refused(f"'{name}' is no kernel of this command: jupyter environment list")
    shutil.rmtree(specification)
    if (Path(environment) / OWN).exists():
        shutil.rmtree(environment, ignore_errors=True)
        say(f"Kernel {name} and {kernels.show_place(Path(environment), home)} are removed.")
    else:
        say(f"Kernel {name} is removed; its environment was not made by this command and stays.")


def say(line: str) -> None:
    """Tell whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="jupyter environment", description="Environments of projects."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("create", help="make or renew it, and register its kernel")
    making.add_argument("project", nargs="?", default=".", type=Path, help="folder or file")
    making.add_argument("--name", default="", help="of the kernel; the folder's, if none is given")
    verbs.add_parser("list", help="show what was made, and whether it is whole here")
    verbs.add_parser("remove", help="remove kernel and environment").add_argument("name")
    options = parser.parse_args(arguments)
    home = Path(os.path.abspath(os.path.expanduser("~")))
    try:
        if options.verb == "create":
            create(options.project, options.name, home)
        elif options.verb == "list":
            list_environments(home)
        else:
            remove(options.name, home)
    except (Refused, files.FileRefused) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except UvFailed as error:
        sys.stderr.write(f"Nothing was changed: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"{error.filename} cannot be written or read: {error.strerror}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
