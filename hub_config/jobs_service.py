"""The jobs service, as the hub speaks to it: with the token that it gave it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from offline_jobs.contract.names import API_PREFIX, SERVICE_PREFIX

_TIMEOUT = 10.0


class ServiceAway(Exception):
    """The jobs service did not say that it has done what it was asked; the message says why."""


@dataclass(frozen=True)
class JobsService:
    """Where it is, and what opens it."""

    url: str
    token: str = field(repr=False)

    async def post(
        self, path: str, body: Mapping[str, object], patience: float = _TIMEOUT
    ) -> dict[str, Any]:
        """Ask for something; its answer, waited for ``patience`` seconds.

        Raises:
            ServiceAway: it cannot be reached, or refuses.
        """
        request = HTTPRequest(
            f"{self.url}{SERVICE_PREFIX}{API_PREFIX}/{path}",
            method="POST",
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            body=json.dumps(body),
            request_timeout=patience,
        )
        try:
            response = await AsyncHTTPClient().fetch(request)
            answer: dict[str, Any] = json.loads(response.body)
        except (OSError, HTTPClientError, ValueError) as error:
            raise ServiceAway(str(error)) from error
        return answer
