"""A hub whose people sign in at a real OpenID Connect provider, both as processes.

The hub gets a chart's values and Secrets in folders and applies the platform's own configuration,
as in a cluster; only its sessions are processes of this machine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import yaml

from hub_config.embedded.state import prepare_state
from hub_config.embedded.supervisor import find_proxy
from images._tool.builds import Builds
from images._tool.tools import find_places
from tests.hub.lone_hub import running_hub
from tests.plain import NO_TLS
from tests.platform_fixture import ROOT
from tests.ports import find_free_port
from tests.site import wait_until

CLIENT_ID = "notebook-hpc"
CLIENT_SECRET = "only for tests"
#: Seconds after which the hub asks the provider again who somebody is.
REFRESH_SECONDS = 1

CONFIGURATION = """
import pathlib
from dataclasses import replace
from hub_config.apply import apply
from hub_config.embedded.machine import look
from hub_config.settings import OneMachine
from hub_config.values import load_settings, read_values

folder = pathlib.Path({folder!r})
mount = folder / "secret"
# What the chart's own configuration makes of its values.
for section, traits in read_values(mount)["hub"]["config"].items():
    c[section].update(traits)
c.CryptKeeper.keys = [(mount / "hub.config.CryptKeeper.keys").read_text()]
found = look()
apply(
    c,
    replace(
        load_settings(mount, namespace_file=folder / "namespace"),
        sessions=OneMachine(
            state=folder / "state",
            environments=pathlib.Path({environments!r}),
            cores=found.cores,
            memory_bytes=found.memory_bytes,
            gpus=0,
        ),
        bind_url={url!r},
        hub_bind_url={own!r},
        hub_connect_url="",
        proxy_api_url={api!r},
        proxy_command=({proxy!r},),
        proxy_pid_file=str(folder / "proxy.pid"),
        database_url="sqlite:///" + str(folder / "jupyterhub.sqlite"),
        culler=None,
        ends_sessions=True,
    ),
)
c.OpenIDLogin.auth_refresh_age = {age}
"""


@dataclass
class Provider:
    """The provider; what is written of its accounts holds from its next request on."""

    file: Path
    issuer: str = ""
    written: dict[str, Any] = field(default_factory=dict)

    def set_account(self, login: str, **claims: object) -> None:
        """Have an account with these claims and no other, beside those that there are."""
        self.written.setdefault("accounts", {})[login] = claims
        self.write()

    def set_groups(self, login: str, *groups: str) -> None:
        """Put an account into these groups and no others."""
        self.written["accounts"][login]["groups"] = list(groups)
        self.write()

    @contextmanager
    def away(self, how: int | str) -> Iterator[None]:
        """Have it answer nothing but a status, or ``cut`` connections."""
        self.written["away"] = how
        self.write()
        try:
            yield
        finally:
            self.written["away"] = None
            self.write()

    def write(self) -> None:
        """Let it see what has changed, all at once."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"accounts": {}, **self.written}))
        fresh.rename(self.file)


@dataclass
class Hub:
    """The hub and its provider."""

    url: str
    provider: Provider
    folder: Path
    browsers: list[Browser] = field(default_factory=list)

    def open_browser(self) -> Browser:
        """A browser that nobody has used."""
        browser = Browser(self)
        self.browsers.append(browser)
        return browser

    def sign_in(self, login: str) -> Browser:
        """A browser in which an account has signed in; fails when it was refused."""
        browser = self.open_browser()
        answer = browser.sign_in(login)
        assert answer.status_code == 200, answer.text
        assert str(answer.url).startswith(self.url), answer.url
        return browser

    @property
    def output(self) -> str:
        """What the hub wrote."""
        return (self.folder / "output").read_text()


class Browser:
    """Somebody's browser."""

    tls = NO_TLS

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.client = httpx.Client(
            base_url=hub.url, follow_redirects=True, timeout=30, verify=NO_TLS
        )

    def sign_in(self, login: str, **parameters: str) -> httpx.Response:
        """Go through the sign-in with the provider's own form; the last page."""
        form = self.client.get("/hub/oauth_login", params=parameters)
        return self.submit_form(form, login)

    def submit_form(self, form: httpx.Response, login: str) -> httpx.Response:
        """Fill in the provider's form."""
        return submit_form(self.client, form, login)

    def get_user(self) -> dict[str, Any]:
        """What the hub says of who is signed in."""
        answer = self.get_api("/hub/api/user")
        assert answer.status_code == 200, answer.text
        user: dict[str, Any] = answer.json()
        return user

    def get_api(self, path: str) -> httpx.Response:
        """Ask the hub's API as its own pages do."""
        return self.client.get(path, headers={"Referer": f"{self.hub.url}/hub/home"})

    def wait_for_groups(self, *groups: str) -> None:
        """Wait until the hub has somebody in these groups and no others."""
        wait_until(lambda: sorted(self.get_user()["groups"]) == sorted(groups), f"{groups}", 20)

    def send(self, method: str, path: str, **words: Any) -> httpx.Response:
        """Send something to the hub as its own pages do."""
        self.client.get("/hub/home")
        token = self.client.cookies.get("_xsrf", path="/hub/") or ""
        headers = {"X-XSRFToken": token, "Referer": f"{self.hub.url}/hub/home"}
        return self.client.request(method, path, headers=headers, **words)


def submit_form(client: httpx.Client, form: httpx.Response, login: str) -> httpx.Response:
    """Fill in the provider's form; what the client, which follows, is shown at last."""
    found = re.search(r'<form [^>]*action="([^"]+)"', form.text)
    assert found, form.text
    fields = {"prompt": "login", "login": login, "password": "any"}
    return client.post(unescape(found[1]), data=fields)


@contextmanager
def run_provider(
    folder: Path, callback_url: str, place: Mapping[str, object] | None = None
) -> Iterator[Provider]:
    """A provider that knows the hub.

    Args:
        folder: for its accounts and its log.
        callback_url: of the hub.
        place: ``address`` and ``tls`` as `provider.mjs` has them, if it is not on loopback.
    """
    builds = Builds(find_places(os.environ))
    provider = Provider(folder / "accounts.json")
    provider.write()
    client = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [callback_url],
        "post_logout_redirect_uris": [callback_url.replace("oauth_callback", "login")],
    }
    order = {"accounts": str(provider.file), "client": client, **(place or {})}
    command = [str(builds.node / "node"), str(builds.provider / "provider.mjs"), json.dumps(order)]
    with (folder / "provider.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        provider.issuer = process.stdout.readline().strip()
        assert provider.issuer, (folder / "provider.log").read_text()
        yield provider
    finally:
        process.kill()
        process.communicate()


@contextmanager
def run_hub(folder: Path, login: Mapping[str, object]) -> Iterator[Hub]:
    """A provider, and a hub whose ``custom.login`` is this and the provider's issuer."""
    url, own, api = (f"http://127.0.0.1:{find_free_port()}" for _ in range(3))
    with run_provider(folder, f"{url}/hub/oauth_callback") as provider:
        write_secrets(folder, url, {**login, "issuer": provider.issuer, "client_id": CLIENT_ID})
        prepare_state(folder / "state")
        file = folder / "jupyterhub_config.py"
        text = CONFIGURATION.format(
            folder=str(folder),
            environments=str(ROOT / "build" / "environments"),
            url=url,
            own=own,
            api=api,
            proxy=str(find_proxy()),
            age=REFRESH_SECONDS,
        )
        file.write_text(text)
        hub = Hub(url, provider, folder)
        with running_hub(file, url):
            try:
                yield hub
            finally:
                for browser in hub.browsers:
                    browser.client.close()


def write_secrets(folder: Path, url: str, login: Mapping[str, object]) -> None:
    """Have what the chart mounts: its Secret, and beside it the administrator's."""
    values = yaml.safe_load((ROOT / "helm-values" / "jupyterhub.yaml").read_text())
    values |= yaml.safe_load((ROOT / "helm-values" / "catalogue.yaml").read_text())
    values["hub"]["config"] = {"JupyterHub": {"public_url": url, "authenticator_class": "dummy"}}
    values["custom"]["login"] = dict(login)
    mount, existing = folder / "secret", folder / "existing-secret"
    mount.mkdir()
    existing.mkdir()
    (mount / "values.yaml").write_text(yaml.safe_dump(values))
    secret = {"hub": {"config": {"OAuthenticator": {"client_secret": CLIENT_SECRET}}}}
    (existing / "values.yaml").write_text(yaml.safe_dump(secret))
    (folder / "namespace").write_text("jupyterhub")
    for key in (
        "hub.config.ConfigurableHTTPProxy.auth_token",
        "hub.config.JupyterHub.cookie_secret",
        "hub.config.CryptKeeper.keys",
        "hub.services.offline-jobs.apiToken",
    ):
        (mount / key).write_text("ab" * 32)
