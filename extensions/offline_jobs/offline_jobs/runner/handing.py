"""Hands what a run leaves to the jobs service: copies now and then while it runs, all at its end.

A thread of its own makes every call, one after the other, so that no older copy comes after a newer
one. What it copies is what the home has already: whoever reads the service's copy will find at
least as much at home. Used by execution.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from offline_jobs.contract.run import MAX_LOG_BYTES, MAX_NOTEBOOK_BYTES, ResultRecord
from offline_jobs.runner.bounds import fit_notebook
from offline_jobs.runner.service_client import (
    ServiceAwayError,
    ServiceClient,
    ServiceError,
    ServiceRefusedError,
    retry,
)

LOG = logging.getLogger(__name__)

#: A run that is over sooner makes no copies: all is handed over at its end.
_FIRST_SECONDS = 5.0
_COPY_SECONDS = 10.0
#: A copy may take this share of the time, at most.
_COPY_SHARE = 50

Calls = Sequence[tuple[str, Callable[[], None]]]


class ServiceCopier:
    """Copies notebook and log of one attempt to the service; without a client it does nothing."""

    def __init__(self, client: ServiceClient | None, log: Callable[[], bytes]) -> None:
        self._client = client
        self._log = log
        self._newest: bytes | None = None
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._is_over = threading.Event()
        self._last: Calls = ()
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._copy_now_and_then, daemon=True)

    def start(self) -> None:
        """Begin to copy what is offered."""
        if self._client is not None:
            self._thread.start()

    def offer(self, notebook: bytes) -> None:
        """Have this copied when it is due, unless a newer one comes before."""
        with self._lock:
            self._newest = notebook
        self._news.set()

    def finish(self, notebook: bytes, record: ResultRecord, seconds: float) -> None:
        """Hand over notebook, log and record; give up when the time is over."""
        if self._client is None:
            return
        client, log = self._client, self._log()[-MAX_LOG_BYTES:]
        fitted = fit_notebook(notebook, MAX_NOTEBOOK_BYTES)
        calls: list[tuple[str, Callable[[], None]]] = [
            ("log", lambda: client.send_log(log)),
            ("record", lambda: client.send_result(record)),
        ]
        if fitted is not None:
            calls.insert(0, ("notebook", lambda: client.send_notebook(fitted)))
        self._last, self._deadline = calls, time.monotonic() + seconds
        self._is_over.set()
        self._news.set()
        if not self._thread.is_alive():
            self._thread.start()
        self._thread.join(seconds + 1.0)

    def _copy_now_and_then(self) -> None:
        self._is_over.wait(_FIRST_SECONDS)
        while not self._is_over.is_set():
            self._news.wait()
            if self._is_over.is_set():
                break
            self._news.clear()
            start = time.monotonic()
            self._copy()
            took = time.monotonic() - start
            self._is_over.wait(max(_COPY_SECONDS, _COPY_SHARE * took))
        self._call_last()

    def _copy(self) -> None:
        assert self._client is not None  # noqa: S101 - the thread runs only with a client
        with self._lock:
            notebook, self._newest = self._newest, None
        if notebook is None:
            # It came between the news and the last copy, and went with that.
            return
        try:
            if (fitted := fit_notebook(notebook, MAX_NOTEBOOK_BYTES)) is not None:
                self._client.send_notebook(fitted, _COPY_SECONDS)
            self._client.send_log(self._log()[-MAX_LOG_BYTES:], _COPY_SECONDS)
        except ServiceError as error:
            LOG.info("the service has no copy of what is done so far: %s", error)

    def _call_last(self) -> None:
        for name, call in self._last:
            try:
                retry(call, max(0.0, self._deadline - time.monotonic()))
            except ServiceRefusedError as error:
                LOG.warning("the service refused the %s: %s", name, error)
            except ServiceAwayError as error:
                LOG.warning("the service did not take the %s: %s", name, error)
