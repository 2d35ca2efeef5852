"""Copies images and charts of others that `make deploy` installs: `make mirror`.

Place in the path: `python -m images._tool.mirror --settings FILE`, called by the Makefile. What
`helm-values/mirror.yaml` lists is looked up where it is from, copied whole and by digest, for every
kind of machine that it is made for, and read back; then tag and digest stand in the settings, from
where the charts' values come. A digest that stands there already is what the tag has to be. A chart
comes from its repository by helm. Needs no builder; interrupted, it goes on with the blobs that are
missing.
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
from images._tool.charts import ForeignChart, pack_chart
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
#: Before charts, in there: a chart may be called as an image is.
CHARTS = f"{PREFIX}/charts"
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


def load_charts(root: Path) -> list[ForeignChart]:
    """The charts of others."""
    tree, _ = read_text((root / LIST).read_text(encoding="utf-8"))
    listed = unwrap(tree).get("charts") or []
    return [ForeignChart(each["slug"], each["source"], each["version"]) for each in listed]


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
    if found_there := find_copy(registry, (goal, image.tag), pinned, f"mirror.{image.slug}"):
        return found_there, False
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
    _read_back(registry, goal, found.digest)
    return found.digest, True


def mirror_chart(
    chart: ForeignChart, registry: Registry, goal: str, pinned: str
) -> tuple[str, bool]:
    """Have a copy of a chart; as `mirror_image`.

    Raises:
        StepFailed: the version is something else than what is pinned, here or there; or helm's
            words.
    """
    if there := find_copy(registry, (goal, chart.tag), pinned, f"charts.{chart.slug}"):
        return there, False
    with tempfile.TemporaryDirectory(prefix="notebook-hpc-") as folder:
        packed = pack_chart(chart, Path(folder))
        digest = packed.manifest.digest
        if pinned not in ("", digest):
            raise StepFailed(
                f"{chart.slug} {chart.version} of {chart.source} is {digest} now, and the settings"
                f" say {pinned}: somebody changed it; if you trust it, take out the line of"
                f" charts.{chart.slug}"
            )
        for each, file in packed.blobs.items():
            if not registry.has_blob(goal, each):
                registry.send_blob(goal, each, file)
        registry.send_manifest(goal, chart.tag, packed.manifest)
    _read_back(registry, goal, digest)
    return digest, True


def find_copy(registry: Registry, place: tuple[str, str], pinned: str, key: str) -> str:
    """Digest of a copy that is there already; empty where there is none.

    Args:
        registry: one's own.
        place: repository and tag there.
        pinned: the digest that it has to have; empty for any.
        key: of the settings, where it is pinned.

    Raises:
        StepFailed: it is another than what is pinned.
    """
    there = registry.find_manifest(*place)
    if there is None:
        return ""
    if pinned not in ("", there.digest):
        raise StepFailed(
            f"{registry.host}/{':'.join(place)} is {there.digest}, and the settings say {pinned}:"
            f" one of them is wrong; without the line of {key} the former counts"
        )
    return there.digest


def _read_back(registry: Registry, goal: str, digest: str) -> None:
    if registry.find_manifest(goal, digest) is None:
        raise StepFailed(f"{registry.host}/{goal} does not give {digest} after the copy")


def mirror_images(root: Path, settings_path: Path) -> None:
    """Copy all images and charts of the list, and write down each as soon as it is there.

    A chart that is a folder or file of the administrator's stays that.

    Raises:
        StepFailed: what was copied before is written down.
        CatalogueError: the catalogue has mistakes.
    """
    offer = load_offer(root, settings_path)
    settings = KeptFile(settings_path)
    settings.check()
    access = open_registry(offer.registry.partition("/")[0])
    below = offer.registry.partition("/")[2]
    pinned = read_pinned(settings, "mirror")
    for image in load_list(root):
        goal = "/".join(part for part in (below, PREFIX, image.repository) if part)
        log.info("Copying %s/%s:%s ...", image.host, image.repository, image.tag)
        _have_repository(access.ecr, goal, offer.account)
        started = time.monotonic()
        expected = _expect(pinned.get(image.slug, ""), image.tag)
        _tell(started, *(found := mirror_image(image, access.registry, goal, expected)))
        settings.set(("mirror",), {image.slug: f"{image.tag}@{found[0]}"})
    pinned = read_pinned(settings, "charts")
    for chart in load_charts(root):
        said = pinned.get(chart.slug, "")
        if said and "@sha256:" not in said:
            log.info("Chart %s is %s of yours, and not copied", chart.slug, said)
            continue
        goal = "/".join(part for part in (below, CHARTS, chart.slug) if part)
        log.info("Copying chart %s %s of %s ...", chart.slug, chart.version, chart.source)
        _have_repository(access.ecr, goal, offer.account)
        started = time.monotonic()
        expected = _expect(said, chart.version)
        _tell(started, *(found := mirror_chart(chart, access.registry, goal, expected)))
        settings.set(("charts",), {chart.slug: f"{chart.version}@{found[0]}"})


def read_pinned(settings: KeptFile, section: str) -> dict[str, str]:
    """What a section of the settings says was copied, as TAG@DIGEST, by slug."""
    tree, _ = read_text(settings.text)
    found = unwrap(tree).get(section) or {}
    return {str(slug): str(said or "") for slug, said in found.items()}


def _expect(said: str, tag: str) -> str:
    """The digest that is written down for this tag; of another tag it says nothing."""
    pinned, _, digest = said.partition("@")
    return digest if pinned == tag else ""


def _tell(started: float, digest: str, is_new: bool) -> None:
    word = "copied" if is_new else "was there"
    log.info("  %-28s %s, %.1f s", word, digest, time.monotonic() - started)


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
