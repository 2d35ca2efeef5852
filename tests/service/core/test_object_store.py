"""Objects by key, in a folder and in a bucket of a real server: whole or not there."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from offline_jobs.contract.run import MAX_NOTEBOOK_BYTES
from offline_jobs.service import bucket
from offline_jobs.service.bucket import BucketStore
from offline_jobs.service.errors import ObjectsAway, StartRefused
from offline_jobs.service.object_store import FolderStore, ObjectStore, log_key, result_key
from tests.bucket_server import (
    REGION,
    SECRET,
    BucketServer,
    running_server,
    use_credentials,
    write_credentials,
)
from tests.skips import require

pytestmark = pytest.mark.timeout(1800)

JOB = "k3j9x0a1b2c3"
KEY = result_key(JOB, 1)


@pytest.fixture
def place(bucket_server: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of the test's own, which this process may use."""
    use_credentials(monkeypatch, write_credentials(tmp_path / "credentials"))
    return bucket_server.make_bucket(f"lab-{uuid4().hex[:12]}")


@contextmanager
def opened(server: BucketServer, name: str, prefix: str = "jobs/results") -> Iterator[BucketStore]:
    with closing(
        BucketStore(f"s3://{name}/{prefix}", endpoint_url=server.url, region=REGION)
    ) as store:
        yield store


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "objects")
        return
    name = request.getfixturevalue("place")
    with opened(request.getfixturevalue("bucket_server"), name) as store:
        store.check()
        yield store


def read(objects: ObjectStore, key: str) -> bytes | None:
    found = objects.open(key)
    if found is None:
        return None
    with found:
        content = b"".join(iter(lambda: found.read(256 * 1024), b""))
    assert found.size == len(content)
    return content


def test_an_object_is_what_was_put_last_or_not_there(objects: ObjectStore) -> None:
    assert read(objects, KEY) is None
    objects.put(KEY, b"first")
    objects.put(KEY, b"second one")
    objects.put(log_key(JOB, 2), b"")
    assert read(objects, KEY) == b"second one"
    assert read(objects, log_key(JOB, 2)) == b""
    assert read(objects, log_key(JOB, 1)) is None
    assert objects.trouble == ""


def test_a_jobs_objects_go_together_and_no_others(objects: ObjectStore) -> None:
    others = [f"{JOB}x", "a3j9x0a1b2c3"]
    for job in (JOB, *others):
        for attempt in (1, 2, 3):
            objects.put(result_key(job, attempt), b"result")
            objects.put(log_key(job, attempt), b"log")
    objects.delete_prefix(JOB)
    objects.delete_prefix(JOB)
    assert [read(objects, result_key(JOB, attempt)) for attempt in (1, 2, 3)] == [None] * 3
    assert [read(objects, log_key(job, 3)) for job in others] == [b"log"] * 2


@pytest.mark.parametrize("key", ["../secrets", "a/../b", "/etc/passwd", "", ".probe-1"])
def test_a_key_leads_nowhere_else(objects: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        objects.put(key, b"")
    with pytest.raises(ValueError, match="not an object key"):
        objects.open(key)
    with pytest.raises(ValueError, match="not an object key"):
        objects.delete_prefix(key)


def test_the_largest_notebook_fits(objects: ObjectStore) -> None:
    content = os.urandom(1024) * (MAX_NOTEBOOK_BYTES // 1024)
    objects.put(KEY, content)
    assert read(objects, KEY) == content


def test_of_many_writers_one_is_the_last_and_no_reader_sees_a_mixture(
    objects: ObjectStore,
) -> None:
    size = 300_000
    versions = [bytes([letter]) * size for letter in b"abcdef"]
    objects.put(KEY, versions[0])
    with ThreadPoolExecutor(12) as threads:
        writing = [threads.submit(objects.put, KEY, each) for each in versions * 3]
        seen = [threads.submit(read, objects, KEY) for _ in range(30)]
    for each in writing:
        each.result()
    found = {each.result() for each in seen} | {read(objects, KEY)}
    assert found <= {*versions}


def test_who_reads_goes_on_with_what_was_there_before(objects: ObjectStore) -> None:
    objects.put(KEY, b"a" * 1_000_000)
    found = objects.open(KEY)
    assert found is not None
    with found:
        objects.put(KEY, b"b" * 10)
        assert found.read() == b"a" * 1_000_000
    assert read(objects, KEY) == b"b" * 10


def test_objects_are_below_the_prefix_and_the_check_leaves_nothing(
    bucket_server: BucketServer, place: str
) -> None:
    for prefix, expected in (("jobs/results", f"jobs/results/{KEY}"), ("", KEY)):
        with opened(bucket_server, place, prefix) as store:
            store.check()
            store.put(KEY, b"x")
            assert bucket_server.list_keys(place) == [expected]
            store.delete_prefix(JOB)
    assert bucket_server.list_keys(place) == []


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another secret key": (
        lambda file: write_credentials(file, secret="wrong"),
        "the secret key of these credentials is wrong",
    ),
    "unknown": (
        lambda file: write_credentials(file, access="nobody", secret="wrong"),
        "the server does not know these credentials",
    ),
    "none": (lambda file: file.unlink(), "AWS_SHARED_CREDENTIALS_FILE"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_credentials_that_cannot_be_used_are_refused_at_once(
    bucket_server: BucketServer,
    place: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    case: str,
) -> None:
    spoil, words = REFUSALS[case]
    spoil(tmp_path / "credentials")
    with (
        opened(bucket_server, place) as store,
        pytest.raises(StartRefused, match=words) as refused,
    ):
        store.check()
    assert str(refused.value).startswith(f"s3://{place}/jobs/results cannot be used: ")
    assert SECRET not in str(refused.value) + caplog.text


def test_a_missing_bucket_and_a_missing_right_are_refused(
    bucket_server: BucketServer, place: str, tmp_path: Path
) -> None:
    with (
        opened(bucket_server, f"{place}-not") as store,
        pytest.raises(StartRefused, match="there is no such bucket: create it, or mend OFFLINE_"),
    ):
        store.check()
    user = f"user-{uuid4().hex[:8]}"
    bucket_server.add_user(user, "their-secret-key")
    write_credentials(tmp_path / "credentials", user, "their-secret-key")
    with (
        opened(bucket_server, place) as store,
        pytest.raises(StartRefused, match="AccessDenied: give these credentials s3:ListBucket"),
    ):
        store.check()


def test_a_right_that_is_missing_for_objects_alone_is_named(
    bucket_server: BucketServer, place: str, tmp_path: Path
) -> None:
    user = f"user-{uuid4().hex[:8]}"
    bucket_server.add_user(user, "their-secret-key")
    write_credentials(tmp_path / "credentials", user, "their-secret-key")
    allowed = ["s3:ListBucket"]
    for right in ("s3:PutObject", "s3:GetObject", "s3:DeleteObject"):
        _allow(bucket_server, place, user, allowed)
        with opened(bucket_server, place) as store, pytest.raises(StartRefused, match=right):
            store.check()
        allowed.append(right)
    _allow(bucket_server, place, user, allowed)
    with opened(bucket_server, place) as store:
        store.check()


def _allow(server: BucketServer, name: str, user: str, rights: list[str]) -> None:
    bucket_arn = f"arn:aws:s3:::{name}"
    policy: dict[str, Any] = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [user]},
                "Action": right,
                "Resource": bucket_arn if right == "s3:ListBucket" else f"{bucket_arn}/*",
            }
            for right in rights
        ]
    }
    server.client.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketServer]:
    """A server that the test may end."""
    require("the object store's server")
    use_credentials(monkeypatch, write_credentials(tmp_path / "credentials"))
    with running_server(tmp_path / "server") as server:
        server.make_bucket("lab")
        yield server


def test_a_server_that_is_away_is_asked_by_one_now_and_then_and_found_again(
    own_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(own_server, "lab") as store:
        store.put(KEY, b"before")
        own_server.stop()
        began = time.monotonic()
        uses: list[Callable[[], object]] = [
            partial(store.put, KEY, b"lost"),
            partial(store.open, KEY),
            partial(store.delete_prefix, JOB),
            store.look,
        ]
        for use in uses * 50:
            with pytest.raises(ObjectsAway):
                use()
        assert time.monotonic() - began < 5
        assert "cannot be used now" in store.trouble
        own_server.start()
        # Nobody asks it before its rest is over, though it is there.
        with pytest.raises(ObjectsAway):
            store.open(KEY)
        monkeypatch.setattr(bucket, "_REST_SECONDS", 0)
        store._away_until = 1.0
        store.look()
        assert store.trouble == ""
        assert read(store, KEY) == b"before"


def test_a_server_that_is_away_at_the_start_is_no_mistake(own_server: BucketServer) -> None:
    own_server.stop()
    with opened(own_server, "lab") as store:
        store.check()
        assert store.trouble


def test_a_silent_server_is_given_up_within_seconds(
    own_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "_SILENT_SECONDS", 0.3)
    with opened(own_server, "lab") as store:
        store.put(KEY, b"before")
        own_server.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(ObjectsAway):
                store.put(KEY, b"x")
            assert time.monotonic() - began < 8
        finally:
            own_server.signal(signal.SIGCONT)


def test_an_upload_that_breaks_off_leaves_what_was_there(own_server: BucketServer) -> None:
    with opened(own_server, "lab", "") as store, socket.create_server(("127.0.0.1", 0)) as cutting:
        store.put(KEY, b"before")
        with ThreadPoolExecutor(1) as threads:
            url = f"http://127.0.0.1:{cutting.getsockname()[1]}"
            through = BucketStore("s3://lab", endpoint_url=url, region=REGION)
            relayed = threads.submit(_cut_off, cutting, own_server.port)
            with closing(through), pytest.raises(ObjectsAway):
                through.put(KEY, b"n" * 5_000_000)
            assert relayed.result(30) > 0
        assert read(store, KEY) == b"before"
        assert own_server.list_keys("lab") == [KEY]


def _cut_off(listener: socket.socket, port: int) -> int:
    """Hand on the first part of each upload, and cut the connection amid it; how many bytes."""
    handed = 0
    for _ in range(bucket._ATTEMPTS):
        accepted, _ = listener.accept()
        with accepted, socket.create_connection(("127.0.0.1", port)) as server:
            server.settimeout(10)
            while handed < 1_000_000 and (piece := accepted.recv(65536)):
                server.sendall(piece)
                handed += len(piece)
                if b"100-continue" in piece:
                    accepted.sendall(server.recv(4096))
        handed = handed or 1
    return handed


def test_a_download_that_breaks_off_is_told(own_server: BucketServer) -> None:
    with opened(own_server, "lab") as store:
        store.put(KEY, b"x" * 30_000_000)
        found = store.open(KEY)
        assert found is not None
        with found:
            assert found.read(1000) == b"x" * 1000
            own_server.stop()
            with pytest.raises(ObjectsAway):
                found.read()
