"""The cluster that eksctl is to make: what matters in it.

What eksctl reads is shown by `tests/control_plane/test_aws_machines.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from cluster.aws.eksctl import build_cluster_config
from tests.unit.cluster_aws.accounts import CHINA, make_aws


@pytest.fixture
def config() -> dict[str, Any]:
    return build_cluster_config(make_aws())


def get_addons(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in config["addons"]}


def test_the_network_is_that_of_the_settings(config: dict[str, Any]) -> None:
    assert config["vpc"] == {
        "cidr": "10.20.0.0/16",
        "nat": {"gateway": "Single"},
        "clusterEndpoints": {"publicAccess": True, "privateAccess": True},
        "publicAccessCIDRs": ["203.0.113.0/24"],
    }
    assert config["kubernetesNetworkConfig"] == {"serviceIPv4CIDR": "172.20.0.0/16"}
    assert config["availabilityZones"] == ["eu-central-1a", "eu-central-1b"]
    assert config["metadata"] == {
        "name": "lab",
        "region": "eu-central-1",
        "version": "1.35",
        "tags": {
            "cost-center": "4711",
            "karpenter.sh/discovery": "lab",
            "notebook-hpc/cluster": "lab",
        },
    }


def test_who_may_reach_the_api_server_is_left_to_eks_where_nobody_says() -> None:
    aws = make_aws()
    network = replace(aws.network, api_access=(), nat="each-zone")

    vpc = build_cluster_config(replace(aws, network=network))["vpc"]

    assert "publicAccessCIDRs" not in vpc
    assert vpc["nat"] == {"gateway": "HighlyAvailable"}


def test_services_have_the_range_of_the_settings() -> None:
    aws = make_aws()
    network = replace(aws.network, services=IPv4Network("10.100.0.0/20"))

    found = build_cluster_config(replace(aws, network=network))["kubernetesNetworkConfig"]

    assert found == {"serviceIPv4CIDR": "10.100.0.0/20"}


def test_no_pod_reaches_the_credentials_of_a_core_machine(config: dict[str, Any]) -> None:
    (core,) = config["managedNodeGroups"]

    assert core["disableIMDSv1"] is True
    assert core["disablePodIMDS"] is True
    # eksctl refuses the two together.
    assert "iam" not in core


def test_core_machines_are_private_encrypted_and_known_to_the_hubs_chart(
    config: dict[str, Any],
) -> None:
    (core,) = config["managedNodeGroups"]

    assert core["privateNetworking"] is True
    assert core["volumeEncrypted"] is True
    assert core["labels"] == {"hub.jupyter.org/node-purpose": "core"}
    assert (core["minSize"], core["desiredCapacity"], core["maxSize"]) == (3, 3, 4)
    assert core["instanceType"] == "m6i.large"


def test_karpenter_has_its_six_policies_and_its_machines_may_join(config: dict[str, Any]) -> None:
    karpenter, balancer = config["iam"]["podIdentityAssociations"]

    assert karpenter["permissionPolicyARNs"] == [
        f"arn:aws:iam::111122223333:policy/KarpenterController{each}Policy-lab"
        for each in (
            "NodeLifecycle",
            "IAMIntegration",
            "EKSIntegration",
            "Interruption",
            "ResourceDiscovery",
            "ZonalShift",
        )
    ]
    assert (karpenter["namespace"], karpenter["serviceAccountName"]) == ("kube-system", "karpenter")
    assert balancer["wellKnownPolicies"] == {"awsLoadBalancerController": True}
    assert config["accessConfig"]["authenticationMode"] == "API"
    assert config["accessConfig"]["accessEntries"] == [
        {
            "principalARN": "arn:aws:iam::111122223333:role/KarpenterNodeRole-lab",
            "type": "EC2_LINUX",
        }
    ]


def test_arns_are_of_the_partition() -> None:
    text = json.dumps(build_cluster_config(CHINA))

    assert "arn:aws-cn:iam::" in text
    assert "arn:aws:" not in text


def test_network_policies_are_enforced_and_drivers_have_rights(config: dict[str, Any]) -> None:
    addons = get_addons(config)

    assert json.loads(addons["vpc-cni"]["configurationValues"]) == {"enableNetworkPolicy": "true"}
    # Beside ours, another default class of disks, not encrypted, might be taken.
    assert "configurationValues" not in addons["aws-ebs-csi-driver"]
    for each in ("aws-ebs-csi-driver", "aws-efs-csi-driver"):
        assert addons[each]["useDefaultPodIdentityAssociations"] is True
    assert {"kube-proxy", "coredns", "metrics-server", "eks-pod-identity-agent"} <= addons.keys()


def test_nothing_else_brings_machines(config: dict[str, Any]) -> None:
    """Neither EKS's auto mode nor eksctl's own Karpenter, which is set up for an older one."""
    assert config["autoModeConfig"] == {"enabled": False}
    assert "karpenter" not in config
    assert "nodeGroups" not in config


def test_a_key_of_ones_own_for_secrets() -> None:
    key = "arn:aws:kms:eu-central-1:111122223333:key/1"

    assert build_cluster_config(make_aws(secrets_key=key))["secretsEncryption"] == {"keyARN": key}
    assert "secretsEncryption" not in build_cluster_config(make_aws())
