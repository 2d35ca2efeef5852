"""The hub's home: start again what one had last, see one's session and jobs; the theme's frame."""

import re
from html import unescape

import pytest

from tests.platform_fixture import Platform
from tests.site import User, wait_until

CHOICE = {"group": "spatial-lab", "image": "notebook", "class": "small"}


def read_home(user: User) -> str:
    answer = user.client.get("/hub/home")
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def send_again(user: User, page: str) -> int:
    """Press the button that starts the last choice; the status of the answer."""
    form = re.search(r'<form method="post" action="([^"]*)">(.*?)</form>', page, re.DOTALL)
    assert form, page
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2]))
    return user.client.post(form[1], data=fields).status_code


def test_who_never_chose_is_shown_the_ways(ben: User) -> None:
    page = read_home(ben)

    assert "Welcome, ben" in page
    assert 'href="/hub/spawn/ben">Start a session</a>' in page
    assert "No job runs or waits." in page


def test_the_last_choice_starts_by_one_click(ada: User) -> None:
    ada.start_session(CHOICE)
    running = read_home(ada)
    assert "Your session is running" in running
    assert "Python notebook on Small" in running
    assert "<span>Cost so far</span><b>under $0.01</b>" in running
    assert "at the latest. Offline jobs go on without it." in running
    ada.stop_session()

    page = read_home(ada)

    assert "Start Python notebook on Small" in page
    assert send_again(ada, page) == 302
    wait_until(ada.server, "the session to be there")
    assert ada.server()["user_options"] == CHOICE
    ada.wait_for_lab()


def test_the_button_is_no_way_around_the_check(ada: User) -> None:
    ada.start_session(CHOICE)
    ada.stop_session()
    page = read_home(ada).replace('name="class" value="small"', 'name="class" value="gpu"')

    assert send_again(ada, page) == 400
    assert not ada.server()


def test_a_choice_that_is_not_offered_leads_to_the_form_and_says_why(ben: User) -> None:
    asked = {"group": "teaching", "image": "notebook", "class": "gpu"}
    assert ben.post_server(asked).status_code == 400

    page = read_home(ben)

    assert "Python notebook" not in page.split("<main")[0]
    assert "It cannot be started now. There is no class 'gpu' for you." in page
    assert 'href="/hub/spawn/ben">Choose…</a>' in page
    assert '<form method="post"' not in page


def test_a_page_that_is_not_there_is_ours(ben: User) -> None:
    answer = ben.client.get("/hub/no-such-page")

    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.text
    assert 'id="theme"' in answer.text


def test_what_is_not_for_everybody_is_refused_in_words(ben: User) -> None:
    answer = ben.client.get("/hub/admin")

    assert answer.status_code == 403
    assert "Your account may not do this." in answer.text
    assert "scopes" not in answer.text.split("<main")[1]


@pytest.mark.parametrize("path", ["home", "spawn", "token", "no-such-page", "logout", "login"])
def test_no_page_asks_anybody_else_for_anything(ben: User, path: str) -> None:
    page = ben.client.get(f"/hub/{path}", follow_redirects=True).text

    loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="([^"]*)"', page)
    assert [each for each in loaded if not each.startswith(("/hub/", "data:"))] == []


def test_without_the_jobs_service_the_rest_is_there(platform: Platform, ben: User) -> None:
    ben.start_session({"image": "notebook", "class": "small"})
    service = platform.child("offline_jobs.service")
    # One that answers nothing is worse than one that is gone.
    service.suspend()
    try:
        page = read_home(ben)
    finally:
        service.resume()

    assert "The jobs service cannot be asked at the moment." in page
    assert "Your session is running" in page
