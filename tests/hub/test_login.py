"""The demonstration login: who gets in, with which groups, and from where; and any other login."""

import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest
import yaml

from hub_config.embedded.supervisor import find_proxy
from tests.hub.lone_hub import running_hub
from tests.plain import NO_TLS
from tests.platform_fixture import ROOT, Platform
from tests.ports import find_free_port

#: What the chart's configuration does with the values, as far as a login needs it; then ours.
CONFIGURATION = """
import pathlib, yaml
from hub_config.apply import update_login, update_pages
from hub_config.values import load_settings

folder = pathlib.Path({folder!r})
values = yaml.safe_load((folder / "values.yaml").read_text())
for section, traits in values["hub"]["config"].items():
    c[section].update(traits)
c.CryptKeeper.keys = [(folder / "hub.config.CryptKeeper.keys").read_text()]
c.JupyterHub.bind_url = {url!r}
c.JupyterHub.hub_bind_url = {own!r}
c.ConfigurableHTTPProxy.api_url = {api!r}
settings = load_settings(folder, namespace_file=folder / "namespace")
update_login(c, settings)
update_pages(c, settings)
"""


@pytest.fixture(scope="module")
def oauth_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a hub whose people sign in at GitHub, behind what ends TLS for browsers."""
    folder = tmp_path_factory.mktemp("oauth hub")
    url, own, api = (f"http://127.0.0.1:{find_free_port()}" for _ in range(3))
    values = yaml.safe_load((ROOT / "helm-values" / "jupyterhub.yaml").read_text())
    values |= yaml.safe_load((ROOT / "helm-values" / "catalogue.yaml").read_text())
    values["hub"]["config"] = {
        "JupyterHub": {"public_url": "https://hub.example.org"},
        "ConfigurableHTTPProxy": {"command": [str(find_proxy())]},
        "OAuthenticator": {"client_secret": "secret"},
    }
    values["custom"]["login"] = {
        "provider": "github",
        "client_id": "notebook-hpc",
        "groups": {"spatial-lab": ["lab:spatial"]},
    }
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    (folder / "namespace").write_text("jupyterhub")
    for key in (
        "hub.config.ConfigurableHTTPProxy.auth_token",
        "hub.config.JupyterHub.cookie_secret",
        "hub.config.CryptKeeper.keys",
        "hub.services.offline-jobs.apiToken",
    ):
        (folder / key).write_text("ab" * 32)
    file = folder / "jupyterhub_config.py"
    file.write_text(CONFIGURATION.format(folder=str(folder), url=url, own=own, api=api))
    with running_hub(file, url):
        yield url


@pytest.mark.parametrize(
    ("name", "groups", "admin"),
    [
        ("ada", ["gpu-users", "spatial-lab"], False),
        ("ben", ["teaching"], False),
        ("admin", ["spatial-lab"], True),
    ],
)
def test_each_user_signs_in_with_their_groups(
    platform: Platform, name: str, groups: list[str], admin: bool
) -> None:
    user = platform.sign_in(name).api.get("/hub/api/user").json()

    assert user["name"] == name
    assert sorted(user["groups"]) == groups
    assert user["admin"] is admin


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("ada", ""), ("eve", "demonstration"), ("", ""), ("ADA ", "dämonstration")],
)
def test_others_are_refused(platform: Platform, name: str, password: str) -> None:
    with httpx.Client(base_url=platform.url, timeout=30, verify=NO_TLS) as client:
        answer = platform.post_login(client, name, password)

        assert answer.status_code == 403
        assert "Invalid username or password" in answer.text


def test_a_page_that_reached_us_under_another_name_cannot_sign_in(platform: Platform) -> None:
    with httpx.Client(base_url=platform.url, timeout=30, verify=NO_TLS) as client:
        answer = platform.post_login(
            client, "ada", "demonstration", host=f"rebound.example:{platform.port}"
        )

        assert answer.status_code == 403


def test_the_login_page_says_what_it_is_and_who_may_come(platform: Platform) -> None:
    page = httpx.get(platform.url + "/hub/login", verify=NO_TLS).text

    assert "This is a demonstration" in page
    assert "Never use it for a group" in page
    for word in ("ada", "ben", "admin", "demonstration"):
        assert f"<code>{word}</code>" in page
    assert "not a secure" not in page


def test_whoever_signs_in_elsewhere_is_shown_the_way(oauth_hub: str) -> None:
    page = httpx.get(f"{oauth_hub}/hub/login", params={"next": "/hub/home"}, verify=NO_TLS).text
    found = re.search(r'<a id="login_service"[^>]* href="([^"]*)">Sign in with GitHub</a>', page)

    assert found
    assert "<form" not in page
    assert "password" not in page.partition("<main")[2].partition("</main>")[0]
    assert "demonstration" not in page.partition("<main")[2]
    answer = httpx.get(oauth_hub + unescape(found[1]), verify=NO_TLS)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("https://github.com/login/oauth/authorize?")


def test_a_hub_behind_tls_has_no_cookie_that_goes_without(
    oauth_hub: str, platform: Platform
) -> None:
    def list_cookies(url: str, path: str) -> dict[str, set[str]]:
        answer = httpx.get(url + path, verify=NO_TLS)
        made = [each.split("; ") for each in answer.headers.get_list("set-cookie")]
        return {name.partition("=")[0]: {each.lower() for each in of} for name, *of in made}

    begun = list_cookies(oauth_hub, "/hub/login") | list_cookies(oauth_hub, "/hub/oauth_login")

    assert begun.keys() == {"_xsrf", "oauthenticator-state"}
    for name, attributes in begun.items():
        assert "secure" in attributes, name
    assert "path=/hub/" in begun["_xsrf"]
    assert "secure" not in list_cookies(platform.url, "/hub/login")["_xsrf"]


def test_only_loopback_is_listened_on(platform: Platform) -> None:
    own = [
        connection
        for process in platform.processes()
        for connection in process.net_connections(kind="tcp")
        if connection.status == "LISTEN"
    ]

    assert len(own) >= 4  # hub, proxy and its API, jobs service
    assert {connection.laddr.ip for connection in own} <= {"127.0.0.1", "::1"}
