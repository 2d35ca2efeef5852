"""No handler answers, and nothing reaches the service, without the server's login."""

import re

import httpx
import pytest

from offline_jobs.server_extension.handlers import JobsHandler, build_handlers
from tests.plain import NO_TLS

from .conftest import TOKEN, Jupyter, Service

METHODS = ("get", "post", "put", "patch", "delete")
_GROUPS = {"job_id": "k3j9x0a1b2c3", "action": "cancel", "what": "log"}


def addresses() -> list[tuple[str, str]]:
    """Every method of every handler, with an address that its pattern takes."""
    found = []
    for pattern, handler in build_handlers("/"):
        address = re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda m: _GROUPS[m[1]], pattern)
        assert re.fullmatch(pattern, address)
        found += [
            (method.upper(), address)
            for method in METHODS
            if getattr(handler, method) is not getattr(JobsHandler, method)
        ]
    return found


def test_all_handlers_are_enumerated() -> None:
    assert len(addresses()) == 10


@pytest.mark.parametrize(("method", "address"), addresses())
def test_strangers_are_refused(
    jupyter: Jupyter, service: Service, method: str, address: str
) -> None:
    """With the XSRF value that anybody gets from the login page, so that only the login is left."""
    with httpx.Client(base_url=jupyter.url, verify=NO_TLS) as browser:
        browser.get("login")
        xsrf = {"X-XSRFToken": browser.cookies["_xsrf"]}
        for login in ({}, {"Authorization": "token wrong"}):
            assert browser.request(method, address, headers=xsrf | login).status_code == 403
    assert service.asked == []


def test_a_cookie_alone_changes_nothing(jupyter: Jupyter, service: Service) -> None:
    """Another site's form carries the cookie, but not the XSRF header."""
    with httpx.Client(base_url=jupyter.url, verify=NO_TLS) as browser:
        browser.get(f"tree?token={TOKEN}")
        assert browser.get("offline-jobs/jobs").status_code == 200
        service.asked.clear()
        answer = browser.post("offline-jobs/jobs/k3j9x0a1b2c3/cancel", content=b"{}")
        assert answer.status_code == 403
    assert service.asked == []
