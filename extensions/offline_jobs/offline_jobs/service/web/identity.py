"""Who calls: the hub says so, asked at most once in 30 s per token.

Every route of the public application takes a :data:`CallerOf`; a request without a valid hub token
or a session of the page gets 401. A request that changes something with the page's cookie needs the
session's XSRF value in a header and a JSON content type, so that no foreign page can send it.
"""

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from hub_config.platform.people import Person, build_person
from offline_jobs.contract.names import SERVICE_NAME
from offline_jobs.service.errors import Forbidden, Unauthorized
from offline_jobs.service.hub import Hub, TokenOwner
from offline_jobs.service.web.login import Sessions, session_of
from offline_jobs.service.web.rooms import rooms_of

CACHE_SECONDS = 30.0
MOST_CACHED = 2_000
LONGEST_TOKEN = 1_000
XSRF_HEADER = "X-XSRFToken"
_SCOPES = frozenset({"access:services", f"access:services!service={SERVICE_NAME}"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """Somebody who may use the service; ``xsrf`` is set when a cookie said who it is."""

    person: Person
    xsrf: str | None = None

    @property
    def name(self) -> str:
        """The hub's name of the caller."""
        return self.person.name

    @property
    def admin(self) -> bool:
        """Whether the caller is an administrator of the hub."""
        return self.person.admin


Identify = Callable[[Request], Awaitable[Caller]]


class TokenOwners:
    """Owners of hub tokens, remembered for a short time in a bounded table.

    Tokens are kept as digests. Refused tokens are remembered too, so that a wrong one cannot be
    used to keep the hub busy.
    """

    def __init__(self, hub: Hub, now: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._now = now
        self._known: OrderedDict[bytes, tuple[float, TokenOwner | None]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[TokenOwner | None]] = {}

    async def owner(self, token: str) -> TokenOwner | None:
        """Whose token it is; ``None`` when the hub refuses it.

        However many ask at once, the hub is asked once.

        Raises:
            Unavailable: the hub cannot be asked now.
        """
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(key)
        if known and self._now() - known[0] < CACHE_SECONDS:
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, token))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        # Who leaves does not end it for the others.
        return await asyncio.shield(asking)

    async def _ask(self, key: bytes, token: str) -> TokenOwner | None:
        owner = await self._hub.fetch_owner(token)
        self._known[key] = (self._now(), owner)
        self._known.move_to_end(key)
        while len(self._known) > MOST_CACHED:
            self._known.popitem(last=False)
        return owner


class HubIdentity:
    """Tells callers by hub token or by the page's session: the ``identify`` of a real service."""

    def __init__(self, owners: TokenOwners, sessions: Sessions) -> None:
        self._owners = owners
        self._sessions = sessions

    async def __call__(self, request: Request) -> Caller:
        """Who calls.

        Raises:
            Unauthorized: no token or session, or one that the hub does not accept (any more).
            Forbidden: the token is valid, yet not for this service or not a user's.
        """
        header = request.headers.get("authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            is_sound = 0 < len(token) <= LONGEST_TOKEN and token.isascii() and token.isprintable()
            if scheme.lower() not in ("token", "bearer") or not is_sound:
                raise Unauthorized("Send a hub token: 'Authorization: token …'.")
            return Caller(await self._person(token))
        session = session_of(request, rooms_of(request).addresses, self._sessions)
        if session is None:
            raise Unauthorized("Log in at the hub, or send a hub token.")
        try:
            return Caller(await self._person(session.token), session.xsrf)
        except (Unauthorized, Forbidden):
            self._sessions.end(session)
            raise

    async def _person(self, token: str) -> Person:
        owner = await self._owners.owner(token)
        if owner is None:
            raise Unauthorized("The hub does not accept this token (any more). Log in again.")
        if owner.kind != "user":
            raise Forbidden("A user's token is needed; this one belongs to a service.")
        if not owner.scopes & _SCOPES:
            raise Forbidden(
                f"The token lacks the scope access:services!service={SERVICE_NAME}.",
                code="missing-scope",
            )
        return build_person(owner.name, owner.groups, admin=owner.admin)


async def identify_caller(request: Request) -> Caller:
    """The caller, checked against forgery of requests; the dependency of every public route."""
    identify: Identify = request.app.state.identify
    caller = await identify(request)
    request.state.user = caller.name
    if caller.xsrf is not None and request.method not in _SAFE_METHODS:
        sent = request.headers.get(XSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode(), caller.xsrf.encode()):
            raise Forbidden(
                f"The header {XSRF_HEADER} is missing or old: reload the page.", code="xsrf"
            )
        if request.method == "POST" and not is_json(request):
            raise Forbidden("Send 'Content-Type: application/json'.", code="xsrf")
    return caller


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"


CallerOf = Annotated[Caller, Depends(identify_caller)]
