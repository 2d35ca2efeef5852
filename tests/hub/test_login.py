"""The demonstration login: who gets in, with which groups, and from where."""

import httpx
import pytest

from tests.platform_fixture import Platform


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
    with httpx.Client(base_url=platform.url) as client:
        answer = platform.post_login(client, name, password)

        assert answer.status_code == 403
        assert "Invalid username or password" in answer.text


def test_a_page_that_reached_us_under_another_name_cannot_sign_in(platform: Platform) -> None:
    with httpx.Client(base_url=platform.url) as client:
        answer = platform.post_login(
            client, "ada", "demonstration", host=f"rebound.example:{platform.port}"
        )

        assert answer.status_code == 403


def test_the_login_page_says_what_it_is_and_who_may_come(platform: Platform) -> None:
    page = httpx.get(platform.url + "/hub/login").text

    assert "This is a demonstration" in page
    assert "Never use it for a group" in page
    for word in ("ada", "ben", "admin", "demonstration"):
        assert f"<code>{word}</code>" in page
    assert "not a secure" not in page


def test_only_loopback_is_listened_on(platform: Platform) -> None:
    own = [
        connection
        for process in platform.processes()
        for connection in process.net_connections(kind="tcp")
        if connection.status == "LISTEN"
    ]

    assert len(own) >= 4  # hub, proxy and its API, jobs service
    assert {connection.laddr.ip for connection in own} <= {"127.0.0.1", "::1"}
