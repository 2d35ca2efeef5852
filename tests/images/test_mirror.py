"""`make mirror`: images of others, whole and by digest, from one real registry into another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from images._tool.mirror import PREFIX, load_list, mirror_images
from images._tool.offer import PLATFORM
from images._tool.registry import INDEXES, Manifest
from images._tool.steps import StepFailed
from tests.image_registry import ImageRegistry, Trials, running_registry
from tests.images.pushing import Installation, write_installation
from tests.platform.checkout import ROOT
from tests.skips import require

pytestmark = pytest.mark.usefixtures("store")
SLUG = "configurable-http-proxy"


@dataclass(frozen=True)
class World:
    """Somebody else's registry, one's own, and the list of what is copied."""

    theirs: ImageRegistry
    own: ImageRegistry
    root: Path
    installation: Installation

    def list(self, tag: str, repository: str = "others/tool") -> None:
        images = [{"slug": SLUG, "source": f"{self.theirs.host}/{repository}", "tag": tag}]
        path = self.root / "helm-values" / "mirror.yaml"
        path.write_text(yaml.safe_dump({"images": images}))

    def mirror(self) -> None:
        mirror_images(self.root, self.installation.settings)

    def read(self) -> str:
        return str(yaml.safe_load(self.installation.settings.read_text())["mirror"].get(SLUG))

    def find_copy(self, reference: str) -> Manifest | None:
        return self.own.find(f"lab/{PREFIX}/others/tool", reference)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    require("a registry of images")
    root = tmp_path / "root"
    for name, _, _ in PLATFORM.values():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    with (
        running_registry(tmp_path / "theirs") as theirs,
        running_registry(tmp_path / "own") as own,
    ):
        yield World(theirs, own, root, write_installation(tmp_path, f"{own.host}/lab"))


def publish(trials: Trials, registry: ImageRegistry, folder: Path, tag: str, *kinds: str) -> str:
    """Publish an image for several kinds of machines; return its digest."""
    index = f"localhost/others:{tag}"
    trials.run("manifest", "create", index)
    for kind in kinds:
        (folder / kind).write_text(f"{tag} for {kind}")
        name = trials.make(f"localhost/others-{kind}:{tag}", folder / kind)
        trials.run("manifest", "add", "--arch", kind, index, f"containers-storage:{name}")
    target = f"docker://{registry.host}/others/tool:{tag}"
    trials.run("manifest", "push", "--all", "--tls-verify=false", index, target)
    found = registry.find("others/tool", tag)
    assert found is not None
    assert found.kind in INDEXES
    return found.digest


def test_a_copy_is_whole_and_goes_by_the_same_digest(
    world: World, trials: Trials, tmp_path: Path
) -> None:
    digest = publish(trials, world.theirs, tmp_path, "1.0", "amd64", "arm64")
    world.list("1.0")
    world.mirror()
    assert world.read() == f"1.0@{digest}"
    copy = world.find_copy(digest)
    assert copy is not None
    assert len(copy.parts["manifests"]) == 2
    # Whoever pulls finds all of it in one's own registry.
    world.theirs.stop()
    reference = f"docker://{world.own.host}/lab/{PREFIX}/others/tool@{digest}"
    trials.run("pull", "--tls-verify=false", "--quiet", reference)
    # What is there is not asked for again.
    world.mirror()
    world.theirs.start()


def test_a_tag_that_was_moved_is_refused(world: World, trials: Trials, tmp_path: Path) -> None:
    digest = publish(trials, world.theirs, tmp_path, "2.0", "amd64")
    world.list("2.0")
    text = world.installation.settings.read_text()
    other = f"sha256:{'1' * 64}"
    pinned = text.replace("mirror: {}", f'mirror: {{{SLUG}: "2.0@{other}"}}')
    world.installation.settings.write_text(pinned)
    with pytest.raises(
        StepFailed, match=f"is {digest} now, and the settings say {other}: somebody"
    ):
        world.mirror()
    assert world.installation.settings.read_text() == pinned
    assert world.find_copy("2.0") is None
    world.installation.settings.write_text(text)
    world.mirror()
    world.installation.settings.write_text(pinned)
    with pytest.raises(StepFailed, match=f"2.0 is {digest}, and the settings say {other}: one of"):
        world.mirror()


def test_what_cannot_be_copied_is_said(world: World, trials: Trials, tmp_path: Path) -> None:
    publish(trials, world.theirs, tmp_path, "3.0", "amd64")
    world.list("4.0")
    with pytest.raises(StepFailed, match=r"there is no .*/others/tool:4\.0"):
        world.mirror()
    world.list("3.0")
    found = world.theirs.find("others/tool", "3.0")
    assert found is not None
    part = world.theirs.find("others/tool", found.parts["manifests"][0]["digest"])
    assert part is not None
    name = part.parts["layers"][0]["digest"].removeprefix("sha256:")
    (kept,) = world.theirs.kept.glob(f"docker/registry/v2/blobs/sha256/??/{name}/data")
    kept.write_bytes(b"something else")
    with pytest.raises(StepFailed, match=f"what came for sha256:{name} has another hash"):
        world.mirror()
    assert world.find_copy("3.0") is None
    world.theirs.stop()
    with pytest.raises(StepFailed, match="cannot be reached"):
        world.mirror()
    world.theirs.start()
    assert world.read() == "None"


def test_the_list_is_read() -> None:
    assert SLUG in {each.slug for each in load_list(ROOT)}
