"""Makes the bed's programs, one family (see `pins`) after another, and keeps them in the cache.

`bed/families/NAME-HASH` holds what came of one family, finished or not; `bed/HASH` puts families
together. What was interrupted goes on where it ended: finished programs stay, and Go's own cache
has most of the others. Imported by `programs` and by tests.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from images._tool.stamps import hash_inputs
from images._tool.tools import Places, hold
from tests.bed import pins
from tests.bed.go_tool import Go, Say, find_go
from tests.bed.pins import Family
from tests.bed.ready import find_ready, is_ready


@dataclass(frozen=True)
class Workshop:
    """Makes the programs of some families in one cache."""

    places: Places
    say: Say
    families: Sequence[Family] = pins.FAMILIES

    def prepare(self) -> Path:
        """Have all programs, and return the folder with `bin`, `crds` and `data`.

        Raises:
            ProgramsFailed: one cannot be had; the text says how to mend it.
        """
        if self.is_complete():
            return self.folder
        with self._hold():
            if not self.is_complete():
                self._make()
            if Workshop(self.places, self.say).is_complete():
                self._clear()
        return self.folder

    @property
    def folder(self) -> Path:
        """Where these families are together."""
        keys = [pins.compute_key(family) for family in self.families]
        return self.places.cache / "bed" / hash_inputs(*keys)[:16]

    def get_folder(self, family: Family) -> Path:
        """Return where the things of one family are kept."""
        name = f"{family.name}-{pins.compute_key(family)}"
        return self.places.cache / "bed" / "families" / name

    def is_complete(self) -> bool:
        """Tell whether all is in its place; programs that others installed may have changed."""
        for family in self.families:
            for name in pins.list_programs(family):
                link = self.folder / "bin" / name
                if not os.access(link, os.X_OK):
                    return False
                is_ours = link.resolve().is_relative_to(self.places.cache.resolve())
                if not is_ours and not is_ready(link, name, pins.get_version(family)):
                    return False
            if not all((self.folder / place).exists() for place in family.copies):
                return False
        return True

    def _make(self) -> None:
        """Make all families, one after another, and put them together."""
        started = time.monotonic()
        self.say("Preparing the test bed's programs (once; what is done stays done) ...")
        go: Go | None = None
        for family in self.families:
            ready = find_ready(family, os.environ)
            work = self._list_work(family, ready)
            if any(work):
                go = go or find_go(self.places, pins.get_least_go(self.families), self.say)
                self._make_family(family, go, *work)
            self._link(family, ready)
        self.say(f"The programs are there ({time.monotonic() - started:.0f} s).")

    def _list_work(
        self, family: Family, ready: Mapping[str, Path]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """List the programs (name -> package) and copies of a family that are still to be made."""
        folder = self.get_folder(family)
        programs = {
            name: package
            for name, package in pins.list_programs(family).items()
            if name not in ready and not (folder / "bin" / name).exists()
        }
        copies = {
            place: source
            for place, source in family.copies.items()
            if not (folder / place).exists()
        }
        return programs, copies

    def _make_family(
        self, family: Family, go: Go, programs: Mapping[str, str], copies: Mapping[str, str]
    ) -> None:
        """Build and copy what is missing of a family; each thing is whole or not there."""
        started = time.monotonic()
        self.say(f"  {f'{family.name} {pins.get_version(family)}'.strip()} ...")
        folder = self.get_folder(family)
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(".new-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as fresh:
            module = copy_module(family, go, Path(fresh) / "module")
            if copies:
                sources = go.fetch(module, family.main)
                for place, source in copies.items():
                    copy(sources / source, Path(fresh) / place)
                    put(Path(fresh) / place, folder / place)
            if programs:
                target = Path(fresh) / "bin"
                target.mkdir()
                go.build(module, list(programs.values()), pins.build_flags(family), target)
                for name, package in programs.items():
                    put(target / pins.get_binary(package), folder / "bin" / name)
        self.say(f"  {family.name:12} {time.monotonic() - started:5.0f} s")

    def _link(self, family: Family, ready: Mapping[str, Path]) -> None:
        """Put a family's things where all are together."""
        own, whole = self.get_folder(family), self.folder
        (whole / "bin").mkdir(parents=True, exist_ok=True)
        for name in pins.list_programs(family):
            new = whole / "bin" / f".{name}.new"
            new.unlink(missing_ok=True)
            new.symlink_to(ready.get(name, own / "bin" / name))
            new.replace(whole / "bin" / name)
        for place in family.copies:
            # Copied, not linked: searching a tree does not follow links.
            if not (whole / place).exists():
                with tempfile.TemporaryDirectory(dir=whole, prefix=".new-") as fresh:
                    copy(own / place, Path(fresh) / "it")
                    put(Path(fresh) / "it", whole / place)

    def _clear(self) -> None:
        """Remove Go's caches.

        They take several gigabytes and serve nobody any more once all families are there: what they
        led to is kept, and another pin compiles nearly everything of its family anew.
        """
        shutil.rmtree(self.places.cache / "go", ignore_errors=True)

    def _hold(self) -> AbstractContextManager[None]:
        """Let one run at a time build in this cache."""
        sentence = "Another run prepares the test bed's programs; waiting for it."
        return hold(self.places.cache / "bed" / "lock", lambda: self.say(sentence))


def copy_module(family: Family, go: Go, target: Path) -> Path:
    """Copy a family's module to where Go works on it, with the patched module that it needs."""
    for file in family.list_sources():
        copy(file, target / file.relative_to(family.folder))
    if family.patched:
        pinned_by, extra = family.patched
        folder = copy_module(pinned_by, go, target.parent / pinned_by.name)
        replacement = target / pins.read_go_mod(family).replaces[pinned_by.main]
        # Go takes no overlay for files of its module cache: hence a copy.
        copy(go.fetch(folder, pinned_by.main), replacement)
        for place, text in extra.items():
            (replacement / place).write_text(text, encoding="utf-8")
    return target


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, with ordinary rights: those of Go's module cache are narrow."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)


def put(source: Path, target: Path) -> None:
    """Put a finished thing in its place, in one go."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
