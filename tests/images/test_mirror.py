"""`make mirror`: images and charts of others, by digest, from real registries and by real helm."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from cluster.driver.deployment import Deployment
from cluster.driver.settings import load_settings
from cluster.driver.tools import ToolFailed, Tools
from images._tool.mirror import CHARTS, PREFIX, load_list, mirror_images
from images._tool.offer import PLATFORM
from images._tool.registry import INDEXES, Manifest
from images._tool.steps import StepFailed
from images._tool.tools import run_program
from tests.bed.fixtures import PROGRAMS
from tests.bed.programs import Programs, find
from tests.image_registry import ImageRegistry, Trials, running_registry
from tests.images.pushing import Installation, write_installation
from tests.own_server import OwnServer
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
        self.write({"images": images})

    def list_chart(self, source: str, version: str) -> None:
        chart = {"slug": "volcano", "source": source, "version": version}
        self.write({"images": [], "charts": [chart]})

    def write(self, listed: dict[str, object]) -> None:
        (self.root / "helm-values" / "mirror.yaml").write_text(yaml.safe_dump(listed))

    def mirror(self) -> None:
        mirror_images(self.root, self.installation.settings)

    def read(self) -> str:
        return str(yaml.safe_load(self.installation.settings.read_text())["mirror"].get(SLUG))

    def find_copy(self, reference: str) -> Manifest | None:
        return self.own.find(f"lab/{PREFIX}/others/tool", reference)


@dataclass
class ChartRepository(OwnServer):
    """A repository of charts: files, and an index that helm writes."""

    programs: Programs = field(kw_only=True)

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def publish(self, version: str, mark: str = "") -> None:
        """Package Volcano's own chart, with a mark in it, and list it."""
        chart = self.folder / "chart" / "volcano"
        shutil.copytree(self.programs.data / "volcano", chart, dirs_exist_ok=True)
        (chart / "NOTICE").write_text(mark)
        helm, files = self.programs.path("helm"), self.files
        files.mkdir(exist_ok=True)
        package: list[str | Path] = [helm, "package", chart, "--destination", files]
        run_program([*package, "--version", version], files, os.environ)
        run_program([helm, "repo", "index", files, "--url", self.url], files, os.environ)

    def start(self) -> None:
        self.files.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "http.server", str(self.port), "--bind", self.address]
        self.launch([*command, "--directory", self.files])

    def answers(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex((self.address, self.port)) == 0


@pytest.fixture(scope="module")
def programs() -> Programs:
    """The bed's, looked up before `store` gives another home, below which they are not."""
    require(PROGRAMS)
    found = find()
    assert found is not None
    return found


@pytest.fixture
def charts(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChartRepository]:
    monkeypatch.setenv("HELM", str(programs.path("helm")))
    for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "helm"))
    repository = ChartRepository(tmp_path / "charts", programs=programs)
    repository.folder.mkdir()
    repository.start()
    yield repository
    repository.stop()


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


def find_chart(world: World, charts: ChartRepository) -> list[dict[str, object]]:
    """What helm makes of the chart that `make deploy` would install."""
    settings = load_settings(world.installation.settings, are_pushed=False)
    tools = Tools(helm=str(charts.programs.path("helm")))
    deployment = Deployment(settings, tools, world.root, lambda line: None)
    return tools.render("volcano", deployment.find_chart("volcano"), "volcano-system")


def read_chart(world: World) -> str:
    charts = yaml.safe_load(world.installation.settings.read_text()).get("charts") or {}
    return str(charts.get("volcano", ""))


def test_a_chart_is_copied_and_deployed_by_digest(world: World, charts: ChartRepository) -> None:
    charts.publish("1.15.1")
    world.list_chart(charts.url, "1.15.1")
    world.mirror()
    written = world.installation.settings.read_text()
    goal = f"lab/{CHARTS}/volcano"
    copy = world.own.find(goal, "1.15.1")
    assert copy is not None
    assert read_chart(world) == f"1.15.1@{copy.digest}"
    # The repository is not needed any more: for what is there, or to install it.
    charts.stop()
    world.mirror()
    assert world.installation.settings.read_text() == written
    assert "Deployment" in {each["kind"] for each in find_chart(world, charts)}
    charts.start()
    # Not by its tag, which somebody may move.
    manifests = world.own.kept / "docker/registry/v2/repositories" / goal / "_manifests"
    shutil.rmtree(manifests / "tags")
    assert "Deployment" in {each["kind"] for each in find_chart(world, charts)}
    # Where a run was ended before the end, or the registry is another, the same comes again.
    shutil.rmtree(manifests)
    world.mirror()
    assert world.installation.settings.read_text() == written
    assert world.own.find(goal, copy.digest) is not None
    # What lies under the digest was spoilt.
    name = copy.parts["layers"][0]["digest"].removeprefix("sha256:")
    (kept,) = world.own.kept.glob(f"docker/registry/v2/blobs/sha256/??/{name}/data")
    kept.write_bytes(b"something else")
    with pytest.raises(ToolFailed):
        find_chart(world, charts)


def test_a_chart_that_was_changed_is_refused(world: World, charts: ChartRepository) -> None:
    charts.publish("1.15.1")
    world.list_chart(charts.url, "1.15.1")
    world.mirror()
    written = world.installation.settings.read_text()
    charts.publish("1.15.1", "changed")
    goal = world.own.kept / "docker/registry/v2/repositories" / f"lab/{CHARTS}/volcano"
    shutil.rmtree(goal)
    with pytest.raises(StepFailed, match=r"say sha256:[0-9a-f]{64}: somebody changed it"):
        world.mirror()
    assert not (goal / "_manifests").exists()
    # The other way round: in one's own registry is another one than the settings say.
    world.installation.settings.write_text(written.replace(read_chart(world), ""))
    world.mirror()
    world.installation.settings.write_text(written)
    with pytest.raises(StepFailed, match=r"one of them is wrong; without the line of charts\.vol"):
        world.mirror()
    assert world.installation.settings.read_text() == written


def test_a_chart_that_cannot_be_had_is_said(
    world: World, charts: ChartRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    charts.publish("1.15.1")
    world.list_chart(charts.url, "1.15.2")
    with pytest.raises(StepFailed, match=r'version "1\.15\.2" not found'):
        world.mirror()
    # A range would take what is newest.
    world.list_chart(charts.url, "1.x")
    with pytest.raises(StepFailed, match=r"has no volcano 1\.x, only one like it"):
        world.mirror()
    charts.stop()
    world.list_chart(charts.url, "1.15.1")
    with pytest.raises(StepFailed, match="connection refused"):
        world.mirror()
    charts.start()
    monkeypatch.setenv("HELM", "/no/helm")
    with pytest.raises(StepFailed, match="there is no program /no/helm: install it"):
        world.mirror()
    assert read_chart(world) == ""
    # An administrator's own stays, and needs neither.
    settings = world.installation.settings
    text = settings.read_text()
    assert "\ncharts: {}\n" in text
    settings.write_text(text.replace("\ncharts: {}\n", "\ncharts: {volcano: /srv/volcano}\n"))
    world.mirror()
    assert read_chart(world) == "/srv/volcano"


def test_the_list_is_read() -> None:
    assert SLUG in {each.slug for each in load_list(ROOT)}
