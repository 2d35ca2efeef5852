"""`make audit` against a source of our own that answers as OSV and a registry of Node do."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from images._tool.audit import NODE_FOLDERS, audit, main, split_versions
from images._tool.lock import NEXT_HUB
from images._tool.tools import Places, find_places
from tests.platform.checkout import ROOT

PROXY = "hub_config/embedded/proxy"
#: What the sources know of; all else is sound.
FLAWED = {"requests": "2.19.0"}
ADVISORY = {
    "id": "PYSEC-0001",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "requests", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.20.0"}]}],
        }
    ],
}


class Sources(BaseHTTPRequestHandler):
    """Answers questions for packages, and notes what was asked."""

    asked: list[str]
    node: dict[str, object]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/query":
            name = body["package"]["name"]
            self.asked.append(f"{name}=={body['version']}")
            flawed = FLAWED.get(name) == body["version"]
            self._answer({"vulns": [ADVISORY]} if flawed else {})
        elif self.path.endswith("/audits/quick"):
            counts = dict.fromkeys(("info", "low", "moderate", "high", "critical"), 0)
            metadata = {"vulnerabilities": counts}
            self._answer({"actions": [], "advisories": self.node, "metadata": metadata})
        else:
            self.send_error(405)

    def _answer(self, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    Sources.asked, Sources.node = [], {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sources)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("YARN_NPM_AUDIT_REGISTRY", url)
    monkeypatch.setenv("YARN_UNSAFE_HTTP_WHITELIST", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield url
    server.shutdown()
    server.server_close()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A checkout with small locks, and a real one of Node."""
    root = tmp_path / "root"
    (root / "images" / "own").mkdir(parents=True)
    for name in ("requirements", "images/own/requirements"):
        (root / f"{name}.in").touch()
    (root / "requirements.txt").write_text("requests==2.32.4\nidna==3.10\n")
    (root / "images" / "own" / "requirements.txt").write_text("idna==3.10\n")
    (root / f"{NEXT_HUB}.txt").write_text("requests==2.31.0\n")
    (root / "requirements-build.txt").write_bytes((ROOT / "requirements-build.txt").read_bytes())
    (root / PROXY).mkdir(parents=True)
    for file in ("package.json", "yarn.lock", ".yarnrc.yml"):
        (root / PROXY / file).write_bytes((ROOT / PROXY / file).read_bytes())
    # Each takes a second.
    monkeypatch.setattr("images._tool.audit.NODE_FOLDERS", (PROXY,))
    return Places(root, find_places({}).cache)


def test_every_package_of_every_lock_is_asked_for(sources: str, places: Places) -> None:
    assert audit(places, f"{sources}/v1/query") == []
    assert {"requests==2.32.4", "requests==2.31.0", "idna==3.10"} == set(Sources.asked)


def test_what_is_known_to_be_vulnerable_is_named_with_what_mends_it(
    sources: str, places: Places
) -> None:
    (places.root / f"{NEXT_HUB}.txt").write_text("requests==2.19.0\n")
    Sources.node = {
        "1": {
            "id": 7,
            "url": "https://example.org/7",
            "title": "bad",
            "severity": "high",
            "module_name": "ws",
            "vulnerable_versions": "<9",
            "findings": [{"version": "8.0.0", "paths": ["ws"]}],
        }
    }
    wrong = audit(places, f"{sources}/v1/query")
    assert wrong[0] == "requests 2.19.0: PYSEC-0001 (mended in 2.20.0)"
    assert wrong[1:] == [f"{PROXY}: ws 8.0.0: https://example.org/7 (vulnerable: <9)"]


def test_it_fails_where_no_source_is_reached(
    sources: str,
    places: Places,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Nobody listens at the port of discarding.
    monkeypatch.setenv("YARN_NPM_AUDIT_REGISTRY", f"{sources}/elsewhere")
    monkeypatch.setattr("images._tool.audit.find_places", lambda environ: places)
    monkeypatch.setattr(Sources, "do_POST", lambda self: self.send_error(405))
    with caplog.at_level("INFO"):
        assert main(["--osv", "http://127.0.0.1:9/v1/query"]) == 1
    wrong = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert len(wrong) == 2
    assert all("was not audited: no answer from" in line for line in wrong)
    assert not [line for line in wrong if "\n" in line]


def test_two_versions_of_a_package_are_asked_for_one_after_the_other() -> None:
    pins = {("a", "1"), ("a", "2"), ("b", "1")}
    parts = list(split_versions(pins))
    assert [len(part) for part in parts] == [2, 1]
    assert {pin for part in parts for pin in part.items()} == pins


def test_no_lock_of_node_is_forgotten() -> None:
    said = subprocess.run(
        ["git", "ls-files", "*yarn.lock"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert sorted(f"{name}/yarn.lock" for name in NODE_FOLDERS) == said.stdout.split()
