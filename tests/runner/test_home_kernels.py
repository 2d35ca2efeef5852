"""Kernels of the home in a job: an environment that the command made, and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from images._tool.tools import build_tool_environment, find_places
from tests.runner.attempts import Attempt

WHERE = "import shutil, sys, tqdm; print(sys.prefix, shutil.which('python'))"
SOURCE = {"name": "stereo", "source": "home"}
TAIL = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]


def command(home: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `jupyter environment` as a session's terminal does, with this machine's cache of uv."""
    variables = build_tool_environment(find_places(os.environ))
    kept = {key: variables[key] for key in variables if key != "UV_NO_PROGRESS"}
    return subprocess.run(
        [sys.executable, "-m", "jupyter", "environment", *words],
        env={
            **kept,
            **settings,
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )


def register(attempt: Attempt, *argv: str) -> None:
    """Put a kernel into the home of an attempt, as `ipykernel install --user` does."""
    folder = attempt.home / ".local" / "share" / "jupyter" / "kernels" / "stereo"
    folder.mkdir(parents=True)
    specification = {"argv": argv, "display_name": "Stereo", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(specification))


@pytest.fixture
def attempt(make_attempt: Callable[..., Attempt]) -> Attempt:
    return make_attempt(WHERE, kernel=SOURCE)


def test_a_project_runs_in_its_own_environment_until_that_is_removed(attempt: Attempt) -> None:
    project = attempt.home / "work" / "stereo"
    project.mkdir()
    (project / "environment.yml").write_text("dependencies: [tqdm, samtools, {pip: []}]\n")
    made = command(attempt.home, "create", "work/stereo")
    assert made.returncode == 0, made.stderr
    said = made.stdout.splitlines()
    assert said[0] == "Resolving environment.yml ..."
    assert said[-2].startswith("Left out, for they are no Python packages: samtools.")
    assert said[-1].startswith("Kernel 'stereo (Python 3.")

    assert attempt.run(120) == 0
    environment = project / ".venv"
    printed = attempt.cells[0].outputs[0].text.split()
    assert printed == [str(environment), str(environment / "bin" / "python")]
    packages = (attempt.output / "packages.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in packages}
    assert {"tqdm", "ipykernel"} <= names
    assert not {"papermill", "numpy"} & names
    assert attempt.record["kernel"]["environment"] == "~/work/stereo/.venv"

    # Renewed, it is what its file says by now; what cannot be resolved leaves it as it was.
    (project / "environment.yml").unlink()
    (project / "requirements.txt").write_text("\n")
    assert command(attempt.home, "create", "work/stereo").returncode == 0
    assert not list(environment.glob("lib/python3*/site-packages/tqdm"))
    (project / "requirements.txt").write_text("tqdm==0.0.0.1\n")
    refused = command(attempt.home, "create", "work/stereo")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Nothing was changed: No solution found")
    assert len(refused.stderr.splitlines()) == 1
    assert command(attempt.home, "list").stdout == "stereo  ~/work/stereo/.venv  whole\n"

    assert command(attempt.home, "remove", "stereo").returncode == 0
    assert not environment.exists()
    assert command(attempt.home, "list").stdout.startswith("You have none yet")


def test_without_an_index_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("nosuch-package-of-anybody\n")
    nowhere = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    refused = command(tmp_path, "create", **nowhere)
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "Nothing was changed: no package index can be reached from here (127.0.0.1)"
    )
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / ".venv").exists()
    assert not list(tmp_path.glob(".local/share/jupyter/kernels/*"))


def test_an_environment_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    project = tmp_path / "work"
    bare = project / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    (project / "requirements.txt").write_text("nosuch-package-of-anybody\n")
    made = command(tmp_path, "create", "work")
    assert made.returncode == 0, made.stderr
    assert "~/work/.venv was not made by this command: it is taken as it is." in made.stdout
    assert command(tmp_path, "list").stdout == "work  ~/work/.venv  whole\n"
    assert list(bare.glob("lib/python3*/site-packages/ipykernel_launcher.py"))


def test_an_interpreter_that_is_gone_is_refused_once_and_in_words(attempt: Attempt) -> None:
    register(attempt, str(attempt.home / "work" / ".venv" / "bin" / "python"), *TAIL)
    assert attempt.run() == 20
    assert attempt.record["outcome"] == "refused"
    assert attempt.record["message"].startswith(
        "Kernel stereo runs ~/work/.venv/bin/python, which is not there (any more): make its"
    )


def test_a_python_without_ipykernel_is_refused_once_and_in_words(
    attempt: Attempt, tmp_path: Path
) -> None:
    """Where no file tells: the system's own Python, whose folders are anywhere."""
    bare = tmp_path / "bare" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare.parents[1]], check=True)
    (bare.parents[1] / "pyvenv.cfg").unlink()
    register(attempt, str(bare), "-I", *TAIL)
    assert attempt.run() == 20
    assert attempt.record["outcome"] == "refused"
    assert "lacks the package ipykernel: install it there" in attempt.record["message"]


def test_a_program_of_another_machine_is_refused_once_and_in_words(attempt: Attempt) -> None:
    program = attempt.home / "work" / "kernel"
    program.write_bytes(b"\x7fELF of another kind")
    program.chmod(0o755)
    register(attempt, str(program), "{connection_file}")
    assert attempt.run() == 20
    assert attempt.record["outcome"] == "refused"
    assert f"cannot run {program} (Exec format error)" in attempt.record["message"]


def test_a_kernel_that_is_not_there_names_those_that_are(attempt: Attempt) -> None:
    register(attempt, sys.executable, *TAIL)
    attempt.specification["kernel"] = {"name": "other", "source": "home"}
    assert attempt.run() == 20
    assert attempt.record["message"] == (
        "There is no kernel 'other' in your home; kernels there: stereo"
    )
