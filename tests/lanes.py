"""pytest plugin: rings side by side, what waits beside what computes (`make test-rings`).

With pytest-xdist (`-n auto`) one process each runs the rings that mostly wait for a cluster, a
bed of their own each, and the others share the rest. Tests of a file stay together, and so do those
of a ring that shares something expensive. Without `-n` nothing of this has an effect. Loaded by the
root `conftest.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.rings import get_ring

if TYPE_CHECKING:
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


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Share the tests out by lanes."""
    config.option.loadscopereorder = False
    return Lanes(config, log)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives each process work of one lane; one that has no more of it ends, and so does its bed."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._lanes: dict[WorkerController, int] = {}

    def _split_scope(self, nodeid: str) -> str:
        return get_scope(nodeid)

    def _get_lane(self, scope: str) -> int:
        return get_lane(_get_scope_ring(scope))

    def _choose_lane(self, node: WorkerController) -> int | None:
        """Choose the lane for a process: its own, one that nobody works on, else the first."""
        waiting = {self._get_lane(scope) for scope in self.workqueue}
        own = self._lanes.get(node)
        if own in waiting:
            return own
        others = (each for each in self.nodes if each is not node and not each.shutting_down)
        untended = waiting - {self._lanes.get(each) for each in others}
        if own is None or untended:
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
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if node.shutting_down:
            return
        if not self.workqueue or self._find_scope(node) is None:
            node.shutdown()
        elif self._pending_of(self.assigned_work[node]) <= 2:
            self._assign_work_unit(node)
