"""Writes a container image from files, without a builder and without a registry.

The archive is of the form that `docker save` writes and `ctr images import` reads: one layer upon
nothing. The same files give the same bytes, so the image's id says what is in it. Imported by
`nodes` (the image of `pause`) and by tests of real nodes.

Source: Docker image specification v1.2, https://github.com/moby/docker-image-spec.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import stat
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

EPOCH = "1970-01-01T00:00:00Z"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CHUNK_BYTES = 1 << 20


def write_image(
    path: Path,
    name: str,
    files: Mapping[str, Path],
    *,
    entrypoint: Sequence[str],
    user: str = "1000:100",
    environment: Mapping[str, str] | None = None,
) -> None:
    """Write an image, whole or not at all.

    Args:
        path: the archive.
        name: of the image, with its tag: `localhost/pause:test`.
        files: place in the image -> file; all belong to root, rights are the files' own.
        entrypoint: the command, before a pod's own arguments.
        user: uid and gid that it runs as.
        environment: its variables.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        layer = Path(folder) / "layer.tar"
        with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as tar:
            _fill_layer(tar, files)
        with layer.open("rb") as file:
            digest = _hash(file)
        configuration = _encode(
            build_configuration(digest, entrypoint, user=user, environment=environment or {})
        )
        identity = hashlib.sha256(configuration).hexdigest()
        manifest = _encode(build_manifest(identity, name, digest))
        whole = Path(folder) / "image.tar"
        with tarfile.open(whole, "w", format=tarfile.GNU_FORMAT) as tar:
            _add_bytes(tar, f"{identity}.json", configuration)
            _add_file(tar, f"{digest}/layer.tar", layer, mode=0o644)
            _add_bytes(tar, "manifest.json", manifest)
        whole.replace(path)


def build_configuration(
    layer: str, entrypoint: Sequence[str], *, user: str, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Build an image's configuration; `layer` is the SHA-256 of its only layer."""
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": EPOCH,
        "config": {
            "Entrypoint": list(entrypoint),
            "User": user,
            "Env": [f"{name}={value}" for name, value in sorted(environment.items())],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created": EPOCH}],
    }


def build_manifest(identity: str, name: str, layer: str) -> list[dict[str, Any]]:
    """Build the list of images in an archive that has one."""
    return [{"Config": f"{identity}.json", "RepoTags": [name], "Layers": [f"{layer}/layer.tar"]}]


def _fill_layer(tar: tarfile.TarFile, files: Mapping[str, Path]) -> None:
    """Add files, and the folders above them, in the order of their names."""
    sources = {target.strip("/"): source for target, source in files.items()}
    folders = {
        str(parent)
        for target in sources
        for parent in PurePosixPath(target).parents
        if str(parent) != "."
    }
    for folder in sorted(folders):
        entry = tarfile.TarInfo(folder)
        entry.type = tarfile.DIRTYPE
        entry.mode = 0o755
        tar.addfile(entry)
    for target, source in sorted(sources.items()):
        _add_file(tar, target, source, mode=stat.S_IMODE(source.stat().st_mode))


def _add_file(tar: tarfile.TarFile, name: str, source: Path, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    with source.open("rb") as file:
        entry.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        tar.addfile(entry, file)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _hash(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _encode(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
