"""A registry of images of its own, Debian's, and small images to push there.

Builders push to it and real nodes pull from it: nothing stands in for it. What it keeps are files
in its folder, so a test sees an upload that is under way, and can spoil what is kept.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from images._tool.registry import Manifest, Registry
from images._tool.tools import run_program
from tests.own_server import OwnServer

PROGRAM = "docker-registry"


def lacks_program() -> bool:
    """Tell whether the registry is not installed."""
    return shutil.which(PROGRAM) is None


@dataclass
class ImageRegistry(OwnServer):
    """The registry; before a repository stands its `host`.

    Attributes:
        keys: certificate and key, for TLS; None for none.
        accounts: file of names and bcrypt hashes (`htpasswd`), for a login; None for none.
    """

    keys: tuple[Path, Path] | None = None
    accounts: Path | None = None

    @property
    def kept(self) -> Path:
        """Where it keeps what was pushed, as files."""
        return self.folder / "kept"

    def start(self) -> None:
        """Start it and wait until it answers."""
        http: dict[str, object] = {"addr": self.host}
        if self.keys:
            http["tls"] = dict(zip(("certificate", "key"), map(str, self.keys), strict=True))
        configuration: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.kept)}},
            "http": http,
        }
        if self.accounts:
            configuration["auth"] = {"htpasswd": {"realm": "trial", "path": str(self.accounts)}}
        path = self.folder / "registry.yaml"
        path.write_text(yaml.safe_dump(configuration))
        self.launch([PROGRAM, "serve", path])

    def answers(self) -> bool:
        inode = f"{self.port:04X}"
        rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        return any(row.split()[1].endswith(inode) and row.split()[3] == "0A" for row in rows)

    def find(self, repository: str, reference: str) -> Manifest | None:
        """What a tag or digest stands for; where it has neither TLS nor login."""
        return Registry(self.host).find_manifest(repository, reference)

    def find_uploads(self) -> list[Path]:
        """Files of uploads that are under way and have begun to arrive."""
        found = self.kept.glob("docker/registry/v2/repositories/**/_uploads/*/data")
        return [path for path in found if path.stat().st_size]


@contextmanager
def running_registry(
    folder: Path,
    address: str = "127.0.0.1",
    keys: tuple[Path, Path] | None = None,
    accounts: Path | None = None,
) -> Iterator[ImageRegistry]:
    """A registry with a folder, at an address of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    registry = ImageRegistry(folder, address, keys, accounts)
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()


class Trials:
    """Small images in a store of buildah's own."""

    def __init__(self, folder: Path) -> None:
        """Write where the store is."""
        self._folder = folder
        lines = ["[storage]", 'driver = "overlay"']
        lines += [f'{name} = "{folder / name}"' for name in ("graphroot", "runroot")]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "storage.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        #: Variables with which buildah takes this store, and finds no login of this machine's.
        self.environment = {
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "BUILDAH_ISOLATION": "chroot",
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
        }

    def make(self, name: str, *files: Path, entrypoint: str = "", user: str = "1000:100") -> str:
        """Make an image of files, in its root folder; return its name."""
        container = self.run("from", "scratch").split()[-1]
        self.run("add", "--quiet", container, *map(str, files), "/")
        options = ["--entrypoint", f'["{entrypoint}"]'] if entrypoint else []
        self.run("config", "--user", user, *options, container)
        self.run("commit", "--quiet", "--rm", "--format", "docker", container, name)
        return name

    def run(self, *words: str) -> str:
        """Run buildah with the store."""
        return run_program(["buildah", *words], self._folder, {**os.environ, **self.environment})

    def clear(self) -> None:
        """Remove what the store has mounted, and all images."""
        self.run("rmi", "--all", "--force")
