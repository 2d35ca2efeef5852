"""Every route asks who calls: found by walking the applications, not by a list of hand."""

import re

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from offline_jobs.contract.names import SERVICE_PREFIX
from tests.service.web.factories import API, Client, Service

#: Readiness, the end of a login (which is how one gets an identity), style and script.
OPEN = {
    "/health",
    f"{SERVICE_PREFIX}oauth_callback",
    f"{SERVICE_PREFIX}static/{{name}}",
}
CHANGES = {"POST", "PUT", "PATCH", "DELETE"}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of everything that the application answers."""
    found: list[tuple[str, str]] = []

    def walk(items: list[BaseRoute], prefix: str) -> None:
        for item in items:
            included = getattr(item, "original_router", None)
            if included is not None:
                walk(included.routes, prefix + item.include_context.prefix)  # type: ignore[attr-defined]
            else:
                assert isinstance(item, APIRoute), f"neither route nor router: {item!r}"
                found.extend((method, prefix + item.path) for method in sorted(item.methods or ()))

    walk(list(app.routes), "")
    return found


def fill(path: str) -> str:
    return re.sub(r"\{number\}", "1", re.sub(r"\{job_id\}", "a00000000000", path))


def test_there_are_as_many_routes_as_we_know(service: Service) -> None:
    public, runs = routes(service.app), routes(service.runs_app)
    assert len(public) == 18, public
    assert len(runs) == 6, runs


def test_every_public_route_demands_an_identity(service: Service) -> None:
    with httpx.Client(base_url=service.public, trust_env=False) as http:
        for method, path in routes(service.app):
            if path in OPEN:
                continue
            for headers in ({}, {"Authorization": "token nobody"}, {"Authorization": "x"}):
                answer = http.request(
                    method, fill(path), headers={**headers, "Content-Type": "application/json"}
                )
                if path.startswith(API):
                    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
                else:  # a page: to the login, or a page that says so
                    assert answer.status_code in (302, 401), (method, path)
                    if answer.status_code == 302:
                        assert "/hub/api/oauth2/authorize?" in answer.headers["location"]


def test_every_route_of_the_runners_side_demands_a_token(service: Service) -> None:
    with httpx.Client(base_url=service.runs, trust_env=False) as http:
        for method, path in routes(service.runs_app):
            if path not in OPEN:
                assert http.request(method, fill(path)).status_code == 401


def test_every_change_by_cookie_demands_the_sessions_xsrf_value(service: Service) -> None:
    ada = service.client("ada", "cookie")
    job = ada.http.post(
        f"{API}jobs/check", headers=ada.headers({"Content-Type": "application/json"})
    )
    assert (job.status_code, job.json()["code"]) == (403, "xsrf")
    for method, path in routes(service.app):
        if method not in CHANGES:
            continue
        for value in ({}, {"X-XSRFToken": ""}, {"X-XSRFToken": "xsrf-of-ben"}):
            said = ada.headers({"Content-Type": "application/json", **value})
            answer = ada.http.request(method, fill(path), headers=said)
            assert (answer.status_code, answer.json()["code"]) == (403, "xsrf")
        right = ada.headers({"Content-Type": "application/json", "X-XSRFToken": "xsrf-of-ada"})
        answer = ada.http.request(method, fill(path), headers=right)
        assert answer.status_code != 403
        if method == "POST":
            plain = ada.headers({"Content-Type": "text/plain", "X-XSRFToken": "xsrf-of-ada"})
            answer = ada.http.request(method, fill(path), headers=plain)
            assert (answer.status_code, answer.json()["code"]) == (403, "xsrf")


@pytest.mark.parametrize("path", ["health", "jobs", "page", "missing", "static", "log"])
def test_every_answer_has_the_headers(service: Service, ada: Client, path: str) -> None:
    job = ada.submit().json()["id"]
    address = {
        "health": "/health",
        "jobs": f"{API}jobs",
        "page": SERVICE_PREFIX,
        "missing": "/nothing",
        "static": f"{SERVICE_PREFIX}static/page.js",
        "log": f"{API}jobs/{job}/log",
    }[path]
    headers = ada.http.get(address, headers=ada.headers()).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == ("no-cache" if path == "static" else "no-store")
    assert "server" not in headers


def test_the_api_describes_itself(ada: Client) -> None:
    description = ada.get("openapi.json").json()
    assert f"{API}jobs/{{job_id}}/cancel" in description["paths"]
    body = description["paths"][f"{API}jobs"]["post"]["requestBody"]["content"]
    assert "class" in body["application/json"]["schema"]["properties"]
