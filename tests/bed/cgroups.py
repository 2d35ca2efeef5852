"""A cgroup folder for each real node, beside the machine's own, found and removed by its name.

The kubelet puts its pods under the folder (`cgroupRoot`), so that several nodes share a kernel, and
what a crash leaves behind is told from anything else by the name alone. With version 1 each
controller has a tree of its own; with version 2 there is one tree, whose root must hand its
controllers down. Used by `nodes.py` and `node_start.py`.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (6.1)
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
#: What the kubelet asks for in a tree of version 2.
CONTROLLERS = ("cpu", "cpuset", "memory", "hugetlb", "pids")
#: Without values here a new folder of version 1 can hold no process.
CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")
#: Seconds until the kernel has let go of processes that were killed.
PATIENCE = 10.0


class NoCgroups(Exception):
    """This machine gives us no folder with the controllers that the kubelet needs."""


def make(name: str, root: Path = ROOT) -> None:
    """Make the folder of that name in each tree; it may be there already.

    Raises:
        NoCgroups: when a controller cannot be had.
    """
    try:
        if _is_unified(root):
            _make_unified(name, root)
        else:
            _make_each(name, root)
    except OSError as error:
        raise NoCgroups(f"no cgroup folder can be made: {error}") from error


def remove(prefix: str, root: Path = ROOT) -> None:
    """Remove all folders whose names begin so, with all that is under them.

    Raises:
        OSError: when a process is still in one of them after `PATIENCE` seconds.
    """
    for top in _list_trees(root):
        for folder in top.glob(f"{prefix}*"):
            _remove_tree(folder)


def find(prefix: str, root: Path = ROOT) -> list[Path]:
    """The folders whose names begin so, in all trees."""
    return sorted(folder for top in _list_trees(root) for folder in top.glob(f"{prefix}*"))


def why_not(root: Path = ROOT) -> str | None:
    """Why nodes can have no cgroups here; None when they can."""
    if _is_unified(root):
        missing = {"cpu", "memory", "pids"} - _read_words(root / "cgroup.controllers")
    else:
        missing = {"cpu", "memory", "pids"} - {top.name for top in _list_trees(root)}
    if missing:
        return f"there is no cgroup controller for {', '.join(sorted(missing))}"
    probe = f"nbhpc-probe-{os.getpid()}"
    try:
        make(probe, root)
    except NoCgroups as error:
        return str(error)
    finally:
        with suppress(OSError):
            remove(probe, root)
    return None


def _is_unified(root: Path) -> bool:
    return (root / "cgroup.controllers").exists()


def _list_trees(root: Path) -> list[Path]:
    if _is_unified(root):
        return [root]
    # Links, such as `cpuacct` to `cpu,cpuacct`, would name one tree twice.
    return sorted(top for top in root.glob("*/") if not top.is_symlink())


def _make_each(name: str, root: Path) -> None:
    for top in _list_trees(root):
        folder = top / name
        folder.mkdir(exist_ok=True)
        for file in CPUSET_FILES:
            if (top / file).exists():
                (folder / file).write_text((top / file).read_text(encoding="ascii"))


def _make_unified(name: str, root: Path) -> None:
    wanted = _read_words(root / "cgroup.controllers") & set(CONTROLLERS)
    for controller in sorted(wanted - _read_words(root / "cgroup.subtree_control")):
        (root / "cgroup.subtree_control").write_text(f"+{controller}")
    (root / name).mkdir(exist_ok=True)


def _remove_tree(folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    for each in _list_deepest_first(folder):
        while True:
            try:
                each.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)


def _list_deepest_first(folder: Path) -> Iterator[Path]:
    # Files of a cgroup folder are the kernel's and go with it.
    for each in sorted(folder.iterdir()):
        if each.is_dir() and not each.is_symlink():
            yield from _list_deepest_first(each)
    yield folder


def _read_words(file: Path) -> set[str]:
    return set(file.read_text(encoding="ascii").split())
