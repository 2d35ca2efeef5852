"""Pieces of the CloudFormation templates that are ours.

What belongs to the cluster's network is what eksctl's stack exports, by name: so no template asks
for an id, and CloudFormation keeps the cluster from being deleted before what stands in its
network. Pure.
"""

from typing import Any

from cluster.driver.aws_settings import Aws

Manifest = dict[str, Any]

#: What eksctl's stack of a cluster exports. Source: eksctl v0.230.0, pkg/cfn/outputs/api.go
_VPC, _SUBNETS = "VPC", "SubnetsPrivate"
_MACHINES, _SHARED = "ClusterSecurityGroupId", "SharedNodeSecurityGroup"
#: Of a resource that stays when its stack goes, or when another takes its place.
KEEP = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


def build_policy(*statements: Manifest) -> Manifest:
    """A policy document of IAM."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def build_template(description: str, resources: Manifest, **parts: Manifest) -> Manifest:
    """A whole template; ``parts`` such as ``Parameters`` and ``Outputs``, left out where empty.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
    """
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": description,
        **{name: part for name, part in parts.items() if part},
        "Resources": resources,
    }


def build_network(aws: Aws) -> Manifest:
    """The cluster's network."""
    return _import(aws, _VPC)


def build_subnets(aws: Aws) -> Manifest:
    """A list of the cluster's private subnets, one in each zone."""
    return {"Fn::Split": [",", _import(aws, _SUBNETS)]}


def build_subnet(aws: Aws, number: int) -> Manifest:
    """One of them."""
    return {"Fn::Select": [str(number), build_subnets(aws)]}


def build_security_group(aws: Aws, purpose: str, port: int, *, everywhere: bool) -> Manifest:
    """A group that lets the cluster's machines reach one port.

    Args:
        aws: the cluster.
        purpose: what it is, for people.
        port: of TCP.
        everywhere: whether Karpenter's machines, where sessions and jobs run, may reach it, too,
            which have eksctl's group for all machines; the core machines have EKS's own.
    """
    sources = [_MACHINES, _SHARED] if everywhere else [_MACHINES]
    rules = [
        {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "SourceSecurityGroupId": _import(aws, source),
        }
        for source in sources
    ]
    properties = {
        "GroupDescription": purpose,
        "VpcId": build_network(aws),
        "SecurityGroupIngress": rules,
    }
    return {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}


def build_pod_role(
    aws: Aws,
    account: str,
    namespaces: tuple[str, ...],
    statements: list[Manifest],
    purpose: str,
) -> Manifest:
    """A role, and who has it by Pod Identity; no other cluster, namespace or account may take it.

    Args:
        aws: the cluster.
        account: of Kubernetes, whose pods have the role.
        namespaces: where.
        statements: of its policy.
        purpose: one word that says what for.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
    """
    cluster = f"arn:{aws.partition}:eks:{aws.region}:{aws.account}:cluster/{aws.cluster}"
    trust = {
        "Sid": "OfThisAccountInThisCluster",
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "StringEquals": {
                "aws:RequestTag/eks-cluster-arn": cluster,
                "aws:RequestTag/kubernetes-namespace": list(namespaces),
                "aws:RequestTag/kubernetes-service-account": account,
            }
        },
    }
    role = build_id("Role", account)
    resources: Manifest = {
        role: {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "Description": f"{purpose} of account {account} in cluster {aws.cluster}",
                "AssumeRolePolicyDocument": build_policy(trust),
                "Policies": [
                    {
                        "PolicyName": purpose.lower(),
                        "PolicyDocument": build_policy(*statements),
                    }
                ],
            },
        }
    }
    for namespace in namespaces:
        resources[build_id("Association", f"{namespace}.{account}")] = {
            "Type": "AWS::EKS::PodIdentityAssociation",
            "Properties": {
                "ClusterName": aws.cluster,
                "Namespace": namespace,
                "ServiceAccount": account,
                "RoleArn": {"Fn::GetAtt": [role, "Arn"]},
            },
        }
    return resources


def build_output(description: str, value: object) -> Manifest:
    """An output of a stack."""
    return {"Description": description, "Value": value}


def build_id(kind: str, name: str) -> str:
    """A logical id for something with a name of ours, which only letters and digits may have.

    Different names have different ids: names are in small letters, so capitals are free.
    """
    return kind + name.replace("-", "D").replace(".", "P")


def _import(aws: Aws, name: str) -> Manifest:
    return {"Fn::ImportValue": f"eksctl-{aws.cluster}-cluster::{name}"}
