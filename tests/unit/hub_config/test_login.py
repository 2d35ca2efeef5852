"""What an administrator says of a login: what is read, and each mistake with its mend."""

from __future__ import annotations

from typing import Any

import pytest

from hub_config.platform.entry import Entry, Report
from hub_config.platform.located import read_text
from hub_config.platform.login import Login, read_login

SLUGS = ("lab", "gpu-users")
TENANT = "833ced3d-cb2e-41de-92f1-29e2af035ddc"
OIDC = "provider: oidc\nissuer: https://login.example.org\nclient_id: hub\ngroups: {lab: [a]}\n"
GITHUB = "provider: github\nclient_id: hub\ngroups: {lab: ['Lab:Spatial_1', courses]}\n"
GOOGLE = (
    "provider: google\nclient_id: hub\ndomain: lab.example.org\n"
    "directory_administrator: hub@lab.example.org\ngroups: {lab: [A@lab.example.org]}\n"
)
ENTRA = f"provider: entra\nclient_id: hub\ntenant: {TENANT}\ngroups: {{lab: [a]}}\n"


def read(text: str, slugs: tuple[str, ...] | None = SLUGS) -> tuple[Login, list[Any]]:
    """The login, and the mistakes."""
    tree, mistakes = read_text(text)
    report = Report(mistakes)
    return read_login(Entry("login", tree, report), slugs), report.mistakes


def test_what_is_written_is_read() -> None:
    login, mistakes = read(OIDC + "administrators: [root]\ngroups_claim: roles\nusername: sub\n")

    assert mistakes == []
    assert login == Login(
        provider="oidc",
        client_id="hub",
        groups={"lab": ("a",)},
        administrators=("root",),
        issuer="https://login.example.org",
        username="sub",
        groups_claim="roles",
    )
    assert login.title == "login.example.org"


def test_somebody_is_in_each_group_that_one_of_theirs_is() -> None:
    login = Login("oidc", "hub", {"lab": ("a", "b"), "gpu-users": ("b",)}, ("root",))

    assert login.find_groups(["b", "c"]) == {"lab", "gpu-users"}
    assert login.find_groups(["A", "lab"]) == frozenset()
    assert login.find_groups([]) == frozenset()
    assert login.is_administrator(["root"])
    assert not login.is_administrator(["Root", "lab"])


def test_what_knows_no_case_is_in_lower_case() -> None:
    assert read(GITHUB)[0].groups == {"lab": ("lab:spatial_1", "courses")}
    assert read(GOOGLE)[0].groups == {"lab": ("a@lab.example.org",)}


def test_each_provider_has_its_claims() -> None:
    cognito = read(OIDC.replace("oidc", "cognito"))[0]
    entra = read(ENTRA)[0]

    assert (cognito.username, cognito.groups_claim) == ("cognito:username", "cognito:groups")
    assert (entra.username, entra.groups_claim) == ("preferred_username", "groups")
    assert entra.issuer == f"https://login.microsoftonline.com/{TENANT}/v2.0"


@pytest.mark.parametrize(
    ("text", "key", "line", "said"),
    [
        (OIDC.replace("oidc", "okta"), "login.provider", 1, "allowed: github, google, cognito"),
        (OIDC.replace("hub", "17"), "login.client_id", 3, 'put it in quotes, for example "17"'),
        (OIDC.replace("client_id: hub\n", ""), "login.client_id", 1, "is missing"),
        (OIDC.replace("{lab: [a]}", "{labs: [a]}"), "login.groups.labs", 4, "allowed: lab, gpu"),
        (OIDC.replace("{lab: [a]}", "{}"), "login.groups", 4, "nobody could start anything"),
        (OIDC.replace("groups: {lab: [a]}\n", ""), "login.groups", 1, "is missing"),
        (OIDC.replace("[a]", "a"), "login.groups.lab", 4, "must be a list"),
        (OIDC.replace("[a]", "[]"), "login.groups.lab", 4, "must not be empty"),
        (OIDC.replace("[a]", "[a, 7]"), "login.groups.lab[1]", 4, "must be a text"),
        (OIDC + "administrator: [a]\n", "login.administrator", 5, "unknown key; allowed:"),
        (OIDC + "tenant: x\n", "login.tenant", 5, "unknown key; allowed: provider"),
        (OIDC + "username: name\n", "login.username", 5, "what people are shown as"),
        (OIDC.replace("https://", "http://"), "login.issuer", 2, "must begin with https://"),
        (OIDC.replace("https://", ""), "login.issuer", 2, "must be an address as in https://"),
        (OIDC.replace("login.example.org", "x/?a=b"), "login.issuer", 2, "must be an address"),
        (OIDC.replace("https://login.example.org", "https://["), "login.issuer", 2, "an address"),
        (GITHUB.replace("courses", "lab/spatial"), "login.groups.lab[1]", 3, "ORGANIZATION:TEAM"),
        (GITHUB + "issuer: https://x\n", "login.issuer", 4, "unknown key"),
        (GOOGLE.replace("A@lab.example.org", "a"), "login.groups.lab[0]", 5, "e-mail address"),
        (GOOGLE.replace("domain: lab.example.org\n", ""), "login.domain", 1, "is missing"),
        (GOOGLE.replace("hub@lab", "lab"), "login.directory_administrator", 4, "e-mail address"),
        (ENTRA.replace(TENANT, "common"), "login.tenant", 3, "people of any directory could sign"),
        (ENTRA.replace(TENANT, "lab.onmicrosoft.com"), "login.tenant", 3, "the directory's id"),
        (ENTRA + "username: email\n", "login.username", 5, "unknown key"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_its_mend(
    text: str, key: str, line: int, said: str
) -> None:
    _, (mistake,) = read(text)

    assert (mistake.key, mistake.line) == (key, line)
    assert said in mistake.message


def test_a_provider_on_this_machine_needs_no_tls() -> None:
    assert read(OIDC.replace("https://login.example.org", "http://127.0.0.1:9"))[1] == []


def test_a_catalogue_that_cannot_be_read_makes_no_second_mistake() -> None:
    assert read(OIDC, None)[1] == []
