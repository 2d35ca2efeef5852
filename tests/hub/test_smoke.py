"""`make smoke` against a hub of local processes: what it tries, and what it says is wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cluster.smoke.__main__ import TOKEN, main
from cluster.smoke.probe import build_code, find_wrong, read_found
from tests.hub.test_jobs import JOBS
from tests.platform_fixture import Platform
from tests.site import User


@pytest.fixture
def token(ada: User, monkeypatch: pytest.MonkeyPatch) -> str:
    """Ada's token, where `make smoke` looks for it."""
    word = str(ada.api.headers["Authorization"]).split()[1]
    monkeypatch.setenv(TOKEN, word)
    return word


@pytest.mark.usefixtures("token")
def test_a_session_a_cell_and_a_job_of_a_class_are_tried_and_nothing_is_left(
    platform: Platform, ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {each["id"] for each in ada.api.get(JOBS).json()["jobs"]}

    code = main(["--url", platform.url, "--classes", "small"])

    said = capsys.readouterr().out
    assert code == 0, said
    findings = [line.partition(":")[0].split(maxsplit=1) for line in said.splitlines()]
    assert [words[1] for words in findings if words[0] == "ok"] == [
        "sign-in",
        "session on small",
        "cell of session on small",
        "job on small",
        "cell of job on small",
    ]
    assert "1 cell finished" in said
    assert not ada.server()
    assert {each["id"] for each in ada.api.get(JOBS).json()["jobs"]} == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--classes", "small,huge"], "has no class huge here; it has "),
        (["--group", "nobodys"], "group nobodys has no class"),
    ],
)
@pytest.mark.usefixtures("token")
def test_what_this_person_cannot_have_is_told_before_anything_starts(
    platform: Platform,
    ada: User,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    assert main(["--url", platform.url, *words]) == 1

    assert sentence in capsys.readouterr().out
    assert not ada.server()


@pytest.mark.usefixtures("token")
def test_a_session_that_is_there_is_left_alone(
    platform: Platform, ada: User, capsys: pytest.CaptureFixture[str]
) -> None:
    ada.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})

    assert main(["--url", platform.url]) == 1

    assert "ada has a session, which this would end: stop it first" in capsys.readouterr().out
    assert ada.server()["ready"]


def test_a_token_that_nobody_knows_is_told_as_that(
    platform: Platform, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "0" * 32)

    assert main(["--url", platform.url]) == 1

    assert "make one on the hub's page Token" in capsys.readouterr().out


class Metadata(BaseHTTPRequestHandler):
    """Answers as EC2's metadata does: a token for who asks as one has to."""

    def do_PUT(self) -> None:
        self.send_response(200 if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else 400)
        self.end_headers()

    def log_message(self, form: str, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def metadata() -> Iterator[tuple[str, int]]:
    with HTTPServer(("127.0.0.1", 0), Metadata) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


def test_a_cell_finds_what_it_can_reach(metadata: tuple[str, int]) -> None:
    host, port = metadata
    code = "print('before')\n" + build_code([metadata], f"http://{host}:{port}")
    found = read_found(subprocess.check_output([sys.executable, "-c", code], text=True))

    assert found
    assert (found["metadata"], found["others"]) == (True, [[host, port]])
    wrong = list(find_wrong(found | {"kubernetes": True, "credentials": False}))
    assert [each[:20] for each in wrong] == [
        "EC2's metadata answe",
        "Kubernetes' API can ",
        "another pod can be r",
        "the account has a ro",
    ]
    assert list(find_wrong(dict.fromkeys(found))) == []
