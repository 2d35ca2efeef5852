"""The charts' network policies: what they say, and that the API server understands all of it.

The bed has no policy engine, so nothing here shows that a packet is stopped.
"""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from hub_config.platform import away
from tests.bed.bed import ROOT, Bed
from tests.bed.client import Client, Object
from tests.bed.installation import HUB_CHART
from tests.bed.overlay import CATALOGUE
from tests.control_plane.chart import find, render, render_platform, run_helm

HUB_VALUES = ROOT / "helm-values" / "jupyterhub.yaml"
JOBS, RELEASE = "jobs-here", "jupyterhub"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


@pytest.fixture
def chart(bed: Bed) -> list[Object]:
    return render(bed, JOBS)


@pytest.fixture
def platform(bed: Bed) -> list[Object]:
    return render_platform(bed, JOBS)


def find_policy(objects: list[Object], name: str, namespace: str) -> Object:
    (found,) = [
        each
        for each in objects
        if each["kind"] == "NetworkPolicy"
        and each["metadata"]["name"] == name
        and each["metadata"].get("namespace", RELEASE) == namespace
    ]
    spec: Object = found["spec"]
    return spec


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
    chart: list[Object], platform: list[Object]
) -> None:
    spec = find_policy(platform, "jobs", JOBS)

    names, world, service = spec["egress"]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    assert names == {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    assert world.keys() == {"to"}
    assert service["ports"] == [{"port": 8080, "protocol": "TCP"}]
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
        ("100.64.0.1", False),
        ("100.128.0.1", True),
    ],
)
def test_jobs_reach_no_private_address_and_not_the_machines_credentials(
    platform: list[Object], address: str, reached: bool
) -> None:
    egress = find_policy(platform, "jobs", JOBS)["egress"]
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
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [
        {"from": [{"podSelector": {}}], "ports": [{"port": 8081, "protocol": "TCP"}]},
        {
            "from": [{"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: JOBS}}}],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        },
    ]


def test_sessions_may_call_the_service(chart: list[Object]) -> None:
    """The hub's chart closes private addresses to them, but for what our values open."""
    values = yaml.safe_load(HUB_VALUES.read_text(encoding="utf-8"))
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


def test_hub_and_service_are_both_where_the_proxy_asks_for_a_page(
    bed: Bed, chart: list[Object], platform: list[Object]
) -> None:
    """At one port of one name, as above, so that either may be away."""
    hub = run_helm(bed, "hub", HUB_CHART, [HUB_VALUES, CATALOGUE], {})
    deployments = {each["metadata"]["name"]: each for each in hub if each["kind"] == "Deployment"}
    service = find(platform, "Service")
    (port,) = service["spec"]["ports"]

    for deployment in (deployments["hub"], find(chart, "Deployment")):
        template = deployment["spec"]["template"]
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        ports = template["spec"]["containers"][0]["ports"]
        assert {"name": port["targetPort"], "containerPort": port["port"]} in ports
    assert port["name"] == port["targetPort"]
    (proxy,) = deployments["proxy"]["spec"]["template"]["spec"]["containers"]
    address = f"http://{service['metadata']['name']}:{port['port']}{away.PATH.rstrip('/')}"
    assert f"--error-target={address}" in proxy["command"]


def test_the_service_calls_whatever_it_is_told_to_but_no_machines_credentials(
    chart: list[Object],
) -> None:
    """Hub, API server, database and object store may be anywhere."""
    everywhere, beside, names = find(chart, "NetworkPolicy")["spec"]["egress"]
    (peer,) = everywhere["to"]

    assert "ports" not in everywhere
    assert is_reached("10.0.0.1", peer["ipBlock"])
    assert is_reached("8.8.8.8", peer["ipBlock"])
    assert not is_reached("169.254.169.254", peer["ipBlock"])
    assert beside == {"to": [{"podSelector": {}}]}
    assert {each["port"] for each in names["ports"]} == {53}


@pytest.mark.parametrize("namespace", [RELEASE, JOBS])
def test_what_nobody_allows_is_denied(platform: list[Object], namespace: str) -> None:
    """A machine's credentials above all, which no policy of ours allows."""
    denied = find_policy(platform, "default-deny", namespace)

    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_hub_and_proxy_may_not_ask_for_a_machines_credentials() -> None:
    """The hub's chart lets them, unless it is told not to."""
    values = yaml.safe_load(HUB_VALUES.read_text(encoding="utf-8"))

    for component in (values["hub"], values["proxy"]["chp"]):
        assert component["networkPolicy"]["egressAllowRules"] == {"cloudMetadataServer": False}


def test_hub_and_proxy_reach_the_service_as_sessions_do() -> None:
    """The chart allows them private addresses, which not every engine takes pods for."""
    values = yaml.safe_load(HUB_VALUES.read_text(encoding="utf-8"))
    rules = values["singleuser"]["networkPolicy"]["egress"]

    for component in (values["hub"], values["proxy"]["chp"]):
        assert component["networkPolicy"]["egress"] == rules


def test_what_a_deployment_adds_is_added(bed: Bed) -> None:
    database = {
        "to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
        "ports": [{"port": 5432, "protocol": "TCP"}],
    }

    def get_egress(**values: object) -> list[Object]:
        made = render_platform(bed, JOBS, values)
        egress: list[Object] = find_policy(made, "jobs", JOBS)["egress"]
        return egress

    assert get_egress(**{"networkPolicy.jobsEgress": [database]}) == [*get_egress(), database]


@pytest.mark.parametrize("make", [render, render_platform])
def test_without_policies_there_is_none(
    bed: Bed, make: Callable[[Bed, str, dict[str, object]], list[Object]]
) -> None:
    kinds = {each["kind"] for each in make(bed, JOBS, {"networkPolicy.enabled": False})}

    assert "NetworkPolicy" not in kinds
    assert "ServiceAccount" in kinds


@pytest.mark.usefixtures("pretended")
def test_the_api_server_understands_all_of_them(
    client: Client, namespace: str, chart: list[Object], platform: list[Object]
) -> None:
    """A field that it does not know, it would leave out."""
    policies = [each for each in (*chart, *platform) if each["kind"] == "NetworkPolicy"]
    assert len(policies) == 5
    for number, policy in enumerate(policies):
        wanted = copy.deepcopy(policy)
        wanted["metadata"].update(name=f"policy-{number}", namespace=namespace)

        assert client.create(wanted)["spec"] == policy["spec"]
