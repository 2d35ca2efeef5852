"""Who calls, by a real hub behind its real proxy: tokens, the page's login, logout, revocation."""

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.service.errors import Unavailable
from offline_jobs.service.hub import Hub
from offline_jobs.service.web.login import SESSION_COOKIE
from tests.plain import NO_TLS
from tests.platform_fixture import Platform
from tests.service.web.factories import API, make_notebook
from tests.site import PASSWORD, User, wait_until

REFUSED_SECONDS = 45  # an answer of the hub counts for 30 s


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with Platform(tmp_path_factory.mktemp("platform") / "state").running() as running:
        yield running


def make_token(user: User, **fields: object) -> tuple[str, str]:
    """A further token of a user's, and its id."""
    made = user.api.post(f"/hub/api/users/{user.name}/tokens", json={"note": "test", **fields})
    assert made.status_code == 201, made.text
    return made.json()["token"], made.json()["id"]


def ask(platform: Platform, token: str, path: str = "catalogue") -> httpx.Response:
    headers = {"Authorization": f"token {token}"}
    return httpx.get(platform.url + API + path, headers=headers, trust_env=False, verify=NO_TLS)


def open_page(user: User, path: str = "") -> httpx.Response:
    """Open the page as a browser does, through the hub's login where needed."""
    return user.client.get(SERVICE_PREFIX + path, follow_redirects=True)


def xsrf_of(text: str) -> str:
    found = re.search(r'name="xsrf" content="([^"]+)"', text)
    assert found
    return found[1]


def test_the_hub_says_who_calls_and_what_groups_there_are(platform: Platform) -> None:
    ada, admin = platform.sign_in("ada"), platform.sign_in("admin")
    seen = ada.api.get(f"{API}catalogue").json()
    assert seen["user"] == {"name": "ada", "admin": False}
    assert {g["slug"] for g in seen["groups"]} == {"spatial-lab", "gpu-users"}
    assert admin.api.get(f"{API}catalogue").json()["user"] == {"name": "admin", "admin": True}


def test_the_hub_says_who_is_in_which_group_now(platform: Platform) -> None:
    """With the service's own token, for each attempt of a job."""
    token = (platform.state / "secrets" / "service-token").read_text().strip()

    async def find(name: str, token: str = token) -> frozenset[str]:
        hub = Hub(f"{platform.url}/hub/api", token)
        try:
            return await hub.fetch_groups(name)
        finally:
            await hub.close()

    platform.sign_in("ada")
    admin = platform.sign_in("admin")
    groups = frozenset({"spatial-lab", "gpu-users"})
    assert asyncio.run(find("ada")) == groups
    gone = admin.api.request("DELETE", "/hub/api/groups/gpu-users/users", json={"users": ["ada"]})
    assert gone.is_success
    try:
        assert asyncio.run(find("ada")) == groups - {"gpu-users"}
    finally:
        back = admin.api.post("/hub/api/groups/gpu-users/users", json={"users": ["ada"]})
        assert back.is_success
    assert asyncio.run(find("no such/user")) == frozenset()
    with pytest.raises(Unavailable):
        asyncio.run(find("ada", "x"))


@pytest.mark.parametrize("token", ["x", "0" * 32, "x" * 2000])
def test_a_token_that_the_hub_does_not_know(platform: Platform, token: str) -> None:
    answer = ask(platform, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("token", ["é".encode(), b"\xff\xfe", b"a\tb"])
def test_a_token_that_no_hub_gives_out(platform: Platform, token: bytes) -> None:
    headers = {b"Authorization": b"token " + token}
    answer = httpx.get(
        f"{platform.url}{API}catalogue", headers=headers, trust_env=False, verify=NO_TLS
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_a_token_is_not_taken_from_the_address(platform: Platform) -> None:
    token, _ = make_token(platform.sign_in("ada"))
    answer = httpx.get(
        f"{platform.url}{API}catalogue?token={token}", trust_env=False, verify=NO_TLS
    )
    assert answer.status_code == 401
    assert token not in platform.logs()


def test_a_token_without_the_scope_is_refused(platform: Platform) -> None:
    ada = platform.sign_in("ada")
    narrow, _ = make_token(ada, scopes=["read:users:name!user", "read:users:groups!user"])
    answer = ask(platform, narrow)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing-scope")
    wide, _ = make_token(ada, scopes=["access:services!service=offline-jobs"])
    assert ask(platform, wide).status_code == 200


def test_a_services_token_is_refused(platform: Platform) -> None:
    token = (platform.state / "secrets" / "service-token").read_text().strip()
    answer = ask(platform, token)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert token not in platform.logs()


def test_the_page_logs_in_at_the_hub_and_comes_back(platform: Platform) -> None:
    ada = platform.sign_in("ada")
    answer = open_page(ada)
    assert answer.status_code == 200
    assert answer.url.path == SERVICE_PREFIX
    assert '<meta name="user" content="ada">' in answer.text
    cookies = [
        value
        for response in answer.history
        for value in response.headers.get_list("set-cookie")
        if value.startswith(SESSION_COOKIE)
    ]
    assert len(cookies) == 1
    for part in ("HttpOnly", "SameSite=lax", f"Path={SERVICE_PREFIX}"):
        assert part in cookies[0]
    token = {"X-XSRFToken": xsrf_of(answer.text)}
    body = {
        "notebook": make_notebook("1"),
        "path": "x.ipynb",
        "group": "gpu-users",
        "image": "notebook",
        "class": "small",
    }
    assert ada.client.post(f"{API}jobs/check", json=body).json()["code"] == "xsrf"
    checked = ada.client.post(f"{API}jobs/check", json=body, headers=token)
    assert checked.json()["problems"] == []


def test_after_the_login_one_is_where_one_wanted_to_be(platform: Platform) -> None:
    ada = platform.sign_in("ada")
    answer = open_page(ada, "jobs/a00000000000?x=//evil.example")
    assert answer.url.path == f"{SERVICE_PREFIX}jobs/a00000000000"
    assert answer.url.query == b""
    assert answer.status_code == 404


def test_a_code_counts_only_where_the_login_was_begun(platform: Platform) -> None:
    ada, ben = platform.sign_in("ada"), platform.sign_in("ben")
    begun = ada.client.get(SERVICE_PREFIX)
    granted = ada.client.get(begun.headers["location"])
    callback = granted.headers["location"]
    assert "code=" in callback
    stolen = ben.client.get(callback)
    assert stolen.status_code == 401
    assert SESSION_COOKIE not in ben.client.cookies
    assert ada.client.get(callback).status_code == 302
    code = re.search(r"code=([^&]+)", callback)
    assert code
    assert code[1] not in platform.logs()


def test_the_page_follows_the_hubs_login_at_once(platform: Platform) -> None:
    ada = platform.sign_in("ada")
    assert '<meta name="user" content="ada">' in open_page(ada).text
    ada.client.get("/hub/logout")
    assert ada.client.get(f"{API}jobs").status_code == 401
    assert "/hub/login" in str(open_page(ada).url)
    # Somebody else at the same browser.
    assert platform.post_login(ada.client, "ben", PASSWORD).status_code == 302
    assert '<meta name="user" content="ben">' in open_page(ada).text


def test_another_login_without_a_logout_is_followed_too(platform: Platform) -> None:
    ada = platform.sign_in("ada")
    assert open_page(ada).status_code == 200
    ada.client.cookies.set("jupyterhub-session-id", "another", path="/")
    assert ada.client.get(f"{API}jobs").status_code == 401


def test_revoked_tokens_and_ended_logins_are_refused_soon(platform: Platform) -> None:
    ada = platform.sign_in("ada")
    token, identity = make_token(ada)
    assert ask(platform, token).status_code == 200
    assert open_page(ada).status_code == 200
    assert ada.client.get(f"{API}jobs").status_code == 200
    ada.api.delete(f"/hub/api/users/ada/tokens/{identity}")
    ada.client.get("/hub/logout")
    wait_until(lambda: ask(platform, token).status_code == 401, "the token's end", REFUSED_SECONDS)
    wait_until(
        lambda: ada.client.get(f"{API}jobs").status_code == 401, "the login's end", REFUSED_SECONDS
    )
    assert "/hub/login" in str(open_page(ada).url)


def test_without_the_hub_callers_are_told_so(platform: Platform) -> None:
    token, _ = make_token(platform.sign_in("ben"))
    # Past the proxy, which goes down with its hub.
    service = platform.child("offline_jobs.service").environ()["OFFLINE_JOBS_PUBLIC_PORT"]
    address = f"http://127.0.0.1:{service}{API}jobs"
    headers = {"Authorization": f"token {token}"}
    platform.child("jupyterhub_config.py").kill()
    answer = httpx.get(address, headers=headers, trust_env=False, verify=NO_TLS)
    assert (answer.status_code, answer.json()["code"]) == (503, "hub-unavailable")
    wait_until(
        lambda: (
            httpx.get(address, headers=headers, trust_env=False, verify=NO_TLS).status_code == 200
        ),
        "the hub's return",
        60,
    )
