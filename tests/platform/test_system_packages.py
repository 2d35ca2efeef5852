"""The installer of system packages: what is missing, nothing else, and never in silence."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.platform.checkout import ROOT

TOOLS = ("sh", "dirname", "mkdir", "rm", "tail")
# Says what it was asked to install.
WORKING = 'echo "$@" >> "$0.said"'
NODES = ("containerd", "runc", "nft", "ip", "unshare")
PLAIN = {
    "uname": "echo Linux",
    "id": "echo 0",
    "apt-get": WORKING,
    "chromium-headless-shell": "exit 0",
    "Rscript": "exit 0",
}
BUILDERS = {"buildah": "exit 0", "debootstrap": "exit 0", "docker-registry": "exit 0"}


class Machine:
    """A machine where only these programs are on the path, and the plainest others."""

    def __init__(self, folder: Path, programs: Mapping[str, str]) -> None:
        (folder / "tests").mkdir()
        self.tools = folder / "bin"
        self.tools.mkdir()
        self.log = folder / "build" / "system-packages.log"
        self._script = shutil.copy(ROOT / "tests" / "system_packages.sh", folder / "tests")
        for name, does in programs.items():
            (self.tools / name).write_text(f"#!/bin/sh\n{does}\n")
            (self.tools / name).chmod(0o755)
        for name in TOOLS:
            (self.tools / name).symlink_to(str(shutil.which(name)))

    def run(self, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.tools / "sh", self._script],
            env={"PATH": str(self.tools), **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def installed(self) -> set[str]:
        """Every package that was asked for."""
        said = self.tools / "apt-get.said"
        lines = said.read_text().splitlines() if said.exists() else []
        return {
            word
            for line in lines
            if line.startswith("install ")
            for word in line.split()[1:]
            if word[0] != "-"
        }


def test_what_real_nodes_lack_is_installed(tmp_path: Path) -> None:
    there = BUILDERS | {name: "exit 0" for name in NODES if name != "containerd"}
    machine = Machine(tmp_path, PLAIN | there)

    assert machine.run().returncode == 0
    # The plugins may be on the machine that runs this.
    assert machine.installed - {"containernetworking-plugins"} == {"containerd"}
    assert not machine.log.exists()


def test_a_browser_does_not_wait_for_the_packages_of_nodes(tmp_path: Path) -> None:
    refuse = f'case "$*" in *runc*) echo no such package; exit 100 ;; esac; {WORKING}'
    programs = {name: does for name, does in PLAIN.items() if "chromium" not in name}
    machine = Machine(tmp_path, programs | {"apt-get": refuse})

    done = machine.run()

    assert done.returncode == 0
    assert machine.installed == {"chromium-headless-shell", "fonts-dejavu-core", *BUILDERS}
    assert "What real nodes need could not be installed; the node ring will skip" in done.stdout
    assert "no such package" in machine.log.read_text()


def test_an_r_is_installed_with_its_kernel(tmp_path: Path) -> None:
    there = PLAIN | BUILDERS | dict.fromkeys(NODES, "exit 0")
    del there["Rscript"]
    machine = Machine(tmp_path, there)

    assert machine.run().returncode == 0
    assert machine.installed - {"containernetworking-plugins"} == {"r-cran-irkernel"}


def test_in_the_gate_a_failed_installation_is_a_fault(tmp_path: Path) -> None:
    machine = Machine(tmp_path, PLAIN | {"apt-get": "echo no mirror; exit 100"})

    assert machine.run(CI="true").returncode == 1
    assert machine.log.exists()


def test_a_success_removes_what_an_earlier_failure_left(tmp_path: Path) -> None:
    machine = Machine(tmp_path, PLAIN)
    machine.log.parent.mkdir()
    machine.log.write_text("no mirror\n")

    machine.run()

    assert not machine.log.exists()


@pytest.mark.parametrize("lack", ["root", "Debian"])
def test_who_cannot_install_is_told_what_is_missing(tmp_path: Path, lack: str) -> None:
    programs = PLAIN | {"id": "echo 1000"} if lack == "root" else dict(PLAIN)
    if lack == "Debian":
        del programs["apt-get"]
    machine = Machine(tmp_path, programs)

    done = machine.run(CI="true")

    assert done.returncode == 0
    assert "cannot be but by root on Debian (containerd runc " in done.stdout
    assert not machine.installed


def test_real_nodes_are_for_linux_only(tmp_path: Path) -> None:
    machine = Machine(tmp_path, PLAIN | {"uname": "echo Darwin"})

    assert machine.run().stdout == ""
    assert not machine.installed
