"""The cluster itself, as eksctl makes it: step ``10-eksctl``.

One document, a ``ClusterConfig``, which follows from the settings alone. Karpenter's stack
(:mod:`cluster.aws.karpenter`) has to be there before, for the cluster names its role and policies.
Pure.
"""

import json
from typing import Any

from cluster.driver.aws_settings import NAT, Aws

Manifest = dict[str, Any]

#: Tag by which Karpenter finds the cluster's subnets and security groups.
DISCOVERY = "karpenter.sh/discovery"
#: Tag of a cluster that is made here, by which it is known from others of the same name.
CLUSTER_TAG = "notebook-hpc/cluster"
#: Namespace of Karpenter and of the load balancer controller, and their accounts' names.
NAMESPACE = "kube-system"
KARPENTER_ACCOUNT, LOAD_BALANCER_ACCOUNT = "karpenter", "aws-load-balancer-controller"
#: What Karpenter's stack calls its role and policies, before the cluster's name.
#: Source: karpenter-provider-aws v1.14.1, cloudformation.yaml of its getting-started guide
NODE_ROLE = "KarpenterNodeRole"
CONTROLLER_POLICIES = tuple(
    f"KarpenterController{each}Policy"
    for each in (
        "NodeLifecycle",
        "IAMIntegration",
        "EKSIntegration",
        "Interruption",
        "ResourceDiscovery",
        "ZonalShift",
    )
)
#: Group of the machines that are always there.
CORE = "core"
#: GiB of each core machine's disk: images of the platform's own programs, and their logs.
CORE_DISK_GIB = 80
#: Of the control plane's logs: who did what, and who was let in.
_LOGS = ["api", "audit", "authenticator"]
_LOG_DAYS = 30


def build_cluster_config(aws: Aws) -> Manifest:
    """What ``eksctl create cluster --config-file`` gets.

    Source: https://schema.eksctl.io (v0.230.0), pkg/apis/eksctl.io/v1alpha5/assets/schema.json
    """
    config: Manifest = {
        "apiVersion": "eksctl.io/v1alpha5",
        "kind": "ClusterConfig",
        "metadata": {
            "name": aws.cluster,
            "region": aws.region,
            "version": aws.kubernetes,
            "tags": {**aws.tags, DISCOVERY: aws.cluster, CLUSTER_TAG: aws.cluster},
        },
        "availabilityZones": list(aws.zones),
        "kubernetesNetworkConfig": {"serviceIPv4CIDR": str(aws.network.services)},
        "vpc": _build_vpc(aws),
        "accessConfig": _build_access(aws),
        # It would bring a Karpenter and a load balancer controller of its own beside ours, and is
        # to become eksctl's default.
        "autoModeConfig": {"enabled": False},
        "iam": {"podIdentityAssociations": _build_associations(aws)},
        "addons": _build_addons(aws),
        "managedNodeGroups": [_build_core(aws)],
        "cloudWatch": {
            "clusterLogging": {"enableTypes": _LOGS, "logRetentionInDays": _LOG_DAYS},
        },
    }
    if aws.secrets_key:
        config["secretsEncryption"] = {"keyARN": aws.secrets_key}
    return config


def build_addon_upgrade(aws: Aws) -> Manifest:
    """What ``eksctl update addon --config-file`` gets: the newest that go with the control plane.

    Without a version eksctl keeps the one that is there.
    Source: pkg/actions/addon/update.go of eksctl v0.230.0
    """
    config = build_cluster_config(aws)
    addons = [{**each, "version": "latest"} for each in config["addons"]]
    return {
        **{key: config[key] for key in ("apiVersion", "kind")},
        "metadata": {"name": aws.cluster, "region": aws.region},
        "addons": addons,
    }


def name_group_stack(aws: Aws) -> str:
    """Of the core machines' stack, as eksctl calls it."""
    return f"eksctl-{aws.cluster}-nodegroup-{CORE}"


def _build_vpc(aws: Aws) -> Manifest:
    vpc: Manifest = {
        "cidr": str(aws.network.cidr),
        "nat": {"gateway": NAT[aws.network.nat]},
        # Machines reach the API server without the way through NAT.
        "clusterEndpoints": {"publicAccess": True, "privateAccess": True},
    }
    if aws.network.api_access:
        vpc["publicAccessCIDRs"] = [str(each) for each in aws.network.api_access]
    return vpc


def _build_access(aws: Aws) -> Manifest:
    """Who may sign in: whoever makes the cluster, and the machines that Karpenter starts."""
    return {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": True,
        "accessEntries": [
            {
                "principalARN": aws.build_arn("iam", f"role/{NODE_ROLE}-{aws.cluster}"),
                "type": "EC2_LINUX",
            }
        ],
    }


def _build_associations(aws: Aws) -> list[Manifest]:
    """Which accounts of Kubernetes have which rights in AWS (Pod Identity), and why."""
    policies = [f"policy/{each}-{aws.cluster}" for each in CONTROLLER_POLICIES]
    return [
        # Starts and ends machines: its makers' policies, bound to the tags of this cluster.
        {
            "namespace": NAMESPACE,
            "serviceAccountName": KARPENTER_ACCOUNT,
            "roleName": f"{aws.cluster}-karpenter",
            "permissionPolicyARNs": [aws.build_arn("iam", each) for each in policies],
        },
        # Makes the balancer before the hub: eksctl's policy for it, which is wider than this.
        {
            "namespace": NAMESPACE,
            "serviceAccountName": LOAD_BALANCER_ACCOUNT,
            "roleName": f"{aws.cluster}-load-balancer",
            "wellKnownPolicies": {"awsLoadBalancerController": True},
        },
    ]


def _build_addons(aws: Aws) -> list[Manifest]:
    """EKS's add-ons, the four that eksctl would add by itself among them."""
    addons = [
        # Without this no network policy has an effect.
        _build_addon("vpc-cni", {"enableNetworkPolicy": "true"}),
        _build_addon("kube-proxy"),
        _build_addon("coredns"),
        _build_addon("metrics-server"),
        _build_addon("eks-pod-identity-agent"),
        # Its class of storage is our own, for that of the add-on is not encrypted (storage.py).
        {**_build_addon("aws-ebs-csi-driver"), "useDefaultPodIdentityAssociations": True},
        {**_build_addon("aws-efs-csi-driver"), "useDefaultPodIdentityAssociations": True},
    ]
    if aws.mounts_buckets:
        # Without rights of its own: each mount has those of the account whose pod it is.
        addons.append(_build_addon("aws-mountpoint-s3-csi-driver"))
    return addons


def _build_addon(name: str, values: Manifest | None = None) -> Manifest:
    return {"name": name, "configurationValues": json.dumps(values)} if values else {"name": name}


def _build_core(aws: Aws) -> Manifest:
    """Machines that are always there and never Karpenter's, spread over the zones by EKS."""
    return {
        "name": CORE,
        "instanceType": aws.core.machine,
        "amiFamily": "AmazonLinux2023",
        "desiredCapacity": aws.core.count,
        "minSize": aws.core.count,
        # An upgrade starts the new machine before the old one goes.
        "maxSize": aws.core.count + 1,
        "updateConfig": {"maxUnavailable": 1},
        "privateNetworking": True,
        "volumeType": "gp3",
        "volumeSize": CORE_DISK_GIB,
        "volumeEncrypted": True,
        # Tokens are required, and answers get no further than the machine itself: no pod has the
        # machine's credentials.
        "disableIMDSv1": True,
        "disablePodIMDS": True,
        "labels": {"hub.jupyter.org/node-purpose": "core"},
        "tags": dict(aws.tags),
    }
