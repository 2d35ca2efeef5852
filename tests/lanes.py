"""pytest plugin: rings side by side, what waits beside what computes (`make test-rings`).

With pytest-xdist (`-n auto`) one process each runs the rings that mostly wait for a cluster, a
bed of their own each, and the others share the rest. Tests of a file stay together, and so do those
of a ring that shares something expensive. In a run of all rings each process looks for the tests of
its lane only, for to import the others takes longer than many a ring. Without `-n` nothing of this
has an effect. Loaded by the root `conftest.py`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.rings import get_ring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

#: Rings that wait most of the time, each list run by one process in this order. Images are built
#: while the ring of nodes, which is the longest, does not need them yet. Chromium comes last: while
#: Playwright runs in a process no other event loop can.
WAITING = (("node",), ("images", "control_plane"), ("browser",))
COMPUTING = 0
#: Of those that compute, what cannot be shared out and takes long: begun last it would end alone.
LONG = ("hub", "clone")
#: Rings whose tests share a platform that takes seconds to start.
WHOLE = ("control_plane", "node", "images", "browser", "hub")
#: Tests that a process is given at least, while there are some.
ENOUGH = 3
SESSION: pytest.StashKey[pytest.Session] = pytest.StashKey()
#: More would not fit into the memory that goes with so many cores.
MOST_COMPUTING = 6


def get_lane(ring: str) -> int:
    """Return the lane that runs a ring: `COMPUTING`, or from 1 a place in `WAITING`."""
    return next((i for i, lane in enumerate(WAITING, 1) if ring in lane), COMPUTING)


def get_scope(nodeid: str) -> str:
    """Return what stays together with a test: its file, or its ring."""
    file = nodeid.split("::", maxsplit=1)[0]
    ring = get_ring(Path(file), Path())
    return ring if ring in WHOLE else file


def _get_scope_ring(scope: str) -> str:
    return scope if scope in WHOLE else get_ring(Path(scope), Path())


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process for each lane that waits, and one for each core."""
    return len(WAITING) + min(os.cpu_count() or 1, MOST_COMPUTING)


def pytest_configure_node(node: WorkerController) -> None:
    """Tell a process its lane, where the run has all of them; one that replaces another has all."""
    number, config = int(node.gateway.id.removeprefix("gw")), node.config
    count = len(config.option.tx)
    if _runs_all(config) and number < count > len(WAITING):
        node.workerinput["lane"] = number + 1 if number < len(WAITING) else COMPUTING


def _runs_all(config: pytest.Config) -> bool:
    """Whether a run was asked for all rings."""
    tests = config.rootpath / "tests"
    asked = {Path(config.invocation_params.dir, each).resolve() for each in config.args}
    return not asked.isdisjoint((tests, *tests.parents))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the rings of other lanes."""
    lane = getattr(config, "workerinput", {}).get("lane")
    is_ring = collection_path.parent == config.rootpath / "tests" and collection_path.is_dir()
    return True if is_ring and lane not in (None, get_lane(collection_path.name)) else None


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Share the tests out by lanes."""
    config.option.loadscopereorder = False
    return Lanes(config, log)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives each process work of one lane; one that has no more of it ends, and so does its bed."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self.collection: list[str] | None = None
        self._lanes: dict[WorkerController, int] = {}
        self._known: dict[WorkerController, set[str]] = {}

    def _split_scope(self, nodeid: str) -> str:
        return get_scope(nodeid)

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        # They differ, for each process knows its lane's tests only.
        self.registered_collections[node] = list(collection)
        self._known[node] = set(map(get_scope, collection))

    def schedule(self) -> None:
        if self.collection is None:
            found = chain.from_iterable(self.registered_collections.values())
            self.collection = list(dict.fromkeys(found))
            self.config.stash[SESSION].testscollected = len(self.collection)
            for nodeid in self.collection:
                self.workqueue.setdefault(get_scope(nodeid), {})[nodeid] = False
        for node in self.nodes:
            self._reschedule(node)

    def _get_lane(self, scope: str) -> int:
        return get_lane(_get_scope_ring(scope))

    def _choose_lane(self, node: WorkerController) -> int | None:
        """Choose the lane for a process: its own, one that nobody works on, else the first."""
        waiting = {self._get_lane(scope) for scope in self.workqueue if scope in self._known[node]}
        own = self._lanes.get(node)
        if own in waiting:
            return own
        others = (each for each in self.nodes if each is not node and not each.shutting_down)
        untended = waiting - {self._lanes.get(each) for each in others}
        if waiting and (own is None or untended):
            return min(untended or waiting)
        return None

    def _find_scope(self, node: WorkerController) -> str | None:
        """Find the next work of a process; None when the others have what is left."""
        lane = self._choose_lane(node)
        if lane is None:
            return None
        self._lanes[node] = lane
        scopes: list[str] = [each for each in self.workqueue if self._get_lane(each) == lane]
        return min(scopes, key=lambda scope: _get_scope_ring(scope) not in LONG)

    def _assign_work_unit(self, node: WorkerController) -> None:
        scope = self._find_scope(node)
        assert scope is not None, "a process without work was to be told to end"
        self.workqueue.move_to_end(scope, last=False)
        # One that just died has it until that is noticed, and then another one.
        with suppress(OSError):
            super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        # A process begins with a test only when it knows the one after it.
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < ENOUGH:
            if self._find_scope(node) is None:
                node.shutdown()
            else:
                self._assign_work_unit(node)
