"""Copies the images of others that `make deploy` installs into one's own registry: `make mirror`.

Place in the path: `python -m images._tool.mirror --settings FILE`, called by the Makefile. What
`helm-values/mirror.yaml` lists is looked up where it is from, copied whole and by digest, for every
kind of machine that it is made for, and read back; then tag and digest stand in the settings, from
where the charts' values come. A digest that stands there already is what the tag has to be. Needs
no builder; interrupted, it goes on with the blobs that are missing.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub_config.platform.errors import CatalogueError
from hub_config.platform.located import read_text, unwrap
from images._tool.ecr import Ecr
from images._tool.logins import find_login
from images._tool.offer import KeptFile, load_offer
from images._tool.push import open_registry
from images._tool.registry import Manifest, Registry, list_needed
from images._tool.steps import StepFailed, log
from images._tool.tools import find_places

LIST = Path("helm-values") / "mirror.yaml"
#: Before their repositories in one's own registry.
PREFIX = "mirror"
#: Hosts whose registry has another name than images say.
HOSTS = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True)
class Foreign:
    """An image of somebody else.

    Attributes:
        slug: its name in the settings.
        host: of the registry that it is from.
        repository: there.
        tag: of the version that the charts name.
    """

    slug: str
    host: str
    repository: str
    tag: str


@dataclass(frozen=True)
class Copy:
    """From where to where a repository is copied."""

    source: Registry
    repository: str
    target: Registry
    goal: str

    def carry(self, digest: str, tag: str) -> None:
        """Copy what a digest stands for, with all that it needs, and give it a tag.

        Raises:
            StepFailed: it is not there, or one of the registries is away or refuses.
        """
        manifest = self._fetch(digest)
        self._carry_parts(manifest)
        self.target.send_manifest(self.goal, tag, manifest)

    def _carry_parts(self, manifest: Manifest) -> None:
        manifests, blobs = list_needed(manifest)
        for each in manifests:
            part = self._fetch(each)
            self._carry_parts(part)
            self.target.send_manifest(self.goal, each, part)
        for each in blobs:
            if self.target.has_blob(self.goal, each):
                continue
            with tempfile.TemporaryDirectory(prefix="notebook-hpc-") as folder:
                file = Path(folder) / "blob"
                size = self.source.fetch_blob(self.repository, each, file)
                self.target.send_blob(self.goal, each, file)
            log.info("  %s %.1f MB", each[:19], size / 1e6)

    def _fetch(self, digest: str) -> Manifest:
        found = self.source.find_manifest(self.repository, digest)
        if found is None:
            raise StepFailed(f"{self.source.host}/{self.repository} has no {digest} (any more)")
        return found


def load_list(root: Path) -> list[Foreign]:
    """The images of others."""
    tree, _ = read_text((root / LIST).read_text(encoding="utf-8"))
    found = []
    for each in unwrap(tree)["images"]:
        host, _, repository = each["source"].partition("/")
        found.append(Foreign(each["slug"], host, repository, each["tag"]))
    return found


def mirror_image(image: Foreign, registry: Registry, goal: str, pinned: str) -> tuple[str, bool]:
    """Have a copy of an image; return its digest, and whether it was copied now.

    Args:
        image: that is copied.
        registry: one's own.
        goal: the repository there.
        pinned: the digest that it has to have; empty for what the tag stands for now.

    Raises:
        StepFailed: the tag stands for something else than what is pinned, here or there.
    """
    there = registry.find_manifest(goal, image.tag)
    if there is not None and pinned in ("", there.digest):
        return there.digest, False
    if there is not None:
        raise StepFailed(
            f"{registry.host}/{goal}:{image.tag} is {there.digest}, and the settings say {pinned}:"
            f" one of them is wrong; without the line of mirror.{image.slug} the former counts"
        )
    host = HOSTS.get(image.host, image.host)
    source = Registry(host, find_login(host, os.environ))
    found = source.find_manifest(image.repository, image.tag)
    name = f"{image.host}/{image.repository}:{image.tag}"
    if found is None:
        raise StepFailed(f"there is no {name} (any more)")
    if pinned not in ("", found.digest):
        raise StepFailed(
            f"{name} is {found.digest} now, and the settings say {pinned}: somebody moved the tag;"
            f" if you trust it, take out the line of mirror.{image.slug}"
        )
    Copy(source, image.repository, registry, goal).carry(found.digest, image.tag)
    there = registry.find_manifest(goal, found.digest)
    if there is None:
        raise StepFailed(f"{registry.host}/{goal} does not give {found.digest} after the copy")
    return found.digest, True


def mirror_images(root: Path, settings_path: Path) -> None:
    """Copy all images of the list, and write down each as soon as it is there.

    Raises:
        StepFailed: what was copied before is written down.
        CatalogueError: the catalogue has mistakes.
    """
    offer = load_offer(root, settings_path)
    settings = KeptFile(settings_path)
    settings.check()
    access = open_registry(offer.registry.partition("/")[0])
    pinned = read_pinned(settings)
    below = offer.registry.partition("/")[2]
    for image in load_list(root):
        goal = "/".join(part for part in (below, PREFIX, image.repository) if part)
        started = time.monotonic()
        log.info("Copying %s/%s:%s ...", image.host, image.repository, image.tag)
        _have_repository(access.ecr, goal, offer.account)
        tag, _, digest = pinned.get(image.slug, "").partition("@")
        expected = digest if tag == image.tag else ""
        digest, is_new = mirror_image(image, access.registry, goal, expected)
        word = "copied" if is_new else "was there"
        log.info("  %-28s %s, %.1f s", word, digest, time.monotonic() - started)
        settings.set(("mirror",), {image.slug: f"{image.tag}@{digest}"})


def read_pinned(settings: KeptFile) -> dict[str, str]:
    """What the settings say was copied, as TAG@DIGEST, by slug."""
    tree, _ = read_text(settings.text)
    found = unwrap(tree).get("mirror") or {}
    return {str(slug): str(said or "") for slug, said in found.items()}


def _have_repository(ecr: Ecr | None, name: str, account: str) -> None:
    if ecr and (news := ecr.have_repository(name, account)):
        log.info("Repository %s: %s", name, news)


def main(arguments: Sequence[str]) -> int:
    """Copy what is needed and say so; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="make mirror")
    parser.add_argument("--settings", type=Path, required=True, help="of the installation")
    options = parser.parse_args(arguments)
    try:
        mirror_images(find_places(os.environ).root, options.settings)
    except (StepFailed, CatalogueError) as error:
        log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        log.error("Ended. What was copied whole is written down; run it again for the rest.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
