"""Where a notebook lies, relative to the home, when Lab's root folder is another one."""

from pathlib import Path

import pytest

from offline_jobs.server_extension.notebook import NotebookRefused, home_path, locate

from .conftest import Service, StartJupyter, session_environment, write_notebook


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("/home/ada", "a.ipynb", "a.ipynb"),
        ("/home/ada", "/stereo/a.ipynb", "stereo/a.ipynb"),
        ("/home/ada", "RTC:stereo/a.ipynb", "stereo/a.ipynb"),
        ("/home/ada/stereo", "x/a.ipynb", "stereo/x/a.ipynb"),
        ("/home", "ada/a.ipynb", "a.ipynb"),
        ("/", "home/ada/a.ipynb", "a.ipynb"),
    ],
)
def test_a_notebook_in_the_home(root: str, path: str, expected: str) -> None:
    assert home_path(root, path, Path("/home/ada")) == expected


@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("/home", "ben/a.ipynb"),
        ("/home", "ada2/a.ipynb"),
        ("/shared/lab", "a.ipynb"),
        ("/home/ada", "../ben/a.ipynb"),
        ("", "a.ipynb"),
    ],
)
def test_a_notebook_elsewhere_is_refused(root: str, path: str) -> None:
    with pytest.raises(NotebookRefused, match="does not lie in your home") as refused:
        home_path(root, path, Path("/home/ada"))
    assert (refused.value.status, refused.value.code) == (400, "outside-home")


def test_a_home_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "efs" / "ada").mkdir(parents=True)
    (tmp_path / "home").symlink_to(tmp_path / "efs" / "ada")
    assert home_path(str(tmp_path / "efs" / "ada"), "a.ipynb", tmp_path / "home") == "a.ipynb"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("/home/ada", ("", "")),
        ("/home/ada/stereo", ("stereo", None)),
        ("/home", (None, "ada")),
        ("/shared", (None, None)),
        ("", (None, None)),
    ],
)
def test_root_and_home(root: str, expected: tuple[str | None, str | None]) -> None:
    assert locate(root, Path("/home/ada")) == expected


def test_a_root_above_the_home(
    start_jupyter: StartJupyter, service: Service, tmp_path: Path
) -> None:
    write_notebook(tmp_path / "shared" / "a.ipynb")
    jupyter = start_jupyter(session_environment(service.url), home=tmp_path / "ada", root=tmp_path)
    jupyter.ask("POST", "check", json={"path": "ada/stereo/markers.ipynb"})
    assert service.asked[0].json["path"] == "stereo/markers.ipynb"
    refused = jupyter.ask("POST", "jobs", json={"path": "shared/a.ipynb"})
    assert (refused.status_code, refused.json()["code"]) == (400, "outside-home")
    assert len(service.asked) == 1
    assert jupyter.ask("GET", "session").json()["home_in_root"] == "ada"
