"""A bed's network: ports that stay, a namespace that comes and goes without leaving anything."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed import cgroups, nodes
from tests.bed.namespace import HANDLES, Namespace, NetworkTaken, sweep
from tests.bed.network import Loopback, network_from_json

NAME = f"u{os.getpid() % 10_000_000}"


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace of this process's own."""
    skip_without_nodes()
    network = Namespace.make(NAME)
    yield network
    network.remove()


def skip_without_nodes() -> None:
    if reason := nodes.why_not():
        pytest.skip(f"needs real nodes: {reason}")


def ask(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_loopback_gives_each_name_a_free_port_and_keeps_it() -> None:
    network = Loopback.make()
    ports = {name: network.port(name) for name in ("etcd", "kube-apiserver", "kwok")}

    assert len(set(ports.values())) == 3
    again = network_from_json(json.loads(json.dumps(network.to_json())))
    assert {name: again.port(name) for name in ports} == ports
    assert (again.address, again.within) == ("127.0.0.1", ())


def test_a_namespace_gives_the_usual_ports_and_is_the_same_after_it_was_written_down() -> None:
    network = Namespace("a", 3)
    ports = {name: network.port(name) for name in ("kube-apiserver", "kwok", "karpenter")}

    assert ports == {"kube-apiserver": 6443, "kwok": 20000, "karpenter": 20001}
    again = network_from_json(json.loads(json.dumps(network.to_json())))
    assert again == network
    assert again.port("karpenter") == 20001


@pytest.mark.parametrize("name", ["", "UPPER", "with.dot", "with/slash", "longer-than", "-a"])
def test_a_name_that_no_interface_can_bear_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name must match"):
        Namespace(name)


def test_addresses_of_two_beds_are_apart() -> None:
    assert Namespace("a", 0).pod_range == "10.203.0.0/16"
    assert Namespace("a", 0).service_range == "10.204.0.0/16"
    assert Namespace("b", 1).pod_range == "10.205.0.0/16"
    assert Namespace("b", 1).address == "10.205.0.2"


def test_this_machine_and_the_namespace_reach_each_other_and_nothing_more(
    namespace: Namespace,
) -> None:
    here = ask("ip", "route", "get", namespace.address)
    there = ask(*namespace.within, "ip", "route", "get", namespace.host_address)
    routes = ask(*namespace.within, "ip", "route")

    assert f"dev nbhpc-{NAME}" in here
    assert "dev host0" in there
    assert "default" not in routes
    assert ask(*namespace.within, "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"


def test_forwarding_on_this_machine_is_left_alone() -> None:
    skip_without_nodes()
    file = Path("/proc/sys/net/ipv4/ip_forward")
    before = file.read_text(encoding="ascii")
    network = Namespace.make(NAME)
    try:
        assert file.read_text(encoding="ascii") == before
    finally:
        network.remove()


def test_a_second_bed_gets_other_addresses(namespace: Namespace) -> None:
    other = Namespace.make(f"{NAME[:8]}x")
    try:
        assert other.pod_range != namespace.pod_range
    finally:
        other.remove()


@pytest.fixture
def only_range(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> str:
    """The range of the namespace, as the only one that beds can have: others come and go."""
    found = namespace.pod_range
    monkeypatch.setattr("tests.bed.namespace.FIRST_OCTET", int(namespace.base.split(".")[1]))
    monkeypatch.setattr("tests.bed.namespace.MOST_BEDS", 1)
    return found


@pytest.mark.usefixtures("only_range")
def test_no_range_that_something_else_uses_is_taken() -> None:
    with pytest.raises(NetworkTaken):
        Namespace.make(f"{NAME[:8]}x")


def test_removing_ends_what_runs_inside_and_leaves_nothing(namespace: Namespace) -> None:
    with subprocess.Popen([*namespace.within, "sleep", "60"]) as inside:
        deadline = time.monotonic() + 10
        while inside.pid not in namespace.list_processes():
            assert time.monotonic() < deadline
        namespace.remove()
        assert inside.wait(10) == -9

    assert not namespace.handle.exists()
    assert not Path(f"/sys/class/net/nbhpc-{NAME}").exists()
    assert namespace.interface not in ask("ip", "route")
    assert str(HANDLES / NAME) not in Path("/proc/mounts").read_text(encoding="utf-8")
    namespace.remove()


def test_a_new_namespace_takes_the_place_of_a_lost_one_of_that_name(only_range: str) -> None:
    again = Namespace.make(NAME)

    assert again.pod_range == only_range
    assert ask(*again.within, "ip", "-brief", "address", "show", "host0").count(again.address) == 1


def test_sweeping_removes_what_bears_a_name_and_minds_nothing_else(namespace: Namespace) -> None:
    for name in ("nobody", "a-name-too-long-for-nodes"):
        sweep(name)
        nodes.clean(name)
    assert namespace.handle.exists()

    sweep(NAME)

    assert not namespace.handle.exists()
    assert not Path(f"/sys/class/net/nbhpc-{NAME}").exists()


def test_nodes_of_which_nobody_has_a_record_are_ended_and_swept_up(namespace: Namespace) -> None:
    group = f"nbhpc-{NAME}.lost"
    cgroups.make(group)
    spaces = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "60"]
    with (
        subprocess.Popen([*namespace.within, *spaces]) as node,
        subprocess.Popen([*namespace.within, "sleep", "60"]) as control_plane,
    ):
        deadline = time.monotonic() + 10
        while len(namespace.list_processes()) < 3:
            assert time.monotonic() < deadline
        nodes.clean(NAME)

        node.wait(10)
        # The control plane is told to end by whoever started it.
        assert control_plane.poll() is None
        control_plane.kill()
    assert cgroups.find(group) == []
