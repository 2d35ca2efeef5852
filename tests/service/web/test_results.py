"""Logs and notebooks of a job: who gets them, and that nothing of them is ever rendered."""

import json

import pytest

from offline_jobs.contract.run import MAX_LOG_TAIL_CHARACTERS, Progress
from offline_jobs.contract.states import State
from offline_jobs.service.object_store import log_key, result_key
from offline_jobs.service.web.results import attachment, join_log, word_tail
from tests.service.web.factories import LITTLE, Client, Service, make_notebook

EVIL = "<script>alert(1)</script>"


def test_the_log_is_the_tail_until_the_whole_one_came(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    assert ada.get(f"jobs/{job}/log").text == ""
    runner = service.runner(job)
    runner.post("/progress", json={"phase": "running", "cell": 1, "log_tail": f"begin {EVIL}\n"})
    answer = ada.get(f"jobs/{job}/log")
    assert answer.text == f"begin {EVIL}\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    runner.put("/log", content="begin\nü end\n".encode())
    said = {"job": job, "attempt": 1, "outcome": "succeeded", "exit_code": 0}
    assert runner.post("/result", json=said).is_success
    assert ada.get(f"jobs/{job}/log").text == "begin\nü end\n"


def test_a_result_before_there_is_one(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    answer = ada.get(f"jobs/{job}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "no-result")


def test_the_record_is_there_once_the_job_has_ended(service: Service, ada: Client) -> None:
    """What was asked for is the service's own word, the rest is the runner's."""
    notebook = make_notebook("print(k)", parameters="k = 1")
    job = ada.submit(notebook=notebook, parameters={"k": 2}).json()["id"]
    said = {"job": job, "attempt": 1, "outcome": "succeeded", "exit_code": 0, "cell": 1, "total": 1}
    told = {**said, "parameters": {"k": 3}, "path": "x.ipynb", "git": {"commit": "0123abc"}}
    assert service.runner(job).post("/result", json=told).is_success
    early = ada.get(f"jobs/{job}/record")
    assert (early.status_code, early.json()["code"]) == (409, "no-result")
    service.finish(job)
    answer = ada.get(f"jobs/{job}/record").json()
    assert answer["record"]["parameters"] == {"k": 2}
    assert answer["record"]["path"] == ada.get(f"jobs/{job}").json()["path"]
    assert answer["record"]["git"] == {"commit": "0123abc"}
    assert answer["methods"].splitlines()[1] == "Parameters: k = 2 (given)."
    assert len(answer["methods"].splitlines()) == 5
    assert answer["advice"] is None
    assert service.client("ben").get(f"jobs/{job}/record").status_code == 404


def test_the_record_says_which_class_would_have_done(service: Service, ada: Client) -> None:
    job = ada.submit(**{"class": "large"}).json()["id"]
    service.end(job, **LITTLE)
    advice = ada.get(f"jobs/{job}/record").json()["advice"]
    assert advice == {
        "class": "standard",
        "sentence": "Peak memory was 2 GiB of 16 GiB and 1 of 16 cores were busy on average: "
        "Standard would do",
    }
    # It is not for everybody's list: nobody is nagged there.
    assert "advice" not in ada.get(f"jobs/{job}").json()


@pytest.mark.parametrize(
    ("path", "plain", "whole"),
    [
        ("a/markers.ipynb", "markers", "markers"),
        ("a/x\";'.ipynb", "x", "x%22%3B%27"),
        ("a/Über ñ.ipynb", "_ber", "%C3%9Cber%20%C3%B1"),
        (f"{EVIL.replace('/', '')}.ipynb", "script", "%3Cscript%3Ealert%281%29%3Cscript%3E"),
    ],
)
def test_notebooks_are_attachments(
    service: Service, ada: Client, path: str, plain: str, whole: str
) -> None:
    job = ada.submit(path=path, notebook=make_notebook(f"print('{EVIL}')")).json()["id"]
    executed = json.dumps({"cells": [EVIL]}).encode()
    service.rooms.objects.put(result_key(job, 1), executed)
    result = ada.get(f"jobs/{job}/result")
    assert result.content == executed
    snapshot = ada.get(f"jobs/{job}/notebook")
    assert EVIL in snapshot.json()["cells"][0]["source"]
    for answer in (result, snapshot):
        assert answer.headers["content-type"] == "application/x-ipynb+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        said = answer.headers["content-disposition"]
        assert said.startswith("attachment; filename=")
        assert plain in said.split("filename*")[0]
        assert f"filename*=UTF-8''{whole}" in said


@pytest.mark.parametrize(
    "name",
    ["x.ipynb", "\r\nSet-Cookie: a=b.ipynb", '"; filename=evil.exe', "...", "", "日本.ipynb"],
)
def test_a_file_name_cannot_break_its_header(name: str) -> None:
    header = attachment(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.count("filename") == (3 if "filename" in name else 2) or "evil" in name


def test_a_large_result_is_handed_out_whole(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    executed = b"x" * (3 * 1024**2 + 17)
    service.rooms.objects.put(result_key(job, 1), executed)
    answer = ada.get(f"jobs/{job}/result")
    assert answer.content == executed
    assert answer.headers["content-length"] == str(len(executed))


def test_the_log_that_counts_is_the_last_attempts(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    service.rooms.objects.put(log_key(job, 2), b"another attempt's")
    assert ada.get(f"jobs/{job}/log").text == ""


def test_the_log_of_a_runner_that_vanished_is_its_copy_and_what_it_said_since(
    service: Service, ada: Client
) -> None:
    job = ada.submit().json()["id"]
    runner = service.runner(job)
    assert runner.put("/log", content=b"[cell 1 of 2]\none\n[cell 2 of 2]\n").is_success
    said = Progress("running", 2, 2, log_tail="one\n[cell 2 of 2]\ntwo\n").to_json()
    assert runner.post("/progress", json=said).is_success
    assert ada.get(f"jobs/{job}/log").text == said["log_tail"]
    service.finish(job, State.FAILED)
    assert ada.get(f"jobs/{job}/log").text == "[cell 1 of 2]\none\n[cell 2 of 2]\ntwo\n"


@pytest.mark.parametrize(
    ("kept", "tail", "whole"),
    [
        (b"", b"abc", b"\n[some lines of this log are missing]\nabc"),
        (b"abc", b"", b"abc"),
        (b"abcd", b"cdef", b"abcdef"),
        (b"abab", b"abab", b"abab"),
        (b"xabab", b"ababab", b"xababab"),
        (b"abcdef", b"bcd", b"abcdef"),
        (b"abc", b"xyz", b"abc\n[some lines of this log are missing]\nxyz"),
    ],
)
def test_two_parts_of_a_log_are_joined(kept: bytes, tail: bytes, whole: bytes) -> None:
    assert join_log(kept, tail) == whole


def test_the_end_of_a_long_log_begins_with_a_line_and_says_what_is_missing(
    service: Service, ada: Client
) -> None:
    job = ada.submit().json()["id"]
    lines = "".join(f"line {number}\n" for number in range(5000))
    said = Progress("running", 1, 2, log_tail=lines[-MAX_LOG_TAIL_CHARACTERS:]).to_json()
    assert service.runner(job).post("/progress", json=said).is_success
    words, first, *_, last, end = ada.get(f"jobs/{job}/log").text.split("\n")
    assert words == "[the end of the log; all of it is here once the job has ended]"
    assert first.startswith("line ")
    assert int(first.removeprefix("line ")) > 3000
    assert (last, end) == ("line 4999", "")
    service.finish(job, State.FAILED)
    assert ada.get(f"jobs/{job}/log").text.startswith("[the end of the log; no more of it was")


@pytest.mark.parametrize("tail", ["", "short\n", MAX_LOG_TAIL_CHARACTERS * "x"])
def test_no_end_of_a_log_is_empty_of_what_there_is(tail: str) -> None:
    assert word_tail(tail, is_over=False).endswith(tail)
