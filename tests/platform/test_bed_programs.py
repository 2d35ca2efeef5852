"""The bed's programs are built once, by one run at a time, and on from an interruption."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bed import pins
from tests.platform.checkout import ROOT

# A Go that builds in no time: what it was told stands in `calls`. Where there is a file `block` it
# stops half-way through Karpenter's program.
GO = """\
#!/bin/sh
echo "$1 GOFLAGS=$GOFLAGS GOOS=$GOOS $*" >> "$BED_TEST/calls"
case $1 in
env) echo "${VERSION:-go1.99.1}" ;;
mod) printf '{"Dir": "%s"}' "$BED_TEST/sources" ;;
list) echo one; echo two ;;
build)
    while [ "$1" != -o ]; do shift; done
    target=$2
    shift 2
    for package in "$@"; do
        case $package in *karpenter*)
            if [ -e "$BED_TEST/fail" ]; then echo "no such type" >&2; exit 1; fi
            if [ -e "$BED_TEST/block" ]; then
                printf half > "$target/kwok"
                chmod +x "$target/kwok"
                : > "$BED_TEST/blocked"
                while [ -e "$BED_TEST/block" ]; do sleep 0.05; done
            fi ;;
        esac
        package=${package%/v[0-9]}
        printf whole > "$target/${package##*/}"
        chmod +x "$target/${package##*/}"
    done ;;
esac
"""
# Families whose programs are never taken from the machine.
RUN = """
import os, sys
from images._tool.tools import find_places
from tests.bed import go_tool, pins, workshop
families = [each for each in pins.FAMILIES if each.name in ("own", "karpenter")]
places = find_places(os.environ)
work = workshop.Workshop(places, lambda line: print(line, flush=True), families[::-1])
try:
    print("FOLDER", work.prepare())
except go_tool.ProgramsFailed as error:
    sys.exit(str(error))
"""
DEADLINE_SECONDS = 90


class Place:
    """A cache of its own, and a Go that only pretends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        tools = folder / "bin"
        tools.mkdir()
        (tools / "go").write_text(GO)
        (tools / "go").chmod(0o755)
        for family in pins.FAMILIES:
            for source in family.copies.values():
                if not Path(source).suffix:
                    (folder / "sources" / source).mkdir(parents=True, exist_ok=True)
                    crd = folder / "sources" / source / "crd.yaml"
                    crd.write_text("kind: CustomResourceDefinition\n")
                    crd.chmod(0o444)
        self.environ = {
            "PATH": f"{tools}{os.pathsep}{os.defpath}",
            "NOTEBOOK_HPC_CACHE": str(self.cache),
            "BED_TEST": str(folder),
            "PYTHONPATH": str(ROOT),
        }

    def start(self, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", RUN],
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **environ: str) -> tuple[int, str]:
        with self.start(**environ) as process:
            said, _ = process.communicate(timeout=DEADLINE_SECONDS)
        return process.returncode, said

    def take_builds(self) -> list[str]:
        """What Go was told to build since this was asked last: the packages of each call."""
        calls = self.folder / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [line.rpartition("/ ")[2] for line in lines if line.startswith("build ")]

    def list_programs(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.cache.glob("bed/families/*/bin/*")}

    @contextmanager
    def blocked(self) -> Iterator[subprocess.Popen[str]]:
        """A run that stands still within Karpenter's build."""
        (self.folder / "block").touch()
        with self.start() as process:
            try:
                wait_for(self.folder / "blocked")
                yield process
            finally:
                (self.folder / "block").unlink()
                (self.folder / "blocked").unlink()
                process.kill()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


KARPENTER = "sigs.k8s.io/karpenter/kwok"


def test_all_is_built_once(place: Place) -> None:
    code, said = place.run()

    assert code == 0, said
    folder = Path(said.split()[-1])
    assert (folder / "bin" / "karpenter").read_text() == "whole"
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*.yaml")} == {
        "crds/karpenter/crd.yaml",
        "crds/karpenter-kwok/crd.yaml",
    }
    assert len(place.take_builds()) == 2

    assert place.run()[0] == 0
    assert place.take_builds() == []


def test_a_go_that_is_told_to_build_gets_the_pins_and_no_other_settings(place: Place) -> None:
    place.run(GOFLAGS="-mod=vendor", GOOS="plan9")

    (call,) = (
        line
        for line in (place.folder / "calls").read_text().splitlines()
        if line.startswith("build ") and KARPENTER in line
    )
    assert call.startswith("build GOFLAGS=-modcacherw GOOS= build ")
    assert "-trimpath" in call
    assert "component-base/version.gitVersion=v1.35." in call
    assert f"-p {len(os.sched_getaffinity(0))} " in call


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_build_goes_on_with_the_family_it_was_at(
    place: Place, end: signal.Signals
) -> None:
    own = set(pins.list_programs(pins.FAMILIES[-1]))
    with place.blocked() as process:
        process.send_signal(end)
        process.wait(DEADLINE_SECONDS)
        assert set(place.list_programs()) == own
        assert not list(place.cache.glob("bed/*/bin/karpenter"))
    place.take_builds()

    code, said = place.run()

    assert code == 0, said
    assert place.take_builds() == [KARPENTER]
    assert set(place.list_programs().values()) == {"whole"}
    assert not list(place.cache.glob("bed/**/.new-*"))


def test_two_runs_do_not_build_twice(place: Place) -> None:
    with place.blocked() as first:
        with place.start() as second:
            assert second.stdout is not None
            assert second.stdout.readline().startswith("Another run prepares")
            (place.folder / "block").rename(place.folder / "released")
            assert first.wait(DEADLINE_SECONDS) == 0
            assert second.wait(DEADLINE_SECONDS) == 0
        (place.folder / "block").touch()

    assert len(place.take_builds()) == 2


def test_a_program_that_does_not_compile_is_told_with_what_go_said(place: Place) -> None:
    (place.folder / "fail").touch()

    code, said = place.run()

    assert code == 1
    assert "go build ended with 1:\nno such type" in said
    assert "karpenter" not in place.list_programs()


def test_a_program_that_was_taken_away_is_built_again(place: Place) -> None:
    place.run()
    place.take_builds()
    (program,) = place.cache.glob("bed/families/karpenter-*/bin/karpenter")
    program.unlink()

    assert place.run()[0] == 0
    assert place.take_builds() == [KARPENTER]


def test_without_go_and_registry_it_says_how_to_mend_it(place: Place) -> None:
    registry = {"UV_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    code, said = place.run(VERSION="go1.20.3", UV_HTTP_RETRIES="0", PIP_RETRIES="0", **registry)

    assert code == 1
    assert "bin/go is older than 1.26" in said
    assert "put it on the PATH, or make the registry reachable" in said


def test_a_ready_program_is_taken_where_it_fits(place: Place) -> None:
    assets = place.folder / "assets"
    assets.mkdir()
    minor = ".".join(pins.get_version(pins.FAMILIES[0]).split(".")[:2])
    code = textwrap.dedent(
        """
        import os
        from images._tool.tools import find_places
        from tests.bed import pins, workshop
        families = [each for each in pins.FAMILIES if each.name == "etcd"]
        found = workshop.Workshop(find_places(os.environ), print, families).prepare()
        print((found / "bin" / "etcd").resolve())
        """
    )

    def run(version: str) -> str:
        etcd = assets / "etcd"
        etcd.write_text(f"#!/bin/sh\necho etcd Version: {version}\n")
        etcd.chmod(etcd.stat().st_mode | stat.S_IXUSR)
        environ = place.environ | {"KUBEBUILDER_ASSETS": str(assets)}
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    assert run(f"{minor}.99") == str(assets / "etcd")
    assert place.take_builds() == []
    # Somebody installed another version in its place.
    assert "families/etcd-" in run("2.0.0")
    assert place.take_builds() == ["go.etcd.io/etcd/server/v3"]
