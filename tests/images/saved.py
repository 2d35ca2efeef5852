"""Reads a saved image: its settings, its history, and the files that its layers leave together.

Imported by tests of images.
"""

from __future__ import annotations

import gzip
import json
import mmap
import tarfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

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
    def files(self) -> dict[str, tarfile.TarInfo]:
        """All that is in the image in the end: path -> what its last layer says of it."""
        files: dict[str, tarfile.TarInfo] = {}
        for layer in self._open_layers():
            for entry in layer:
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
        found = None
        for layer in self._open_layers():
            for entry in layer:
                if str(PurePosixPath("/", entry.name)) == path and entry.isfile():
                    file = layer.extractfile(entry)
                    assert file is not None
                    found = file.read().decode()
        assert found is not None, f"{path} is not in the image"
        return found

    def find_text(self, texts: Iterable[str]) -> set[str]:
        """Find which texts occur anywhere: in a file or a name of any layer, settings, history."""
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as all_:
            return {text for text in texts if all_.find(text.encode()) >= 0}

    def list_layers(self) -> list[list[str]]:
        """List the paths of the files that each layer holds, the base's first."""
        return [
            [str(PurePosixPath("/", entry.name)) for entry in layer if entry.isfile()]
            for layer in self._open_layers()
        ]

    def compress_last_layer(self) -> bytes:
        """What a machine fetches that has all layers but the last, compressed as registries do."""
        return gzip.compress(self._read_member(self.manifest["Layers"][-1]), compresslevel=6)

    def _read_member(self, name: str) -> bytes:
        with tarfile.open(self.path) as archive:
            file = archive.extractfile(name)
            assert file is not None
            return file.read()

    def _open_layers(self) -> Iterator[tarfile.TarFile]:
        with tarfile.open(self.path) as archive:
            for name in self.manifest["Layers"]:
                member = archive.getmember(name)
                if member.issym():
                    member = archive.getmember(str(PurePosixPath(member.linkname)).lstrip("./"))
                file = archive.extractfile(member)
                assert file is not None
                with tarfile.open(fileobj=file) as layer:
                    yield layer


def remove_below(files: dict[str, tarfile.TarInfo], folder: str) -> None:
    """Forget all that is in a folder."""
    for path in [path for path in files if path.startswith(f"{folder}/")]:
        del files[path]
