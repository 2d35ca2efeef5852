"""Karpenter's CloudFormation file: used only when it is the pinned one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from cluster.aws.stack import ADDRESS, StackAway, StackChanged, fetch_stack

CONTENT = b"Resources: {}\n"
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "stack.yaml").write_bytes(CONTENT)
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/stack.yaml"
        server.shutdown()
        thread.join()


def test_the_right_file_is_taken(address: str) -> None:
    assert fetch_stack(address, CHECKSUM) == CONTENT


def test_another_file_is_refused_with_both_sums(address: str) -> None:
    other = "0" * 64

    with pytest.raises(StackChanged, match=f"{CHECKSUM}, and {other} is pinned"):
        fetch_stack(address, other)


def test_a_file_that_is_not_there_says_why(address: str) -> None:
    with pytest.raises(StackAway, match=r"other\.yaml cannot be fetched from here: .*404"):
        fetch_stack(address.replace("stack", "other"), CHECKSUM)


def test_a_file_is_of_the_pinned_version() -> None:
    assert "/karpenter-provider-aws/v1.2.3/" in ADDRESS.format(version="1.2.3")
