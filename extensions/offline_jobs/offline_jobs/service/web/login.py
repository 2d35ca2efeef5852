"""Login of the page: the hub's authorization code flow, and the sessions that come of it.

The browser goes to the hub and comes back with a code, the service trades the code for the user's
token and keeps that token in a bounded table; the cookie holds only a random name of the entry.
A session belongs to the browser's login at the hub (the hub's own session cookie): another login
or none ends it at once. The hub is asked again as well (``web/identity.py``, at most 30 s old), so
that a login ended from elsewhere counts. A restart of the service forgets sessions; the browser
then comes back by itself.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

from offline_jobs.contract.names import SERVICE_NAME
from offline_jobs.service.errors import Unauthorized
from offline_jobs.service.web.rooms import Addresses

CLIENT_ID = f"service-{SERVICE_NAME}"
#: Names of cookies, after :attr:`Addresses.cookie_prefix`.
SESSION_COOKIE = "offline-jobs-session"
STATE_COOKIE = "offline-jobs-login"
#: The hub's, on the path of the whole site; a new value at each login, gone after a logout.
#: Source: SESSION_COOKIE_NAME in jupyterhub/handlers/base.py, JupyterHub 5.5.
HUB_SESSION_COOKIE = "jupyterhub-session-id"
SESSION_SECONDS = 14 * 24 * 3600
STATE_SECONDS = 600
_STATE_COOKIES = re.compile(rf"(?:__Host-)?{STATE_COOKIE}-[0-9a-f]{{12}}")
#: So many logins may be begun in one browser at the same time.
MOST_LOGINS = 8
MOST_SESSIONS = 5_000
LONGEST_NEXT = 500


@dataclass(frozen=True)
class Session:
    """A logged-in browser. ``token`` is the user's hub token and stays here.

    ``hub_session`` is the browser's login at the hub that it belongs to.
    """

    key: str
    token: str
    hub_session: str
    xsrf: str
    began: float


class Sessions:
    """The bounded table of sessions; the oldest goes when it is full."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._state_key = secrets.token_bytes(32)

    def begin(self, token: str, hub_session: str) -> Session:
        """A new session for a user's token, in a login at the hub."""
        key, xsrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        session = Session(key, token, hub_session, xsrf, self._now())
        self._sessions[session.key] = session
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def find(self, key: str) -> Session | None:
        """The session of a cookie's value, unless it is too old."""
        session = self._sessions.get(key)
        if session and self._now() - session.began > SESSION_SECONDS:
            self.end(session)
            return None
        return session

    def end(self, session: Session) -> None:
        """Forget a session."""
        self._sessions.pop(session.key, None)

    def seal(self, state: str, path: str) -> str:
        """A cookie's value that only we can make: a login's state and where to go after it."""
        place = base64.urlsafe_b64encode(path.encode()).decode()
        return f"{state}.{place}.{self._seal(f'{state}.{place}')}"

    def unseal(self, value: str, state: str) -> str | None:
        """Where to go after the login of ``state``; ``None`` if the value is not ours for it."""
        sealed, _, seal = value.rpartition(".")
        own, _, place = sealed.partition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(sealed).encode()):
            return None
        if not hmac.compare_digest(own.encode(), state.encode()):
            return None
        try:
            return base64.urlsafe_b64decode(place).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None

    def _seal(self, text: str) -> str:
        return hmac.new(self._state_key, text.encode(), hashlib.sha256).hexdigest()


def session_of(
    connection: HTTPConnection, addresses: Addresses, sessions: Sessions
) -> Session | None:
    """The session that a request's cookie names, while its login at the hub lasts."""
    name = addresses.cookie_prefix + SESSION_COOKIE
    session = sessions.find(connection.cookies.get(name, ""))
    if session and session.hub_session != hub_session_of(connection):
        sessions.end(session)
        return None
    return session


def hub_session_of(connection: HTTPConnection) -> str:
    """The browser's login at the hub; empty without one."""
    return connection.cookies.get(HUB_SESSION_COOKIE, "")


def send_to_login(
    connection: HTTPConnection, addresses: Addresses, sessions: Sessions, path: str
) -> Response:
    """Send the browser to the hub's login; it returns to ``path`` (below the base path)."""
    state = secrets.token_urlsafe(24)
    query = urlencode(
        {
            "client_id": CLIENT_ID,
            "redirect_uri": addresses.oauth_redirect_uri,
            "response_type": "code",
            "state": state,
        }
    )
    response = RedirectResponse(f"{addresses.hub_base}hub/api/oauth2/authorize?{query}", 302)
    begun = [name for name in connection.cookies if _STATE_COOKIES.fullmatch(name)]
    if len(begun) >= MOST_LOGINS:
        # Visits that nobody brought to an end; so many would make the next request too large.
        for name in begun:
            _set_cookie(response, addresses, name, "", 0)
    # One cookie per login, so that several tabs can log in side by side.
    name = _state_cookie(addresses, state)
    _set_cookie(response, addresses, name, sessions.seal(state, path), STATE_SECONDS)
    return response


def finish_login(
    connection: HTTPConnection, addresses: Addresses, sessions: Sessions, state: str
) -> str:
    """Check that the login was begun by this browser; where to go now.

    Raises:
        Unauthorized: it was not, or too long ago.
    """
    sealed = connection.cookies.get(_state_cookie(addresses, state), "")
    path = sessions.unseal(sealed, state)
    if path is None:
        raise Unauthorized("This login was not begun here, or too long ago. Please try again.")
    return path if is_below(path, addresses.base_path) else addresses.base_path


def keep_session(response: Response, addresses: Addresses, session: Session, state: str) -> None:
    """Give the browser its session and take back the login's cookie."""
    name = addresses.cookie_prefix + SESSION_COOKIE
    _set_cookie(response, addresses, name, session.key, SESSION_SECONDS)
    _set_cookie(response, addresses, _state_cookie(addresses, state), "", 0)


def is_below(path: str, base_path: str) -> bool:
    """Whether ``path`` is an address of ours and cannot be read as another site's."""
    plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) < LONGEST_NEXT
    return plain and path.startswith(base_path) and "//" not in path and "/../" not in path


def _state_cookie(addresses: Addresses, state: str) -> str:
    digest = hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{addresses.cookie_prefix}{STATE_COOKIE}-{digest[:12]}"


def _set_cookie(
    response: Response, addresses: Addresses, name: str, value: str, seconds: int
) -> None:
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=addresses.cookie_path,
        httponly=True,
        samesite="lax",
        secure=addresses.is_secure,
    )
