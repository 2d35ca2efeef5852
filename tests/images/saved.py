"""Reads a saved image: its settings, its history, and the files that its layers leave together.

Imported by tests of images.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tarfile
from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from tests.bed.image_store import follow

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


class SavedImage:
    """An archive as `docker save` writes it, with one image."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        (manifest,) = json.loads(self._read_member("manifest.json"))
        assert isinstance(manifest, dict)
        return manifest

    @cached_property
    def document(self) -> dict[str, Any]:
        """The image's configuration and history."""
        document = json.loads(self._read_member(self.manifest["Config"]))
        assert isinstance(document, dict)
        return document

    @property
    def settings(self) -> dict[str, Any]:
        settings = self.document["config"]
        assert isinstance(settings, dict)
        return settings

    @cached_property
    def layers(self) -> list[list[tarfile.TarInfo]]:
        """What each layer says, the base's first; where a file's bytes are counts in the archive.

        To read all of an image takes seconds, so it is done once.
        """
        with tarfile.open(self.path) as archive, self.path.open("rb") as file:
            members = {str(PurePosixPath(each.name)): each for each in archive}
            found = []
            for name in self.manifest["Layers"]:
                file.seek(follow(members, name).offset_data)
                with tarfile.open(fileobj=file, mode="r:") as layer:
                    found.append(layer.getmembers())
            return found

    @cached_property
    def files(self) -> dict[str, tarfile.TarInfo]:
        """All that is in the image in the end: path -> what its last layer says of it."""
        files: dict[str, tarfile.TarInfo] = {}
        for entry in chain.from_iterable(self.layers):
            path = str(PurePosixPath("/", entry.name))
            name = PurePosixPath(path).name
            if name == OPAQUE:
                remove_below(files, str(PurePosixPath(path).parent))
            elif name.startswith(WHITEOUT):
                gone = str(PurePosixPath(path).with_name(name.removeprefix(WHITEOUT)))
                files.pop(gone, None)
                remove_below(files, gone)
            else:
                files[path] = entry
        return files

    def read(self, path: str) -> str:
        """Read a text file of the last layer that has it."""
        entry = self.files.get(path)
        assert entry is not None, f"{path} is not in the image"
        with self.path.open("rb") as file:
            file.seek(entry.offset_data)
            return file.read(entry.size).decode()

    def find_step(self, word: str) -> str:
        """Return the step that made a layer, of those that name something the last."""
        *_, step = (
            each["created_by"]
            for each in self.document["history"]
            if word in each.get("created_by", "")
        )
        assert isinstance(step, str)
        return step

    def find_text(self, texts: Iterable[str]) -> set[str]:
        """Find which texts occur anywhere: in a file or a name of any layer, settings, history.

        Args:
            texts: each of one line.
        """
        command = [
            "grep",
            "--text",
            "--only-matching",
            "--fixed-strings",
            "--file=-",
            str(self.path),
        ]
        done = subprocess.run(
            command,
            input="\n".join(texts).encode(),
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            check=False,
        )
        # 1: nothing was found.
        assert done.returncode in (0, 1), done.stderr.decode()
        return set(done.stdout.decode().splitlines())

    def list_layers(self) -> list[list[str]]:
        """List the paths of the files that each layer holds, the base's first."""
        return [
            [str(PurePosixPath("/", entry.name)) for entry in layer if entry.isfile()]
            for layer in self.layers
        ]

    def compress_last_layer(self) -> bytes:
        """What a machine fetches that has all layers but the last, compressed as registries do."""
        return gzip.compress(self._read_member(self.manifest["Layers"][-1]), compresslevel=6)

    def _read_member(self, name: str) -> bytes:
        with tarfile.open(self.path) as archive:
            file = archive.extractfile(name)
            assert file is not None
            return file.read()


def remove_below(files: dict[str, tarfile.TarInfo], folder: str) -> None:
    """Forget all that is in a folder."""
    for path in [path for path in files if path.startswith(f"{folder}/")]:
        del files[path]
