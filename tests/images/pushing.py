"""An administrator's two files, and images that are built, for tests of `make push`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from images._tool.push import Wish, push_images
from tests.image_registry import Trials
from tests.platform.checkout import ROOT


@dataclass(frozen=True)
class Installation:
    """An administrator's two files."""

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "settings.yaml"

    @property
    def catalogue(self) -> Path:
        return self.folder / "catalogue.yaml"

    def push(self, *images: str, tag: str = "", compression: str = "") -> None:
        push_images(ROOT, self.settings, images, Wish(tag, "buildah", compression))

    def read(self) -> dict[str, tuple[str, str]]:
        """Tag and digest of each image, as they are written."""
        content = yaml.safe_load(self.catalogue.read_text())["custom"]["catalogue"]
        found = {each["slug"]: (each["tag"], each["digest"]) for each in content["images"]}
        folders = content["folders_image"]
        found["folders"] = folders["tag"], folders["digest"]
        for name, written in yaml.safe_load(self.settings.read_text())["digests"].items():
            tag, _, digest = written.rpartition("@")
            found[name] = tag, digest
        return found


def write_installation(folder: Path, registry: str) -> Installation:
    """The files that are shipped, with a registry, and an image that others build, not we."""
    made = Installation(folder)
    shipped = (ROOT / "helm-values" / "catalogue.yaml").read_text()
    text = shipped.replace('registry: ""', f'registry: "{registry}"')
    text = text.replace(
        "slug: gpu\n        name: GPU notebook", "slug: theirs\n        name: Theirs"
    )
    made.catalogue.write_text(text)
    settings = (ROOT / "cluster" / "settings.yaml").read_text().replace("../helm-values/", "")
    account = (ROOT / "cluster" / "aws" / "settings.yaml").read_text()
    made.settings.write_text(settings + account)
    return made


def build(trials: Trials, folder: Path, content: bytes, *images: str) -> None:
    """Have images as `make images` names them, with a file in each."""
    folder.mkdir(exist_ok=True)
    (folder / "file").write_bytes(content)
    for image in images:
        (folder / image).write_text(image)
        trials.make(f"localhost/notebook-hpc/{image}:0.1.0", folder / "file", folder / image)
