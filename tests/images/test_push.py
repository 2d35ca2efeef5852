"""`make push`: into a real registry, and digests into an administrator's files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_config.platform.errors import CatalogueError
from images._tool.engines import Engine
from images._tool.lacking import find_lacking
from images._tool.offer import KeptFile
from images._tool.push import (
    choose_compression,
    explain_failure,
    note_compression,
    raise_tag,
)
from images._tool.registry import Manifest
from images._tool.steps import StepFailed
from tests.image_registry import ImageRegistry, Trials, running_registry
from tests.images.pushing import build, write_installation
from tests.platform.checkout import ROOT
from tests.site import wait_until
from tests.skips import require

OCI = "application/vnd.oci.image.manifest.v1+json"
OURS = ("folders", "notebook", "stomics", "r", "hub", "jobs-service")

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    require("a registry of images")
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


def test_what_is_pushed_is_written_where_it_is_read(
    registry: ImageRegistry, trials: Trials, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(trials, tmp_path / "files", b"one", *OURS)
    installation = write_installation(tmp_path, f"{registry.host}/whole")
    before = installation.catalogue.read_text(), installation.settings.read_text()
    installation.catalogue.chmod(0o640)
    assert sorted(find_lacking(ROOT, installation.settings)) == sorted(OURS)
    with caplog.at_level("INFO"):
        installation.push()
    assert "Not from here, so not pushed: theirs" in caplog.text
    found = installation.read()
    for image in OURS:
        tag, digest = found[image]
        manifest = registry.find(f"whole/notebook-hpc/{image}", tag)
        assert manifest is not None
        assert (tag, digest) == ("0.1.0", manifest.digest), image
        assert (manifest.kind, set(manifest.compressions)) == (OCI, {"zstd"})
    assert found["theirs"] == ("0.1.0", "")
    # Comments, order and all else are the administrator's.
    after = installation.catalogue.read_text(), installation.settings.read_text()
    for old, new in zip(before, after, strict=True):
        assert re.sub(r'"(0\.1\.0@)?sha256:[0-9a-f]{64}"', '""', new) == old
    assert installation.catalogue.stat().st_mode & 0o777 == 0o640
    # Once more: nothing is pushed, nothing is written.
    written = installation.catalogue.stat().st_mtime_ns
    caplog.clear()
    with caplog.at_level("INFO"):
        installation.push("notebook")
    assert "was there" in caplog.text
    assert "Copying" not in caplog.text
    assert installation.catalogue.stat().st_mtime_ns == written
    # What is written down is there; of what is not, it is said.
    assert find_lacking(ROOT, installation.settings) == []
    digest = installation.read()["notebook"][1]
    for file in (installation.catalogue, installation.settings):
        file.write_text(file.read_text().replace(digest, f"sha256:{'0' * 64}"))
    assert find_lacking(ROOT, installation.settings) == ["notebook"]


def test_layers_are_compressed_as_is_wanted_and_that_makes_no_other_image(
    registry: ImageRegistry, trials: Trials, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(trials, tmp_path / "files", b"in gzip", "notebook")
    installation = write_installation(tmp_path, f"{registry.host}/either")
    with caplog.at_level("INFO"):
        installation.push("notebook", compression="gzip")
    manifest = registry.find("either/notebook-hpc/notebook", "0.1.0")
    assert manifest is not None
    assert (manifest.kind, set(manifest.compressions)) == (OCI, {"gzip"})
    assert "had" not in caplog.text
    # The same tag is the same image; how it is compressed stays, and that is told.
    with caplog.at_level("INFO"):
        installation.push("notebook", compression="zstd")
    assert "was there" in caplog.text
    assert "1 layer in gzip: the registry had them so" in caplog.text
    assert installation.read()["notebook"] == ("0.1.0", manifest.digest)
    assert "-oci" not in trials.run("images")


def test_layers_that_are_otherwise_compressed_are_counted() -> None:
    start = "application/vnd.oci.image.layer.v1.tar"
    kinds = [start, f"{start}+gzip", f"{start}+zstd", "x.docker.image.rootfs.diff.tar.gzip"]
    content = json.dumps({"layers": [{"mediaType": kind} for kind in kinds]})
    manifest = Manifest(OCI, content.encode())
    assert note_compression(manifest, "zstd") == "3 layers in gzip, tar: the registry had them so"
    assert note_compression(Manifest(OCI, b"{}"), "zstd") == ""


def test_what_was_pushed_in_the_older_form_is_the_same_image(
    registry: ImageRegistry, trials: Trials, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(trials, tmp_path / "files", b"older", "notebook")
    installation = write_installation(tmp_path, f"{registry.host}/older")
    target = f"{registry.host}/older/notebook-hpc/notebook:0.1.0"
    form = ("push", "--quiet", "--tls-verify=false", "--format=v2s2")
    trials.run(*form, "localhost/notebook-hpc/notebook:0.1.0", f"docker://{target}")
    with caplog.at_level("INFO"):
        installation.push("notebook")
    manifest = registry.find("older/notebook-hpc/notebook", "0.1.0")
    assert manifest is not None
    assert manifest.kind == "application/vnd.docker.distribution.manifest.v2+json"
    assert "was there" in caplog.text
    assert installation.read()["notebook"] == ("0.1.0", manifest.digest)


def test_a_builder_compresses_as_it_can_or_says_who_can() -> None:
    docker, buildah = Engine("docker"), Engine("buildah")
    assert [choose_compression(docker, wanted) for wanted in ("", "gzip")] == ["gzip", "gzip"]
    assert [choose_compression(buildah, wanted) for wanted in ("", "gzip")] == ["zstd", "gzip"]
    with pytest.raises(StepFailed, match="docker pushes no layers in zstd: ENGINE=buildah does"):
        choose_compression(docker, "zstd")
    with pytest.raises(StepFailed, match="COMPRESSION=lz4: one of zstd, gzip"):
        choose_compression(buildah, "lz4")


def test_a_tag_that_stands_for_another_image_stays(
    registry: ImageRegistry, trials: Trials, tmp_path: Path
) -> None:
    installation = write_installation(tmp_path, f"{registry.host}/moved")
    build(trials, tmp_path / "files", b"first", "notebook", "hub")
    installation.push("notebook", "hub")
    first, text = installation.read(), installation.catalogue.read_text()
    build(trials, tmp_path / "files", b"second", "notebook", "hub")
    with pytest.raises(StepFailed, match=r"is another image.*IMAGE=notebook TAG=0\.1\.1"):
        installation.push("notebook")
    assert installation.catalogue.read_text() == text
    manifest = registry.find("moved/notebook-hpc/notebook", "0.1.0")
    assert manifest is not None
    assert manifest.digest == first["notebook"][1]
    # Under another tag it is what is offered from then on.
    installation.push("notebook", "hub", tag="0.1.1")
    second = installation.read()
    for image in ("notebook", "hub"):
        assert second[image][0] == "0.1.1"
        assert second[image][1] != first[image][1]
    # That is where the tag is from now on.
    installation.push("hub")
    assert installation.read() == second


def test_a_push_that_was_cut_off_is_taken_up_again(
    registry: ImageRegistry, trials: Trials, tmp_path: Path
) -> None:
    installation = write_installation(tmp_path, f"{registry.host}/cut")
    build(trials, tmp_path / "files", os.urandom(60_000_000), "notebook")
    text = installation.catalogue.read_text()
    words = ["-m", "images._tool.push", "notebook", "--engine", "buildah", "--settings"]
    with subprocess.Popen(
        [sys.executable, *words, installation.settings],
        cwd=ROOT,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(registry.find_uploads, "an upload under way")
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    assert registry.find("cut/notebook-hpc/notebook", "0.1.0") is None
    assert installation.catalogue.read_text() == text
    installation.push("notebook")
    manifest = registry.find("cut/notebook-hpc/notebook", "0.1.0")
    assert manifest is not None
    assert installation.read()["notebook"] == ("0.1.0", manifest.digest)


def test_a_registry_that_is_away_changes_nothing(
    trials: Trials, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    require("a registry of images")
    build(trials, tmp_path / "files", b"away", "notebook")
    with running_registry(tmp_path_factory.mktemp("away")) as registry:
        installation = write_installation(tmp_path, registry.host)
        text = installation.catalogue.read_text()
        registry.stop()
        with pytest.raises(StepFailed) as failed:
            installation.push("notebook")
        assert str(failed.value) == (
            f"the registry {registry.host} cannot be reached: [Errno 111] Connection refused"
        )
        assert installation.catalogue.read_text() == text
        registry.start()
        installation.push("notebook")
    assert installation.read()["notebook"][1]


def test_what_has_not_the_hash_that_it_goes_by_is_not_believed(
    registry: ImageRegistry, trials: Trials, tmp_path: Path
) -> None:
    installation = write_installation(tmp_path, f"{registry.host}/spoilt")
    build(trials, tmp_path / "files", b"spoilt", "notebook")
    installation.push("notebook")
    text = installation.catalogue.read_text()
    digest = installation.read()["notebook"][1]
    name = digest.removeprefix("sha256:")
    (kept,) = registry.kept.glob(f"docker/registry/v2/blobs/sha256/??/{name}/data")
    kept.write_bytes(kept.read_bytes() + b"\n")
    with pytest.raises(StepFailed, match=f"should be {digest}, and what came is sha256:"):
        installation.push("notebook")
    assert installation.catalogue.read_text() == text


def test_what_cannot_be_pushed_is_said_in_a_line(
    registry: ImageRegistry, trials: Trials, tmp_path: Path
) -> None:
    build(trials, tmp_path / "files", b"one", "folders")
    trials.run("rmi", "--all", "--force")
    build(trials, tmp_path / "files", b"one", "folders")
    installation = write_installation(tmp_path, registry.host)

    def refuse(match: str, *images: str, tag: str = "") -> None:
        with pytest.raises((StepFailed, CatalogueError), match=match) as failed:
            installation.push(*images, tag=tag)
        assert len(str(failed.value).splitlines()) == 1

    refuse("has no image notebook, hub: make images IMAGE=notebook", "folders", "notebook", "hub")
    refuse("the catalogue has no image 'notes'; it has folders, notebook", "notes")
    refuse("image theirs has no folder images/theirs", "theirs")
    refuse("'0 1' is no tag", "folders", tag="0 1")
    text = installation.catalogue.read_text()
    wrong = {
        f'registry: "{registry.host}"': ('registry: ""', "registry is empty: write the address"),
        "notebook-hpc/folders": ("Notebook-HPC/folders", "a repository is like team/notebook"),
    }
    for old, (new, match) in wrong.items():
        installation.catalogue.write_text(text.replace(old, new))
        refuse(match, "folders")
    installation.catalogue.unlink()
    refuse("catalogue.yaml cannot be read: No such file", "folders")
    installation.settings.write_text("address: here\n")
    refuse("names no catalogue: write catalogue: PATH", "folders")
    installation.settings.unlink()
    refuse("settings.yaml cannot be read: No such file", "folders")


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path, link = tmp_path / "settings.yaml", tmp_path / "link.yaml"
    path.write_text("digests: {hub: old}\n")
    link.symlink_to(path)
    kept = KeptFile(link)
    assert kept.set(("digests",), {"hub": "new"})
    assert not kept.set(("digests",), {"hub": "new"})
    assert link.is_symlink()
    path.write_text("digests: {hub: theirs}\n")
    with pytest.raises(StepFailed, match=r"was changed meanwhile.*digests, hub: mine"):
        kept.set(("digests",), {"hub": "mine"})
    assert path.read_text() == "digests: {hub: theirs}\n"
    assert sorted(tmp_path.iterdir()) == [link, path]


def test_a_registry_without_room_is_told_in_a_line(
    trials: Trials, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    require("a registry of images")
    build(trials, tmp_path / "files", os.urandom(800_000), "notebook")
    folder = tmp_path_factory.mktemp("full")
    (folder / "kept").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(folder / "kept")]
    subprocess.run(mount, check=True)
    try:
        with running_registry(folder) as registry:
            installation = write_installation(tmp_path, registry.host)
            text = installation.catalogue.read_text()
            with pytest.raises(StepFailed, match=r"could not push.*500.*Run it again") as failed:
                installation.push("notebook")
        assert len(str(failed.value).splitlines()) == 1
        assert installation.catalogue.read_text() == text
    finally:
        subprocess.run(["umount", "--lazy", folder / "kept"], check=True)


def test_a_builder_without_room_is_told_what_to_do() -> None:
    said = "podman could not push R/x:1 (125):\nCopying\nError: write /var: no space left on device"
    assert explain_failure(said) == (
        "podman could not push R/x:1 (125): write /var: no space left on device. Make room on this"
        " machine's disk, then run it again"
    )


def test_the_next_tag_is_named() -> None:
    tags = ("0.1.0", "0.1.9", "2026.11-a", "v1-rc9")
    assert [raise_tag(tag) for tag in tags] == ["0.1.1", "0.1.10", "2026.11-a-2", "v1-rc10"]
