"""Every route asks who calls: found by walking the applications, not by a list of hand."""

import re

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from offline_jobs.contract.names import SERVICE_PREFIX
from offline_jobs.service.object_store import log_key, result_key
from tests.plain import NO_TLS
from tests.service.web.factories import API, Client, Service

#: Liveness, readiness, the end of a login (how one gets an identity), style and script, and the
#: page for what does not answer, which the proxy asks for.
OPEN = {
    "/hub/error/{status}",
    "/health",
    "/live",
    f"{SERVICE_PREFIX}oauth_callback",
    f"{SERVICE_PREFIX}static/{{name}}",
}
#: Opened by no user's identity, but by the token that hub and service share.
OF_THE_HUB = {f"{API}{path}" for path in ("departures", "departures/complete", "sessions", "home")}
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
    assert len(public) == 41, public
    assert len(runs) == 7, runs


def test_every_public_route_demands_an_identity(service: Service) -> None:
    with httpx.Client(base_url=service.public, trust_env=False, timeout=30, verify=NO_TLS) as http:
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
    with httpx.Client(base_url=service.runs, trust_env=False, timeout=30, verify=NO_TLS) as http:
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
        if method not in CHANGES or path in OF_THE_HUB:
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


JSON, TEXT = "application/json", "text/plain; charset=utf-8"
#: Of each kind of answer its status, and every header that not all have.
HEADERS: dict[str, tuple[int, dict[str, str]]] = {
    SERVICE_PREFIX: (200, {"content-type": "text/html; charset=utf-8"}),
    f"{SERVICE_PREFIX}jobs/{{job}}": (200, {"content-type": "text/html; charset=utf-8"}),
    f"{SERVICE_PREFIX}jobs/none": (404, {"content-type": "text/html; charset=utf-8"}),
    f"{SERVICE_PREFIX}static/page.js": (
        200,
        {"content-type": "text/javascript; charset=utf-8", "cache-control": "no-cache"},
    ),
    f"{API}jobs/{{job}}": (200, {"content-type": JSON}),
    f"{API}jobs/none": (404, {"content-type": JSON}),
    f"{API}jobs?limit=x": (422, {"content-type": JSON}),
    f"{API}jobs/{{job}}/log": (200, {"content-type": TEXT}),
    f"{API}jobs/{{begun}}/log": (200, {"content-type": TEXT}),
    f"{API}jobs/{{job}}/result": (
        200,
        {
            "content-type": "application/x-ipynb+json",
            "content-disposition": 'attachment; filename="markers-{job}.ipynb"; '
            "filename*=UTF-8''markers-{job}.ipynb",
        },
    ),
    f"{API}jobs/{{job}}/figures": (
        200,
        {"content-type": JSON, "transfer-encoding": "chunked"},
    ),
    f"{API}jobs/{{job}}/notebook": (
        200,
        {
            "content-type": "application/x-ipynb+json",
            "content-disposition": 'attachment; filename="markers.ipynb"; '
            "filename*=UTF-8''markers.ipynb",
        },
    ),
    "/health": (200, {"content-type": JSON}),
    "/live": (200, {"content-type": JSON}),
    "/nothing": (404, {"content-type": JSON}),
}


@pytest.mark.parametrize("address", HEADERS)
def test_an_answer_has_these_headers_and_no_others(
    service: Service, ada: Client, address: str
) -> None:
    begun, job = (ada.submit(f"key-0000000{n}").json()["id"] for n in range(2))
    service.rooms.objects.put(log_key(job, 1), b"<script>alert(1)</script>")
    service.rooms.objects.put(result_key(job, 1), b"{}")
    said = {"job": job, "attempt": 1, "outcome": "succeeded", "exit_code": 0}
    assert service.runner(job).post("/result", json=said).is_success
    status, own = HEADERS[address]
    answer = ada.http.get(address.format(job=job, begun=begun), headers=ada.headers())
    expected = {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; connect-src 'self'; frame-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
        **{name: value.format(job=job) for name, value in own.items()},
    }
    varying = {"date", "content-length"}
    assert answer.status_code == status
    assert {k: v for k, v in answer.headers.items() if k not in varying} == expected


def test_the_api_describes_itself(ada: Client) -> None:
    description = ada.get("openapi.json").json()
    assert f"{API}jobs/{{job_id}}/cancel" in description["paths"]
    body = description["paths"][f"{API}jobs"]["post"]["requestBody"]["content"]
    assert "class" in body["application/json"]["schema"]["properties"]
