"""Watches time, memory, processor and GPUs of a run, whether or not the service is there.

A thread that measures the whole process tree, ends it when it is over the class's memory, and asks
for the end when the time limit is reached. It also collects adopted processes that have ended.
Started by the execution.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from offline_jobs.runner import processes
from offline_jobs.runner.course import Course
from offline_jobs.runner.gpus import GpuWatch
from offline_jobs.runner.processes import Memory
from offline_jobs.runner.processor import ProcessorUse
from offline_jobs.runner.stopping import Stopping, StopReason

LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
#: Near the limit memory may grow past it between two looks, so look more often.
_LOOK_SECONDS_WHEN_NEAR = 0.1
_NEAR = 0.5


class Watchdog:
    """Time and memory of one run. Limits of 0 are not watched, memory is measured all the same."""

    def __init__(
        self,
        stopping: Stopping,
        memory_limit_bytes: int,
        deadline: float | None,
        kernel_pid: Callable[[], int | None],
    ) -> None:
        """``deadline`` is a time of ``time.monotonic()``."""
        self._stopping = stopping
        self._limit = memory_limit_bytes
        self._deadline = deadline
        self._kernel_pid = kernel_pid
        self._bytes = 0
        self._peak = 0
        self._processor = ProcessorUse()
        self._course = Course()
        self._gpus = GpuWatch(self._course.see_gpus)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()
        self._gpus.start()

    def stop(self) -> None:
        """Watch no more."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def leave_gpus(self) -> None:
        """Ask nothing of GPUs any more: that would start processes."""
        self._gpus.stop()

    def memory(self) -> Memory:
        """(bytes in use, most bytes so far, limit) at the last look."""
        return self._bytes, self._peak, self._limit

    def processor(self) -> ProcessorUse:
        """The use of the processor until now; to be asked when nothing is watched any more."""
        now = time.monotonic()
        self._processor.look(now, processes.tree_cpu_seconds())
        self._course.end(now, self._processor.seconds)
        return self._processor

    def series(self) -> dict[str, Any] | None:
        """What was taken over time until now, as a progress message has it."""
        return self._course.series

    def begin_cells(self) -> None:
        """The first cell begins."""
        self._course.begin_cells(time.monotonic())

    def _watch(self) -> None:
        pause = 0.0
        while not self._is_over.wait(pause):
            try:
                self._look()
            except psutil.Error as error:
                LOG.warning("the process tree cannot be measured now: %s", error)
            except Exception:  # a watch that ends unseen guards nothing
                LOG.exception("a look failed; the next one follows")
            is_near = self._limit and self._bytes > self._limit * _NEAR
            pause = _LOOK_SECONDS_WHEN_NEAR if is_near else _LOOK_SECONDS
            if self._deadline is not None:
                left = self._deadline - time.monotonic()
                pause = max(0.0, min(pause, left)) if left > 0 else pause

    def _look(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._stopping.ask(StopReason.TIME_LIMIT)
        self._bytes = processes.tree_memory_bytes(self._limit)
        self._peak = max(self._peak, self._bytes)
        self._course.see_memory(self._bytes)
        if self._limit and self._bytes > self._limit:
            # Ended here and now: waiting for a kernel's answer could cost the machine.
            self._stopping.ask(StopReason.OUT_OF_MEMORY)
            processes.kill_tree()
        processes.reap(keep=self._kernel_pid())
        now = time.monotonic()
        if self._processor.is_due(now) or self._course.is_due(now):
            self._processor.look(now, processes.tree_cpu_seconds())
            self._course.look(now, self._processor.seconds)
