"""The jobs service as the server extension reaches it: one request, one answer.

Called by :mod:`handlers` alone. What the service answers is handed back as it is; that it did not
answer is one error of ours, :class:`ServiceUnavailable`. Holds no state but the connection pool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from offline_jobs.contract.names import API_PREFIX
from offline_jobs.contract.run import MAX_NOTEBOOK_BYTES
from offline_jobs.contract.session import ENV_SERVICE_URL

CONNECT_SECONDS = 5.0
#: A submission of a large notebook is parsed before it is answered.
REQUEST_SECONDS = 60.0
_ANSWER_HEADERS = ("Content-Disposition", "ETag")
_REQUEST_HEADERS = ("If-None-Match", "Idempotency-Key")
#: Over the largest answer there is, an executed notebook.
_LARGEST_ANSWER_BYTES = MAX_NOTEBOOK_BYTES + 1024**2


class ServiceUnavailable(Exception):
    """No answer can be had; ``code`` and ``message`` are for the user."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


NOT_CONFIGURED = (
    "not-configured",
    "Offline jobs are not set up for this Jupyter server: it was not started by a hub with a jobs "
    "service. Start your server from the hub, or ask its administrator.",
)
UNREACHABLE = (
    "service-unavailable",
    "The jobs service cannot be reached. Nothing is lost: jobs go on, and what you typed is kept. "
    "Wait a moment and try again; if it lasts, tell your administrator.",
)


@dataclass(frozen=True)
class Answer:
    """What the service answered; ``headers`` holds only those that are passed on."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ServiceClient:
    """Asks the service in the name of this server's user."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._url = environment.get(ENV_SERVICE_URL, "").rstrip("/")
        self._token = environment.get("JUPYTERHUB_API_TOKEN", "")
        self._http: AsyncHTTPClient | None = None

    @property
    def is_configured(self) -> bool:
        """Whether this server knows a service and has a token for it."""
        return bool(self._url and self._token)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request to the service's API.

        Args:
            method: GET, POST or DELETE.
            path: below ``/api/v1/``, with the query.
            body: JSON, for a POST.
            headers: those of the browser's request; only what the service needs is passed on.

        Raises:
            ServiceUnavailable: no service is configured, it cannot be reached, or it took too long.
        """
        if not self.is_configured:
            raise ServiceUnavailable(*NOT_CONFIGURED)
        sent = {name: headers[name] for name in _REQUEST_HEADERS if headers and name in headers}
        sent["Authorization"] = f"token {self._token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        request = HTTPRequest(
            f"{self._url}/{API_PREFIX}/{path}",
            method=method,
            headers=sent,
            body=body,
            connect_timeout=CONNECT_SECONDS,
            request_timeout=REQUEST_SECONDS,
            follow_redirects=False,
        )
        try:
            response = await self._client().fetch(request, raise_error=False)
        except (HTTPClientError, OSError, ValueError) as e:
            raise ServiceUnavailable(*UNREACHABLE) from e
        content_type = response.headers.get("Content-Type", "application/json")
        is_json = content_type.startswith("application/json")
        if response.code >= HTTPStatus.INTERNAL_SERVER_ERROR and not is_json:
            # Not the service's own words: a proxy before it, or its process in pieces.
            raise ServiceUnavailable(*UNREACHABLE)
        passed = {k: response.headers[k] for k in _ANSWER_HEADERS if k in response.headers}
        return Answer(response.code, response.body or b"", content_type, passed)

    def _client(self) -> AsyncHTTPClient:
        # Made on first use, in the server's running loop.
        if self._http is None:
            self._http = SimpleAsyncHTTPClient(
                force_instance=True,
                max_body_size=_LARGEST_ANSWER_BYTES,
                max_buffer_size=_LARGEST_ANSWER_BYTES,
            )
        return self._http
