"""Who gets which rights in the account: all that is rendered, each with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.aws.eksctl import CONTROLLER_POLICIES
from cluster.aws.plan import build_files
from cluster.aws.storage import build_storage_stack
from cluster.driver.aws_storage import Bucket, Database, Files, Storage
from cluster.driver.settings import load_settings
from images._tool.ecr import build_policy
from tests.unit.cluster_aws.accounts import make_aws, make_storing
from tests.unit.cluster_aws.test_plan import NAME, write_example

#: Where rights stand in what eksctl reads.
KEYS = {
    *("permissionPolicy", "permissionPolicyARNs", "roleARN", "targetRoleARN", "wellKnownPolicies"),
    *("attachPolicy", "attachPolicyARNs", "serviceAccountRoleARN", "withAddonPolicies", "iam"),
    *("useDefaultPodIdentityAssociations", "podIdentityAssociations", "accessPolicies"),
    *("autoApplyPodIdentityAssociations", "instanceRoleARN", "instanceProfileARN", "withOIDC"),
}
#: Where policies stand in our templates.
DOCUMENTS = {"AssumeRolePolicyDocument", "PolicyDocument", "FileSystemPolicy"}
#: What is rendered, as place and value, and why.
POLICIES = [f"arn:aws:iam::111122223333:policy/{each}-{NAME}" for each in CONTROLLER_POLICIES]
REASONS = {
    ("karpenter", "permissionPolicyARNs", json.dumps(POLICIES)): "starts and ends machines",
    (
        "aws-load-balancer-controller",
        "wellKnownPolicies",
        '{"awsLoadBalancerController": true}',
    ): "makes the balancer before the hub",
    ("aws-ebs-csi-driver", "useDefaultPodIdentityAssociations", "true"): "makes disks",
    ("aws-efs-csi-driver", "useDefaultPodIdentityAssociations", "true"): "mounts homes",
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """All documents of the plan."""
    settings = load_settings(write_example(tmp_path_factory.mktemp("it")), are_pushed=False)
    assert settings.aws
    files = build_files(settings, settings.aws)
    return [each for text in files.values() for each in yaml.safe_load_all(text)]


def walk(tree: Any, name: str = "") -> Iterator[tuple[str, str, Any]]:
    """Whose, key and value of everything below a document."""
    if isinstance(tree, dict):
        whose = str(tree.get("serviceAccountName") or tree.get("name") or name)
        for key, value in tree.items():
            yield whose, key, value
            yield from walk(value, whose)
    elif isinstance(tree, list):
        for each in tree:
            yield from walk(each, name)


def find_faults(policy: Any) -> list[str]:
    """What is wrong with a policy's statements: no reason (Sid), or more than is needed."""
    found = []
    for statement in policy["Statement"]:
        actions = statement.get("Action", "*")
        if not statement.get("Sid"):
            found.append("no reason")
        if statement.get("Effect") == "Deny":
            continue
        if any("*" in each for each in ([actions] if isinstance(actions, str) else actions)):
            found.append("actions by a wildcard")
        if "*" in (statement.get("Resource"), statement.get("Principal")) or statement.get(
            "Principal"
        ) == {"AWS": "*"}:
            found.append("of everything or everybody")
    return found


def test_nobody_has_rights_without_a_reason(rendered: list[Any]) -> None:
    found = {
        (whose, key, json.dumps(value))
        for whose, key, value in walk(rendered)
        if key in KEYS and key not in ("iam", "podIdentityAssociations")
    }

    assert found == REASONS.keys()


def test_no_other_rights_are_hidden_where_these_stand(rendered: list[Any]) -> None:
    config, addons = (each for each in rendered if each.get("kind") == "ClusterConfig")

    assert "iam" not in addons
    assert config["iam"].keys() == {"podIdentityAssociations"}
    for each in config["iam"]["podIdentityAssociations"]:
        # Roles are called after cluster and region, for the account has one list of them.
        assert each.keys() - KEYS == {"namespace", "serviceAccountName", "roleName"}
        assert each["roleName"].startswith(f"{NAME}-")


def test_every_policy_of_ours_says_why_and_no_more(rendered: list[Any]) -> None:
    policies = [value for _, key, value in walk(rendered) if key == "permissionPolicy"]
    policies.append(build_policy("aws", "111122223333"))
    storage = Storage(
        Files(),
        {"raw": Bucket("raw", True, writable=("results/",))},
        Bucket("jobs", True),
        Database(),
    )
    aws = make_aws(storage=storage)
    template = build_storage_stack(make_storing(aws), aws)
    found = [value for _, key, value in walk(template) if key in DOCUMENTS]
    # Two of buckets, a trust and rights for each of two accounts, trust of backups, of the files.
    assert len(found) == 8
    policies += [each for each in found if "MachinesWriteThroughAccessPoints" not in str(each)]

    assert [find_faults(each) for each in policies] == [[] for _ in policies]


def test_files_are_for_everybody_who_reaches_them_and_only_through_an_access_point() -> None:
    """The driver mounts without credentials, so this one is of nobody in particular."""
    aws = make_aws(storage=Storage(Files()))
    resources = build_storage_stack(make_storing(aws), aws)["Resources"]

    policy = resources["FileSystem"]["Properties"]["FileSystemPolicy"]

    assert find_faults(policy) == ["of everything or everybody"]
    allowed, denied = policy["Statement"]
    assert allowed["Condition"].keys() == {"Bool", "StringLike"}
    assert "Root" not in str(allowed["Action"])
    assert denied["Effect"] == "Deny"


def test_roles_have_managed_policies_for_backups_alone() -> None:
    aws = make_aws(storage=Storage(Files(), {"raw": Bucket("raw")}, Bucket("jobs"), Database()))
    resources = build_storage_stack(make_storing(aws), aws)["Resources"]

    roles = {name: each["Properties"] for name, each in resources.items() if "Role" in each["Type"]}

    assert [name for name, each in roles.items() if "ManagedPolicyArns" in each] == ["BackupRole"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"Sid": ""}, "no reason"),
        ({"Action": "ecr:*"}, "actions by a wildcard"),
        ({"Action": ["ecr:Batch*"]}, "actions by a wildcard"),
        ({"Principal": "*"}, "of everything or everybody"),
        ({"Resource": "*"}, "of everything or everybody"),
    ],
)
def test_a_needless_right_would_be_found(change: dict[str, Any], fault: str) -> None:
    policy = build_policy("aws", "111122223333")
    policy["Statement"][0].update(change)

    assert find_faults(policy) == [fault]
