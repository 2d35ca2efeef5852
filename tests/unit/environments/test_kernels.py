"""What keeps a kernel of the home from running in an image, in words that mend it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from offline_jobs.environments.kernels import (
    describe_no_ipykernel,
    find_flaw,
    needs_python_of_image,
    show_place,
)

Make = Callable[..., list[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def make(home: Path, tmp_path: Path) -> Make:
    """Make an environment beside a notebook; return a kernel's command in it."""

    def make(
        python: str = "python3.11",
        version: str = "3.11.2",
        *,
        ipykernel: bool = True,
        all: bool = False,
    ) -> list[str]:
        system = tmp_path / "usr" / "bin"
        system.mkdir(parents=True, exist_ok=True)
        (system / "python3.11").touch()
        environment = home / "work" / ".venv"
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").symlink_to(system / python)
        settings = f"home = {system}\nversion_info = {version}\n"
        settings += f"include-system-site-packages = {str(all).lower()}\n"
        (environment / "pyvenv.cfg").write_text(settings)
        packages = environment / "lib" / "python3.11" / "site-packages"
        packages.mkdir(parents=True)
        if ipykernel:
            (packages / "ipykernel_launcher.py").touch()
        return [str(environment / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{f}"]

    return make


def test_a_whole_environment_has_no_flaw(make: Make, home: Path, tmp_path: Path) -> None:
    argv = make()
    assert find_flaw("mine", argv, home, {"TMPDIR": str(tmp_path)}) == ""
    assert needs_python_of_image(argv, home) == str(tmp_path / "usr" / "bin" / "python3.11")


def test_a_python_that_the_image_has_not_is_named_with_the_mend(make: Make, home: Path) -> None:
    said = find_flaw("mine", make("python3.12", "3.12.4"), home, {})
    assert "mine needs " in said
    assert "usr/bin/python3.12, which this image has not" in said
    assert "made in another image" in said
    assert said.endswith("jupyter environment create ~/work")


def test_another_version_of_the_same_python_is_told(make: Make, home: Path) -> None:
    said = find_flaw("mine", make("python3.11", "3.12.4"), home, {})
    assert "was made for Python 3.12, and this image has 3.11" in said


def test_an_environment_without_ipykernel_is_told(make: Make, home: Path) -> None:
    argv = make(ipykernel=False)
    said = find_flaw("mine", argv, home, {})
    assert said == describe_no_ipykernel("mine", argv, home)
    assert "~/work/.venv, lacks the package ipykernel: jupyter environment create ~/work" in said
    assert find_flaw("ir", [argv[0], "-m", "other"], home, {}) == ""


def test_with_the_systems_packages_ipykernel_may_be_elsewhere(make: Make, home: Path) -> None:
    assert find_flaw("mine", make(ipykernel=False, all=True), home, {}) == ""


def test_an_environment_that_was_removed_is_told(home: Path) -> None:
    said = find_flaw("mine", [str(home / "gone" / "bin" / "python")], home, {})
    assert "runs ~/gone/bin/python, which is not there (any more)" in said


@pytest.mark.parametrize("variable", ["SCRATCH", "TMPDIR"])
def test_what_only_the_session_has_is_told(home: Path, tmp_path: Path, variable: str) -> None:
    program = tmp_path / "scratch" / "env" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.touch()
    said = find_flaw("mine", [str(program)], home, {variable: str(tmp_path / "scratch")})
    assert f"runs {program}, which only this session has" in said


def test_a_program_on_the_path_is_looked_for_there(home: Path, tmp_path: Path) -> None:
    program = tmp_path / "R"
    program.touch(mode=0o755)
    assert find_flaw("ir", ["R", "--slave"], home, {"PATH": str(tmp_path)}) == ""
    said = find_flaw("ir", ["R", "--slave"], home, {"PATH": str(home)})
    assert said == "Kernel ir runs R, which this image does not have."
    assert (
        find_flaw("ir", [], home, {}) == "Kernel ir runs nothing, which this image does not have."
    )


def test_a_python_within_the_home_stands_on_nothing(home: Path) -> None:
    """As conda's environments are: the interpreter is a file of their own."""
    environment = home / "envs" / "own"
    (environment / "conda-meta").mkdir(parents=True)
    (environment / "bin").mkdir()
    (environment / "bin" / "python").touch()
    argv = [str(environment / "bin" / "python"), "-m", "ipykernel_launcher"]
    assert needs_python_of_image(argv, home) == ""
    assert "lacks the package ipykernel" in find_flaw("own", argv, home, {})


def test_places_in_the_home_are_written_as_their_owner_does() -> None:
    assert show_place(Path("/home/ada/work/.venv"), Path("/home/ada")) == "~/work/.venv"
    assert show_place(Path("/opt/x"), Path("/home/ada")) == "/opt/x"
