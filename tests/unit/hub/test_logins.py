"""The authenticators of providers that cannot run here, with answers as these document them.

What a provider answers is served on loopback, so that the classes ask by the library's own client.
What a running provider shows is in `tests/hub/test_oidc.py`.
"""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs

import jwt
import pytest
from oauthenticator.oauth2 import _serialize_state
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.testing import bind_unused_port
from tornado.web import RequestHandler

from hub_config.logins.failures import Denied, LoginNeeded, ProviderAway
from hub_config.logins.github import GitHubLogin
from hub_config.logins.google import DIRECTORY, GoogleLogin
from hub_config.logins.membership import ACCOUNT, GroupLogin
from hub_config.logins.openid import OpenIDLogin, is_safe
from hub_config.logins.providers import build_traits, choose_class
from hub_config.platform.login import Login

T = TypeVar("T")
CALLBACK = "https://hub.example.org/hub/oauth_callback"
OIDC = Login(
    provider="oidc",
    client_id="notebook-hpc",
    groups={"lab": ("spatial",)},
    administrators=("root",),
    issuer="https://login.example.org",
    username="preferred_username",
    groups_claim="groups",
)
COGNITO = Login(
    provider="cognito",
    client_id="notebook-hpc",
    groups={"lab": ("spatial",)},
    issuer="https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_A",
    username="cognito:username",
    groups_claim="cognito:groups",
)
ENTRA = Login(
    provider="entra",
    client_id="notebook-hpc",
    groups={"lab": ("0760b6cf-170e-4a14-91b3-4b78e0739963",)},
    issuer="https://login.microsoftonline.com/833ced3d-cb2e-41de-92f1-29e2af035ddc/v2.0",
    username="preferred_username",
    groups_claim="groups",
)
GITHUB = Login(
    provider="github",
    client_id="notebook-hpc",
    groups={"lab": ("example-lab:spatial",), "teaching": ("courses",)},
    administrators=("example-lab:platform",),
)
GOOGLE = Login(
    provider="google",
    client_id="notebook-hpc",
    groups={"lab": ("spatial@lab.example.org",)},
    domain="lab.example.org",
    directory_administrator="hub@lab.example.org",
)


@dataclass
class Answers:
    """What a provider answers, by the end of the path; and what it was asked."""

    by_path: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self, request: HTTPServerRequest) -> None:
        """Answer a request; 404 to one that nobody expected."""
        self.asked.append(request.uri or "")
        body = self.by_path.get(request.path, 404)
        if callable(body):
            body = body(request)
        status, text = (body, "{}") if isinstance(body, int) else (200, body)
        if isinstance(body, tuple):
            status, text = body
        if not isinstance(text, str):
            text = json.dumps(text)
        start = ResponseStartLine("HTTP/1.1", status, "It says")
        headers = HTTPHeaders({**self.headers, "Content-Length": str(len(text.encode()))})
        assert request.connection is not None
        request.connection.write_headers(start, headers, text.encode())
        request.connection.finish()


@pytest.fixture
def answers() -> Answers:
    return Answers()


def make(login: Login, **traits: Any) -> GroupLogin:
    """The authenticator as the platform configures it."""
    made = choose_class(login)(**{**build_traits(login, CALLBACK), **traits})
    assert isinstance(made, GroupLogin)
    return made


def run(answers: Answers, do: Callable[[str], Awaitable[T]]) -> T:
    """What a coroutine gives that is told where the provider answers."""

    async def serve() -> T:
        listener, port = bind_unused_port()
        server = HTTPServer(answers.answer)
        server.add_socket(listener)
        try:
            return await do(f"http://127.0.0.1:{port}")
        finally:
            server.stop()
            await server.close_all_connections()

    return asyncio.run(serve())


def make_id_token(login: Login, **claims: object) -> str:
    """An ID token as the provider would make it, over in an hour."""
    now = int(time.time())
    told = {"iss": login.issuer, "sub": "1", "aud": login.client_id, "iat": now, "exp": now + 3600}
    return jwt.encode({**told, **claims}, "x" * 32, algorithm="HS256")


def read(login: Login, **claims: object) -> dict[str, Any]:
    """Who has an ID token with these claims, where there is no userinfo."""
    made = make(login, token_url="https://login.example.org/token")
    tokens = {
        "access_token": "a",
        "token_type": "Bearer",
        "id_token": make_id_token(login, **claims),
    }
    return asyncio.run(made.read_person(tokens))


# -- OpenID Connect


def test_groups_come_out_of_the_id_token_alone() -> None:
    person = read(OIDC, preferred_username="Ada", groups=["spatial", "other", 7])

    assert (person["name"], person["groups"], person["admin"]) == ("ada", ["lab"], False)
    assert person["auth_state"][ACCOUNT] == "https://login.example.org 1"


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        # A text is one group, not its letters.
        ({"groups": "spatial"}, ["lab"]),
        ({"groups": "s"}, []),
        ({"groups": ["SPATIAL"]}, []),
        ({"groups": {"spatial": True}}, []),
        ({"groups": None}, []),
        ({}, []),
    ],
)
def test_whatever_the_claim_is_it_gives_groups(claims: dict[str, Any], groups: list[str]) -> None:
    assert read(OIDC, preferred_username="ada", **claims)["groups"] == groups


def test_a_claim_may_be_at_the_end_of_a_path() -> None:
    nested = Login(**{**vars(OIDC), "groups_claim": "realm_access.roles"})

    person = read(nested, preferred_username="ada", realm_access={"roles": ["spatial"]})

    assert person["groups"] == ["lab"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": int(time.time()) - 120},
        {"iss": "https://login.example.org/"},
        {"aud": "another-client"},
        {"exp": None},
    ],
)
def test_an_id_token_that_is_not_ours_or_over_is_no_error_of_the_hub(
    wrong: dict[str, Any],
) -> None:
    """OAuthenticator would answer 500, with the token in its text."""
    with pytest.raises(LoginNeeded) as refused:
        read(OIDC, preferred_username="ada", groups=["spatial"], **wrong)

    assert refused.value.status_code == 400
    assert "eyJ" not in str(refused.value)


def test_no_claim_with_a_name_is_told_and_no_error_of_the_hub() -> None:
    with pytest.raises(Denied, match="did not tell the hub your user name"):
        read(OIDC, groups=["spatial"])


@pytest.mark.parametrize("verified", [None, False, "false", 1, "yes"])
def test_an_address_that_nobody_verified_is_refused(verified: object) -> None:
    by_email = Login(**{**vars(OIDC), "username": "email"})

    with pytest.raises(Denied, match=r"has not verified that boss@example\.org is your address"):
        read(by_email, email="boss@example.org", email_verified=verified, groups=["spatial"])


@pytest.mark.parametrize("verified", [True, "true"])
def test_an_address_that_the_provider_verified_is_a_name(verified: object) -> None:
    """Cognito's userinfo has a text for it."""
    by_email = Login(**{**vars(OIDC), "username": "email"})

    assert read(by_email, email="A@x.org", email_verified=verified)["name"] == "a@x.org"


def discover(answers: Answers, url: str, **changes: object) -> OpenIDLogin:
    """A login at the provider that answers there, which says of itself what standards demand."""
    answers.by_path["/.well-known/openid-configuration"] = {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        **changes,
    }
    made = make(Login(**{**vars(OIDC), "issuer": url}))
    assert isinstance(made, OpenIDLogin)
    return made


def test_what_the_provider_says_of_itself_is_used(answers: Answers) -> None:
    async def do(url: str) -> OpenIDLogin:
        made = discover(
            answers,
            url,
            userinfo_endpoint=f"{url}/me",
            scopes_supported=["openid", "offline_access"],
            token_endpoint_auth_methods_supported=["client_secret_post"],
        )
        await made.discover()
        await made.discover()
        return made

    made = run(answers, do)

    assert answers.asked == ["/.well-known/openid-configuration"]
    assert made.authorize_url.endswith("/authorize")
    assert made.scope == ["openid", "profile", "email", "offline_access"]
    assert made.basic_auth is False


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://another.example.org"},
        {"token_endpoint": None},
        {"token_endpoint": "ftp://login.example.org/token"},
        {"userinfo_endpoint": 7},
    ],
)
def test_a_provider_that_is_not_the_one_that_was_meant_is_not_asked(
    answers: Answers, changes: dict[str, Any]
) -> None:
    async def do(url: str) -> None:
        await discover(answers, url, **changes).discover()

    with pytest.raises(ProviderAway):
        run(answers, do)


def test_secrets_go_over_tls_where_the_issuer_has_it() -> None:
    endpoints = {"authorization_endpoint": "https://x/a", "token_endpoint": "http://x/t"}

    assert not is_safe(endpoints, "https://x")
    assert is_safe(endpoints, "http://127.0.0.1")


def test_userinfo_of_another_account_is_refused(answers: Answers) -> None:
    """OpenID Connect Core 1.0, 5.3.2."""

    async def do(url: str) -> None:
        made = discover(answers, url, userinfo_endpoint=f"{url}/me")
        answers.by_path["/me"] = {"sub": "2", "preferred_username": "boss", "groups": ["root"]}
        await made.discover()
        token = make_id_token(made.login, preferred_username="ada")
        await made.read_person({"access_token": "a", "token_type": "Bearer", "id_token": token})

    with pytest.raises(LoginNeeded):
        run(answers, do)


def look_again(
    answers: Answers, token_answer: object, userinfo: object = None, **kept: object
) -> dict[str, Any]:
    """Look again who somebody is, of whom the hub keeps an ID token that is over."""

    async def do(url: str) -> dict[str, Any]:
        made = discover(answers, url, userinfo_endpoint=f"{url}/me")
        over = make_id_token(made.login, exp=int(time.time()) - 3600)
        answers.by_path["/token"] = token_answer
        answers.by_path["/me"] = userinfo
        tokens = {"access_token": "old", "token_type": "Bearer", "id_token": over}
        state = {"token_response": tokens, "refresh_token": "r", **kept}
        return await made.renew(state)

    return run(answers, do)


NEW = {"access_token": "new", "token_type": "Bearer"}


def test_looking_again_goes_by_the_refresh_token_though_the_id_token_is_over(
    answers: Answers,
) -> None:
    told = {"sub": "1", "preferred_username": "ada", "groups": ["spatial"]}

    person = look_again(answers, NEW, told)

    assert person["groups"] == ["lab"]
    assert person["auth_state"]["access_token"] == "new"
    # It was not given anew, so it stays.
    assert person["auth_state"]["refresh_token"] == "r"


def test_new_tokens_that_say_nothing_of_groups_take_none_away(answers: Answers) -> None:
    with pytest.raises(LoginNeeded):
        look_again(answers, NEW, {"sub": "1", "preferred_username": "ada"})


@pytest.mark.parametrize("answer", [400, 401, {"error": "x", "error_description": "revoked"}])
def test_a_refresh_token_that_is_refused_means_sign_in_again(
    answers: Answers, answer: object
) -> None:
    with pytest.raises(LoginNeeded):
        look_again(answers, answer)


@pytest.mark.parametrize(
    "answer",
    [
        *(500, 503, 429, 408, "<html>", {}),
        # It is the hub whose secret has changed: nobody is to be signed out for that.
        (401, {"error": "invalid_client"}),
        (400, {"error": "unauthorized_client"}),
    ],
)
def test_a_provider_that_cannot_answer_is_away(answers: Answers, answer: object) -> None:
    """OAuthenticator takes any failure of a refresh token for a refusal, and signs out."""
    with pytest.raises(ProviderAway):
        look_again(answers, answer)


def test_an_id_token_of_another_sign_in_is_refused() -> None:
    """A nonce is the challenge of the verifier that only this browser's cookie has."""
    made = make(OIDC)
    verifier = "v" * 43
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
    cookie = _serialize_state({"state_id": "s", "code_verifier": verifier})
    handler = cast(RequestHandler, SimpleNamespace(get_state_cookie=lambda: cookie))

    def check(**claims: object) -> None:
        model = {"name": "ada", "auth_state": {made.user_auth_state_key: claims}}
        made.check_sign_in(handler, model)

    check(nonce=challenge)
    for claims in ({"nonce": f"{challenge}="}, {"nonce": None}, {"nonce": "ä"}, {}):
        with pytest.raises(LoginNeeded):
            check(**claims)


class KnownUser:
    """A user as the hub has one: what is kept of the sign-in is saved and read again."""

    name = "ada"

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    async def get_auth_state(self) -> dict[str, Any]:
        """What was saved last."""
        return self.state

    async def save_auth_state(self, state: dict[str, Any]) -> None:
        """Keep this from now on."""
        self.state = state


def test_a_refresh_token_is_used_once_even_before_the_hub_has_saved_the_next(
    answers: Answers,
) -> None:
    """The hub saves what a look found only after others may have had their turn."""
    used = []

    def give(request: HTTPServerRequest) -> object:
        used.append(request.body_arguments["refresh_token"][0].decode())
        return {**NEW, "refresh_token": f"r{len(used)}"}

    async def do(url: str) -> list[Any]:
        made = discover(answers, url, userinfo_endpoint=f"{url}/me")
        answers.by_path["/token"] = give
        answers.by_path["/me"] = {"sub": "1", "preferred_username": "ada", "groups": ["spatial"]}
        user = KnownUser({"token_response": NEW, "refresh_token": "r0", ACCOUNT: f"{url} 1"})
        at_once = await asyncio.gather(*(made.refresh_user(user) for _ in range(3)))
        return [*at_once, await made.refresh_user(user)]

    first, second, third, last = run(answers, do)

    assert used == ["r0", "r1"]
    assert (first["groups"], last["groups"]) == (["lab"], ["lab"])
    assert (second, third) == (True, True)


def test_those_who_come_at_once_do_not_wait_for_an_absent_provider_one_by_one(
    answers: Answers,
) -> None:
    async def do(url: str) -> list[Any]:
        made = discover(answers, url, userinfo_endpoint=f"{url}/me")
        answers.by_path["/token"] = 503
        user = KnownUser({"token_response": NEW, "refresh_token": "r0", ACCOUNT: f"{url} 1"})
        return await asyncio.gather(*(made.refresh_user(user) for _ in range(5)))

    assert run(answers, do) == [True] * 5
    assert answers.asked.count("/token") == 1


def test_who_is_blocked_is_put_out_at_the_next_look(answers: Answers) -> None:
    """JupyterHub itself asks at a sign-in only."""
    kept: list[dict[str, Any]] = []

    async def keep(model: dict[str, Any], user: KnownUser) -> None:
        kept.append(model)

    async def do(url: str) -> Any:
        made = discover(answers, url, userinfo_endpoint=f"{url}/me")
        made.blocked_users = {"ada"}
        answers.by_path["/token"] = NEW
        answers.by_path["/me"] = {"sub": "1", "preferred_username": "ada", "groups": ["spatial"]}
        user = KnownUser({"token_response": NEW, "refresh_token": "r0", ACCOUNT: f"{url} 1"})
        handler = cast(RequestHandler, SimpleNamespace(auth_to_user=keep))
        return await made.refresh_user(user, handler)

    assert run(answers, do) is False
    assert [each["groups"] for each in kept] == [[]]


# -- Cognito and Entra ID


def test_cognito_has_groups_in_the_id_token_alone() -> None:
    person = read(COGNITO, **{"cognito:username": "ada", "cognito:groups": ["spatial"]})

    assert (person["name"], person["groups"]) == ("ada", ["lab"])


def test_at_entra_the_display_name_is_no_name() -> None:
    """AzureAdOAuthenticator takes it unless told otherwise; two people may have the same."""
    claims = {
        "name": "Ada L.",
        "preferred_username": "ada@example.org",
        "oid": "cb7eda1b-d09a-40ae-b8bb-37836ebc6abd",
        "groups": ["0760b6cf-170e-4a14-91b3-4b78e0739963"],
    }

    person = read(ENTRA, **claims)

    assert (person["name"], person["groups"]) == ("ada@example.org", ["lab"])
    # A subject is another for each application that is registered.
    assert person["auth_state"][ACCOUNT] == f"{ENTRA.issuer} {claims['oid']}"


@pytest.mark.parametrize(
    "overage",
    [
        {
            "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": "https://graph.microsoft.com/..."}},
        },
        {"hasgroups": True},
    ],
)
def test_more_groups_than_entra_tells_are_told_of(overage: dict[str, Any]) -> None:
    with pytest.raises(Denied, match="in more groups than Microsoft tells the hub"):
        read(ENTRA, preferred_username="ada@example.org", **overage)


# -- GitHub


def read_github(answers: Answers, *teams: str, organizations: tuple[str, ...] = ()) -> Any:
    """Who has a token of GitHub's that answers like this."""

    async def do(url: str) -> dict[str, Any]:
        answers.by_path |= {
            "/user": {"login": "Ada", "id": 42, "email": None, "name": "Ada L."},
            "/user/teams": [
                {"slug": team.split(":")[1], "organization": {"login": team.split(":")[0]}}
                for team in teams
            ],
            "/user/orgs": [{"login": name, "id": 1} for name in organizations],
        }
        made = make(GITHUB, github_api=url, userdata_url=f"{url}/user")
        assert isinstance(made, GitHubLogin)
        return await made.read_person(
            {"access_token": "a", "token_type": "bearer", "scope": "read:org"}
        )

    return run(answers, do)


def test_teams_and_organizations_of_github_are_groups(answers: Answers) -> None:
    person = read_github(answers, "Example-Lab:spatial", organizations=("Courses",))

    assert person["name"] == "ada"
    assert person["groups"] == ["lab", "teaching"]
    assert person["admin"] is False
    # A name is free again once its owner takes another.
    assert person["auth_state"][ACCOUNT] == "github 42"


def test_a_team_of_another_organization_is_another_team(answers: Answers) -> None:
    person = read_github(answers, "evil:spatial", "evil:platform", organizations=("evil",))

    assert (person["groups"], person["admin"]) == ([], False)


@pytest.mark.parametrize("header", [{"Retry-After": "60"}, {"X-RateLimit-Remaining": "0"}])
def test_who_has_asked_github_too_often_asks_later(
    answers: Answers, header: dict[str, str]
) -> None:
    """Else whoever is busy would be signed out: there is no refresh token."""

    async def do(url: str) -> None:
        answers.by_path["/user"] = 403
        made = make(GITHUB, github_api=url, userdata_url=f"{url}/user")
        await made.renew({"token_response": {"access_token": "a", "token_type": "bearer"}})

    with pytest.raises(LoginNeeded):
        run(answers, do)
    answers.headers = header
    with pytest.raises(ProviderAway):
        run(answers, do)


def test_a_team_of_github_s_are_the_administrators(answers: Answers) -> None:
    assert read_github(answers, "example-lab:platform")["admin"] is True


# -- Google

GOOGLE_USER = {
    "id": "1234",
    "email": "Ada@lab.example.org",
    "verified_email": True,
    "hd": "lab.example.org",
}


def read_google(
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
    directory: Callable[[HTTPServerRequest], object],
    **changes: object,
) -> Any:
    """Who has a token of Google's, where its directory answers like this."""

    async def do(url: str) -> dict[str, Any]:
        answers.by_path |= {"/userinfo": {**GOOGLE_USER, **changes}, "/groups": directory}
        monkeypatch.setattr("hub_config.logins.google.DIRECTORY", f"{url}/groups")
        made = make(GOOGLE, userdata_url=f"{url}/userinfo")
        assert isinstance(made, GoogleLogin)
        # The key of a service account is Google's to make; a token that it gave is at hand.
        made._service_credentials = {GOOGLE.domain: SimpleNamespace(valid=True, token="t")}
        return await made.read_person({"access_token": "a", "token_type": "Bearer"})

    return run(answers, do)


def test_google_s_directory_is_asked_page_by_page(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def directory(request: HTTPServerRequest) -> object:
        asked = parse_qs(request.query)
        assert request.headers["Authorization"] == "Bearer t"
        assert asked["userKey"] == ["Ada+x@lab.example.org"]
        if "pageToken" not in asked:
            return {"groups": [{"email": "other@lab.example.org"}], "nextPageToken": "&2"}
        assert asked["pageToken"] == ["&2"]
        return {"groups": [{"email": "Spatial@lab.example.org"}]}

    person = read_google(answers, monkeypatch, directory, email="Ada+x@lab.example.org")

    assert DIRECTORY.startswith("https://admin.googleapis.com/")
    # With its domain, so that the name stays when a second domain comes.
    assert (person["name"], person["groups"]) == ("ada+x@lab.example.org", ["lab"])
    assert person["auth_state"][ACCOUNT] == "google 1234"


def test_a_group_of_another_domain_is_another_group(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GoogleOAuthenticator would know it by the first half of its address alone."""
    other = {"groups": [{"email": "spatial@students.example.org"}]}

    assert read_google(answers, monkeypatch, lambda request: other)["groups"] == []


def test_who_is_in_no_group_of_google_s_has_none(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_google(answers, monkeypatch, lambda request: {})["groups"] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hd": None}, r"is for accounts of lab\.example\.org"),
        ({"hd": "evil.example"}, r"is for accounts of lab\.example\.org"),
        ({"verified_email": False}, "has not verified"),
        ({"verified_email": "true"}, "has not verified"),
    ],
)
def test_the_directory_is_not_asked_about_strangers(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(Denied, match=words):
        read_google(answers, monkeypatch, lambda request: {}, **changes)

    assert answers.asked == ["/userinfo"]


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_directory_that_does_not_tell_says_nothing_of_the_person(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """Else a key that is over would sign everybody out."""
    with pytest.raises(ProviderAway):
        read_google(answers, monkeypatch, lambda request: status)
