"""Pods, Services and names are reached from pods and from this machine; nothing else is reached."""

from __future__ import annotations

import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.bed.bed import Bed
from tests.bed.client import wait
from tests.bed.namespace import Namespace
from tests.node.pods import Pods, get_phase

pytestmark = [pytest.mark.upstream, pytest.mark.usefixtures("real")]

JOB_NODE = {
    "nodeSelector": {"notebook-hpc/pool": "jobs-general"},
    "tolerations": [{"operator": "Exists"}],
}


def test_a_service_answers_by_name_and_address_from_pods_of_another_namespace_on_both_nodes(
    pods: Pods, other_namespace: str
) -> None:
    pods.serve("web", "hello from web")
    address = pods.expose("web")
    others = pods.within(other_namespace)
    name = f"http://web.{pods.namespace}"
    asking = {
        "by-short-name": (name, {}),
        "by-full-name": (f"{name}.svc.cluster.local", JOB_NODE),
        "by-address": (f"http://{address}", {}),
        "from-other-node": (f"http://{address}", JOB_NODE),
    }
    for pod, (url, place) in asking.items():
        others.start(pod, "get", "-retry", "30", url, **place)

    for pod in asking:
        others.wait(pod, lambda pod: get_phase(pod) in ("Succeeded", "Failed"))
        assert others.read_log(pod) == "hello from web", pod


def test_a_service_answers_by_name_and_address_from_this_machine(bed: Bed, pods: Pods) -> None:
    pods.serve("web", "hello from web")
    address = pods.expose("web")
    name = f"web.{pods.namespace}.svc.cluster.local"

    known = wait("the name", lambda: look_up(bed, name).stdout).strip()
    answer = wait("the Service", lambda: fetch(f"http://{address}/"))

    assert known == address
    assert answer == "hello from web"


def test_a_pod_answers_this_machine_and_reaches_it(pods: Pods, bed: Bed, machine_url: str) -> None:
    pod = pods.serve("web", "hello from web")

    assert fetch(f"http://{pod['status']['podIP']}:8080/") == "hello from web"
    assert pods.run("guest", "get", machine_url)["exitCode"] == 0
    assert pods.read_log("guest") == "hello from this machine"


def test_nothing_outside_is_reached_or_known_by_name(pods: Pods, bed: Bed) -> None:
    # The range is kept for documentation: a route to it would be a route to anywhere.
    pods.start("outside", "get", "http://192.0.2.200/")
    pods.start("stranger", "lookup", "example.org")

    assert pods.wait_for_end("outside")["exitCode"] == 1
    assert "network is unreachable" in pods.read_log("outside")
    assert pods.wait_for_end("stranger")["exitCode"] == 1
    assert "no such host" in pods.read_log("stranger")
    assert look_up(bed, "example.org").returncode == 1


def test_the_machine_itself_is_left_as_it_was(bed: Bed) -> None:
    assert isinstance(bed.network, Namespace)
    inside = subprocess.run(
        [*bed.network.within, "nft", "list", "tables"], capture_output=True, text=True, check=True
    )
    here = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)

    assert "kube-proxy" in inside.stdout
    assert "kube-proxy" not in here.stdout
    for process in ("node-real-sessions", "node-real-jobs"):
        root = Path(f"/proc/{bed.daemons.get(process).pid}/root")
        apparent = root / "proc/sys/kernel/panic"
        # The kubelet wants 10 of the whole machine; it finds it in a file of the node's own.
        assert apparent.read_text(encoding="ascii").strip() == "10"
        assert apparent.stat().st_dev != Path("/proc/sys/kernel/panic").stat().st_dev


@pytest.fixture
def machine_url(bed: Bed) -> Iterator[str]:
    """A server on this machine, where the bed's pods can reach it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello from this machine")

        def log_message(self, format: str, *args: object) -> None:
            pass

    assert isinstance(bed.network, Namespace)
    with HTTPServer((bed.network.host_address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://{bed.network.host_address}:{server.server_port}/"
        server.shutdown()
        thread.join()


def look_up(bed: Bed, name: str) -> subprocess.CompletedProcess[str]:
    """Ask the bed's CoreDNS from this machine."""
    words = [str(bed.programs.path("probe")), "lookup", name, bed.network.address]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def fetch(url: str) -> str:
    """What answers from this machine; nothing when nothing does."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=5) as response:
            return str(response.read().decode())
    except OSError:
        return ""
