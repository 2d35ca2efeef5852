"""The store of images that nodes begin with, by real containerds."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from images._tool.tools import Places
from tests.bed import image_store
from tests.bed.image_store import (
    LAYERS,
    Archive,
    ImageStore,
    StoreFailed,
    get_layers,
    is_loaded,
    load,
    read_marks,
    running_containerd,
)

NAME = "localhost/shelf:1"


def write_archive(path: Path, *contents: str, name: str = NAME) -> Path:
    """Write an archive as `docker save` does; each layer holds one file with a content."""
    layers = []
    for number, content in enumerate(contents):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as layer:
            entry = tarfile.TarInfo(f"file-{number}")
            entry.size = len(content)
            layer.addfile(entry, io.BytesIO(content.encode()))
        layers.append(file.getvalue())
    digests = [hashlib.sha256(each).hexdigest() for each in layers]
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{each}" for each in digests]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    places = [f"{each}.tar" for each in digests]
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": places}]
    members = dict(zip(places, layers, strict=True))
    members["config.json"] = json.dumps(config).encode()
    members["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as archive:
        for member, held in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(held)
            archive.addfile(entry, io.BytesIO(held))
    return path


@contextmanager
def mounted(address: Path, folder: Path, name: str = NAME) -> Iterator[Path]:
    """Show what an image of a containerd holds, as a container would see it."""
    ctr = ("ctr", f"--address={address}", "--namespace=k8s.io", "images")
    folder.mkdir()
    subprocess.run([*ctr, "mount", name, folder], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run([*ctr, "unmount", folder], check=True, capture_output=True)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(Places(tmp_path, tmp_path / "cache"))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


def test_a_node_begins_with_what_is_kept_and_loads_what_is_above(
    store: ImageStore, disk: Path, tmp_path: Path
) -> None:
    first = write_archive(tmp_path / "first.tar", "base", "our code")
    second = write_archive(tmp_path / "second.tar", "base", "our new code")
    store.keep([first])
    assert store.begin(disk)
    assert [is_loaded(disk, each) for each in (first, second)] == [True, False]
    layers = list((disk / LAYERS).iterdir())
    assert len(layers) == 2
    assert all(each.is_symlink() for each in layers)
    with running_containerd(disk) as address:
        with mounted(address, tmp_path / "one") as seen:
            assert (seen / "file-1").read_text() == "our code"
        with mounted(address, tmp_path / "by id", Archive.read(first).id) as seen:
            assert (seen / "file-1").read_text() == "our code"
        before = set((disk / LAYERS).iterdir())
        load(address, disk, second)
        (own,) = set((disk / LAYERS).iterdir()) - before
        assert (own / "fs" / "file-1").read_text() == "our new code"
        with mounted(address, tmp_path / "two") as seen:
            assert (seen / "file-0").read_text() == "base"
            assert (seen / "file-1").read_text() == "our new code"
    assert [is_loaded(disk, each) for each in (first, second)] == [False, True]
    other = tmp_path / "other"
    other.mkdir()
    assert store.begin(other)
    assert list(read_marks(other)) == ["first"], "what a node does stays its own"


def test_what_comes_again_is_the_newest_of_its_name(
    store: ImageStore, disk: Path, tmp_path: Path
) -> None:
    archives = [write_archive(tmp_path / f"{each}.tar", "base", each) for each in ("a", "b")]
    with running_containerd(disk) as address:
        for each in (*archives, archives[0]):
            load(address, disk, each)
        with mounted(address, tmp_path / "seen") as seen:
            assert (seen / "file-1").read_text() == "a"
    assert [is_loaded(disk, each) for each in archives] == [True, False]


def test_only_what_lacks_more_than_its_last_layer_is_kept(
    store: ImageStore, disk: Path, tmp_path: Path
) -> None:
    for stem, contents in {"1": ("a", "b"), "2": ("a", "c"), "3": ("d", "b"), "4": ("a",)}.items():
        store.keep([write_archive(tmp_path / f"{stem}.tar", *contents)])
    store.keep([write_archive(tmp_path / "5.tar", "a", name="localhost/other:1")])
    assert store.begin(disk)
    assert list(read_marks(disk)) == ["1", "3", "5"]
    assert len(get_layers(read_marks(disk))) == 3


def test_what_a_bed_may_use_stays_when_a_new_disk_is_begun(
    store: ImageStore, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_store, "MOST_ARCHIVES", 1)
    store.keep([write_archive(tmp_path / "1.tar", "a", "b")])
    assert store.begin(disk)
    store.keep([write_archive(tmp_path / "2.tar", "c", "d")])
    folder = tmp_path / "cache" / "bed-images"
    assert sorted(each.name for each in folder.glob("disk-*")) == ["disk-1", "disk-2"]
    assert all((each / "fs").is_dir() for each in (disk / LAYERS).iterdir())
    store.keep([write_archive(tmp_path / "3.tar", "e", "f")])
    assert sorted(each.name for each in folder.glob("disk-*")) == ["disk-2", "disk-3"]
    newest = tmp_path / "newest"
    newest.mkdir()
    assert store.begin(newest)
    assert list(read_marks(newest)) == ["3"]


def test_a_node_begins_empty_where_nothing_can_be_linked(
    store: ImageStore, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not store.begin(disk)
    store.keep([write_archive(tmp_path / "1.tar", "a", "b")])

    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert not store.begin(disk)
    assert list(disk.iterdir()) == []


def test_a_disk_that_holds_something_stays_as_it_is(
    store: ImageStore, disk: Path, tmp_path: Path
) -> None:
    store.keep([write_archive(tmp_path / "1.tar", "a", "b")])
    (disk / "own").touch()
    assert not store.begin(disk)
    assert [each.name for each in disk.iterdir()] == ["own"]


def test_an_archive_whose_layer_is_another_one_is_refused_in_words(
    disk: Path, tmp_path: Path
) -> None:
    path = write_archive(tmp_path / "1.tar", "a")
    (digest,) = Archive.read(path).layers
    torn = tmp_path / "2.tar"
    torn.write_bytes(path.read_bytes().replace(digest.encode(), b"sha256:" + b"0" * 64))
    with running_containerd(disk) as address, pytest.raises(StoreFailed, match=r"2\.tar cannot"):
        load(address, disk, torn)
    assert read_marks(disk) == {}
