"""The hub as the server extension reaches it: to stop the server that this is.

Called by :mod:`handlers` alone. The server's own token may do that and nothing else of the kind
(``build_server_scopes`` of the hub's configuration); where it is not granted, the hub refuses.
"""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

CONNECT_SECONDS = 5.0
#: The hub waits for 10 seconds at most before it says that a stop is under way.
REQUEST_SECONDS = 30.0


class StopRefused(Exception):
    """The server goes on; ``status``, ``code`` and ``message`` are for whoever asked."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Hub:
    """The hub that started this server, if one did."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._url = environment.get("JUPYTERHUB_API_URL", "").rstrip("/")
        self._token = environment.get("JUPYTERHUB_API_TOKEN", "")
        self._user = environment.get("JUPYTERHUB_USER", "")
        self._server = environment.get("JUPYTERHUB_SERVER_NAME", "")

    async def stop_server(self) -> None:
        """Have this server stopped; the process may end before the hub has answered.

        Raises:
            StopRefused: it is not stopped, and why.

        Source: https://jupyterhub.readthedocs.io/en/5.5.4/reference/rest-api.html
        """
        if not (self._url and self._token and self._user):
            raise StopRefused(
                HTTPStatus.CONFLICT,
                "no-hub",
                "No hub started this Jupyter server, so none can stop it. Stop it where you "
                "started it.",
            )
        which = f"servers/{quote(self._server, safe='')}" if self._server else "server"
        request = HTTPRequest(
            f"{self._url}/users/{quote(self._user, safe='')}/{which}",
            method="DELETE",
            headers={"Authorization": f"token {self._token}"},
            connect_timeout=CONNECT_SECONDS,
            request_timeout=REQUEST_SECONDS,
            follow_redirects=False,
        )
        try:
            response = await AsyncHTTPClient().fetch(request, raise_error=False)
        except (HTTPClientError, OSError) as e:
            raise StopRefused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "hub-unavailable",
                "The hub does not answer. Stop your server on the hub's home a little later.",
            ) from e
        if response.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            raise StopRefused(
                HTTPStatus.FORBIDDEN,
                "stop-refused",
                "The hub does not let this server stop itself. Stop it on the hub's home.",
            )
        if response.code not in (HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT):
            raise StopRefused(
                HTTPStatus.BAD_GATEWAY,
                "stop-failed",
                f"The hub could not stop this server (it answered {response.code}). Stop it on "
                "the hub's home.",
            )
