"""Answers of the service reach Lab as they are; none at all becomes words."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from fastapi.routing import APIRoute

from offline_jobs.contract.session import ENV_LONGEST
from offline_jobs.server_extension import service_client
from offline_jobs.service.web import jobs

from .conftest import HUB_TOKEN, TOKEN, Jupyter, Service, StartJupyter, session_environment

JOB = "k3j9x0a1b2c3"


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", "catalogue", "catalogue"),
        ("GET", "jobs", "jobs"),
        ("GET", "jobs?limit=50&1790000000&state=running&q=", "jobs?state=running&limit=50"),
        ("GET", f"jobs?token={TOKEN}&q=%D7%90+%26x%3D1", "jobs?q=%D7%90+%26x%3D1"),
        ("GET", f"jobs/{JOB}", f"jobs/{JOB}"),
        ("DELETE", f"jobs/{JOB}", f"jobs/{JOB}"),
        ("POST", f"jobs/{JOB}/cancel", f"jobs/{JOB}/cancel"),
        ("POST", f"jobs/{JOB}/rerun", f"jobs/{JOB}/rerun"),
        ("POST", f"jobs/{JOB}/rerun/check", f"jobs/{JOB}/rerun/check"),
        ("GET", f"jobs/{JOB}/log", f"jobs/{JOB}/log"),
        ("GET", f"jobs/{JOB}/record", f"jobs/{JOB}/record"),
        ("GET", f"jobs/{JOB}/course", f"jobs/{JOB}/course"),
        ("GET", f"jobs/{JOB}/cells", f"jobs/{JOB}/cells"),
        ("GET", f"jobs/{JOB}/result", f"jobs/{JOB}/result"),
    ],
)
def test_each_address_has_its_counterpart(
    jupyter: Jupyter, service: Service, method: str, path: str, target: str
) -> None:
    service.answers(200, {"some": "answer"})
    answer = jupyter.ask(method, path, headers={"Cookie": "a=b", "Idempotency-Key": "k" * 8})
    assert (answer.status_code, answer.json()) == (200, {"some": "answer"})
    (asked,) = service.asked
    assert (asked.method, asked.path) == (method, f"/services/offline-jobs/api/v1/{target}")
    assert asked.headers["Authorization"] == f"token {HUB_TOKEN}"
    assert asked.headers["Idempotency-Key"] == "k" * 8
    assert "Cookie" not in asked.headers


def list_parameters() -> list[str]:
    """What the service's list of jobs takes."""
    (route,) = (r for r in jobs.router.routes if isinstance(r, APIRoute) and r.path == "/jobs")
    return [p.alias for d in route.dependant.dependencies for p in d.query_params] + [
        p.alias for p in route.dependant.query_params
    ]


def test_a_list_is_narrowed_by_all_that_the_service_takes(
    jupyter: Jupyter, service: Service
) -> None:
    parameters = list_parameters()
    assert len(parameters) == 11
    service.answers(200, {"jobs": []})
    for name in parameters:
        jupyter.ask("GET", "jobs", params={name: f" {name} & *"})
        # What is there twice the service refuses.
        jupyter.ask("GET", "jobs", params={name: ["a", "b"]})
    queries = [parse_qs(urlsplit(asked.path).query) for asked in service.asked]
    assert queries == [
        query for name in parameters for query in ({name: [f"{name} & *"]}, {name: ["a", "b"]})
    ]


@pytest.mark.parametrize("name", ["stat", "Q", "class%20", "idempotency_key"])
def test_what_would_narrow_nothing_is_refused(
    jupyter: Jupyter, service: Service, name: str
) -> None:
    answer = jupyter.ask("GET", f"jobs?limit=5&{name}=x")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-query")
    assert answer.json()["field"] == unquote(name)
    assert service.asked == []


def test_what_is_to_be_changed_goes_with_a_rerun(jupyter: Jupyter, service: Service) -> None:
    service.answers(202, {"some": "answer"})
    for path in ("rerun", "rerun/check"):
        jupyter.ask("POST", f"jobs/{JOB}/{path}", json={"class": "large"})
    jupyter.ask("POST", f"jobs/{JOB}/rerun")
    assert [asked.json for asked in service.asked] == [{"class": "large"}, {"class": "large"}, {}]


def test_etags_are_the_services(jupyter: Jupyter, service: Service) -> None:
    service.answers(200, {"jobs": []}, {"ETag": '"v7"'})
    assert jupyter.ask("GET", "jobs").headers["ETag"] == '"v7"'
    service.answers(304, None, {"ETag": '"v7"'})
    answer = jupyter.ask("GET", "jobs", headers={"If-None-Match": '"v7"'})
    assert (answer.status_code, answer.content) == (304, b"")
    assert service.asked[1].headers["If-None-Match"] == '"v7"'


def test_an_answer_without_etag_gets_none(jupyter: Jupyter, service: Service) -> None:
    service.answers(200, {"jobs": []})
    assert "ETag" not in jupyter.ask("GET", "jobs").headers


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 503])
def test_errors_keep_status_and_words(jupyter: Jupyter, service: Service, status: int) -> None:
    error = {"code": "some-code", "message": "How to mend it.", "field": "class", "id": JOB}
    service.answers(status, error)
    answer = jupyter.ask("POST", f"jobs/{JOB}/cancel")
    assert (answer.status_code, answer.json()) == (status, error)


def test_a_deleted_record_has_no_body(jupyter: Jupyter, service: Service) -> None:
    service.answers(204)
    answer = jupyter.ask("DELETE", f"jobs/{JOB}")
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_result_is_an_attachment_and_never_a_page(jupyter: Jupyter, service: Service) -> None:
    service.answers(
        200,
        b"<script>alert(1)</script>",
        {
            "Content-Type": "application/x-ipynb+json",
            "Content-Disposition": 'attachment; filename="a.ipynb"',
        },
    )
    answer = jupyter.ask("GET", f"jobs/{JOB}/result")
    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["Content-Type"] == "application/x-ipynb+json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.ipynb"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_redirects_are_not_followed(jupyter: Jupyter, service: Service) -> None:
    service.answers(302, b"", {"Location": f"{service.url}/elsewhere"})
    assert jupyter.ask("GET", "catalogue").status_code == 302
    assert len(service.asked) == 1


@pytest.mark.parametrize("path", ["jobs/..%2F..%2Fhub", "jobs/a%2Flog%2Fb", "jobs/a?b/log"])
def test_no_address_leads_out_of_the_api(jupyter: Jupyter, service: Service, path: str) -> None:
    jupyter.ask("GET", path)
    prefix = "/services/offline-jobs/api/v1/jobs/a"
    assert [asked.path for asked in service.asked if asked.path != prefix] == []


def test_a_broken_answer_is_service_unavailable(jupyter: Jupyter, service: Service) -> None:
    service.answers(502, b"<h1>Bad Gateway</h1>", {"Content-Type": "text/html"})
    assert_unavailable(jupyter)
    service.drops = True
    assert_unavailable(jupyter)


def test_no_service_is_service_unavailable(start_jupyter: StartJupyter) -> None:
    # Port 9 of the loopback: nobody listens there.
    jupyter = start_jupyter(session_environment("http://127.0.0.1:9/services/offline-jobs"))
    assert_unavailable(jupyter)
    answer = jupyter.ask("POST", "jobs", json={"path": "stereo/markers.ipynb"})
    assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable")
    assert jupyter.ask("GET", "session").json()["available"] is True


@pytest.mark.parametrize("missing", ["OFFLINE_JOBS_URL", "JUPYTERHUB_API_TOKEN"])
def test_a_server_outside_a_hub_says_so(start_jupyter: StartJupyter, missing: str) -> None:
    environment = session_environment("http://127.0.0.1:9/services/offline-jobs")
    del environment[missing]
    jupyter = start_jupyter(environment)
    answer = jupyter.ask("GET", "catalogue")
    assert (answer.status_code, answer.json()["code"]) == (503, "not-configured")
    assert "from the hub" in answer.json()["message"]
    session = jupyter.ask("GET", "session").json()
    assert (session["available"], session["why"]) == (False, answer.json()["message"])


def test_a_session_says_what_it_is(jupyter: Jupyter) -> None:
    assert jupyter.ask("GET", "session").json() == {
        "group": "spatial-lab",
        "image": "notebook",
        "class": "standard",
        "available": True,
        "why": "",
        "root_in_home": "",
        "home_in_root": "",
        "longest_seconds": None,
        "ends_in_seconds": None,
        "kernels": [],
    }


def test_a_session_says_when_it_ends(start_jupyter: StartJupyter) -> None:
    environment = session_environment("http://127.0.0.1:9/services/offline-jobs")
    jupyter = start_jupyter({**environment, ENV_LONGEST: "3600"})
    first = jupyter.ask("GET", "session").json()
    second = jupyter.ask("GET", "session").json()

    assert first["longest_seconds"] == 3600
    assert 3600 > first["ends_in_seconds"] > second["ends_in_seconds"] > 3000


def assert_unavailable(jupyter: Jupyter) -> None:
    answer = jupyter.ask("GET", "jobs")
    code, message = service_client.UNREACHABLE
    assert (answer.status_code, answer.json()) == (503, {"code": code, "message": message})
