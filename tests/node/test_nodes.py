"""Real nodes join, lose their power, come back, and go without leaving anything."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed import cgroups, nodes
from tests.bed.bed import Bed
from tests.bed.client import NODE, Client, wait
from tests.bed.namespace import Namespace
from tests.node.pods import Pods, get_phase, is_ready, wait_for_node

pytestmark = [pytest.mark.upstream, pytest.mark.usefixtures("real")]

NAME = "real-extra"
LABELS = {"notebook-hpc/pool": "extra"}
TAINT = {"key": "notebook-hpc/dedicated", "value": "extra", "effect": "NoSchedule"}
PLACE = {"nodeSelector": LABELS, "tolerations": [{"operator": "Exists"}]}


@pytest.fixture
def extra(bed: Bed, image: Path) -> Iterator[str]:
    """A third node, small, with label and taint of its own."""
    size = nodes.Size(cores=0.5, memory_mib=512)
    nodes.add(bed, NAME, LABELS, [TAINT], provider_id="bed://extra", size=size)
    nodes.wait_ready(bed, NAME)
    nodes.load_image(bed, NAME, image)
    yield NAME
    nodes.remove(bed, NAME)


def test_an_added_node_is_what_was_asked_for(extra: str, client: Client) -> None:
    node = client.get(*NODE, extra)

    assert LABELS.items() <= node["metadata"]["labels"].items()
    assert node["spec"]["providerID"] == "bed://extra"
    assert TAINT in node["spec"]["taints"]
    allocatable = node["status"]["allocatable"]
    assert allocatable["cpu"] == "500m"
    # Up to the KiB that the kernel does not give away in whole MiB.
    assert abs(int(allocatable["memory"].removesuffix("Ki")) - 512 * 1024) < 2048


def test_pods_run_on_an_added_node_only_where_they_may_and_fit(extra: str, pods: Pods) -> None:
    too_large = {"resources": {"requests": {"cpu": "600m"}}}
    pods.start("not-tolerant", "exit", "0", nodeSelector=LABELS)
    pods.start("too-large", "exit", "0", container=too_large, **PLACE)

    assert pods.run("right", "exit", "0", **PLACE)["exitCode"] == 0
    assert pods.get("right")["spec"]["nodeName"] == extra
    for name in ("not-tolerant", "too-large"):
        assert get_phase(pods.get(name)) == "Pending"
        assert "nodeName" not in pods.get(name)["spec"]


def test_a_removed_node_leaves_nothing(bed: Bed, extra: str, pods: Pods) -> None:
    pods.serve("web", "hello", **PLACE)
    first = bed.daemons.get(f"node-{extra}").pid
    space = Path(f"/proc/{first}/ns/pid").stat().st_ino
    assert list_processes(space) > 3
    address = bed.client.get(*NODE, extra)["status"]["addresses"][0]["address"]
    assert address in list_addresses(bed)

    nodes.remove(bed, extra)

    assert list_processes(space) == 0
    assert bed.client.find(*NODE, extra) is None
    assert cgroups.find(f"nbhpc-{bed.tag}.{extra}") == []
    assert not (bed.folder / "nodes" / extra).exists()
    assert not [name for name in bed.daemons.names() if name.endswith(extra)]
    assert address not in list_addresses(bed)
    # The pods' interfaces vanish when the kernel gets round to it.
    wait("no route to its pods", lambda: list_addresses(bed), until=lambda all: ".3.1/" not in all)
    assert extra not in Path("/proc/mounts").read_text(encoding="utf-8")


def test_a_node_that_boots_again_runs_its_pods_again(bed: Bed, extra: str, pods: Pods) -> None:
    pods.serve("web", "hello", restartPolicy="Always", **PLACE)

    nodes.power_off(bed, extra)
    nodes.power_on(bed, extra)
    pod = pods.wait("web", lambda pod: count_restarts(pod) == 1 and is_ready(pod))

    assert pod["spec"]["nodeName"] == extra
    assert pods.run("next", "exit", "0", **PLACE)["exitCode"] == 0


@pytest.mark.long
def test_a_node_without_power_is_noticed(bed: Bed, extra: str, client: Client) -> None:
    nodes.power_off(bed, extra)
    # The controller manager waits for 50 s before it says so.
    node = wait_for_node(client, extra, lambda node: not is_ready(node), seconds=90)
    assert "node.kubernetes.io/unreachable" in [each["key"] for each in node["spec"]["taints"]]

    nodes.power_on(bed, extra)
    wait_for_node(client, extra, is_ready)


def count_restarts(pod: dict[str, object]) -> int:
    """How often a pod's only container was started again."""
    status = pod["status"]
    assert isinstance(status, dict)
    return int(status["containerStatuses"][0]["restartCount"])


def list_processes(space: int) -> int:
    """How many processes there are in a PID namespace."""
    count = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            count += (entry / "ns" / "pid").stat().st_ino == space
        except OSError:
            # It ended meanwhile.
            continue
    return count


def list_addresses(bed: Bed) -> str:
    """All addresses in the bed's network."""
    assert isinstance(bed.network, Namespace)
    words = [*bed.network.within, "ip", "-brief", "address"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
