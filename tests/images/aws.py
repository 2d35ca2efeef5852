"""AWS as `make push` meets it: moto's ECR and IAM, and the registry of an account by its own name.

ECR's API is moto's server; the registry behind it, which moto has not, is Debian's, with TLS and
the login that moto gives. Whoever asks for the account's host comes there by a proxy, as from
behind a firewall, so names, TLS and login are as with AWS.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from moto.server import ThreadedMotoServer

from tests.bed.pki import Authority
from tests.image_registry import ImageRegistry, running_registry
from tests.moto_client import REGION, build_client
from tests.plain import NO_TLS

#: That moto gives to everybody, and its password at the registry.
ACCOUNT, PASSWORD = "123456789012", "123456789012-auth-token"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
#: `htpasswd` for it (bcrypt).
_ACCOUNTS = "AWS:$2b$05$abcdefghijklmnopqrstuu/4ofrUS75HrKu6f.iuRo0I/XlrmpqlC\n"
_CHUNK_BYTES = 1 << 16


@dataclass
class Tunnel:
    """A proxy that leads each CONNECT for one host to a port here, and no other anywhere."""

    host: str
    port: int
    _server: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def serve(self) -> None:
        """Answer until it is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _carry(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += client.recv(_CHUNK_BYTES)
            if not asked.startswith(f"CONNECT {self.host}:443 ".encode()):
                client.sendall(b"HTTP/1.1 502 No such host\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self.port)) as there:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                others = {client: there, there: client}
                while True:
                    for each in select.select(list(others), [], [])[0]:
                        if not (data := each.recv(_CHUNK_BYTES)):
                            return
                        others[each].sendall(data)


@dataclass(frozen=True)
class Cloud:
    """An account with its registry.

    Attributes:
        environment: in which AWS and the registry are found, with an administrator's credentials.
        registry: behind the account's host.
    """

    environment: dict[str, str]
    registry: ImageRegistry
    endpoint: str

    def client(self, service: str) -> Any:
        """An administrator's client."""
        return build_client(self.endpoint, service)

    @contextmanager
    def guarded(self, statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Let AWS judge rights; gives the keys of somebody who may do what is said, no more."""
        iam = self.client("iam")
        name = f"user-{uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        allowed = {"Effect": "Allow", "Resource": "*", **statement}
        whole = {"Version": "2012-10-17", "Statement": [allowed]}
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(whole))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self._judge_after(0)
        try:
            yield key["AccessKeyId"], key["SecretAccessKey"]
        finally:
            self._judge_after(None)

    def _judge_after(self, requests: int | None) -> None:
        """After so many requests moto judges rights; never, if none is said."""
        count = "inf" if requests is None else str(requests)
        url = f"{self.endpoint}/moto-api/reset-auth"
        httpx.post(url, content=count, trust_env=False, verify=NO_TLS).raise_for_status()


@contextmanager
def running_cloud(folder: Path) -> Iterator[Cloud]:
    """AWS, and an account's registry with its files in a folder."""
    authority = Authority(folder / "pki")
    keys = authority.issue_server("registry", HOST, [HOST])
    accounts = folder / "accounts"
    accounts.write_text(_ACCOUNTS)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with running_registry(folder, keys=keys, accounts=accounts) as registry:
        tunnel = Tunnel(HOST, registry.port)
        threading.Thread(target=tunnel.serve, daemon=True).start()
        server.start()
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "administrator",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_CONFIG_FILE": "/nonexistent/config",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
            "AWS_EC2_METADATA_DISABLED": "true",
            "HTTPS_PROXY": tunnel.url,
            "https_proxy": tunnel.url,
            "SSL_CERT_FILE": str(authority.certificate_file),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        try:
            yield Cloud(environment, registry, endpoint)
        finally:
            server.stop()
            tunnel.close()
