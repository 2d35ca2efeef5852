"""The chart's network policies: what they say, and that the API server understands all of it.

The bed has no policy engine, so nothing here shows that a packet is stopped.
"""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

import pytest
import yaml

from tests.bed.bed import Bed
from tests.bed.client import Client, Object
from tests.bed.hub.stand_in import VALUES
from tests.control_plane.chart import find, render

JOBS, RELEASE = "jobs-here", "jupyterhub"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


@pytest.fixture
def chart(bed: Bed) -> list[Object]:
    return render(bed, JOBS)


def get_service_pod(chart: list[Object]) -> dict[str, str]:
    labels: dict[str, str] = find(chart, "Deployment")["spec"]["template"]["metadata"]["labels"]
    return labels


def is_selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def is_reached(address: str, block: dict[str, Any]) -> bool:
    found = ipaddress.ip_address(address)
    return found in ipaddress.ip_network(block["cidr"]) and not any(
        found in ipaddress.ip_network(each) for each in block["except"]
    )


def test_the_service_has_the_label_that_the_hub_asks_of_its_callers(chart: list[Object]) -> None:
    label = {"hub.jupyter.org/network-access-hub": "true"}
    deployment = find(chart, "Deployment")["spec"]

    assert label.items() <= deployment["template"]["metadata"]["labels"].items()
    # A Deployment's selector cannot be changed: an upgrade would be refused.
    assert deployment["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "offline-jobs",
        "app.kubernetes.io/instance": "offline-jobs",
    }


def test_jobs_are_called_by_nobody_and_call_names_the_world_and_the_service(
    chart: list[Object],
) -> None:
    spec = find(chart, "NetworkPolicy", JOBS)["spec"]

    names, world, service = spec["egress"]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    assert names == {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    assert world.keys() == {"to"}
    assert service["ports"] == [{"port": 8081, "protocol": "TCP"}]
    (peer,) = service["to"]
    assert is_selected(peer["namespaceSelector"], {NAMESPACE_LABEL: RELEASE})
    assert not is_selected(peer["namespaceSelector"], {NAMESPACE_LABEL: JOBS})
    assert is_selected(peer["podSelector"], get_service_pod(chart))
    assert not is_selected(peer["podSelector"], {"component": "hub"})


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("8.8.8.8", True),
        ("172.32.0.1", True),
        # A machine's credentials.
        ("169.254.169.254", False),
        # The credentials of a pod's own account, on EKS: of the group's data.
        ("169.254.170.23", True),
        ("10.0.0.1", False),
        ("10.100.0.10", False),
        ("172.16.0.1", False),
        ("172.31.255.254", False),
        ("192.168.1.1", False),
    ],
)
def test_jobs_reach_no_private_address_and_not_the_machines_credentials(
    chart: list[Object], address: str, reached: bool
) -> None:
    egress = find(chart, "NetworkPolicy", JOBS)["spec"]["egress"]
    blocks = [
        peer["ipBlock"] for rule in egress for peer in rule.get("to", []) if "ipBlock" in peer
    ]

    assert any(is_reached(address, block) for block in blocks) is reached


def test_the_service_is_called_from_beside_it_and_by_runners_each_on_their_port(
    chart: list[Object],
) -> None:
    spec = find(chart, "NetworkPolicy")["spec"]

    assert is_selected(spec["podSelector"], get_service_pod(chart))
    assert not is_selected(spec["podSelector"], {"component": "hub"})
    # It asks hub and API server, wherever they are.
    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [
        {"from": [{"podSelector": {}}], "ports": [{"port": 8080, "protocol": "TCP"}]},
        {
            "from": [{"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: JOBS}}}],
            "ports": [{"port": 8081, "protocol": "TCP"}],
        },
    ]


def test_sessions_may_call_the_service(chart: list[Object]) -> None:
    """The hub's chart closes private addresses to them, but for what our values open."""
    values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    (rule,) = values["singleuser"]["networkPolicy"]["egress"]
    (peer,) = rule["to"]

    assert peer.keys() == {"podSelector"}
    assert is_selected(peer["podSelector"], get_service_pod(chart))
    assert rule["ports"] == find(chart, "NetworkPolicy")["spec"]["ingress"][0]["ports"]


def test_a_service_has_its_pods_ports(chart: list[Object]) -> None:
    """What the VPC CNI's policy agent asks for: it judges by both.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy.html
    """
    (container,) = find(chart, "Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}

    services = find(chart, "Service")["spec"]["ports"]
    assert {each["targetPort"]: each["port"] for each in services} == ports
    assert {each["name"]: each["port"] for each in services} == ports


def test_what_a_deployment_adds_is_added(bed: Bed) -> None:
    database = {
        "to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
        "ports": [{"port": 5432, "protocol": "TCP"}],
    }

    def get_egress(**values: object) -> list[Object]:
        egress: list[Object] = find(render(bed, JOBS, values), "NetworkPolicy", JOBS)["spec"][
            "egress"
        ]
        return egress

    assert get_egress(**{"networkPolicy.egress": [database]}) == [*get_egress(), database]


def test_without_policies_there_is_none(bed: Bed) -> None:
    kinds = {each["kind"] for each in render(bed, JOBS, {"networkPolicy.enabled": False})}

    assert "NetworkPolicy" not in kinds
    assert "Deployment" in kinds


@pytest.mark.usefixtures("pretended")
def test_the_api_server_understands_all_of_them(
    client: Client, namespace: str, chart: list[Object]
) -> None:
    """A field that it does not know, it would leave out."""
    policies = [each for each in chart if each["kind"] == "NetworkPolicy"]
    assert len(policies) == 2
    for number, policy in enumerate(policies):
        wanted = copy.deepcopy(policy)
        wanted["metadata"].update(name=f"policy-{number}", namespace=namespace)

        assert client.create(wanted)["spec"] == policy["spec"]
