"""The images that real nodes begin with: unpacked once, kept in the cache, seen by each node.

To unpack the platform's images takes each node half a minute of a core. So a containerd of its own
does it once, on a disk in the cache, and a node's disk begins with links to what that one holds:
nothing writes to a layer that is there, for a container has a layer of its own, and blobs never
change; only databases are copied. What an image has above the layers that are there, as ours have
with each change of our code, is loaded into the node as any other.

So nothing that the store holds may go while a bed uses it: images get a second name, by their
archive. Once there are too many, a new disk is begun, and the one before the last goes. Where
layers cannot lie over each other, or no link can be made (another file system), nodes begin empty.
Used by `node_start`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from images._tool.tools import Places, hold
from tests.bed.files import write_atomically

NAMESPACE = "k8s.io"
#: On a containerd's disk, beside what it keeps: which archive each image came from, and its layers.
MARKS = "notebook-hpc-images.json"
LAYERS = Path("io.containerd.snapshotter.v1.overlayfs", "snapshots")
KEPT_NAME = "localhost/kept/{}:1"
#: Of our code each state makes another archive, and nobody tells which are still of use.
MOST_ARCHIVES = 40
#: Seconds that a containerd may take to start or to end.
PATIENCE = 60
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


class StoreFailed(Exception):
    """A containerd did not do as it was told; the message ends with what it said."""


@dataclass(frozen=True)
class Archive:
    """An archive as `docker save` writes it, with one image.

    Attributes:
        name: of the image, with its tag.
        layers: digest of each uncompressed layer -> where it is in the archive; the base's first.
    """

    path: Path
    name: str
    config: bytes
    layers: Mapping[str, tarfile.TarInfo]

    @classmethod
    def read(cls, path: Path) -> Archive:
        """Read what an archive holds, but not its layers."""
        with tarfile.open(path) as file:
            members = {str(PurePosixPath(each.name)): each for each in file}
            (image,) = json.load(_open(file, members["manifest.json"]))
            config = _open(file, members[image["Config"]]).read()
            (name,) = image["RepoTags"]
        digests = json.loads(config)["rootfs"]["diff_ids"]
        found = (follow(members, each) for each in image["Layers"])
        return cls(path, name, config, dict(zip(digests, found, strict=True)))

    @property
    def id(self) -> str:
        """The image's id: the digest of its configuration."""
        return f"sha256:{hashlib.sha256(self.config).hexdigest()}"

    def write(self, target: IO[bytes], known: Collection[str]) -> None:
        """Write it as an archive of OCI's form, without the layers that are known."""
        config = self.id
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _describe(_CONFIG, config, len(self.config)),
            "layers": [_describe(_LAYER, digest, at.size) for digest, at in self.layers.items()],
        }
        content = json.dumps(manifest).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        named = {"annotations": {"io.containerd.image.name": self.name}}
        index = {
            "schemaVersion": 2,
            "manifests": [_describe(_MANIFEST, digest, len(content)) | named],
        }
        with tarfile.open(self.path) as source, tarfile.open(fileobj=target, mode="w|") as file:
            _write(file, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
            _write(file, "index.json", json.dumps(index).encode())
            _write(file, _place(digest), content)
            _write(file, _place(config), self.config)
            for layer, at in self.layers.items():
                if layer not in known:
                    entry = tarfile.TarInfo(_place(layer))
                    entry.size = at.size
                    file.addfile(entry, _open(source, at))


@dataclass(frozen=True)
class Mark:
    """What came of an archive on a disk: the image's name, and digests of its layers."""

    name: str
    layers: Sequence[str]


class ImageStore:
    """A disk of containerd with images, in the cache."""

    def __init__(self, places: Places) -> None:
        self._folder = places.cache / "bed-images"

    def begin(self, disk: Path) -> bool:
        """Let a node's disk begin with what the store holds; return whether it does.

        Args:
            disk: folder of a containerd that does not run; one that holds something stays as it is.
        """
        with self._hold():
            kept = self._find_disks()
            return bool(kept) and not any(disk.iterdir()) and link(kept[-1], disk)

    def keep(self, paths: Sequence[Path]) -> None:
        """Have images in the store, but for those of which it lacks no more than the last layer.

        Args:
            paths: of archives; their names tell their contents.

        Raises:
            StoreFailed: containerd did not take one.
        """
        with self._hold():
            kept = self._find_disks()
            disk = kept[-1] if kept else self._folder / "disk-1"
            marks = read_marks(disk)
            known, names = get_layers(marks), {each.name for each in marks.values()}
            lacking = [
                each
                for each in map(Archive.read, paths)
                if each.name not in names or not known.issuperset(list(each.layers)[:-1])
            ]
            if lacking and len(marks) + len(lacking) > MOST_ARCHIVES:
                disk = disk.with_name(f"disk-{int(disk.name.partition('-')[2]) + 1}")
                for old in kept[:-1]:
                    shutil.rmtree(old)
            if lacking:
                disk.mkdir(exist_ok=True)
                with running_containerd(disk) as address:
                    for each in lacking:
                        load(address, disk, each.path)

    def _find_disks(self) -> list[Path]:
        """The disks that there are, the newest last."""
        found = self._folder.glob("disk-*")
        return sorted(found, key=lambda path: int(path.name.partition("-")[2]))

    @contextmanager
    def _hold(self) -> Iterator[None]:
        with hold(self._folder / "lock", lambda: None):
            yield


def link(source: Path, target: Path) -> bool:
    """Let an empty folder be a disk of containerd as another; tell whether that could be done."""
    try:
        for folder, folders, files in os.walk(source):
            there = target / Path(folder).relative_to(source)
            there.mkdir(exist_ok=True)
            shutil.copystat(folder, there)
            if there.relative_to(target) == LAYERS:
                for name in folders:
                    (there / name).symlink_to(Path(folder) / name)
                folders.clear()
            for name in files:
                # These are written in place.
                is_written = name == MARKS or name.endswith(".db")
                (shutil.copy2 if is_written else os.link)(Path(folder) / name, there / name)
    except OSError:
        shutil.rmtree(target)
        target.mkdir()
        return False
    return True


def load(address: Path, disk: Path, path: Path) -> None:
    """Let a containerd have the image of an archive, and note it.

    Args:
        address: of its socket.
        disk: of this containerd, as we see it.
        path: of the archive; its name tells its content.

    Raises:
        StoreFailed: it did not take it.
    """
    archive, marks = Archive.read(path), read_marks(disk)
    command = _build_command(address, "images", "import", "-")
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output
        ) as process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # It says why.
                archive.write(process.stdin, get_layers(marks))
            with suppress(BrokenPipeError):
                process.stdin.close()
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
            raise StoreFailed(f"{path.name} cannot be imported: {said}")
    # What has no name goes, and its layers would be missed by the next one.
    # And its id, by which a kubelet knows it: containerd gives it that by itself, but only a moment
    # later, and may have ended before.
    for name in (KEPT_NAME.format(path.stem), archive.id):
        run_ctr(address, "images", "tag", "--force", archive.name, name)
    # One that comes again is the newest of its name.
    others = {stem: mark for stem, mark in marks.items() if stem != path.stem}
    content = {**others, path.stem: Mark(archive.name, list(archive.layers))}
    text = json.dumps({stem: asdict(each) for stem, each in content.items()}, indent=1)
    write_atomically(disk / MARKS, text + "\n")


def is_loaded(disk: Path, path: Path) -> bool:
    """Whether a disk has an archive's image, and no other since under its name."""
    marks = read_marks(disk)
    if path.stem not in marks:
        return False
    newest = {each.name: stem for stem, each in marks.items()}
    return newest[marks[path.stem].name] == path.stem


def read_marks(disk: Path) -> dict[str, Mark]:
    """What was loaded onto a disk, by the archive's name, in this order."""
    path = disk / MARKS
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {stem: Mark(**each) for stem, each in content.items()}


def get_layers(marks: Mapping[str, Mark]) -> set[str]:
    """The layers that are on a disk."""
    return {layer for each in marks.values() for layer in each.layers}


def run_ctr(address: Path, *words: str) -> None:
    """Let a containerd do something.

    Raises:
        StoreFailed: it did not.
    """
    command = _build_command(address, *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StoreFailed(f"{' '.join(words)} failed: {done.stderr.strip()}")


@contextmanager
def running_containerd(disk: Path) -> Iterator[Path]:
    """A containerd that runs no container, with a disk; yields its socket.

    Raises:
        StoreFailed: it did not start.
    """
    # A socket's path has room for 107 letters.
    with tempfile.TemporaryDirectory(prefix="nbhpc-") as state, tempfile.TemporaryFile() as output:
        address, configuration = Path(state) / "socket", Path(state) / "containerd.toml"
        configuration.write_text(
            f'version = 2\nroot = "{disk}"\nstate = "{state}"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\n  address = "{address}"\n',
            encoding="utf-8",
        )
        # While it unpacks it mounts layers, which nobody else needs to see.
        command = ("unshare", "--mount", "--propagation=private", "containerd")
        process = subprocess.Popen(
            [*command, f"--config={configuration}"], stdout=output, stderr=output
        )
        try:
            deadline = time.monotonic() + PATIENCE
            while not answers(address):
                if process.poll() is not None or time.monotonic() > deadline:
                    output.seek(0)
                    raise StoreFailed(f"containerd did not start: {output.read().decode()[-2000:]}")
                time.sleep(0.05)
            yield address
        finally:
            process.terminate()
            process.wait(PATIENCE)


def answers(path: Path) -> bool:
    """Whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))
        return True
    return False


def follow(members: Mapping[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    """Find a layer, which may be a link to one that is there already."""
    member = members[name]
    if member.issym():
        member = members[str(PurePosixPath(member.linkname)).lstrip("./")]
    return member


def _build_command(address: Path, *words: str) -> list[str]:
    return ["ctr", f"--address={address}", f"--namespace={NAMESPACE}", *words]


def _open(file: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = file.extractfile(member)
    assert content is not None
    return content


def _describe(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size}


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _write(file: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    file.addfile(entry, io.BytesIO(content))
