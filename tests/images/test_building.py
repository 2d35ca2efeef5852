"""The workshop that keeps archives of images for tests: what names them, and who makes them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from images._tool.build import hash_wheels, make_wheels
from images._tool.tools import Places, find_places
from tests.images.building import KEPT_ARCHIVES, Workshop
from tests.platform.checkout import ROOT


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(Places(ROOT, tmp_path))


def write(text: str) -> Callable[[Path], Path]:
    """Something that makes an archive, and a page that tells of it."""

    def make(folder: Path) -> Path:
        assert not list(folder.iterdir())
        (folder / "other").write_text("left over")
        (folder / "it.cdx.json").write_text(f"of {text}")
        (folder / "it.tar").write_text(text)
        return folder / "it.tar"

    return make


def refuse(folder: Path) -> Path:
    raise AssertionError("it is made already")


def test_an_archive_is_made_once_for_what_it_is_made_of(workshop: Workshop, tmp_path: Path) -> None:
    part = tmp_path / "Dockerfile"
    part.write_text("one")
    first = workshop.get("it", (part, "word"), write("one"))
    assert first.read_text() == "one"
    assert first.with_suffix(".cdx.json").read_text() == "of one"
    assert workshop.get("it", (part, "word"), refuse) == first
    part.write_text("two")
    second = workshop.get("it", (part, "word"), write("two"))
    assert second != first
    for age, archive in enumerate((first, second)):
        os.utime(archive, (age, age))
    assert workshop.get("it", (part, "other"), write("three")) not in (first, second)
    kept = {path.read_text() for path in workshop.folder.glob("it-*.tar")}
    assert kept == {"two", "three"}
    assert len(kept) == KEPT_ARCHIVES
    names = {path.name.partition(".")[2] for path in workshop.folder.glob("it-*")}
    assert names == {"tar", "cdx.json"}
    assert not list(workshop.folder.glob("new-*"))


def test_what_another_run_made_meanwhile_is_taken(tmp_path: Path) -> None:
    class Late(Workshop):
        """Waits for another run, which makes the same archive."""

        @contextmanager
        def hold(self) -> Iterator[None]:
            Workshop(self.places).get("it", ("part",), write("theirs"))
            with super().hold():
                yield

    archive = Late(Places(ROOT, tmp_path)).get("it", ("part",), refuse)
    assert archive.read_text() == "theirs"


def test_the_steps_of_todays_images_stay_when_those_of_former_ones_go(
    workshop: Workshop, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY base /\nCOPY code /\n")
    (context / "base").write_text("base")

    def build(code: str) -> str:
        (context / "code").write_text(code)
        command = ("buildah", "build", "--layers", "--tag", "localhost/it:1")
        return workshop.run(*command, context)

    def count() -> int:
        return len(workshop.run("buildah", "images", "--all", "--quiet").split())

    with workshop.hold():
        build("one")
        build("two")
        everything = count()
        workshop.clear_store()
        assert count() == everything
        workshop.clear_store(most=everything - 1)
        assert count() == everything - 1
        said = build("two")
    assert said.count("Using cache") == 2


@pytest.mark.parametrize("image", ["hub", "stomics"])
def test_an_images_wheels_are_known_by_what_they_are_made_of(image: str, tmp_path: Path) -> None:
    # What is not hashed could change without another image being built.
    places = find_places(os.environ)
    copy = Places(tmp_path / "checkout", places.cache)
    for folder in ("hub_config", "images/stomics"):
        shutil.copytree(ROOT / folder, copy.root / folder)
    for file in ("pyproject.toml", "README.md", "LICENSE", "requirements-build.txt"):
        shutil.copy(ROOT / file, copy.root)
    (copy.extension / "offline_jobs").mkdir(parents=True)
    (copy.build / "wheels").mkdir(parents=True)
    jobs = copy.build / "wheels" / "offline_jobs-1.whl"
    jobs.write_bytes(b"one")

    def read() -> tuple[str, list[bytes]]:
        wheels = make_wheels(copy, image, tmp_path / "wheels")
        return hash_wheels(copy, image), [path.read_bytes() for path in wheels]

    before = read()
    assert read() == before
    sources = {
        "hub": ("LICENSE", "README.md", "hub_config/form/templates/starting.js"),
        "stomics": ("images/stomics/stereo_seq/stereo_seq/gem.py",),
    }
    for name in (*sources[image], str(jobs.relative_to(copy.root))):
        with (copy.root / name).open("a") as changed:
            changed.write("\n")
        after = read()
        assert after[1] != before[1], name
        assert after[0] != before[0], name
        before = after
