"""Tells the service how far the attempt is, and listens for *cancel*.

The engine's news are collected and sent by a thread of their own, at most one message in 0.5 s;
without news a message goes out every few seconds, for the memory in use and for the answer. A
service that is away never disturbs the run: the newest state is sent when it is back. Used by the
engine and the execution.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from offline_jobs.contract.run import Progress, ProgressAnswer
from offline_jobs.runner.processes import Memory
from offline_jobs.runner.service_client import ServiceAwayError, ServiceClient, ServiceRefusedError
from offline_jobs.runner.stopping import Stopping, StopReason

LOG = logging.getLogger(__name__)

BATCH_SECONDS = 0.5
HEARTBEAT_SECONDS = 3.0
_LONGEST_PAUSE_SECONDS = 10.0


class Reporter:
    """Progress of one attempt; without a client it only keeps count."""

    def __init__(
        self,
        client: ServiceClient | None,
        stopping: Stopping,
        memory: Callable[[], Memory],
        log_tail: Callable[[], str],
        series: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        self._client = client
        self._stopping = stopping
        self._memory = memory
        self._log_tail = log_tail
        self._series = series
        #: The one that the service has.
        self._told: dict[str, Any] | None = None
        self._phase = "kernel-start"
        self.cell = 0
        self.total = 0
        self.cell_seconds: list[float] = []
        self._news = threading.Event()
        self._is_over = threading.Event()
        self._was_away = False
        self._thread = threading.Thread(target=self._report, daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._news.set()
        if self._client is not None:
            self._thread.start()

    def cell_started(self, number: int, total: int) -> None:
        """Cell ``number`` of ``total`` is about to run."""
        self._phase = "running"
        self.cell, self.total = number, total
        self._news.set()

    def cell_ended(self, seconds: float) -> None:
        """The cell that was started last has ended."""
        self.cell_seconds.append(round(seconds, 3))
        self._news.set()

    def printed(self) -> None:
        """The log has grown."""
        self._news.set()

    def ending(self) -> None:
        """No cell will run any more."""
        self._phase = "ending"
        self._news.set()

    def finish(self, seconds: float = 2.0) -> None:
        """Send nothing more; waits at most ``seconds`` for a message under way."""
        self._is_over.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def snapshot(self) -> Progress:
        """The message that says where the attempt is now."""
        memory, peak, limit = self._memory()
        series = self._series()
        return Progress(
            phase=self._phase,
            cell=self.cell,
            total=self.total,
            cell_seconds=list(self.cell_seconds),
            memory_bytes=memory,
            memory_peak_bytes=peak,
            memory_limit_bytes=limit,
            log_tail=self._log_tail(),
            series=None if series is self._told else series,
        )

    def _report(self) -> None:
        pause = BATCH_SECONDS
        while not self._is_over.is_set():
            self._news.wait(HEARTBEAT_SECONDS)
            if self._is_over.is_set():
                return
            self._news.clear()
            sent = time.monotonic()
            if self._send():
                pause = BATCH_SECONDS
            else:
                self._news.set()
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            self._is_over.wait(max(0.0, sent + pause - time.monotonic()))

    def _send(self) -> bool:
        """Send the state. False where the service is away."""
        assert self._client is not None  # noqa: S101 - the thread runs only with a client
        said = self.snapshot()
        try:
            answer = self._client.send_progress(said)
        except ServiceAwayError as error:
            if not self._was_away:
                LOG.warning("the jobs service is away, the run goes on: %s", error)
            self._was_away = True
            return False
        except ServiceRefusedError as error:
            # 410: the service holds the attempt for ended, another one may run by now.
            answer = ProgressAnswer(cancel=error.is_over)
            if not self._was_away:
                LOG.warning("progress was refused: %s", error)
            self._was_away = True
        else:
            self._was_away = False
            self._told = said.series or self._told
        if answer.cancel:
            self._stopping.ask(StopReason.CANCELLED)
        return True
