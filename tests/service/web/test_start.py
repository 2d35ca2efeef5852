"""``python -m offline_jobs.service``: starts, says what is wrong in one line, ends in order."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import yaml

from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import StartRefused
from offline_jobs.service.settings import load_settings
from offline_jobs.service.store.store import Store
from tests.bucket_server import REGION, BucketServer, build_environment, write_credentials
from tests.bucket_server import SECRET as BUCKET_SECRET
from tests.factories import make_file
from tests.plain import NO_TLS
from tests.site import wait_until

SECRET = "a-secret-that-nobody-may-see-0123456789"


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """Settings with which the service starts."""
    for name in ("token", "key"):
        (tmp_path / name).write_text(SECRET)
    (tmp_path / "catalogue.yaml").write_text(yaml.safe_dump(make_file()))
    return {
        "OFFLINE_JOBS_STATE": str(tmp_path / "service"),
        "OFFLINE_JOBS_CATALOGUE": str(tmp_path / "catalogue.yaml"),
        "OFFLINE_JOBS_HUB_API_URL": "http://127.0.0.1:1/hub/api",
        "OFFLINE_JOBS_HUB_TOKEN_FILE": str(tmp_path / "token"),
        "OFFLINE_JOBS_RUN_TOKEN_KEY_FILE": str(tmp_path / "key"),
        "OFFLINE_JOBS_LOCAL_STATE": str(tmp_path),
        "OFFLINE_JOBS_LOCAL_ENVIRONMENTS": str(tmp_path / "environments"),
    }


def start(settings: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("OFFLINE_JOBS_")}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "offline_jobs.service"],
            env={**inherited, **settings},
            stdout=output,
            stderr=output,
        )


def refusal(settings: Mapping[str, str], log: Path) -> str:
    """What a service that will not start says; its exit code is 2."""
    with start(settings, log) as process:
        try:
            assert process.wait(60) == 2, log.read_text()
        finally:
            process.kill()
    text = log.read_text()
    assert "Traceback" not in text
    assert SECRET not in text
    return text


@contextmanager
def running(settings: Mapping[str, str], log: Path) -> Iterator[tuple[int, dict[str, int]]]:
    """A started service: its process and its ports by side."""
    process = start(settings, log)

    sides = 3 if "OFFLINE_JOBS_METRICS_PORT" in settings else 2

    def ports() -> dict[str, int]:
        assert process.poll() is None, log.read_text()
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        found = {line["side"]: line["port"] for line in lines if "side" in line}
        return found if len(found) == sides else {}

    try:
        found = wait_until(ports, "the service's ports")
        for side in ("public", "runs"):
            wait_until(lambda port=found[side]: answers(port), "readiness")  # type: ignore[misc]
        yield process.pid, found
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, log.read_text()


def get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, verify=NO_TLS)


def answers(port: int) -> bool:
    try:
        return get(port, "/health").status_code == 200
    except httpx.HTTPError:
        return False


def test_it_serves_on_two_ports_and_ends_in_order(settings: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(settings, log) as (_, ports):
        public, runs = ports["public"], ports["runs"]
        api = f"http://127.0.0.1:{public}/services/offline-jobs/api/v1/jobs"
        evil = {"Authorization": f"token {SECRET}"}
        assert httpx.get(
            f"{api}/%0d%0aevil?{SECRET}", headers=evil, trust_env=False, verify=NO_TLS
        ).is_error
        path = f"http://127.0.0.1:{runs}/{'x' * 3000}"
        assert httpx.get(path, trust_env=False, verify=NO_TLS).status_code == 404
    text = log.read_text()
    assert SECRET not in text
    lines = [json.loads(line) for line in text.splitlines()]
    requests = [line for line in lines if line["message"] == "request"]
    assert [line["status"] for line in requests] == [503, 404]
    assert max(len(line["path"]) for line in requests) <= 200
    assert lines[-1]["message"] == "ended"


def test_a_second_service_on_the_same_state_is_refused(
    settings: dict[str, str], tmp_path: Path
) -> None:
    with running(settings, tmp_path / "first") as (pid, ports):
        said = refusal(settings, tmp_path / "second")
        assert f"Another jobs service (process {pid}) works on" in said
        assert "stop it first" in said
        assert said.count("\n") == 1
        assert answers(ports["public"])


def test_a_port_in_use(settings: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for side in ("PUBLIC", "INTERNAL"):
            said = refusal({**settings, f"OFFLINE_JOBS_{side}_PORT": str(port)}, tmp_path / "log")
            assert said.startswith(f"offline-jobs: Port {port} of 127.0.0.1 cannot be used")
            assert said.count("\n") == 1


def test_a_state_folder_that_cannot_be_written(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refusal(
        {**settings, "OFFLINE_JOBS_STATE": str(tmp_path / "file" / "x")}, tmp_path / "log"
    )
    assert "cannot be written" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("damage", ["no database", "cut off", "another's"])
def test_a_damaged_database(settings: dict[str, str], tmp_path: Path, damage: str) -> None:
    file = tmp_path / "service" / "jobs.sqlite"
    file.parent.mkdir()
    store = Store(f"sqlite:///{file}", Changes())
    store.migrate()
    store.close()
    content = file.read_bytes()
    parts = {
        "no database": b"no database" * 1000,
        "cut off": content[: len(content) // 2],
        "another's": content[:4096] + os.urandom(len(content) - 4096),
    }
    file.write_bytes(parts[damage])
    said = refusal(settings, tmp_path / "log")
    assert said.startswith(f"offline-jobs: The jobs' database {file} is damaged: put its last")
    assert said.count("\n") == 1


def test_every_mistake_of_the_catalogue_is_named(settings: dict[str, str], tmp_path: Path) -> None:
    file = make_file()
    catalogue = file["custom"]["catalogue"]
    catalogue["colour"] = "red"
    del catalogue["classes"][0]["cores"]
    (tmp_path / "catalogue.yaml").write_text(yaml.safe_dump(file))
    said = refusal(settings, tmp_path / "log")
    assert "colour" in said
    assert "cores" in said
    assert "catalogue.yaml:" in said


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"CATALOGUE": "/nonexistent/x.yaml"}, ["x.yaml"]),
        ({"HUB_TOKEN_FILE": "/nonexistent/token"}, ["OFFLINE_JOBS_HUB_TOKEN_FILE"]),
        (
            {
                "PUBLIC_PORT": "many",
                "BASE_PATH": "services",
                "HUB_PUBLIC_URL": "javascript:x",
                "BACKEND": "moon",
            },
            [
                "OFFLINE_JOBS_PUBLIC_PORT",
                "OFFLINE_JOBS_BASE_PATH",
                "OFFLINE_JOBS_HUB_PUBLIC_URL",
                "OFFLINE_JOBS_BACKEND",
            ],
        ),
        (
            {"BACKEND": "volcano", "HUB_PUBLIC_URL": "http://hub.example/"},
            ["OFFLINE_JOBS_HUB_PUBLIC_URL is http://hub.example/", "https://HOST/"],
        ),
        (
            {"HUB_PUBLIC_URL": "https://hub.example/", "PUBLIC_URL": "https://jobs.example/jobs/"},
            ["OFFLINE_JOBS_PUBLIC_URL is https://jobs.example/jobs/", "/services/offline-jobs/"],
        ),
        (
            {
                "HUB_PUBLIC_URL": "https://hub.example/",
                "PUBLIC_URL": "http://jobs.example/services/offline-jobs/",
            },
            ["OFFLINE_JOBS_PUBLIC_URL is http://", "with the hub's scheme"],
        ),
        (
            {"CRASH_AT": "before-commit"},
            ["OFFLINE_JOBS_CRASH_AT", "only with the demonstration login"],
        ),
        (
            {"CRASH_AT": "nowhere", "DEMONSTRATION": "1"},
            ["choose one of before-commit, after-commit"],
        ),
    ],
)
def test_settings_that_cannot_be_used(
    settings: dict[str, str], tmp_path: Path, changes: dict[str, str], parts: list[str]
) -> None:
    named = {f"OFFLINE_JOBS_{key}": value for key, value in changes.items()}
    said = refusal({**settings, **named}, tmp_path / "log")
    for part in parts:
        assert part in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"OBJECTS": "/var/objects"}, "OFFLINE_JOBS_OBJECTS: Value error, write s3://BUCKET or"),
        ({"OBJECTS": "s3://Lab/x"}, "OFFLINE_JOBS_OBJECTS: Value error, write s3://BUCKET or"),
        ({"OBJECTS": "s3://lab/../x"}, ""),
        (
            {"OBJECTS": "s3://lab", "OBJECTS_ENDPOINT": "https://me:secret@host"},
            "write the server's address alone",
        ),
        ({"OBJECTS_ENDPOINT": "https://host"}, "of no use without OFFLINE_JOBS_OBJECTS"),
    ],
)
def test_an_object_store_that_cannot_be_meant(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], part: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for key, value in changes.items():
        monkeypatch.setenv(f"OFFLINE_JOBS_{key}", value)
    with pytest.raises(StartRefused, match=part or "s3://BUCKET") as refused:
        load_settings()
    assert "me:secret" not in str(refused.value)


@pytest.mark.timeout(1800)
def test_a_bucket_that_is_not_there_is_refused_and_one_that_is_keeps_objects(
    settings: dict[str, str], tmp_path: Path, bucket_server: BucketServer
) -> None:
    bucket = f"lab-{uuid4().hex[:12]}"
    wanted = {
        **settings,
        **build_environment(write_credentials(tmp_path / "credentials")),
        "OFFLINE_JOBS_OBJECTS": f"s3://{bucket}/results",
        "OFFLINE_JOBS_OBJECTS_ENDPOINT": bucket_server.url,
        "OFFLINE_JOBS_OBJECTS_REGION": REGION,
        "OFFLINE_JOBS_METRICS_PORT": "0",
    }
    said = refusal(wanted, tmp_path / "log")
    assert said.splitlines()[-1] == (
        f"offline-jobs: s3://{bucket}/results cannot be used: there is no such bucket: create it,"
        " or mend OFFLINE_JOBS_OBJECTS."
    )
    assert BUCKET_SECRET not in said
    bucket_server.make_bucket(bucket)
    with running(wanted, tmp_path / "log") as (_, ports):
        answer = get(ports["public"], "/health")
        assert answer.json() == {"status": "ok"}
        shown = get(ports["metrics"], "/metrics")
        assert 'offline_jobs_object_store_seconds_count{operation="put",result="ok"} 1.0' in (
            shown.text
        )
        assert get(ports["metrics"], "/health").status_code == 404
        assert get(ports["public"], "/metrics").status_code == 404
        assert get(ports["runs"], "/metrics").status_code == 404
    assert not (tmp_path / "service" / "objects").exists()
    assert bucket_server.list_keys(bucket) == []


def test_missing_settings_are_all_named(tmp_path: Path) -> None:
    said = refusal({}, tmp_path / "log")
    for name in ("STATE", "CATALOGUE", "HUB_API_URL", "HUB_TOKEN_FILE", "RUN_TOKEN_KEY_FILE"):
        assert f"OFFLINE_JOBS_{name}" in said
