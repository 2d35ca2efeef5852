"""A real jupyter_server with our extension, and a real small HTTP service behind it.

The service answers what a test tells it and keeps what it was asked; everything between browser
and service is the product.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.plain import NO_TLS

ROOT = Path(__file__).parents[2]
TOKEN = "token-of-this-server"
HUB_TOKEN = "hub-token-of-this-server"
API = "/services/offline-jobs/api/v1/"
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class Asked:
    """One request as the service got it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """What the service answers next, and what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    #: Close the connection without a word.
    drops: bool = False

    def answers(
        self, status: int, body: object = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status, self.headers = status, dict(headers or {})
        if isinstance(body, bytes):
            self.body = body
        else:
            self.body = b"" if body is None else json.dumps(body).encode()
            self.headers.setdefault("Content-Type", "application/json")

    def reset(self) -> None:
        self.answers(200, {})
        self.asked.clear()
        self.drops = False


@dataclass(frozen=True)
class Jupyter:
    """A running jupyter_server."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"token {TOKEN}"} | options.pop("headers", {})
        return httpx.request(
            method, f"{self.url}{path}", headers=headers, timeout=30, **options, verify=NO_TLS
        )

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.request(method, f"offline-jobs/{path}", **options)


StartJupyter = Callable[..., Jupyter]


def serve(service: Service) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            service.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            if service.drops:
                self.close_connection = True
                return
            self.send_response(service.status)
            for name, value in service.headers.items():
                self.send_header(name, value)
            if service.status not in (204, 304):
                self.send_header("Content-Length", str(len(service.body)))
            self.end_headers()
            if service.status not in (204, 304):
                self.wfile.write(service.body)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}{API.removesuffix('/api/v1/')}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def running_service() -> Iterator[Service]:
    service = Service()
    server = serve(service)
    yield service
    server.shutdown()
    server.server_close()


@pytest.fixture
def service(running_service: Service) -> Service:
    running_service.reset()
    return running_service


@pytest.fixture(scope="module")
def start_jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartJupyter]:
    """Starts servers: `start_jupyter(environment, root=folder)`; ends them all."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        environment: Mapping[str, str], *, home: Path | None = None, root: Path | None = None
    ) -> Jupyter:
        scratch = tmp_path_factory.mktemp("jupyter")
        home = home or scratch / "home"
        home.mkdir(exist_ok=True)
        write_notebook(home / "stereo" / "markers.ipynb")
        log = scratch / "server.log"
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "OFFLINE"))
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "jupyter_server", "--no-browser", "--allow-root", "--port=0"),
                    f"--ServerApp.root_dir={root or home}",
                    f"--IdentityProvider.token={TOKEN}",
                    "--ServerApp.jpserver_extensions={'offline_jobs': True}",
                    # JupyterLab's part for language servers starts npm and R to look for some.
                    "--LanguageServerManager.autodetect=False",
                ],
                env=inherited
                | {
                    "HOME": str(home),
                    "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
                    "JUPYTER_CONFIG_DIR": str(scratch / "config"),
                    "PYTHONPATH": str(ROOT / "extensions" / "offline_jobs"),
                }
                | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        started.append(process)
        return Jupyter(wait_for_url(log, process), home, process)

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(DEADLINE_SECONDS)


def wait_for_url(log: Path, process: subprocess.Popen[bytes]) -> str:
    """The server's address, once its log names it and it answers."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text()
        if found := re.search(r"(http://127\.0\.0\.1:\d+/)", text):
            try:
                httpx.get(f"{found[1]}api", timeout=1, verify=NO_TLS)
            except httpx.TransportError:
                continue
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"jupyter_server did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def shared_jupyter(start_jupyter: StartJupyter, running_service: Service) -> Jupyter:
    return start_jupyter(session_environment(running_service.url))


@pytest.fixture
def jupyter(shared_jupyter: Jupyter, service: Service) -> Jupyter:
    """The server of a session that the hub started."""
    return shared_jupyter


def session_environment(url: str) -> dict[str, str]:
    """What a session's environment says of the platform."""
    return {
        "OFFLINE_JOBS_URL": url,
        "OFFLINE_JOBS_GROUP": "spatial-lab",
        "OFFLINE_JOBS_IMAGE": "notebook",
        "OFFLINE_JOBS_CLASS": "standard",
        "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
        "JUPYTERHUB_API_URL": f"{url.removesuffix('/services/offline-jobs')}/hub/api",
        "JUPYTERHUB_USER": "a b/c",
    }


def write_notebook(path: Path, kernel: str | None = "python3") -> None:
    """A notebook that was run: with outputs, counts and times of execution."""
    parameters = new_code_cell("bin_size = 50", execution_count=1)
    parameters.metadata.update(
        {"tags": ["parameters"], "execution": {"iopub.execute_input": "2026-11-24T06:00:00Z"}}
    )
    printed = new_code_cell(
        "print(bin_size)", execution_count=2, outputs=[new_output("stream", text="50\n")]
    )
    notebook = new_notebook(cells=[new_markdown_cell("# Markers"), parameters, printed])
    if kernel:
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
