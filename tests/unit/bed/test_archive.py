"""Images written from files: readable, and the same each time."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.bed.archive import write_image


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "probe"
    path.write_bytes(b"\x7fELF" + bytes(range(256)))
    path.chmod(0o755)
    return path


def write(path: Path, program: Path, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "files": {"/usr/bin/probe": program, "etc/text": Path(__file__)},
        "entrypoint": ["/usr/bin/probe"],
        "environment": {"B": "2", "A": "1"},
    }
    write_image(path, "localhost/probe:test", **(arguments | changes))
    with tarfile.open(path) as tar:
        return {entry.name: _read(tar, entry) for entry in tar.getmembers()}


def _read(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(entry)
    assert file is not None
    return file.read()


def test_an_image_names_its_parts_by_what_is_in_them(tmp_path: Path, program: Path) -> None:
    content = write(tmp_path / "image.tar", program)

    (image,) = json.loads(content["manifest.json"])
    assert image["RepoTags"] == ["localhost/probe:test"]
    configuration = content[image["Config"]]
    assert image["Config"] == hashlib.sha256(configuration).hexdigest() + ".json"
    (layer,) = image["Layers"]
    digest = hashlib.sha256(content[layer]).hexdigest()
    assert layer == f"{digest}/layer.tar"
    assert json.loads(configuration)["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def test_an_image_runs_what_it_is_told(tmp_path: Path, program: Path) -> None:
    content = write(tmp_path / "image.tar", program)

    (image,) = json.loads(content["manifest.json"])
    configuration = json.loads(content[image["Config"]])
    assert configuration["config"] == {
        "Entrypoint": ["/usr/bin/probe"],
        "User": "1000:100",
        "Env": ["A=1", "B=2"],
    }
    assert configuration["os"] == "linux"


def test_a_layer_has_the_files_and_the_folders_above_them(tmp_path: Path, program: Path) -> None:
    content = write(tmp_path / "image.tar", program)

    layer = tmp_path / "layer.tar"
    layer.write_bytes(next(data for name, data in content.items() if name.endswith("layer.tar")))
    with tarfile.open(layer) as tar:
        entries = tar.getmembers()
        assert _read(tar, tar.getmember("usr/bin/probe")) == program.read_bytes()
    assert [each.name for each in entries if each.isdir()] == ["etc", "usr", "usr/bin"]
    modes = {each.name: each.mode for each in entries if each.isfile()}
    assert modes["usr/bin/probe"] == 0o755
    assert {(each.uid, each.gid, each.mtime, each.uname) for each in entries} == {(0, 0, 0, "")}


def test_the_same_files_give_the_same_bytes(tmp_path: Path, program: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "elsewhere" / "second.tar"
    write(first, program)
    os.utime(program, (1, 1))
    again = {"etc/text": Path(__file__), "/usr/bin/probe": program}
    write(second, program, files=again, environment={"A": "1", "B": "2"})

    assert first.read_bytes() == second.read_bytes()


def test_an_image_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, program: Path) -> None:
    path = tmp_path / "image.tar"
    write(path, program)
    old = path.read_bytes()

    with pytest.raises(FileNotFoundError):
        write(path, program, files={"/missing": tmp_path / "missing"})

    assert path.read_bytes() == old
    assert {each.name for each in tmp_path.iterdir()} == {"image.tar", "probe"}
