"""Programs that the steps run, fetched: from a server of our own, with archives of our own.

Their makers' real files were never fetched here.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from cluster.aws import programs
from cluster.aws.programs import SOURCES, ProgramRefused, Source, add_to_path, get_programs
from cluster.driver.versions import order_version, read_versions

VERSIONS = {"EKSCTL_VERSION": "0.230.0", "KUBECTL_RELEASE": "1.35.4", "HELM_RELEASE": "3.22.0"}
SCRIPT = b"#!/bin/sh\necho it is %s\n"


class Files(SimpleHTTPRequestHandler):
    """Those of a folder, silently; each that is asked for is noted."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def pack(member: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, text in (("README.md", b"read me"), (member, content)):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return stream.getvalue()


class Makers:
    """Publish all three programs on a server of this machine, as theirs do."""

    def __init__(self, folder: Path, base: str, asked: list[str]) -> None:
        self.folder, self.asked = folder, asked
        self.sources = {
            name: Source(
                source.pin,
                *(
                    each.replace("https://", f"{base}/")
                    for each in (source.address, source.sums, source.member)
                ),
            )
            for name, source in SOURCES.items()
        }
        words = {"System": "Linux", "system": "linux", "architecture": "amd64"}
        for name, source in self.sources.items():
            known = {**words, "version": VERSIONS[SOURCES[name].pin]}
            content = SCRIPT % name.encode()
            if source.member:
                content = pack(source.member.format_map(known), content)
            self.put(name, content)
            file = self.find(name)
            sums = folder / source.sums.format_map(known).removeprefix(f"{base}/")
            found = hashlib.sha256(content).hexdigest()
            others = f"{'0' * 64}  other.tar.gz\n"
            sums.write_text(found if name == "kubectl" else f"{others}{found}  {file.name}\n")

    def find(self, name: str) -> Path:
        known = {"System": "Linux", "system": "linux", "architecture": "amd64"}
        known["version"] = VERSIONS[SOURCES[name].pin]
        address = self.sources[name].address.format_map(known)
        return self.folder / address.split("/", 3)[3]

    def put(self, name: str, content: bytes) -> None:
        self.find(name).parent.mkdir(parents=True, exist_ok=True)
        self.find(name).write_bytes(content)


@pytest.fixture
def makers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Makers]:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    folder, asked = tmp_path / "published", list[str]()
    handler = type("Noting", (Files,), {"asked": asked})
    with HTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Makers(folder, f"http://127.0.0.1:{server.server_port}", asked)
        server.shutdown()
        thread.join()


@pytest.fixture
def get(makers: Makers, tmp_path: Path) -> Callable[..., list[str]]:
    def run(**pins: str) -> list[str]:
        said: list[str] = []
        get_programs(tmp_path / "tools", said.append, makers.sources, {**VERSIONS, **pins})
        return said

    return run


def list_tools(tmp_path: Path) -> list[str]:
    return sorted(each.name for each in (tmp_path / "tools").iterdir())


def test_programs_are_fetched_once_and_run(
    get: Callable[..., list[str]], makers: Makers, tmp_path: Path
) -> None:
    assert get()[0] == "eksctl 0.230.0: fetched, SHA-256 is right"
    asked = len(makers.asked)
    assert asked == 6

    assert get()[0] == "eksctl 0.230.0: there already"

    assert len(makers.asked) == asked
    for name in SOURCES:
        program = tmp_path / "tools" / name
        said = subprocess.run([program], capture_output=True, text=True, check=True).stdout
        assert said == f"it is {program.name}\n"
    # A newer one takes its place, by then.
    makers.sources.pop("eksctl")
    makers.sources.pop("helm")
    shutil.copytree(
        makers.find("kubectl").parents[3], makers.find("kubectl").parents[3].with_name("v1.35.5")
    )
    assert get(KUBECTL_RELEASE="1.35.5") == ["kubectl 1.35.5: fetched, SHA-256 is right"]
    assert os.readlink(tmp_path / "tools" / "kubectl") == ".kubectl-1.35.5"


@pytest.mark.parametrize("name", SOURCES)
def test_another_file_is_refused_and_a_second_run_goes_on(
    get: Callable[..., list[str]], makers: Makers, tmp_path: Path, name: str
) -> None:
    right = makers.find(name).read_bytes()
    makers.put(name, right[:-1])

    with pytest.raises(ProgramRefused, match=r"has SHA-256 [0-9a-f]{64}, and http://\S+ says"):
        get()

    before = sorted(SOURCES)[: sorted(SOURCES).index(name)]
    assert [each for each in list_tools(tmp_path) if not each.startswith(".")] == [
        each for each in SOURCES if each in list(SOURCES)[: list(SOURCES).index(name)]
    ]
    assert len(list_tools(tmp_path)) == 2 * list(SOURCES).index(name), before
    makers.put(name, right)
    said = get()
    assert [each.endswith("right") for each in said] == [
        list(SOURCES).index(each) >= list(SOURCES).index(name) for each in SOURCES
    ]


def test_a_pinned_sum_outweighs_what_is_published(
    get: Callable[..., list[str]], makers: Makers, tmp_path: Path
) -> None:
    """As where both the file and the sum beside it were changed."""
    with pytest.raises(ProgramRefused, match=r"and helm-values/versions\.env says 1111"):
        get(KUBECTL_SHA256_LINUX_AMD64="1" * 64)

    assert "kubectl" not in list_tools(tmp_path)
    right = hashlib.sha256(makers.find("kubectl").read_bytes()).hexdigest()
    get(KUBECTL_SHA256_LINUX_AMD64=right)
    assert "kubectl" in list_tools(tmp_path)
    assert not [each for each in makers.asked if each.endswith("kubectl.sha256")]


def test_what_is_not_there_is_told(get: Callable[..., list[str]], makers: Makers) -> None:
    makers.find("helm").unlink()
    with pytest.raises(ProgramRefused, match=r"helm-v3\.22\.0\S+ cannot be fetched from here"):
        get()

    makers.put("helm", b"")
    makers.find("helm").with_name(f"{makers.find('helm').name}.sha256sum").write_text("")
    with pytest.raises(ProgramRefused, match=r"has no SHA-256 of helm-v3\.22\.0-linux-amd64"):
        get()


@pytest.mark.parametrize("content", [pack("linux-amd64/other", b""), b"no archive"])
def test_an_archive_without_the_program_is_refused(
    get: Callable[..., list[str]], makers: Makers, tmp_path: Path, content: bytes
) -> None:
    makers.put("helm", content)
    with pytest.raises(ProgramRefused, match="has no program linux-amd64/helm"):
        get(HELM_SHA256_LINUX_AMD64=hashlib.sha256(content).hexdigest())

    assert not [each for each in list_tools(tmp_path) if "helm" in each]


def test_another_machine_is_told(
    get: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ProgramRefused, match="Programs for Linux on riscv64 are not known here"):
        get()


def test_ones_own_programs_come_first(tmp_path: Path) -> None:
    for folder, name in (("own", "helm"), ("tools", "helm"), ("tools", "kubectl")):
        program = tmp_path / folder / name
        program.parent.mkdir(exist_ok=True)
        program.touch(mode=0o755)
    environ = {"PATH": str(tmp_path / "own")}

    for _ in range(2):
        add_to_path(environ, tmp_path / "tools")

    found = {each: shutil.which(each, path=environ["PATH"]) for each in ("helm", "kubectl")}
    assert found == {
        "helm": str(tmp_path / "own" / "helm"),
        "kubectl": str(tmp_path / "tools" / "kubectl"),
    }
    assert len(environ["PATH"].split(os.pathsep)) == 2


def test_pins_are_those_that_the_steps_take() -> None:
    versions = read_versions()

    assert versions["KUBECTL_RELEASE"].startswith(f"{versions['KUBERNETES_VERSION']}.")
    assert (3, 17) <= order_version(versions["HELM_RELEASE"]) < (4,)
    assert {each.pin for each in SOURCES.values()} <= versions.keys()
    assert programs.FOLDER.parent.name == "build"
