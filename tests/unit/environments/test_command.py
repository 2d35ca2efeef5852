"""What `jupyter environment` takes for a project, and the kernel that it registers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from offline_jobs.environments.command import (
    OWN,
    Place,
    Refused,
    choose_name,
    find_place,
    main,
    read_environment,
    register,
    remove,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "My Project").mkdir(parents=True)
    return folder


@pytest.fixture
def project(home: Path) -> Path:
    return home / "My Project"


def test_a_project_is_named_by_folder_or_file(home: Path, project: Path) -> None:
    for name in ("environment.yml", "requirements.txt"):
        (project / name).touch()
    by_folder, by_file = Place(home, project, project / "requirements.txt"), project / "other.txt"
    by_file.touch()
    assert find_place(project, home) == by_folder
    assert find_place(by_file, home) == Place(home, project, by_file)


def test_what_is_no_project_is_refused(home: Path, project: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="There is no "):
        find_place(project / "gone", home)
    with pytest.raises(Refused, match=r"has none of requirements\.txt, pyproject\.toml, env"):
        find_place(project, home)
    with pytest.raises(Refused, match="does not lie in your home"):
        find_place(tmp_path, home)
    notebook = project / "own.ipynb"
    notebook.touch()
    with pytest.raises(Refused, match=r"own\.ipynb is no environment file: requirements\.txt"):
        find_place(notebook, home)


def test_an_environment_of_somebody_elses_needs_no_file(home: Path, project: Path) -> None:
    (project / ".venv").mkdir()
    assert find_place(project, home).is_foreign
    (project / ".venv" / OWN).touch()
    with pytest.raises(Refused, match="has none of"):
        find_place(project, home)


def test_a_kernel_is_named_like_its_folder(home: Path, project: Path) -> None:
    place = Place(home, project, None)
    assert choose_name(place, "", {"python3"}) == "my-project"
    assert choose_name(place, "own.1", {"python3"}) == "own.1"
    assert choose_name(Place(home, home, None), "", set()) == "home"
    with pytest.raises(Refused, match="'Own Kernel' cannot name a kernel"):
        choose_name(place, "Own Kernel", set())
    with pytest.raises(Refused, match=r"'\.\./x' cannot name a kernel"):
        choose_name(place, "../x", set())
    with pytest.raises(Refused, match="The image has a kernel python3: choose another name"):
        choose_name(place, "python3", {"python3"})


def test_a_kernel_is_registered_whole_and_removed(
    home: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(home, project, None)
    place.environment.mkdir()
    (place.environment / OWN).touch()
    for shown in ("Old", "New"):
        register(place, "own", shown)
    folder = home / ".local" / "share" / "jupyter" / "kernels"
    assert [path.name for path in folder.iterdir()] == ["own"]
    assert json.loads((folder / "own" / "kernel.json").read_text()) == {
        "argv": [
            f"{project}/.venv/bin/python",
            *("-m", "ipykernel_launcher", "-f", "{connection_file}"),
        ],
        "display_name": "New",
        "language": "python",
        "env": {"PATH": f"{project}/.venv/bin:${{PATH}}", "VIRTUAL_ENV": f"{project}/.venv"},
        "metadata": {"debugger": True, "environment": f"{project}/.venv"},
    }
    assert read_environment(folder / "own") == str(place.environment)
    assert choose_name(place, "own", set()) == "own"
    other = Place(home, home, None)
    with pytest.raises(Refused, match="You have another kernel own"):
        choose_name(other, "own", set())

    remove("own", home)
    assert not place.environment.exists()
    assert list(folder.iterdir()) == []
    with pytest.raises(Refused, match="'own' is no kernel of this command"):
        remove("own", home)
    assert capsys.readouterr().out == "Kernel own and ~/My Project/.venv are removed.\n"


def test_of_an_environment_of_somebody_elses_only_the_kernel_goes(
    home: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(home, project, None)
    place.environment.mkdir()
    register(place, "own", "Own")
    remove("own", home)
    assert place.environment.exists()
    assert "was not made by this command and stays" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["..", "../kernels", "gone", "foreign"])
def test_only_its_own_kernels_are_removed(home: Path, name: str) -> None:
    foreign = home / ".local" / "share" / "jupyter" / "kernels" / "foreign"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text('{"argv": ["python"]}')
    with pytest.raises(Refused, match="is no kernel of this command"):
        remove(name, home)
    assert foreign.exists()


def test_the_command_says_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    assert main(["create"]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "You have none yet: jupyter environment create\n"
