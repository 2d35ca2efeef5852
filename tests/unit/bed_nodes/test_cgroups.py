"""Cgroup folders of nodes: trees of both versions as plain folders, and the kernel's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.bed import cgroups, nodes


def make_separate_trees(root: Path) -> None:
    for name in ("cpu", "cpuset", "memory", "pids"):
        (root / name).mkdir()
    (root / "cpuset" / "cpuset.cpus").write_text("0-3\n", encoding="ascii")
    (root / "cpuset" / "cpuset.mems").write_text("0\n", encoding="ascii")


def make_one_tree(root: Path, enabled: str) -> None:
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n", encoding="ascii")
    (root / "cgroup.subtree_control").write_text(f"{enabled}\n", encoding="ascii")


def test_version_1_gets_a_folder_in_each_tree_and_processors_to_run_on(tmp_path: Path) -> None:
    make_separate_trees(tmp_path)

    cgroups.make("nbhpc-a.one", tmp_path)

    names = {
        folder.relative_to(tmp_path).as_posix() for folder in cgroups.find("nbhpc-a", tmp_path)
    }
    assert names == {f"{each}/nbhpc-a.one" for each in ("cpu", "cpuset", "memory", "pids")}
    assert (tmp_path / "cpuset/nbhpc-a.one/cpuset.cpus").read_text(encoding="ascii") == "0-3\n"
    assert (tmp_path / "cpuset/nbhpc-a.one/cpuset.mems").read_text(encoding="ascii") == "0\n"


def test_version_2_gets_one_folder_and_what_its_parent_did_not_hand_down(tmp_path: Path) -> None:
    make_one_tree(tmp_path, "cpuset cpu pids")

    cgroups.make("nbhpc-a.one", tmp_path)

    assert cgroups.find("nbhpc-a", tmp_path) == [tmp_path / "nbhpc-a.one"]
    assert (tmp_path / "cgroup.subtree_control").read_text(encoding="ascii") == "+memory"


def test_version_2_is_told_nothing_that_it_does_already(tmp_path: Path) -> None:
    make_one_tree(tmp_path, "cpuset cpu io memory pids")

    cgroups.make("nbhpc-a.one", tmp_path)

    written = (tmp_path / "cgroup.subtree_control").read_text(encoding="ascii")
    assert written == "cpuset cpu io memory pids\n"


def test_folders_go_with_all_below_and_others_stay(tmp_path: Path) -> None:
    make_separate_trees(tmp_path)
    # The kernel's files go by themselves, plain ones would not.
    for name in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / name).unlink()
    for name in ("nbhpc-a.one", "nbhpc-a.two", "nbhpc-a-b.one", "docker"):
        cgroups.make(name, tmp_path)
        (tmp_path / "memory" / name / "kubepods" / "pod1").mkdir(parents=True)

    cgroups.remove("nbhpc-a.", tmp_path)

    left = {folder.name for folder in (tmp_path / "memory").iterdir()}
    assert left == {"nbhpc-a-b.one", "docker"}


def test_a_folder_that_is_in_use_is_waited_for_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_separate_trees(tmp_path)
    (tmp_path / "cpu" / "nbhpc-a.one").mkdir()
    (tmp_path / "cpu" / "nbhpc-a.one" / "process").touch()
    monkeypatch.setattr(cgroups, "PATIENCE", 0.1)

    with pytest.raises(OSError, match="not empty"):
        cgroups.remove("nbhpc-a.", tmp_path)


def test_a_machine_without_a_controller_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()

    assert cgroups.why_not(tmp_path) == "there is no cgroup controller for memory, pids"


def test_a_tree_that_refuses_is_told(tmp_path: Path) -> None:
    make_one_tree(tmp_path, "")
    (tmp_path / "cgroup.subtree_control").unlink()
    (tmp_path / "cgroup.subtree_control").mkdir()

    assert "no cgroup folder can be made" in (cgroups.why_not(tmp_path) or "")


def test_the_kernels_folders_of_a_process_that_was_killed_go() -> None:
    if reason := nodes.why_not():
        pytest.skip(f"needs real nodes: {reason}")
    name = f"nbhpc-t{os.getpid()}.one"
    cgroups.make(name)
    (folder, *_) = (each for each in cgroups.find(name) if each.parent.name in ("pids", "cgroup"))
    below = folder / "kubepods"
    below.mkdir()
    with subprocess.Popen(["sleep", "60"]) as process:
        (below / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
        process.kill()

        cgroups.remove(name)

    assert cgroups.find(name) == []
