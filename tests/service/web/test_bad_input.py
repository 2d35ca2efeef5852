"""Bad input gets a 4xx with a stable code, a field and a mend; never a trace, never a job."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from offline_jobs.service.web import limits
from tests.plain import NO_TLS
from tests.service.web.factories import (
    API,
    Client,
    Service,
    begin_upload,
    make_notebook,
    make_submission,
)
from tests.site import wait_until

KEY = {"Idempotency-Key": "key-12345678"}


@pytest.fixture
def sender(service: Service) -> Iterator[Client]:
    """Ada, who ends with no job."""
    client = service.client("ada")
    yield client
    assert client.get("jobs").json()["jobs"] == []


def send(client: Client, body: bytes, path: str = "jobs", **headers: str) -> httpx.Response:
    said = client.headers({"Content-Type": "application/json", **KEY, **headers})
    return client.http.post(API + path, content=body, headers=said)


def assert_refused(
    answer: httpx.Response, status: int = 422, code: str = "", field: str | None = None
) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, Any] = answer.json()
    assert len(error["message"]) > 10
    assert "Traceback" not in answer.text
    assert "/work" not in answer.text
    if code:
        assert error["code"] == code
    if field is not None:
        assert error["field"] == field
    return error


def whole(**changes: Any) -> bytes:
    return json.dumps(make_submission(**changes)).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        whole()[:-20],
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"[" * 10_000 + b"]" * 10_000,
        whole().replace(
            b'"parameters": {}', b'"parameters": ' + b'{"a":' * 9000 + b"1" + b"}" * 9000
        ),
        whole()[:-1] + b', "notebook": ',
    ],
)
@pytest.mark.parametrize("path", ["jobs", "jobs/check"])
def test_what_is_no_json(sender: Client, body: bytes, path: str) -> None:
    assert_refused(send(sender, body, path), code="invalid-json", field="body")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1"])
def test_json_of_another_shape(sender: Client, body: bytes) -> None:
    assert_refused(send(sender, body), code="invalid-field", field="body")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type(sender: Client, kind: str) -> None:
    answer = send(sender, whole(), **{"Content-Type": kind})
    assert_refused(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"nodeSelector": {}}, "nodeSelector"),
        ({"kernel": {"name": "python3", "argv": ["sh"]}}, "kernel.argv"),
        ({"kernel": {"name": "python3", "source": "web"}}, "kernel.source"),
        ({"kernel": "python3"}, "kernel"),
        ({"name": 5}, "name"),
        ({"name": "n" * 10_000}, "name"),
        ({"path": ""}, "path"),
        ({"path": "a" * 4097}, "path"),
        ({"group": ["lab"]}, "group"),
        ({"parameters": []}, "parameters"),
        ({"time_limit_seconds": 0}, "time_limit_seconds"),
        ({"time_limit_seconds": -1}, "time_limit_seconds"),
        ({"time_limit_seconds": 10**12}, "time_limit_seconds"),
        ({"time_limit_seconds": 10**40}, "time_limit_seconds"),
        ({"time_limit_seconds": 60.5}, "time_limit_seconds"),
        ({"time_limit_seconds": "60"}, "time_limit_seconds"),
        ({"time_limit_seconds": True}, "time_limit_seconds"),
        ({"interruptible": "yes"}, "interruptible"),
        ({"notebook": "text"}, "notebook"),
        ({"notebook": None}, "notebook"),
    ],
)
def test_fields_of_a_wrong_kind(sender: Client, changes: dict[str, Any], field: str) -> None:
    assert_refused(send(sender, whole(**changes)), field=field)


def test_missing_fields(sender: Client) -> None:
    assert_refused(send(sender, b"{}"), code="missing-field", field="notebook")


@pytest.mark.parametrize(
    "path",
    [
        "../x.ipynb", "a/../../x.ipynb", "/etc/x.ipynb", "a//x.ipynb", "./x.ipynb", "x.txt",
        "x.ipynb/", "a\\x.ipynb", "a\x00.ipynb", "a\nb.ipynb", "...ipynb", "....ipynb",
        "é" * 200 + ".ipynb", "a/" * 600 + "x.ipynb", "C:\\x.ipynb",
    ],
)  # fmt: skip
def test_paths_that_leave_the_home_or_cannot_be_files(sender: Client, path: str) -> None:
    assert_refused(send(sender, whole(path=path)), field="path")


@pytest.mark.parametrize("character", "\u200b\u200e\u061c\ufeff\u2060\u202e\u2066")
def test_characters_that_cannot_be_seen(sender: Client, character: str) -> None:
    assert_refused(send(sender, whole(path=f"a{character}b.ipynb")), field="path")
    assert_refused(send(sender, whole(name=f"a{character}b")), field="name")


@pytest.mark.parametrize("name", ["क\u200cष", "👩\u200d🔬"])
def test_joiners_that_a_script_needs_are_taken(service: Service, name: str) -> None:
    body = make_submission(path=f"{name}.ipynb", name=name)
    assert service.client("ada").post("jobs/check", body).json()["problems"] == []


@pytest.mark.parametrize(
    ("path", "code", "field", "allowed"),
    [
        (
            "jobs?stat=failed",
            "unknown-query",
            "stat",
            [
                *("class", "cursor", "group", "image", "limit", "path", "q"),
                *("since", "state", "until", "user"),
            ],
        ),
        ("jobs?limit=1&limit=2", "repeated-query", "limit", None),
        ("catalogue?x=", "unknown-query", "x", []),
        ("events?user=*&x=1", "unknown-query", "x", ["group", "job", "user"]),
    ],
)
def test_queries_that_a_route_does_not_heed(
    sender: Client, path: str, code: str, field: str, allowed: list[str] | None
) -> None:
    error = assert_refused(sender.get(path), code=code, field=field)
    assert error.get("allowed") == allowed


@pytest.mark.parametrize("path", ["x.ipynb", "a b/ü ñ.ipynb", "home-evil/x.ipynb", ".x.ipynb"])
def test_paths_that_are_fine(service: Service, path: str) -> None:
    answer = service.client("ada").post("jobs/check", make_submission(path=path))
    assert answer.json()["problems"] == []


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\x00b", "\u202eevil", "a\u2028b"])
def test_names_with_control_characters(sender: Client, name: str) -> None:
    assert_refused(send(sender, whole(name=name)), field="name")


@pytest.mark.parametrize(
    ("notebook", "code"),
    [
        ({}, "not-a-notebook"),
        ({"hello": 1}, "not-a-notebook"),
        (make_notebook("1", nbformat=3), "notebook-version"),
        (make_notebook("1", nbformat=99), "notebook-version"),
        (make_notebook("1", nbformat="4"), "not-a-notebook"),
        (make_notebook("1", nbformat=True), "not-a-notebook"),
        (make_notebook("1", nbformat_minor=-1), "not-a-notebook"),
        (make_notebook("1", nbformat_minor=None), "not-a-notebook"),
        (make_notebook("1", cells={}), "not-a-notebook"),
        (make_notebook("1", cells=[1]), "not-a-notebook"),
        (make_notebook("1", cells=[{"cell_type": ["code"]}]), "not-a-notebook"),
        (make_notebook("1", cells=[{"cell_type": "code", "source": {}}]), "not-a-notebook"),
        (make_notebook("1", cells=[{"cell_type": "evil", "source": "", "metadata": {}}]),
         "not-a-notebook"),
        (make_notebook("1", metadata={"a": float("nan")}), "not-a-notebook"),
        (make_notebook(*["1"] * 5001), "too-many-cells"),
        (make_notebook("1", parameters="%env\na = 1" + " " * 2000 + "# x"), "parameters-cell"),
        (make_notebook("1", parameters="a = 1\n" * 5000), "parameters-cell"),
    ],
)  # fmt: skip
def test_notebooks_that_cannot_be_run(sender: Client, notebook: dict[str, Any], code: str) -> None:
    error = assert_refused(send(sender, whole(notebook=notebook)), code=code, field="notebook")
    checked = send(sender, whole(notebook=notebook), "jobs/check")
    assert checked.status_code == 200
    assert checked.json()["problems"][0]["message"] == error["message"]


@pytest.mark.parametrize(
    ("kernel", "code"),
    [("julia-1.10", "unknown-kernel"), ("../x", "bad-kernel"), (";rm", "bad-kernel"),
     ("", "unknown-kernel")],
)  # fmt: skip
def test_kernels_that_the_image_lacks(sender: Client, kernel: str, code: str) -> None:
    said = {"name": kernel, "source": "image"}
    error = assert_refused(send(sender, whole(kernel=said)), code=code, field="kernel")
    if code == "unknown-kernel":
        assert error["allowed"] == ["python3", "ir"]


def test_the_notebooks_own_kernel_counts_where_none_is_named(sender: Client) -> None:
    notebook = make_notebook("1", metadata={"kernelspec": {"name": "bash", "display_name": "b"}})
    body = whole(notebook=notebook, kernel=None)
    assert_refused(send(sender, body), code="unknown-kernel", field="kernel")


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"unknown": 1}, "parameters.unknown"),
        ({"k; import os": 1}, "parameters.k; import os"),
        ({"class": 1}, "parameters.class"),
        ({"": 1}, "parameters."),
        ({"k": 2**70}, "parameters.k"),
        ({"k": "x" * 100_000}, "parameters"),
        ({"k": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}}, "parameters.k"),
        ({f"k{n}": 1 for n in range(300)}, "parameters"),
    ],
)
def test_parameters_that_cannot_be_given(
    sender: Client, parameters: dict[str, Any], field: str
) -> None:
    notebook = make_notebook("print(k)", parameters="k = 1")
    body = whole(notebook=notebook, parameters=parameters)
    assert_refused(send(sender, body), field=field)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_numbers_that_are_not_finite(sender: Client, number: bytes) -> None:
    body = whole(notebook=make_notebook("k", parameters="k = 1"), parameters={"k": 12345})
    assert_refused(send(sender, body.replace(b"12345", number)), field="parameters.k")


def test_parameters_without_a_parameters_cell(sender: Client) -> None:
    error = assert_refused(send(sender, whole(parameters={"k": 1})), code="unknown-parameter")
    assert "tag a cell 'parameters'" in error["message"]


def test_a_time_limit_over_the_classs(sender: Client) -> None:
    error = assert_refused(send(sender, whole(time_limit_seconds=86_401)))
    assert error["message"] == "A job on Standard may take from 1 s to 24 h."


@pytest.mark.parametrize(
    "key", ["", "short", "k" * 65, "k" * 10_000, "key 12345678", "key/12345678"]
)
def test_idempotency_keys(sender: Client, key: str) -> None:
    answer = send(sender, whole(), **{"Idempotency-Key": key})
    assert_refused(answer, code="bad-idempotency-key", field="Idempotency-Key")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=-1", "limit"), ("limit=0", "limit"), ("limit=1000000000", "limit"),
        ("limit=abc", "limit"), ("state=.*", "state"), ("cursor=forged", "cursor"),
        ("cursor=" + "x" * 300, "cursor"), ("user=" + "x" * 300, "user"),
        ("state=", "state"), ("state=failed,", "state"), ("state=failed,x", "state"),
        ("state=Failed", "state"), ("q=" + "x" * 201, "q"), ("class=" + "x" * 101, "class"),
        ("image=" + "x" * 101, "image"), ("since=yesterday", "since"),
        ("since=2026-11-24T12:00:00", "since"), ("until=2026-13-01T00:00:00Z", "until"),
        ("until=1e999", "until"), ("path=" + "x" * 1025, "path"),
    ],
)  # fmt: skip
def test_queries(sender: Client, query: str, field: str) -> None:
    assert_refused(sender.get(f"jobs?{query}"), field=field)
    if field not in ("limit", "cursor"):
        assert_refused(sender.get(f"jobs/counts?{query}"), field=field)


@pytest.mark.parametrize(
    "job", ["x", "a00000000000", "A00000000000", "..%2f..%2fetc", "a0000000000%00", "a" * 500]
)
def test_ids_of_no_job(sender: Client, job: str) -> None:
    for path in ("", "/log", "/notebook", "/result"):
        assert_refused(sender.get(f"jobs/{job}{path}"), 404)


def test_a_check_names_all_problems_the_notebooks_first(service: Service) -> None:
    body = make_submission(notebook={"cells": 1}, path="no-notebook.txt", image="none")
    problems = service.client("ada").post("jobs/check", body).json()["problems"]
    assert [each["field"].partition(".")[0] for each in problems] == ["notebook", "path", "image"]


def test_addresses_and_methods_that_do_not_exist(sender: Client) -> None:
    assert_refused(sender.get("nothing"), 404, "not-found")
    answer = sender.http.put(f"{API}jobs", headers=sender.headers())
    assert_refused(answer, 405, "method-not-allowed")
    assert_refused(sender.http.get("/etc/passwd"), 404)


def test_a_body_over_the_limit_is_refused_before_it_is_parsed(sender: Client) -> None:
    body = b"x" * (26 * 1024**2)
    for path in ("jobs", "jobs/check"):
        assert_refused(send(sender, body, path), 413, "too-large")
    assert_refused(send(sender, b"x" * 70_000, "jobs/a00000000000/cancel"), 413, "too-large")


def test_a_large_notebook_within_the_limit_is_taken(service: Service) -> None:
    notebook = make_notebook("a = '" + "x" * (20 * 1024**2) + "'")
    answer = service.client("lea").post("jobs/check", make_submission(notebook=notebook))
    assert answer.json()["problems"] == []


def test_a_body_of_unknown_length_is_bounded_too(sender: Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(27):
            yield b"x" * 1024**2

    headers = sender.headers({"Content-Type": "application/json", **KEY})
    answer = sender.http.post(f"{API}jobs", content=pieces(), headers=headers)
    assert_refused(answer, 413, "too-large")


def test_a_body_that_does_not_come_is_given_up(
    sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    with begin_upload(str(sender.http.base_url), "ada", "jobs", 1000) as raw:
        assert b" 408 " in raw.recv(200)


def test_who_leaves_amid_a_body_is_no_error(
    sender: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        begin_upload(str(sender.http.base_url), "ada", "jobs", 1000).close()
        wait_until(lambda: find_logged(caplog, "request"), "the request's line of log")
    assert [record.__dict__["status"] for record in find_logged(caplog, "request")] == [400]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def find_logged(caplog: pytest.LogCaptureFixture, message: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() == message]


def test_headers_without_end_are_refused(service: Service) -> None:
    place = urlsplit(service.public)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=20) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nX: " + b"a" * 100_000)
        assert b" 400 " in raw.recv(200)


def test_a_burst_of_one_user_does_not_stop_another(service: Service) -> None:
    def burst() -> None:
        with httpx.Client(
            base_url=service.public, trust_env=False, timeout=30, verify=NO_TLS
        ) as http:
            client = Client(http, "lea")
            for _ in range(40):
                send(client, whole(notebook={}))

    threads = [threading.Thread(target=burst) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert service.client("ben").get("jobs").status_code == 200
    were_busy = [thread.is_alive() for thread in threads]
    for thread in threads:
        thread.join()
    assert any(were_busy)
