"""Each image's examples come into a home once: by the local spawner, and by the images' `start`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_config.spawners.examples import NOTE, PLACE, give_examples
from tests.platform.checkout import ROOT
from tests.skips import require

START = ROOT / "images" / "notebook" / "start.sh"
Give = Callable[[Path], None]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def give_by_start(source: Path, home: Path) -> None:
    """Run the script with another folder of examples, and without an init process."""
    text = START.read_text()
    for old, new in ((f"/usr/local/{PLACE}", str(source)), ("/usr/bin/tini -s -- ", "")):
        assert text.count(old) == 1
        text = text.replace(old, new)
    script = home.with_name("start.sh")
    script.write_text(text)
    words = ["sh", str(script), "echo", "started"]
    done = subprocess.run(
        words, env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "started\n"
    if done.stderr:
        raise OSError(done.stderr)


@pytest.fixture(params=[give_examples, give_by_start])
def give(request: pytest.FixtureRequest, home: Path) -> Give:
    if request.param is give_by_start and sys.platform != "linux":
        require("Linux")

    def call(source: Path) -> None:
        request.param(source, home)
        assert not list(home.glob(".examples-*"))

    return call


def make_image(folder: Path, *names: str) -> Path:
    """An image's examples: of these names, and each with data beside it."""
    for name in names:
        data = folder / f"data {name}"
        data.mkdir(parents=True)
        (data / "table.csv").write_text("1,2")
        (folder / f"{name}.ipynb").write_text(name)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_image(tmp_path / "image", "tour")


def test_a_new_home_gets_all(give: Give, image: Path, home: Path) -> None:
    give(image)
    assert (home / "examples" / "tour.ipynb").read_text() == "tour"
    assert (home / "examples" / "data tour" / "table.csv").read_text() == "1,2"
    assert sorted(os.listdir(home)) == [".local", "examples"]
    assert sorted((home / NOTE).read_text().splitlines()) == ["data tour", "tour.ipynb"]


def test_an_image_that_is_chosen_later_brings_its_own(
    give: Give, image: Path, home: Path, tmp_path: Path
) -> None:
    give(image)
    (home / "examples" / "tour.ipynb").write_text("mine")
    give(make_image(tmp_path / "other", "tour", "cells"))
    assert (home / "examples" / "cells.ipynb").read_text() == "cells"
    assert (home / "examples" / "data cells" / "table.csv").exists()
    assert (home / "examples" / "tour.ipynb").read_text() == "mine"
    before = (home / NOTE).read_text()
    give(image)
    assert (home / NOTE).read_text() == before


def test_what_was_taken_away_stays_away(
    give: Give, image: Path, home: Path, tmp_path: Path
) -> None:
    give(image)
    (home / "examples" / "tour.ipynb").unlink()
    give(make_image(tmp_path / "other", "tour", "cells"))
    assert sorted(os.listdir(home / "examples")) == ["cells.ipynb", "data cells", "data tour"]
    (home / "examples").rename(home / "kept")
    give(image)
    assert not (home / "examples").exists()


def test_what_is_there_is_never_overwritten(
    give: Give, image: Path, home: Path, tmp_path: Path
) -> None:
    (home / "examples" / "data tour").mkdir(parents=True)
    (home / "examples" / "tour.ipynb").symlink_to(tmp_path / "elsewhere.ipynb")
    give(image)
    assert (home / "examples" / "tour.ipynb").is_symlink()
    assert not (tmp_path / "elsewhere.ipynb").exists()
    assert os.listdir(home / "examples" / "data tour") == []


@pytest.mark.parametrize("is_link", [True, False])
def test_what_is_in_the_place_of_the_folder_is_its_owners(
    give: Give, image: Path, home: Path, tmp_path: Path, *, is_link: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if is_link:
        (home / "examples").symlink_to(elsewhere)
    else:
        (home / "examples").write_text("mine")
    give(image)
    assert os.listdir(home) == ["examples"]
    assert not os.listdir(elsewhere)


def test_no_examples_are_no_mistake(give: Give, home: Path, tmp_path: Path) -> None:
    give(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    give(tmp_path / "empty")
    assert os.listdir(home) == []


def test_what_cannot_be_noted_is_not_given(give: Give, image: Path, home: Path) -> None:
    # Else it would come back each time that it is taken away.
    (home / ".local").write_text("no folder")
    with pytest.raises(OSError, match=r"\.local"):
        give(image)
    assert os.listdir(home) == [".local"]
