"""A server of its own that speaks S3, versitygw over a folder, for tests with a bucket.

Its program is built once, as the bed's are (`tests/bed/programs.py`). Who may use a bucket is said
in a credentials file, where boto3 looks for it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from images._tool.tools import find_places
from tests.bed import pins
from tests.bed.workshop import Workshop
from tests.own_server import OwnServer
from tests.plain import NO_TLS

ACCESS, SECRET = "administrator", "a-secret-key-that-is-in-no-log"
REGION = "us-east-1"


def find_program() -> Path:
    """The server's program; built where it is not there yet."""
    workshop = Workshop(find_places(os.environ), print, (pins.OBJECTS,))
    return workshop.prepare() / "bin" / "versitygw"


@dataclass
class BucketServer(OwnServer):
    """The server."""

    program: Path = field(default_factory=find_program)

    def start(self) -> None:
        for name in ("buckets", "accounts"):
            (self.folder / name).mkdir(exist_ok=True)
        words = ["--port", self.host, "--health", "/healthz", "--quiet"]
        words += ["--iam-dir", str(self.folder / "accounts"), "--iam-cache-disable"]
        # What it notes of an object stands in the file's own attributes, so both change at once.
        words += ["posix", str(self.folder / "buckets")]
        environ = {"ROOT_ACCESS_KEY_ID": ACCESS, "ROOT_SECRET_ACCESS_KEY": SECRET}
        self.launch([self.program, *words], environ)

    def answers(self) -> bool:
        try:
            url = f"{self.url}/healthz"
            return httpx.get(url, trust_env=False, verify=NO_TLS).is_success
        except httpx.HTTPError:
            return False

    def add_user(self, access: str, secret: str) -> None:
        """Add somebody who may use no bucket."""
        words = [str(self.program), "admin", "--access", ACCESS, "--secret", SECRET]
        words += ["--endpoint-url", self.url, "create-user", "--role", "user"]
        words += ["--access", access, "--secret", secret]
        subprocess.run(words, check=True, capture_output=True, timeout=60)

    @cached_property
    def client(self) -> Any:
        """The administrator's client."""
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}),
        )

    def make_bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return name

    def list_keys(self, bucket: str) -> list[str]:
        found = self.client.list_objects_v2(Bucket=bucket)
        return [each["Key"] for each in found.get("Contents", ())]


@contextmanager
def running_server(folder: Path, address: str = "127.0.0.1") -> Iterator[BucketServer]:
    """A server with its buckets in a folder, at an address of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    server = BucketServer(folder, address)
    server.start()
    try:
        yield server
    finally:
        server.client.close()
        server.stop()


def write_credentials(file: Path, access: str = ACCESS, secret: str = SECRET) -> Path:
    """Write a file as boto3 reads it."""
    file.write_text(f"[default]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n")
    return file


def build_environment(credentials: Path) -> dict[str, str]:
    """The environment in which boto3 finds these credentials and no others."""
    return {
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_CONFIG_FILE": "/nonexistent/config",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def use_credentials(patch: pytest.MonkeyPatch, credentials: Path) -> None:
    """Let boto3 find these credentials and no others in this process."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in build_environment(credentials).items():
        patch.setenv(name, value)
