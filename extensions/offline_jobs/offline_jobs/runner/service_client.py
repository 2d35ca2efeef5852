"""Speaks to the jobs service about one attempt: the only place of the runner that uses a network.

Endpoints and messages are those of ``offline_jobs.contract.run``. Every call is bounded in time;
whoever may wait longer retries with :func:`retry`. Proxies of the environment are not used: the
service is reached inside the platform. Bottom of the runner; imports only ``stopping``'s peers.
"""

import http.client
import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from offline_jobs.contract import run as contract

LOG = logging.getLogger(__name__)

_CALL_SECONDS = 10.0
_UPLOAD_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0
#: Statuses that a later try may change.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 507})

Answer = TypeVar("Answer")


class ServiceError(Exception):
    """A call that brought nothing: away or refused."""


class ServiceAwayError(ServiceError):
    """The service could not be reached, or asked to come back later."""


class ServiceRefusedError(ServiceError):
    """The service answered no, and will again."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the jobs service refused with status {status}")
        self.status = status

    @property
    def is_over(self) -> bool:
        """Whether the service holds the attempt for ended (410)."""
        return self.status == http.client.GONE


class ServiceClient:
    """The runner's side of ``/internal/v1/runs/<job>/<attempt>``."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch_specification(self) -> dict[str, Any]:
        """The attempt's specification as JSON."""
        answer = json.loads(self._call("GET", contract.PATH_SPECIFICATION))
        if not isinstance(answer, dict):
            raise ServiceAwayError("the specification is no JSON object")
        return answer

    def send_progress(self, progress: contract.Progress) -> contract.ProgressAnswer:
        """Tell how far the attempt is."""
        answer = self._call_json("POST", contract.PATH_PROGRESS, progress.dumps())
        return contract.ProgressAnswer.from_json(answer)

    def send_notebook(self, content: bytes, seconds: float = _UPLOAD_SECONDS) -> None:
        """Hand over the executed notebook, or what there is of it so far."""
        kind = "application/x-ipynb+json"
        self._call("PUT", contract.PATH_NOTEBOOK, content, kind, seconds)

    def send_log(self, content: bytes, seconds: float = _UPLOAD_SECONDS) -> None:
        """Hand over the log, or what there is of it so far."""
        kind = "text/plain; charset=utf-8"
        self._call("PUT", contract.PATH_LOG, content, kind, seconds)

    def send_result(self, record: contract.ResultRecord) -> None:
        """Hand over the result record."""
        self._call("POST", contract.PATH_RESULT, record.dumps().encode())

    def _call_json(self, method: str, path: str, body: str) -> dict[str, Any]:
        text = self._call(method, path, body.encode())
        try:
            answer = json.loads(text) if text.strip() else {}
        except ValueError as error:
            raise ServiceAwayError("the answer is no JSON") from error
        return answer if isinstance(answer, dict) else {}

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        seconds: float = _CALL_SECONDS,
    ) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = kind
        request = urllib.request.Request(  # noqa: S310 - the address is the platform's own
            self._url + path, data=body, headers=headers, method=method
        )
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            with error:
                if error.code in _PASSING:
                    raise ServiceAwayError(f"status {error.code}") from error
                raise ServiceRefusedError(error.code) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceAwayError(str(error)) from error


def retry(
    call: Callable[[], Answer], seconds: float, wait: Callable[[float], bool] | None = None
) -> Answer:
    """Call until the service answers, with growing pauses, for at most ``seconds``.

    ``wait(seconds)`` pauses and returns True to give up early.

    Raises:
        ServiceAwayError: the time is over, or ``wait`` gave up.
        ServiceRefusedError: the service said no.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return call()
        except ServiceAwayError as error:
            LOG.info("the jobs service is away: %s", error)
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if (wait or _sleep)(min(pause, left)):
                raise
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
