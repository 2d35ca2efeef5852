"""What is to be pushed, where to, and where its digest is written.

Place in the path: `push` reads an installation's settings and catalogue here, of them only what it
needs, and writes digests back. Images that people choose, and `folders`, stand in the catalogue;
`hub` and `jobs-service` by name and tag in the charts' values, and by what was pushed in the
settings. Imported by `push` and `mirror`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hub_config.platform.catalogue import FoldersImage, Image
from hub_config.platform.catalogue_file import parse_catalogue
from hub_config.platform.errors import ConfigurationError
from hub_config.platform.located import read_text, unwrap
from hub_config.platform.rewriting import rewrite
from images._tool.steps import StepFailed

#: Image -> file of values that names it, and the keys of its repository and tag there.
PLATFORM = {
    "hub": ("helm-values/jupyterhub.yaml", ("hub", "image"), "name"),
    "jobs-service": ("extensions/offline_jobs/chart/values.yaml", ("image",), "repository"),
}
FOLDERS = "folders"


class KeptFile:
    """A file that an administrator keeps: it is changed in place, and never over a change."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            StepFailed: it cannot be read, or not be written.
        """
        self.path = path.resolve()
        try:
            self._content = self.path.read_bytes()
            self.text = self._content.decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is not UTF-8 text"
            raise StepFailed(f"{path} cannot be read: {reason}") from error

    def check(self) -> None:
        """See that it can be replaced, before anything is pushed.

        Raises:
            StepFailed: it cannot.
        """
        if not os.access(self.path, os.W_OK) or not os.access(self.path.parent, os.W_OK):
            raise StepFailed(f"{self.path} cannot be written: digests belong there")

    def set(self, path: tuple[str, ...], values: Mapping[str, str]) -> bool:
        """Set values in one of its mappings; return whether that changed anything.

        Raises:
            StepFailed: somebody else has changed it meanwhile, or it cannot be changed there.
        """
        try:
            text = rewrite(self.text, path, values)
        except ConfigurationError as error:
            raise StepFailed(f"{self.path}: {error}") from error
        if text == self.text:
            return False
        if self.path.read_bytes() != self._content:
            said = ", ".join(f"{key}: {value}" for key, value in values.items())
            raise StepFailed(
                f"{self.path} was changed meanwhile, and stays as it is. It lacks, at"
                f" {'.'.join(path)}, {said}: run it again, nothing is pushed twice"
            )
        with tempfile.NamedTemporaryFile(
            dir=self.path.parent, prefix=f".{self.path.name}.", delete=False
        ) as fresh:
            try:
                os.chmod(fresh.name, self.path.stat().st_mode & 0o7777)
                fresh.write(text.encode())
                fresh.flush()
                os.fsync(fresh.fileno())
                Path(fresh.name).replace(self.path)
            except BaseException:
                Path(fresh.name).unlink(missing_ok=True)
                raise
        self.text, self._content = text, text.encode()
        return True


@dataclass(frozen=True)
class Target:
    """One image to push.

    Attributes:
        image: its folder in `images/`.
        host: of the registry.
        repository: in the registry.
        tag: that it gets.
        file: where its digest is written.
        place: of the mapping there.
        is_platform: whether it is `hub` or `jobs-service`, of which the settings have one text.
        digest: of what was pushed before, as it is written; empty where nothing was.
    """

    image: str
    host: str
    repository: str
    tag: str
    file: KeptFile
    place: tuple[str, ...]
    is_platform: bool = False
    digest: str = ""

    @property
    def reference(self) -> str:
        """Registry, repository and tag."""
        return f"{self.host}/{self.repository}:{self.tag}"

    def write(self, digest: str) -> bool:
        """Write what was pushed where `make deploy` reads it; return whether that is news."""
        if self.is_platform:
            return self.file.set(self.place, {self.image: f"{self.tag}@{digest}"})
        return self.file.set(self.place, {"tag": self.tag, "digest": digest})


@dataclass(frozen=True)
class Offer:
    """What an installation offers.

    Attributes:
        registry: what stands before repositories.
        targets: by image, in the order in which they are pushed.
        account: of the cluster on AWS; empty where the settings name none.
    """

    registry: str
    targets: Mapping[str, Target]
    account: str


def load_offer(root: Path, settings_path: Path, tag: str = "") -> Offer:
    """Read what an installation offers.

    Args:
        root: of this checkout.
        settings_path: of the settings, which name the catalogue.
        tag: that all images get; empty for those that are written.

    Raises:
        CatalogueError: the catalogue has mistakes; all are named.
        StepFailed: the settings cannot be read, or no registry is named.
    """
    settings = KeptFile(settings_path)
    said = _read(settings)
    catalogue_path = settings_path.parent / str(said.get("catalogue") or "")
    if catalogue_path.is_dir():
        raise StepFailed(f"{settings_path} names no catalogue: write catalogue: PATH")
    file = KeptFile(catalogue_path)
    catalogue = parse_catalogue(file.text, str(catalogue_path))
    content = _read(file)["custom"]["catalogue"]
    registry = str(content.get("registry") or "").rstrip("/")
    if not registry:
        raise StepFailed(f"{catalogue_path}: registry is empty: write the address of yours there")
    top = ("custom", "catalogue")
    images: dict[tuple[str, ...], Image | FoldersImage] = {
        ("folders_image",): catalogue.folders_image,
        **{("images", slug): image for slug, image in catalogue.images.items()},
    }
    targets = {}
    for place, image in images.items():
        name = image.slug if isinstance(image, Image) else FOLDERS
        aimed = _aim(name, image.repository, tag or image.tag, file, (*top, *place))
        targets[name] = replace(aimed, digest=image.digest)
    for name in PLATFORM:
        repository, default = _read_platform(root, name)
        written = str((said.get("digests") or {}).get(name) or "")
        own = written.rpartition("@")[0] or default
        digest = written.rpartition("@")[2]
        reference = f"{registry}/{repository}"
        aimed = _aim(name, reference, tag or own, settings, ("digests",), is_platform=True)
        targets[name] = replace(aimed, digest=digest)
    account = str((said.get("aws") or {}).get("account") or "")
    return Offer(registry, targets, account)


def _aim(
    image: str,
    reference: str,
    tag: str,
    file: KeptFile,
    place: tuple[str, ...],
    *,
    is_platform: bool = False,
) -> Target:
    host, _, repository = reference.partition("/")
    return Target(image, host, repository, tag, file, place, is_platform)


def _read(file: KeptFile) -> dict[str, Any]:
    tree, mistakes = read_text(file.text)
    found = unwrap(tree)
    if not isinstance(found, dict):
        said = mistakes[0].message if mistakes else "holds no settings"
        raise StepFailed(f"{file.path}: {said}")
    return found


def _read_platform(root: Path, image: str) -> tuple[str, str]:
    """Repository and tag of an image that the catalogue does not name."""
    name, path, key = PLATFORM[image]
    found = _read(KeptFile(root / name))
    for step in path:
        found = found[step]
    return str(found[key]), str(found["tag"])
