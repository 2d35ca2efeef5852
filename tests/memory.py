"""pytest plugin: what only upstream programs do is run again when something of it changed.

With `--remember` a test marked `upstream` is left out when it passed on this machine within
`DAYS` and nothing has changed since that it depends on: the project's modules that its file, its
ring's conftest and the bed's fixtures import, the data of the bed and of the charts, the lock, and
the machine's own programs. A pass is an empty file of the cache, called after the hash of all that;
`FRESH=1`, or a machine without that cache, runs all. Loaded by the root `conftest.py`.
"""

from __future__ import annotations

import ast
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from images._tool.stamps import hash_inputs, hash_tree
from images._tool.tools import find_places
from tests.rings import REMEMBERED, get_ring, is_fresh

MARKER = "upstream: shows only upstream programs and the bed; see tests/memory.py"
DAYS = 14
#: Where in a checkout its modules are looked for.
SOURCES = (".", "extensions/offline_jobs")
#: Whose fixtures each of these tests has, besides those of its ring's conftest.
FIXTURES = "tests/bed/fixtures.py"
#: What tests depend on and no import shows.
DATA = ("tests/bed/**/*", "helm-values/*", "requirements-dev.txt")
#: What only orders, counts, and tells of tests.
APART = ("tests/rings.py",)
#: The machine's own programs in a bed.
PROGRAMS = ("containerd", "runc", "nft", "ip", "unshare")
SECONDS_OF_A_DAY = 86_400


def find_imports(path: Path, root: Path) -> Iterator[Path]:
    """Find the modules of a checkout that a file imports anywhere in its text."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names):
                words = [alias.name for alias in names]
            case ast.ImportFrom(str(module), names):
                words = [module, *(f"{module}.{alias.name}" for alias in names)]
            case _:
                continue
        for source, word in product(SOURCES, words):
            place = root / source / word.replace(".", "/")
            candidates = (place.with_suffix(".py"), place / "__init__.py")
            yield from (candidate for candidate in candidates if candidate.is_file())


def find_sources(files: Iterable[Path], root: Path) -> list[Path]:
    """Find all modules of a checkout that tests in some files depend on, those files included."""
    found: set[Path] = set()
    apart = {root / each for each in APART}
    left = list(files)
    while left:
        path = left.pop()
        if path not in found and path not in apart:
            found.add(path)
            left.extend(find_imports(path, root))
    return sorted(found)


@cache
def hash_surroundings(root: Path) -> str:
    """Hash what all tests of the bed depend on besides modules."""
    parts = [platform.machine(), platform.release(), platform.python_version()]
    for name in PROGRAMS:
        if found := shutil.which(name):
            state = Path(found).stat()
            parts.append(f"{found} {state.st_size} {state.st_mtime_ns}")
    return hash_inputs(hash_tree(root, DATA), *parts)


@cache
def hash_file(path: Path, root: Path) -> str:
    """Hash what the tests of a file depend on."""
    conftests = (each / "conftest.py" for each in path.parents if each.is_relative_to(root))
    given = [each for each in (path, *conftests, root / FIXTURES) if each.is_file()]
    parts: list[str | Path] = [hash_surroundings(root)]
    for source in find_sources(given, root):
        parts += [source.relative_to(root).as_posix(), source]
    return hash_inputs(*parts)


class Memory:
    """Leaves out what passed before, and notes what passes.

    Args:
        folder: one empty file for each pass.
        started: when this run began; all its processes have to leave out the same.
        fresh: leave out nothing.
    """

    def __init__(self, folder: Path, started: float, *, fresh: bool = False) -> None:
        self._folder, self._started, self._fresh = folder, started, fresh
        self._stamps: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def _is_remembered(self, stamp: Path) -> bool:
        if self._fresh or not stamp.exists():
            return False
        age = self._started - stamp.stat().st_mtime
        return 0 <= age <= DAYS * SECONDS_OF_A_DAY

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        left_out = []
        for item in items:
            if item.get_closest_marker("upstream"):
                stamp = self._folder / hash_inputs(
                    item.nodeid, hash_file(item.path, config.rootpath)
                )
                if self._is_remembered(stamp):
                    left_out.append(item)
                else:
                    self._stamps[item.nodeid] = stamp
        config.stash[REMEMBERED].update(get_ring(item.path, config.rootpath) for item in left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":
            self._stamps.pop(report.nodeid, None)
        elif report.when == "teardown" and (stamp := self._stamps.pop(report.nodeid, None)):
            stamp.touch()


class Controller:
    """Tells the processes of pytest-xdist when the run began, and hears what they left out."""

    def __init__(self, config: pytest.Config, started: float) -> None:
        self._config, self._started = config, started

    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["started"] = self._started

    def pytest_testnodedown(self, node: Any) -> None:
        # All of them left out the same.
        told = getattr(node, "workeroutput", {}).get("remembered", {})
        for ring, count in told.items():
            self._config.stash[REMEMBERED][ring] = count


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--remember",
        action="store_true",
        help="leave out tests of upstream programs that passed, and note those that pass",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if not config.getoption("--remember"):
        return
    handed: dict[str, Any] = getattr(config, "workerinput", {})
    started = handed.get("started", time.time())
    folder = find_places(os.environ).cache / "passed"
    config.pluginmanager.register(Memory(folder, started, fresh=is_fresh()))
    if not handed and config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Controller(config, started))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        remembered = session.config.stash[REMEMBERED]
        output["remembered"] = dict(remembered)
