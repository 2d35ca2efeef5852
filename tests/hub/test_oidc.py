"""Logins at a real OpenID Connect provider: who gets in, into which groups, and for how long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from hub_config.logins.membership import ACCOUNT
from tests.hub.oidc import CLIENT_ID, Browser, Hub, run_hub
from tests.site import wait_until

LOGIN = {
    "provider": "oidc",
    "groups": {"spatial-lab": ["spatial", "imaging"], "gpu-users": ["gpu"], "teaching": ["course"]},
    "administrators": ["platform-team"],
}
#: An ID token of long ago.
OVER = jwt.encode({"iss": "x", "sub": "x", "aud": CLIENT_ID, "exp": 1, "iat": 0}, "x" * 32)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub; each test has accounts of its own."""
    with run_hub(tmp_path_factory.mktemp("oidc hub"), LOGIN) as running:
        yield running


@pytest.fixture(scope="module")
def root(hub: Hub) -> Browser:
    """An administrator, and in no group of the catalogue."""
    hub.provider.set_account("root", preferred_username="root", groups=["platform-team"])
    return hub.sign_in("root")


def get_classes(browser: Browser) -> set[str]:
    """The classes that somebody may choose in the start form."""
    page = browser.client.get("/hub/spawn").text
    return set(re.findall(r'name="class" value="([^"]+)"', page))


def find_message(answer: httpx.Response) -> str:
    """What an error page tells."""
    found = re.search(r'<section class="card starting">.*?</section>', answer.text, re.DOTALL)
    assert found, answer.text
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split())


def wait_until_signed_out(browser: Browser) -> None:
    """Wait until the hub has looked again and wants a sign-in."""

    def is_out() -> bool:
        status = browser.get_api("/hub/api/user").status_code
        assert status in (200, 403), status
        return status == 403

    wait_until(is_out, "the hub to want a sign-in", 20)


def test_people_of_different_groups_see_different_classes(hub: Hub) -> None:
    hub.provider.set_account("a1", preferred_username="Ada", groups=["imaging", "gpu", "other"])
    hub.provider.set_account("b1", preferred_username="ben", groups=["course"])

    ada, ben = hub.sign_in("a1"), hub.sign_in("b1")

    user = ada.get_user()
    assert (user["name"], user["admin"]) == ("ada", False)
    assert sorted(user["groups"]) == ["gpu-users", "spatial-lab"]
    assert ben.get_user()["groups"] == ["teaching"]
    assert get_classes(ben) < get_classes(ada)


def test_who_is_in_no_group_is_refused_with_words(hub: Hub) -> None:
    hub.provider.set_account("c1", preferred_username="cleo", groups=["Course", "spatial-lab"])
    hub.provider.set_account("c2", preferred_username="<i>carl")

    for login, name in (("c1", "cleo"), ("c2", "&lt;i&gt;carl")):
        browser = hub.open_browser()
        answer = browser.sign_in(login)

        assert answer.status_code == 403
        assert f"You are signed in at 127.0.0.1 as {name}, and none of your groups" in find_message(
            answer
        )
        assert browser.get_api("/hub/api/user").status_code == 403
        # The provider would let the same account in again, so there is a way to another.
        assert '<a href="/hub/logout">Sign out</a>' in answer.text
        assert "/session/end" in str(browser.client.get("/hub/logout").url)


def test_groups_that_change_at_the_provider_arrive(hub: Hub, root: Browser) -> None:
    """Each look is by the refresh token, which rotates, so that the others may be over."""
    hub.provider.set_account("d1", preferred_username="dora", groups=["course"])
    dora = hub.sign_in("d1")
    set_tokens(root, "dora", access_token="over", id_token=OVER)

    hub.provider.set_groups("d1", "gpu", "spatial")
    dora.wait_for_groups("gpu-users", "spatial-lab")
    hub.provider.set_groups("d1", "course")
    dora.wait_for_groups("teaching")


def test_an_administrator_is_one_as_long_as_the_group_says(hub: Hub) -> None:
    hub.provider.set_account("e1", preferred_username="eva", groups=["platform-team", "course"])
    eva = hub.sign_in("e1")
    assert eva.get_user()["admin"] is True
    assert eva.get_api("/hub/api/users").status_code == 200

    hub.provider.set_groups("e1", "course")
    wait_until(lambda: not eva.get_user()["admin"], "the right to go", 20)

    assert eva.get_api("/hub/api/users").status_code == 403


def test_a_start_asks_the_provider_first(hub: Hub) -> None:
    """Even where what is known of somebody is young."""
    hub.provider.set_account("f1", preferred_username="finn", groups=["gpu", "course"])
    finn = hub.sign_in("f1")
    finn.client.get("/hub/spawn")
    hub.provider.set_groups("f1", "course")

    chosen = {"group": "gpu-users", "image": "notebook", "class": "small"}
    answer = finn.send("POST", "/hub/api/users/finn/server", json=chosen)

    assert answer.status_code == 400, answer.text
    assert "gpu-users" in answer.json()["message"]
    assert finn.get_user()["groups"] == ["teaching"]


def test_who_is_in_no_group_any_more_is_put_out(hub: Hub, root: Browser) -> None:
    """Their groups end with it, so that the jobs service starts nothing more for them."""
    hub.provider.set_account("g1", preferred_username="gus", groups=["gpu"])
    gus = hub.sign_in("g1")
    hub.provider.set_groups("g1")

    wait_until_signed_out(gus)

    assert root.get_api("/hub/api/users/gus").json()["groups"] == []
    # The provider still knows the browser, and this hub says why that is not enough.
    answer = gus.client.get("/hub/oauth_login")
    assert answer.status_code == 403
    assert "none of your groups" in find_message(answer)


def test_a_running_session_outlives_the_group_and_the_next_start_does_not(
    hub: Hub, root: Browser
) -> None:
    hub.provider.set_account("u1", preferred_username="uma", groups=["gpu", "course"])
    uma = hub.sign_in("u1")
    chosen = {"group": "gpu-users", "image": "notebook", "class": "small"}
    started = uma.send("POST", "/hub/api/users/uma/server", json=chosen)
    assert started.status_code in (201, 202), started.text

    def is_ready() -> bool:
        servers = root.get_api("/hub/api/users/uma").json()["servers"]
        return bool(servers and servers[""]["ready"])

    wait_until(is_ready, "the session", 60)
    hub.provider.set_groups("u1", "course")
    uma.wait_for_groups("teaching")

    assert "jupyter-config-data" in uma.client.get("/user/uma/lab").text
    hub.provider.set_groups("u1")
    wait_until_signed_out(uma)
    assert is_ready()
    # Stopping asks for nothing; starting again would.
    stopped = root.send("DELETE", "/hub/api/users/uma/server")
    assert stopped.status_code in (202, 204), stopped.text
    wait_until(lambda: not root.get_api("/hub/api/users/uma").json()["servers"], "its end", 30)
    again = root.send("POST", "/hub/api/users/uma/server", json=chosen)
    assert again.status_code in (400, 403), again.text


def test_who_is_refused_at_the_sign_in_keeps_no_groups_either(hub: Hub, root: Browser) -> None:
    hub.provider.set_account("h1", preferred_username="hal", groups=["gpu"])
    hub.sign_in("h1")
    hub.provider.set_groups("h1")

    assert hub.open_browser().sign_in("h1").status_code == 403

    assert root.get_api("/hub/api/users/hal").json()["groups"] == []


@pytest.mark.parametrize("how", [503, "cut"])
def test_a_provider_that_is_away_logs_nobody_out(hub: Hub, how: int | str) -> None:
    login = f"i{how}"
    hub.provider.set_account(login, preferred_username=f"ida-{how}", groups=["gpu"])
    ida = hub.sign_in(login)

    with hub.provider.away(how):
        marked = len(hub.output)
        wait_until(
            lambda: ida.get_user() and f"ida-{how} stays as it was" in hub.output[marked:],
            "the hub to look",
            20,
        )
        assert ida.get_user()["groups"] == ["gpu-users"]
        assert ida.client.get("/hub/spawn").status_code == 200

    hub.provider.set_groups(login, "course")
    ida.wait_for_groups("teaching")


def test_a_sign_in_that_cannot_be_finished_says_so(hub: Hub) -> None:
    hub.provider.set_account("j1", preferred_username="jo", groups=["gpu"])
    browser = hub.open_browser()
    callback = begin(hub, "j1", browser)

    with hub.provider.away(503):
        answer = browser.client.get(callback)

    assert answer.status_code == 503
    assert "127.0.0.1 cannot be asked who you are just now." in find_message(answer)


def test_a_refresh_token_that_is_refused_means_sign_in_again(hub: Hub, root: Browser) -> None:
    hub.provider.set_account("k1", preferred_username="kim", groups=["gpu"])
    kim = hub.sign_in("k1")
    set_tokens(root, "kim", refresh_token="stolen")

    wait_until_signed_out(kim)

    known = root.get_api("/hub/api/users/kim").json()
    # What the provider was not asked is not taken away: the sign-in that follows says.
    assert known["groups"] == ["gpu-users"]
    # It is not asked with the same token again and again; whose the name is stays known.
    assert list(known["auth_state"]) == [ACCOUNT]
    answer = kim.client.get("/hub/home")
    assert answer.status_code == 200
    assert "Sign in with 127.0.0.1" in answer.text
    kim.client.get("/hub/oauth_login")
    assert kim.get_user()["name"] == "kim"


def set_tokens(root: Browser, name: str, **tokens: str | None) -> None:
    """Put other tokens of somebody into what the hub keeps."""
    before = root.get_api(f"/hub/api/users/{name}").json()["auth_state"]
    response = {**before["token_response"], **tokens}
    set_auth_state(root, name, {**before, **tokens, "token_response": response})


def set_auth_state(root: Browser, name: str, state: dict[str, Any]) -> None:
    """Put other words into what the hub keeps of somebody's sign-in."""
    answer = root.send("PATCH", f"/hub/api/users/{name}", json={"auth_state": state})
    assert answer.status_code == 200, answer.text


def test_tokens_that_are_over_mean_sign_in_again_where_there_is_no_other(
    hub: Hub, root: Browser
) -> None:
    """An ID token that is over is no error of the hub's."""
    hub.provider.set_account("l1", preferred_username="leo", groups=["gpu"])
    leo = hub.sign_in("l1")
    set_tokens(root, "leo", refresh_token=None, access_token="over", id_token=OVER)

    wait_until_signed_out(leo)

    leo.client.get("/hub/oauth_login")
    assert leo.get_user()["name"] == "leo"


def test_requests_that_come_at_once_use_a_refresh_token_once(hub: Hub) -> None:
    """A second use would end the login: the provider takes it for a thief's."""
    hub.provider.set_account("m1", preferred_username="mia", groups=["gpu"])
    mia = hub.sign_in("m1")
    hub.provider.set_groups("m1", "course")
    cookies = "; ".join(f"{each.name}={each.value}" for each in mia.client.cookies.jar)

    def ask(number: int) -> int:
        # A client each, as tabs have connections of their own.
        with httpx.Client(base_url=hub.url, verify=mia.tls, timeout=30) as tab:
            answer = tab.get(
                "/hub/api/user", headers={"Cookie": cookies, "Referer": f"{hub.url}/hub/home"}
            )
            return answer.status_code

    with ThreadPoolExecutor(8) as tabs:
        for _ in range(4):
            mia.wait_for_groups("teaching")
            assert set(tabs.map(ask, range(8))) == {200}
    mia.wait_for_groups("teaching")


def test_a_name_stays_with_the_account_that_had_it_first(hub: Hub, root: Browser) -> None:
    hub.provider.set_account("n1", preferred_username="nina", groups=["gpu"])
    hub.sign_in("n1")
    hub.provider.set_account("n2", preferred_username="NINA", groups=["spatial"])

    answer = hub.open_browser().sign_in("n2")

    assert answer.status_code == 403
    assert "The name nina belongs to another account here" in find_message(answer)
    assert root.get_api("/hub/api/users/nina").json()["groups"] == ["gpu-users"]
    # An administrator lets the hub forget whose it was, as docs/logins.md has it.
    set_auth_state(root, "nina", {})
    assert hub.sign_in("n2").get_user()["groups"] == ["spatial-lab"]


def test_an_account_with_another_name_signs_in_anew(hub: Hub) -> None:
    hub.provider.set_account("o1", preferred_username="olga", groups=["gpu"])
    olga = hub.sign_in("o1")
    hub.provider.set_account("o1", preferred_username="olga-2", groups=["gpu"])

    wait_until_signed_out(olga)
    answer = olga.client.get("/hub/oauth_login")
    assert answer.status_code == 200, (answer.url, find_message(answer))

    assert olga.get_user()["name"] == "olga-2"


def test_a_sign_in_that_another_browser_began_is_refused(hub: Hub) -> None:
    hub.provider.set_account("p1", preferred_username="pia", groups=["gpu"])
    callback = begin(hub, "p1")

    victim = hub.open_browser()
    assert "OAuth state missing from cookies" in find_message(victim.client.get(callback))
    victim.client.get("/hub/oauth_login")
    answer = victim.client.get(callback)

    assert answer.status_code == 400
    assert "OAuth state mismatch" in find_message(answer)
    assert victim.get_api("/hub/api/user").status_code == 403


def begin(hub: Hub, login: str, browser: Browser | None = None) -> str:
    """Go through a sign-in up to the address that the provider sends the browser back to."""
    browser = browser or hub.open_browser()
    form = browser.client.get("/hub/oauth_login")
    browser.client.follow_redirects = False
    answer = browser.submit_form(form, login)
    while not answer.headers["location"].startswith(hub.url):
        answer = browser.client.get(answer.headers["location"])
    browser.client.follow_redirects = True
    return str(answer.headers["location"])


def test_a_code_is_good_once_and_for_the_browser_that_asked(hub: Hub) -> None:
    hub.provider.set_account("q1", preferred_username="quinn", groups=["gpu"])
    quinn = hub.open_browser()
    callback = begin(hub, "q1", quinn)
    kept = dict(quinn.client.cookies)
    assert quinn.client.get(callback).status_code == 200

    again = hub.open_browser()
    again.client.cookies.update(kept)
    answer = again.client.get(callback)
    assert answer.status_code == 400
    assert "did not confirm this sign-in" in find_message(answer)

    # A code of somebody else's sign-in, under the state of one's own.
    thief = hub.open_browser()
    own = parse_qs(urlsplit(begin(hub, "q1", thief)).query)
    other = parse_qs(urlsplit(begin(hub, "q1")).query)
    answer = thief.client.get(
        "/hub/oauth_callback", params={"state": own["state"][0], "code": other["code"][0]}
    )
    assert answer.status_code == 400
    assert "did not confirm this sign-in" in find_message(answer)


def test_the_provider_is_asked_with_a_challenge_and_a_nonce(hub: Hub) -> None:
    browser = hub.open_browser()
    browser.client.follow_redirects = False

    asked = [
        parse_qs(urlsplit(browser.client.get("/hub/oauth_login").headers["location"]).query)
        for _ in range(2)
    ]

    for each in asked:
        assert each["code_challenge_method"] == ["S256"]
        assert each["client_id"] == [CLIENT_ID]
        assert each["redirect_uri"] == [f"{hub.url}/hub/oauth_callback"]
        assert "openid" in each["scope"][0].split()
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]


@pytest.mark.parametrize(
    "place", ["https://evil.example/x", "//evil.example/x", "\\\\evil.example/x"]
)
def test_nobody_is_sent_to_another_site_afterwards(hub: Hub, place: str) -> None:
    hub.provider.set_account("r1", preferred_username="rosa", groups=["gpu"])
    browser = hub.open_browser()

    answer = browser.sign_in("r1", next=place)

    assert str(answer.url).startswith(hub.url)


def test_whoever_declines_is_told(hub: Hub) -> None:
    browser = hub.open_browser()
    form = browser.client.get("/hub/oauth_login")
    found = re.search(r'href="([^"]+/abort)"', form.text)
    assert found

    answer = browser.client.get(found[1])

    assert answer.status_code == 400
    assert "End-User aborted interaction" in find_message(answer)


def test_signing_out_ends_the_sign_in_at_the_provider_too(hub: Hub) -> None:
    hub.provider.set_account("s1", preferred_username="sam", groups=["gpu"])
    sam = hub.sign_in("s1")

    page = sam.client.get("/hub/logout")

    assert str(page.url).startswith(f"{hub.provider.issuer}/session/end?client_id={CLIENT_ID}")
    assert sam.get_api("/hub/api/user").status_code == 403
    found = re.search(r'action="([^"]+)".*?name="xsrf" value="([^"]+)"', page.text, re.DOTALL)
    assert found, page.text
    back = sam.client.post(found[1], data={"xsrf": found[2], "logout": "yes"})
    assert str(back.url).startswith(f"{hub.url}/hub/login")
    # The next person is asked who they are.
    assert "<form" in sam.client.get("/hub/oauth_login").text


def test_no_token_is_in_the_hub_s_log(hub: Hub, root: Browser) -> None:
    state = root.get_api("/hub/api/users/root").json()["auth_state"]

    for name in ("access_token", "refresh_token", "id_token"):
        assert state[name] not in hub.output
    # No page failed.
    assert " 500 " not in hub.output


def test_an_address_counts_only_where_it_is_verified(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """And a hub that has started while the provider was away lets people in afterwards."""
    login = {**LOGIN, "username": "email"}
    with run_hub(tmp_path_factory.mktemp("address hub"), login) as hub:
        with hub.provider.away(503):
            answer = hub.open_browser().client.get("/hub/oauth_login")
            assert answer.status_code == 503
            assert "127.0.0.1 cannot be asked who you are just now." in find_message(answer)

        told = {"email": "Boss@example.org", "groups": ["gpu"]}
        hub.provider.set_account("t1", email_verified=False, **told)
        answer = hub.open_browser().sign_in("t1")
        assert answer.status_code == 403
        assert "127.0.0.1 has not verified that Boss@example.org is your address." in find_message(
            answer
        )

        hub.provider.set_account("t1", email_verified=True, **told)
        boss = hub.sign_in("t1")
        assert boss.get_user()["name"] == "boss@example.org"

        # Where that is taken back, so is the sign-in.
        hub.provider.set_account("t1", email_verified=False, **told)
        wait_until_signed_out(boss)
