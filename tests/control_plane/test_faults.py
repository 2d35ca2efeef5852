"""The fault proxy does to a client of the API server what it says, and nothing else.

What talks to the API server through it later (the jobs service, KubeSpawner) is only as well tested
as these faults are true.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.bed.bed import Bed
from tests.bed.client import ApiError, Client, Kind, NoAnswer, wait
from tests.bed.faults import Action, FaultProxy
from tests.plain import NO_TLS

MAP = Kind("v1", "ConfigMap")

pytestmark = [pytest.mark.upstream, pytest.mark.usefixtures("pretended")]


@pytest.fixture
def proxy(bed: Bed, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(bed.kubeconfig, tmp_path) as running:
        yield running


@pytest.fixture
def through(proxy: FaultProxy) -> Iterator[Client]:
    """A client that goes through the proxy and gives up after 3 seconds."""
    client = Client(proxy.kubeconfig, seconds=3.0)
    yield client
    client.close()


def build_map(name: str, text: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"text": text},
    }


class Watcher:
    """Follows the ConfigMaps of a namespace; `changes` gets their names, then how it ended."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.changes: Queue[str] = Queue()
        self._client, self._namespace = client, namespace
        self._thread = Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        try:
            for _, found in self._client.watch(*MAP, self._namespace, seconds=20):
                self.changes.put(found["metadata"]["name"])
        except NoAnswer:
            self.changes.put("broken")
        else:
            self.changes.put("ended")

    def expect(self, name: str, seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while (seen := self.changes.get(timeout=deadline - time.monotonic())) != name:
            assert seen == "kube-root-ca.crt"


def test_without_a_fault_all_passes(
    through: Client, client: Client, namespace: str, proxy: FaultProxy
) -> None:
    """Reading, writing, errors and watches are those of the server, with the user's rights."""
    watcher = Watcher(through, namespace)
    through.create(build_map("one", "ü" * 100_000), namespace)
    watcher.expect("one")

    assert through.get(*MAP, "one", namespace) == client.get(*MAP, "one", namespace)
    with pytest.raises(ApiError, match="404 NotFound"):
        through.get(*MAP, "two", namespace)
    with pytest.raises(ApiError, match="409 AlreadyExists"):
        through.create(build_map("one"), namespace)
    assert [each.status for each in proxy.exchanges if each.method == "POST"] == [201, 409]
    assert "authorization" not in proxy.kubeconfig.read_text()


def test_delay_holds_a_request_back(through: Client, namespace: str, proxy: FaultProxy) -> None:
    proxy.delay(2.0, method="GET", path="/configmaps", times=1)

    started = time.monotonic()
    through.list(*MAP, namespace)
    between = time.monotonic()
    through.list(*MAP, namespace)

    assert between - started >= 2.0
    assert time.monotonic() - between < 2.0


def test_cut_breaks_an_answer_in_the_middle(
    through: Client, namespace: str, proxy: FaultProxy
) -> None:
    through.create(build_map("large", "x" * 100_000), namespace)
    fault = proxy.cut(method="GET", path="/configmaps/large", after_bytes=50_000, times=2)

    for _ in range(2):
        with pytest.raises(NoAnswer):
            through.get(*MAP, "large", namespace)

    assert fault.hits == 2
    assert len(through.get(*MAP, "large", namespace)["data"]["text"]) == 100_000
    begun = [each for each in proxy.exchanges if each.fault is Action.CUT]
    assert [each.status for each in begun] == [200, 200]


def test_cut_breaks_a_watch_that_is_under_way(
    through: Client, namespace: str, proxy: FaultProxy
) -> None:
    watcher = Watcher(through, namespace)
    through.create(build_map("one"), namespace)
    watcher.expect("one")

    proxy.cut(path="watch=true", under_way=True)

    watcher.expect("broken")


def test_a_dropped_reply_hides_that_the_server_did_it(
    through: Client, client: Client, namespace: str, proxy: FaultProxy
) -> None:
    """Whoever creates something and hears nothing has to look before trying again."""
    proxy.drop_reply(method="POST", path="/configmaps", times=1)

    with pytest.raises(NoAnswer):
        through.create(build_map("one"), namespace)

    assert client.find(*MAP, "one", namespace)
    with pytest.raises(ApiError, match="409 AlreadyExists"):
        through.create(build_map("one"), namespace)


def test_a_black_hole_says_nothing_until_it_is_lifted(
    through: Client, client: Client, namespace: str, proxy: FaultProxy
) -> None:
    """A watch stays open and silent, a request gets no answer; then what was held comes."""
    watcher = Watcher(through, namespace)
    client.create(build_map("one"), namespace)
    watcher.expect("one")
    hole = proxy.black_hole(path="/configmaps", under_way=True)

    client.create(build_map("two"), namespace)
    with pytest.raises(NoAnswer):
        through.list(*MAP, namespace)
    with pytest.raises(Empty):
        watcher.changes.get_nowait()

    proxy.lift(hole)
    watcher.expect("two")
    assert through.list(*MAP, namespace)


@pytest.mark.parametrize(
    ("status", "retry_after", "reason"),
    [(429, 1, "TooManyRequests"), (500, None, "InternalError"), (503, None, "ServiceUnavailable")],
)
def test_an_answer_in_the_servers_stead_is_worded_like_the_servers(
    namespace: str, client: Client, proxy: FaultProxy, status: int, retry_after: int, reason: str
) -> None:
    proxy.answer(status, method="POST,PATCH", path="/configmaps", retry_after=retry_after)
    address = f"{proxy.url}/api/v1/namespaces/{namespace}/configmaps"

    answer = httpx.post(address, json=build_map("one"), verify=NO_TLS)

    assert answer.status_code == status
    body = answer.json()
    assert (body["kind"], body["reason"], body["code"]) == ("Status", reason, status)
    assert answer.headers.get("Retry-After") == (str(retry_after) if retry_after else None)
    assert body.get("details", {}).get("retryAfterSeconds") == retry_after
    assert httpx.get(address, verify=NO_TLS).status_code == 200
    assert client.find(*MAP, "one", namespace) is None
    proxy.lift()
    assert httpx.post(address, json=build_map("one"), verify=NO_TLS).status_code == 201


def test_it_can_speak_tls_with_a_key_of_the_bed(bed: Bed, namespace: str, tmp_path: Path) -> None:
    keys = bed.authority.issue_server("faults", "faults", ["127.0.0.1"])
    authority = bed.authority.certificate_file
    with FaultProxy(bed.kubeconfig, tmp_path, keys=(*keys, authority)) as proxy:
        assert proxy.url.startswith("https://")
        client = Client(proxy.kubeconfig)
        found = wait("an answer", lambda: client.list(*MAP, namespace))
        client.close()
    assert json.dumps(found)
