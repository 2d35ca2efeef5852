"""The page's HTML: shells without a word of markup from users, no inline script or style."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.service.web.login import MOST_LOGINS, is_below
from tests.plain import NO_TLS
from tests.service.web.factories import Client, Service

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page(client: Client, path: str = "") -> str:
    answer = client.http.get(SERVICE_PREFIX + path, headers=client.headers())
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


@pytest.fixture
def browser(service: Service) -> Client:
    return service.client("ada", "cookie")


def assert_plain(text: str) -> None:
    """Nothing inline, nothing from elsewhere, no element that we did not write."""
    for tag, attributes in Elements(text).found:
        assert tag not in ("style", "object", "img", "base")
        # What is shown of a notebook runs no script, and its origin is nobody's.
        if tag == "iframe":
            sandbox = attributes["sandbox"] or ""
            assert set(sandbox.split()) == {"allow-popups", "allow-popups-to-escape-sandbox"}
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        if tag == "script":
            theme = {"src": f"{SERVICE_PREFIX}static/theme.js", "data-domain": ""}
            page = {"type": "module", "src": f"{SERVICE_PREFIX}static/page.js"}
            assert attributes in (theme, page)
        for name in ("src", "href", "action"):
            value = attributes.get(name)
            assert value is None or re.fullmatch(r"/[^/].*|#\w+", value), (tag, value)


def test_the_list_knows_who_is_logged_in(browser: Client) -> None:
    text = page(browser)
    assert_plain(text)
    assert '<meta name="xsrf" content="xsrf-of-ada">' in text
    assert 'aria-label="Account of ada"' in text
    for link in ("/hub/home", "/hub/logout", "/user-redirect/lab"):
        assert f'href="{link}"' in text
    assert 'id="whose"' not in text
    assert 'data-admin="false"' in text


def test_whose_jobs_somebody_may_ask_for_are_links(service: Service) -> None:
    everybody, lab = 'href="/services/offline-jobs/?user=*"', "?user=*&amp;group=lab"
    roots, leas = (page(service.client(name, "cookie")) for name in ("root", "lea"))
    assert (everybody in roots, lab in roots, 'data-admin="true"' in roots) == (True, False, True)
    assert (everybody in leas, lab in leas, 'data-admin="false"' in leas) == (False, True, True)
    for text in (roots, leas):
        assert_plain(text)


def test_names_are_text(browser: Client, ada: Client) -> None:
    job = ada.submit(name=EVIL, path="a/<b>.ipynb").json()
    assert job["name"] == EVIL
    text = page(browser, f"jobs/{job['id']}")
    assert_plain(text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert sum(tag == "script" for tag, _ in Elements(text).found) == 2


def test_another_users_job_is_no_page(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    ben = service.client("ben", "cookie")
    for path in (f"jobs/{job}", "jobs/a00000000000", "jobs/%3Cscript%3E"):
        answer = ben.http.get(SERVICE_PREFIX + path, headers=ben.headers())
        assert answer.status_code == 404
        assert_plain(answer.text)
        assert "There is no such job." in answer.text


def test_the_proxy_gets_a_page_for_what_does_not_answer(service: Service) -> None:
    """Whoever looks at it has nothing else of ours to load: what serves it may be all there is."""
    answer = httpx.get(f"{service.public}/hub/error/503?url=%2Fhub%2Fhome", verify=NO_TLS)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "This page comes back by itself." in answer.text
    addresses = [
        value
        for _, attributes in Elements(answer.text).found
        for name, value in attributes.items()
        if name in ("href", "src")
    ]
    assert addresses == ["/hub/home"]
    assert "url(" not in answer.text


def test_without_a_login_the_browser_goes_to_the_hub(service: Service, ada: Client) -> None:
    answer = ada.http.get(f"{SERVICE_PREFIX}?next=//evil.example")
    assert answer.status_code == 302
    location = answer.headers["location"]
    assert location.startswith("/hub/api/oauth2/authorize?client_id=service-offline-jobs&")
    assert "evil" not in location
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=lax", f"Path={SERVICE_PREFIX}", "Max-Age=600"):
        assert part in cookie


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("q=a%20b%26c&state=failed", "?q=a+b%26c&state=failed"),
        (
            "user=*&first=2026-09&last=2026-11&by=user",
            "?user=%2A&first=2026-09&last=2026-11&by=user",
        ),
        ("user=*&group=lab&next=//evil.example", "?user=%2A&group=lab"),
        ("tab=log&cell=7&x=1", "?tab=log&cell=7"),
        ("q=//evil.example/../x", "?q=%2F%2Fevil.example%2F..%2Fx"),
        ("code=1&state2=x", ""),
    ],
)
def test_a_link_to_a_list_outlives_the_login(
    service: Service, ada: Client, query: str, place: str
) -> None:
    answer = ada.http.get(f"{SERVICE_PREFIX}?{query}")
    assert answer.status_code == 302
    assert "evil" not in answer.headers["location"]
    (cookie,) = (value for name, value in ada.http.cookies.items() if "login" in name)
    sealed = cookie.strip('"')
    after = service.app.state.sessions.unseal(sealed, sealed.partition(".")[0])
    assert after == SERVICE_PREFIX + place
    assert is_below(after, SERVICE_PREFIX)


def test_visits_that_nobody_brings_to_an_end_leave_few_cookies(ada: Client) -> None:
    """A browser sends them all, and a request with too many is refused."""
    for _ in range(3 * MOST_LOGINS):
        assert ada.http.get(SERVICE_PREFIX).status_code == 302
        assert 0 < len(ada.http.cookies) <= MOST_LOGINS


@pytest.mark.parametrize("query", ["", "?code=x", "?state=y", "?code=x&state=y", "?error=denied"])
def test_a_login_that_was_not_begun_here_is_refused(ada: Client, query: str) -> None:
    answer = ada.http.get(f"{SERVICE_PREFIX}oauth_callback{query}")
    assert answer.status_code == 401
    assert_plain(answer.text)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "name", ["look.css", "theme.js", "page.css", "list.css", "page.js", "icon.svg"]
)
def test_style_and_script_are_ours(ada: Client, name: str) -> None:
    answer = ada.http.get(f"{SERVICE_PREFIX}static/{name}")
    assert answer.status_code == 200
    assert not re.search(r"https?://(?!www\.w3\.org)", answer.text)
    assert "innerHTML" not in answer.text


@pytest.mark.parametrize("name", ["..%2fpage.py", "page.py", "%2e%2e%2fpage.py", "nothing"])
def test_nothing_else_is_served(ada: Client, name: str) -> None:
    assert ada.http.get(f"{SERVICE_PREFIX}static/{name}").status_code == 404
