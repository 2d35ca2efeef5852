"""A hub as somebody with a browser and a token sees it, wherever it runs.

:class:`Site` is the ground of a platform of local processes (:mod:`tests.platform_fixture`) and of
one whose parts are pods (:mod:`tests.node.with_hub.site`), so that the same tests can use both.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.ledger import Turn, read_sessions
from tests.pauses import grow_pauses
from tests.plain import NO_TLS

PASSWORD = "demonstration"
T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], what: str | Callable[[], str], seconds: float = 120
) -> T:
    """What ``condition`` returns as soon as it is true; fails with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    pauses = grow_pauses()
    while not (found := condition()):
        if time.monotonic() > deadline:
            words = what if isinstance(what, str) else what()
            raise AssertionError(f"waited {seconds:g} s in vain for: {words}")
        time.sleep(next(pauses))
    return found


@dataclass
class User:
    """A signed-in user: ``client`` has the browser's cookies, ``api`` a token of the user's."""

    name: str
    client: httpx.Client
    api: httpx.Client

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.api.close()

    def post_form(self, fields: Mapping[str, str | list[str]]) -> httpx.Response:
        """Send the start form as a browser does."""
        page = self.client.get("/hub/spawn")
        assert page.status_code == 200, page.text
        token = self.client.cookies.get("_xsrf", path="/hub/")
        return self.client.post("/hub/spawn", params={"_xsrf": token or ""}, data=dict(fields))

    def post_server(self, options: object) -> httpx.Response:
        """Ask for a session by the REST API, with any options at all."""
        return self.api.post(f"/hub/api/users/{self.name}/server", json=options)

    def start_session(self, options: Mapping[str, str]) -> None:
        """Start a session and wait until Lab's page is served."""
        answer = self.post_server(dict(options))
        assert answer.status_code in (201, 202), answer.text
        self.wait_for_lab()

    def wait_for_lab(self, seconds: float = 120) -> None:
        """Wait until the session answers ``/lab``."""

        def is_served() -> bool:
            answer = self.client.get(f"/user/{self.name}/lab", follow_redirects=True)
            return answer.status_code == 200 and "jupyter-config-data" in answer.text

        wait_until(is_served, f"JupyterLab of {self.name}", seconds)

    def stop_session(self) -> None:
        """Stop the session and wait until it is gone."""
        answer = self.api.delete(f"/hub/api/users/{self.name}/server")
        assert answer.status_code in (202, 204, 404), answer.text
        wait_until(lambda: not self.server(), f"the session of {self.name} to stop")

    def server(self) -> dict[str, Any]:
        """The hub's record of the session; empty without one."""
        user = self.api.get(f"/hub/api/users/{self.name}").json()
        server: dict[str, Any] = user["servers"].get("", {})
        return server


@dataclass(kw_only=True)
class Site:
    """Where people sign in; closes those who did with :meth:`close_users`."""

    users: list[User] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is served, without a slash at the end."""
        raise NotImplementedError

    @property
    def homes(self) -> Path:
        """The folder of the homes, as this machine sees it."""
        raise NotImplementedError

    @property
    def service_state(self) -> Path:
        """The folder with what the jobs service stores, as this machine sees it."""
        raise NotImplementedError

    def read_sessions(self, user: str) -> dict[str, list[Turn]]:
        """What the jobs service was told of a user's sessions, by session, oldest first."""
        return read_sessions(self.service_state, user)

    def read_last_session(self, user: str) -> list[Turn]:
        """What it was told of the latest one; nothing where there was none."""
        sessions = list(self.read_sessions(user).values())
        return sessions[-1] if sessions else []

    def answers(self, path: str) -> bool:
        """Whether a page answers 200 now."""
        try:
            return httpx.get(self.url + path, timeout=5, verify=NO_TLS).status_code == 200
        except httpx.HTTPError:
            return False

    def sign_in(self, name: str, password: str = PASSWORD) -> User:
        """Sign in through the login page; fails when refused."""
        client = httpx.Client(base_url=self.url, timeout=30, verify=NO_TLS)
        answer = self.post_login(client, name, password)
        assert answer.status_code == 302, answer.text
        return self.make_user(client, name)

    def make_user(self, client: httpx.Client, name: str, tls: ssl.SSLContext = NO_TLS) -> User:
        """Somebody who has signed in, with a token of theirs."""
        token = client.cookies.get("_xsrf", path="/hub/") or ""
        made = client.post(
            f"/hub/api/users/{name}/tokens", json={"note": "test"}, headers={"X-XSRFToken": token}
        )
        if made.status_code == 403:  # signing in changed the token; a page shows the new one
            client.get("/hub/home")
            token = client.cookies.get("_xsrf", path="/hub/") or ""
            made = client.post(
                f"/hub/api/users/{name}/tokens",
                json={"note": "test"},
                headers={"X-XSRFToken": token},
            )
        assert made.status_code == 201, made.text
        api = httpx.Client(
            base_url=self.url,
            timeout=30,
            headers={"Authorization": f"token {made.json()['token']}"},
            verify=tls,
        )
        user = User(name, client, api)
        self.users.append(user)
        return user

    def post_login(
        self, client: httpx.Client, name: str, password: str, host: str | None = None
    ) -> httpx.Response:
        """Send the login form; ``host`` is the name that the browser believes it speaks to."""
        headers = {"Host": host} if host else {}
        client.get("/hub/login", headers=headers)
        token = client.cookies.get("_xsrf", path="/hub/") or ""
        return client.post(
            "/hub/login",
            data={"username": name, "password": password, "_xsrf": token},
            headers=headers,
        )

    def close_users(self) -> None:
        """Close the users' connections."""
        for user in self.users:
            user.close()
        self.users.clear()
