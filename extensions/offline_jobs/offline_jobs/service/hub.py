"""The hub's API, as far as the service asks it: whose token is this, the end of a login, groups.

Called by ``web/identity.py``, ``web/login.py`` and the reconciler. Tokens go into headers and form
bodies only, never into an address or the log.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from offline_jobs.service.errors import Unavailable

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class TokenOwner:
    """Whose token it is. ``kind`` is ``user`` or ``service``; ``scopes`` are the token's."""

    kind: str
    name: str
    groups: frozenset[str]
    admin: bool
    scopes: frozenset[str]


class Hub:
    """Asks the hub with the service's own token where the caller's does not say enough."""

    def __init__(self, api_url: str, token: str, client: httpx.AsyncClient | None = None) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = token
        # No proxies from the environment: the hub is near, and tokens go only to it.
        self._client = client or httpx.AsyncClient(
            timeout=_TIMEOUT_SECONDS, trust_env=False, follow_redirects=False
        )

    def is_own(self, token: str) -> bool:
        """Whether it is the token that hub and service share, so that the hub itself says it."""
        return hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token.encode())

    async def close(self) -> None:
        """Close the connections to the hub."""
        await self._client.aclose()

    async def fetch_owner(self, token: str) -> TokenOwner | None:
        """Whose ``token`` it is, ``None`` when the hub does not know it.

        Raises:
            Unavailable: the hub cannot be asked now.
        """
        answer = await self._get("user", token)
        if answer is None:
            return None
        kind, name = str(answer.get("kind", "")), str(answer.get("name", ""))
        admin = answer.get("admin")
        if kind == "user" and admin is None:
            # A server's token may not read roles; ours may.
            detail = await self._get(f"users/{quote(name, safe='')}", self._token) or {}
            admin = detail.get("admin")
        return TokenOwner(
            kind=kind,
            name=name,
            groups=frozenset(map(str, answer.get("groups") or ())),
            admin=admin is True,
            scopes=frozenset(map(str, answer.get("scopes") or ())),
        )

    async def fetch_groups(self, name: str) -> frozenset[str]:
        """The groups that a user is in; none of a user whom the hub does not know.

        Raises:
            Unavailable: the hub cannot be asked now, or may not tell.
        """
        try:
            response = await self._request(f"users/{quote(name, safe='')}", self._token)
        except httpx.HTTPError as e:
            raise Unavailable(f"The hub cannot be asked who is in a group: {e!r}") from e
        if response.status_code == httpx.codes.NOT_FOUND:
            return frozenset()
        groups = _mapping(response).get("groups") if response.is_success else None
        if not isinstance(groups, list):
            raise Unavailable(
                f"The hub does not say who is in a group (HTTP {response.status_code}): the "
                "service's token may lack the scope read:users:groups"
            )
        return frozenset(map(str, groups))

    async def exchange_code(self, code: str, *, client_id: str, redirect_uri: str) -> str | None:
        """The user's token for an authorization code; ``None`` when the hub refuses the code.

        Raises:
            Unavailable: the hub cannot be asked now.
        """
        form = {
            "client_id": client_id,
            "client_secret": self._token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
        }
        try:
            response = await self._client.post(f"{self._api_url}/oauth2/token", data=form)
        except httpx.HTTPError as e:
            raise _away() from e
        if response.is_server_error:
            raise _away()
        if not response.is_success:
            return None
        token = _mapping(response).get("access_token")
        return token if isinstance(token, str) else None

    async def _request(self, path: str, token: str) -> httpx.Response:
        return await self._client.get(
            f"{self._api_url}/{path}", headers={"Authorization": f"token {token}"}
        )

    async def _get(self, path: str, token: str) -> Mapping[str, Any] | None:
        try:
            response = await self._request(path, token)
        except httpx.HTTPError as e:
            raise _away() from e
        if response.status_code in (401, 403, 404):
            return None
        if not response.is_success:
            raise _away()
        return _mapping(response)


def _mapping(response: httpx.Response) -> Mapping[str, Any]:
    try:
        data = response.json()
    except ValueError as e:
        raise _away() from e
    if not isinstance(data, dict):
        raise _away()
    return data


def _away() -> Unavailable:
    return Unavailable(
        "The hub cannot be asked who you are. Nothing is lost: try again in a moment.",
        code="hub-unavailable",
    )
