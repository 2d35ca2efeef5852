"""The bed's programs: found ready, or built once and kept in the cache.

`prepare` is called when a bed starts; `python -m tests.bed.programs` does the same by itself and
prints what there is. `pins` says what is wanted, `ready` finds what is installed, `workshop` makes
the rest. Imported by `tests/bed` and tests of real nodes.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from images._tool.tools import Places, find_places
from tests.bed import pins
from tests.bed.go_tool import ProgramsFailed, Say, find_go
from tests.bed.workshop import Workshop, copy_module

__all__ = ["Programs", "ProgramsFailed", "find", "prepare"]


@dataclass(frozen=True)
class Programs:
    """All that was prepared, in one folder.

    Attributes:
        folder: holds `bin`, `crds` and `data`.
    """

    folder: Path

    def path(self, name: str) -> Path:
        """Return where a program is.

        Raises:
            ProgramsFailed: there is none of that name.
        """
        found = self.folder / "bin" / name
        if not found.exists():
            raise ProgramsFailed(f"there is no program {name} in {found.parent}")
        return found

    @property
    def crds(self) -> Path:
        """YAML of all custom resources: volcano, jobflow, karpenter, karpenter-kwok, kwok."""
        return self.folder / "crds"

    @property
    def data(self) -> Path:
        """Charts (`volcano`, `karpenter-aws` with its custom resources), eksctl's schema, prices.

        The table of AWS' prices is Karpenter's, as Go source.
        """
        return self.folder / "data"


def prepare(say: Say, *, nodes: bool) -> Programs:
    """Find or build all programs; quick when they are there.

    On Linux the programs of real nodes are always among them: they share most of their compilation
    with the API server, and would cost it again later.

    Args:
        say: told what happens, a line at a time.
        nodes: whether real nodes are wanted, which needs Linux.

    Raises:
        ProgramsFailed: one cannot be had; the text says how to mend it.
    """
    if nodes and platform.system() != "Linux":
        raise ProgramsFailed("real nodes need Linux")
    return Programs(Workshop(find_places(os.environ), say).prepare())


def find(families: Sequence[pins.Family] = pins.FAMILIES) -> Programs | None:
    """Find the programs if all of these families are there; nothing is built."""
    workshop = Workshop(find_places(os.environ), lambda line: None, families)
    return Programs(workshop.folder) if workshop.is_complete() else None


def tidy(places: Places, say: Say) -> None:
    """Let Go complete every go.mod and go.sum after a pin was changed by hand."""
    go = find_go(places, pins.get_least_go(), say)
    for family in (pins.APIS, pins.CHECK_CLUSTER, *pins.FAMILIES):
        say(f"  {family.name} ...")
        with tempfile.TemporaryDirectory() as folder:
            module = copy_module(family, go, Path(folder) / "module")
            if pins.read_go_mod(family).tools:
                go.run(["mod", "tidy"], module, lambda lines: f"{lines} modules fetched")
            else:
                # Nothing of ours imports it: tidy would drop it.
                go.fetch(module, family.main)
            for file in module.glob("go.*"):
                shutil.copyfile(file, family.folder / file.name)


def main(arguments: Sequence[str]) -> int:
    """Prepare all and list it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bed.programs")
    parser.add_argument("--tidy", action="store_true", help="complete the go.mods after a change")
    options = parser.parse_args(arguments)
    try:
        if options.tidy:
            tidy(find_places(os.environ), _say)
            return 0
        programs = prepare(_say, nodes=False)
    except ProgramsFailed as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    for family in pins.FAMILIES:
        for name in pins.list_programs(family):
            version = pins.get_version(family) or "own"
            sys.stdout.write(f"{name:24} {version:8} {programs.path(name).resolve()}\n")
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
