"""What the run's GPUs do, as NVIDIA's `nvidia-smi` tells it; nothing where that is not there.

A thread beside the watchdog asks, for the program may take seconds, or never answer. Whatever
becomes of it, the run goes on. Bottom of the runner; started by the watchdog.

Source: https://docs.nvidia.com/deploy/nvidia-smi/index.html
"""

import logging
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

LOG = logging.getLogger(__name__)

_PROGRAM = "nvidia-smi"
#: Of the thread that asks.
NAME = "gpus"
_QUESTION = (
    "--query-gpu=utilization.gpu,memory.used,memory.total",
    "--format=csv,noheader,nounits",
)
#: Seconds from one answer to the next question, and how many times an answer's own seconds at
#: least: where a driver has to be loaded each time, asking is dear.
_PERIOD_SECONDS, _REST = 2.0, 20.0
_PATIENCE_SECONDS = 30.0
#: So often in a row there is no answer before nobody asks any more.
_MOST_FAILURES = 3
#: No GPU has so many MiB.
_MOST = 2**40


@dataclass(frozen=True)
class GpuUse:
    """All GPUs that the run sees, at one moment.

    Attributes:
        count: how many they are.
        percent: of the time just passed in which a program ran on them, the mean over those that
            tell, 0 to 100; None if none does.
        memory_mib: memory in use on all of them together, MiB, whoever uses it.
        memory_limit_mib: memory that they have together, MiB.
    """

    count: int
    percent: float | None
    memory_mib: int
    memory_limit_mib: int


def parse(answer: str) -> GpuUse | None:
    """Read an answer of the program, a line for each GPU; None if it is no whole answer."""
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines()]
    if not answer.endswith("\n") or any(len(row) != 3 for row in rows):  # noqa: PLR2004 - as asked
        return None
    try:
        busy, used, there = ([_read(row[i]) for row in rows] for i in range(3))
    except ValueError:
        return None
    percent = average(each if each is None else min(100, each) for each in busy)
    return GpuUse(len(rows), percent, *(sum(each or 0 for each in all_) for all_ in (used, there)))


def average(seen: Iterable[float | None]) -> float | None:
    """The mean of what is known; None of nothing."""
    known = [each for each in seen if each is not None]
    return sum(known) / len(known) if known else None


def _read(cell: str) -> int | None:
    """A whole number; None of what a GPU does not tell (``[N/A]``, ``[Not Supported]``)."""
    if cell.startswith("["):
        return None
    number = int(cell)
    if not 0 <= number <= _MOST:
        raise ValueError(cell)
    return number


class GpuWatch:
    """Asks again and again until it is told to stop, and hands each answer on."""

    def __init__(self, see: Callable[[GpuUse | None], None]) -> None:
        """``see`` is called in a thread of its own; with None where there is no answer any more."""
        self._see = see
        self._is_over = threading.Event()
        self._starting = threading.Lock()

    def start(self) -> None:
        """Begin to ask, where there is whom to ask."""
        if program := shutil.which(_PROGRAM):
            command = (program, *_QUESTION)
            thread = threading.Thread(target=self._watch, args=(command,), name=NAME, daemon=True)
            thread.start()

    def stop(self) -> None:
        """Ask no more: no process is started afterwards. An answer that is due is not heard."""
        with self._starting:
            self._is_over.set()

    def _watch(self, command: Sequence[str]) -> None:
        failures, pause = 0, 0.0
        while not self._is_over.wait(pause):
            began = time.monotonic()
            use = self._ask(command)
            if self._is_over.is_set():
                return
            failures = 0 if use else failures + 1
            if failures == _MOST_FAILURES:
                LOG.info("%s tells nothing of GPUs, and is not asked again", _PROGRAM)
                self._see(None)
                return
            if use:
                self._see(use)
            pause = max(_PERIOD_SECONDS, _REST * (time.monotonic() - began))

    def _ask(self, command: Sequence[str]) -> GpuUse | None:
        with self._starting:
            if self._is_over.is_set():
                return None
            try:
                asked = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except OSError:
                return None
        with asked:
            try:
                said, _ = asked.communicate(timeout=_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                asked.kill()
                return None
        return None if asked.returncode else parse(said.decode(errors="replace"))
