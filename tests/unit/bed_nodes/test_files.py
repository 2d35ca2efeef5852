"""What the files of nodes and of the network's services say."""

from __future__ import annotations

import tomllib

from tests.bed.network_services import build_corefile, build_proxy
from tests.bed.node_files import (
    EVICTION_MIB,
    PAUSE_IMAGE,
    Machine,
    NodeFacts,
    Size,
    build_containerd,
    build_kubelet,
    build_plugin_list,
    dump_facts,
    load_facts,
)

MACHINE = Machine(cores=4, memory_mib=8000, plugin_folder="/opt/cni/bin")


def make_facts(**changes: object) -> NodeFacts:
    facts = {
        "name": "one",
        "base": "10.205",
        "number": 3,
        "labels": {"pool": "a"},
        "taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}],
    }
    return NodeFacts(**{**facts, **changes})  # type: ignore[arg-type]


def build(facts: NodeFacts) -> dict[str, object]:
    return build_kubelet(facts, MACHINE, cgroup_root="/nbhpc-a.one", dns="10.205.0.2", port=10250)


def test_facts_are_the_same_after_they_were_written_down() -> None:
    for facts in (make_facts(), make_facts(size=Size(0.5, 512), provider_id="kwok://x")):
        assert load_facts(dump_facts(facts)) == facts


def test_each_node_has_an_address_and_a_range_of_its_own() -> None:
    first, second = make_facts(number=1), make_facts(number=2)

    assert (first.address, first.pod_range) == ("10.205.0.11", "10.205.1.0/24")
    assert (second.address, second.pod_range) == ("10.205.0.12", "10.205.2.0/24")


def test_the_kubelet_listens_on_the_nodes_address_and_asks_who_calls() -> None:
    kubelet = build(make_facts(provider_id="kwok://x"))

    assert kubelet["address"] == kubelet["healthzBindAddress"] == "10.205.0.13"
    assert kubelet["clusterDNS"] == ["10.205.0.2"]
    assert kubelet["providerID"] == "kwok://x"
    assert kubelet["cgroupRoot"] == "/nbhpc-a.one"
    assert kubelet["registerWithTaints"] == [{"key": "k", "value": "v", "effect": "NoSchedule"}]
    assert kubelet["authorization"] == {"mode": "Webhook"}
    # Pods learn no name of the world outside.
    assert kubelet["resolvConf"] == ""


def test_a_small_node_reserves_the_rest_of_the_machine() -> None:
    kubelet = build(make_facts(size=Size(cores=0.5, memory_mib=512)))

    assert kubelet["systemReserved"] == {"cpu": "3500m", "memory": f"{8000 - 512 - EVICTION_MIB}Mi"}
    assert "systemReserved" not in build(make_facts())


def test_a_node_larger_than_the_machine_reserves_nothing() -> None:
    kubelet = build(make_facts(size=Size(cores=64, memory_mib=100_000)))

    assert kubelet["systemReserved"] == {"cpu": "0m", "memory": "0Mi"}


def test_containerd_finds_plugins_and_the_pause_image_and_lowers_no_score() -> None:
    plugin = tomllib.loads(build_containerd(MACHINE, "native"))["plugins"]
    cri = plugin["io.containerd.grpc.v1.cri"]

    assert cri["cni"]["bin_dir"] == "/opt/cni/bin"
    assert cri["sandbox_image"] == PAUSE_IMAGE
    assert cri["restrict_oom_score_adj"] is True
    assert cri["containerd"]["snapshotter"] == "native"


def test_pods_get_addresses_of_their_nodes_range_and_no_other_sender() -> None:
    (plugin,) = build_plugin_list(make_facts())["plugins"]

    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.205.3.0/24"}]]
    assert plugin["ipMasq"] is False


def test_kube_proxy_leaves_the_machines_own_settings_alone() -> None:
    proxy = build_proxy("/k", address="10.205.0.2", pod_range="10.205.0.0/16", hostname="one")

    assert proxy["mode"] == "nftables"
    assert proxy["clusterCIDR"] == "10.205.0.0/16"
    assert set(proxy["conntrack"].values()) == {0, "0s"}


def test_coredns_listens_on_the_beds_address_and_sends_nothing_on() -> None:
    corefile = build_corefile("/k", "10.205.0.2")

    assert corefile.count("bind 10.205.0.2") == corefile.count("{\n  bind") == 2
    assert "forward" not in corefile
    assert "rcode NXDOMAIN" in corefile
