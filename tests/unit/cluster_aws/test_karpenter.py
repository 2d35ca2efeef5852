"""Karpenter's machines, pools and values on AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.aws.eksctl import build_cluster_config
from cluster.aws.karpenter import build_karpenter_values, build_node_classes, build_pools
from cluster.driver.aws_pulls import Pull
from cluster.driver.settings import Settings
from cluster.driver.versions import FOLDER, read_versions
from cluster.driver.volumes import Volume
from hub_config.platform.catalogue import GIB, Catalogue
from tests.factories import make_catalogue, make_class, make_placement, make_pool
from tests.unit.cluster_aws.accounts import make_aws

SNAPSHOT = "snap-0123456789abcdef0"


def make_settings(volumes: Mapping[str, Mapping[str, Any]], **changes: Any) -> Settings:
    found = {name: Volume(source, 1) for name, source in volumes.items()}
    return Settings(
        "https://hub.example.org",
        True,
        Path("catalogue.yaml"),
        make_catalogue(),
        "registry.example",
        {},
        None,
        "",
        found,
        {},
        {},
        aws=make_aws(**changes),
    )


def build_spec(pool: Any = None, **changes: Any) -> dict[str, Any]:
    catalogue = make_catalogue(node_pools=(pool or make_pool(),))
    (manifest,) = build_node_classes(make_aws(**changes), catalogue)
    spec: dict[str, Any] = manifest["spec"]
    return spec


def test_each_pool_names_a_class_of_its_own() -> None:
    settings = make_settings({})

    classes = build_node_classes(make_aws(), settings.catalogue)
    pools = build_pools(settings)

    named = [each["spec"]["template"]["spec"]["nodeClassRef"] for each in pools]
    assert named == [
        {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": each["metadata"]["name"]}
        for each in classes
    ]
    assert [each["name"] for each in named] == ["sessions", "jobs"]


def test_no_pod_reaches_the_credentials_of_a_machine() -> None:
    assert build_spec()["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpProtocolIPv6": "disabled",
        "httpPutResponseHopLimit": 1,
        "httpTokens": "required",
    }


@pytest.mark.parametrize(
    ("disk_bytes", "size"), [(640 * GIB, "640Gi"), (640 * GIB + 1, "641Gi"), (100 << 20, "1Gi")]
)
def test_the_disk_is_the_pools_and_encrypted(disk_bytes: int, size: str) -> None:
    (mapping,) = build_spec(make_pool(disk_bytes=disk_bytes))["blockDeviceMappings"]

    assert mapping["ebs"] == {
        "volumeSize": size,
        "volumeType": "gp3",
        "encrypted": True,
        "deleteOnTermination": True,
    }
    assert mapping["rootVolume"] is True


def test_machines_are_private_and_found_as_the_cluster_is_tagged() -> None:
    spec = build_spec()
    tags = build_cluster_config(make_aws())["metadata"]["tags"]

    (group,) = spec["securityGroupSelectorTerms"]
    (subnets,) = spec["subnetSelectorTerms"]
    assert group["tags"].items() <= tags.items()
    assert subnets["tags"] == {**group["tags"], "kubernetes.io/role/internal-elb": "1"}
    assert spec["associatePublicIPAddress"] is False
    assert spec["role"] == "KarpenterNodeRole-lab"


def test_images_of_machines_are_pinned() -> None:
    assert build_spec()["amiSelectorTerms"] == [
        {"alias": f"al2023@{read_versions()['AL2023_AMI']}"}
    ]
    assert read_versions()["AL2023_AMI"].startswith("v20")


def test_a_session_survives_its_kernel() -> None:
    assert yaml.safe_load(build_spec()["userData"]) == {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {"kubelet": {"config": {"singleProcessOOMKill": True}}},
    }


def test_local_disks_are_scratch_where_the_settings_say_so() -> None:
    spec = build_spec(local_disks=("sessions",))

    assert spec["instanceStorePolicy"] == "RAID0"
    # What is paid for beside them has the system alone.
    assert spec["blockDeviceMappings"][0]["ebs"]["volumeSize"] == "20Gi"
    assert "instanceStorePolicy" not in build_spec(local_disks=("jobs",))


def test_layers_are_unpacked_in_parallel_where_the_settings_say_so() -> None:
    spec = build_spec(pulls={"sessions": Pull(parallel=True, throughput=600)})

    assert yaml.safe_load(spec["userData"])["spec"] == {
        "kubelet": {"config": {"singleProcessOOMKill": True}},
        "featureGates": {"FastImagePull": True},
    }
    assert "featureGates" not in build_spec(pulls={"jobs": Pull(parallel=True)})["userData"]


def test_the_disk_that_holds_images_is_as_quick_as_the_settings_say() -> None:
    pull, quick = Pull(throughput=1000, iops=4000), {"throughput": 1000, "iops": 4000}

    (own,) = build_spec(pulls={"sessions": pull})["blockDeviceMappings"]
    kept = replace(pull, snapshot=SNAPSHOT, fill=200)
    root, images = build_spec(pulls={"sessions": kept})["blockDeviceMappings"]

    assert quick.items() <= own["ebs"].items()
    assert not quick.keys() & root["ebs"].keys()
    assert root["rootVolume"] is True
    # Of a disk from a snapshot EC2 takes no word on encryption, and Karpenter measures the other.
    assert images == {
        "deviceName": "/dev/xvdb",
        "ebs": {
            "snapshotID": SNAPSHOT,
            "volumeType": "gp3",
            "deleteOnTermination": True,
            "volumeInitializationRate": 200,
            **quick,
        },
    }


def test_a_disk_with_images_is_mounted_where_containerd_has_them() -> None:
    """In parts that Karpenter reads by the rules of MIME, and adds its own to."""
    plain = build_spec()["userData"]

    whole = message_from_string(build_spec(pulls={"sessions": Pull(snapshot=SNAPSHOT)})["userData"])

    script, config = list(whole.walk())[1:]
    assert script.get_content_type() == "text/x-shellscript"
    assert str(script.get_payload()).splitlines() == [
        "#!/bin/sh",
        "echo 'LABEL=notebook-hpc /var/lib/containerd auto noatime,nofail 0 0' >> /etc/fstab",
        "udevadm settle",
        "mount /var/lib/containerd",
    ]
    assert config.get_content_type() == "application/node.eks.aws"
    assert yaml.safe_load(str(config.get_payload())) == yaml.safe_load(plain)


def test_machines_without_a_disk_of_their_own_are_not_bought_for_local_disks() -> None:
    """They would have no room for images and scratch."""
    first, second = build_pools(make_settings({}, local_disks=("jobs",)))

    wanted = {"key": "karpenter.k8s.aws/instance-local-nvme", "operator": "Exists"}
    assert wanted not in first["spec"]["template"]["spec"]["requirements"]
    assert wanted in second["spec"]["template"]["spec"]["requirements"]


def test_bills_tell_pool_and_kind_and_a_group_that_has_the_pool_alone() -> None:
    alone, common = make_pool(), make_pool("jobs", "job")
    catalogue = Catalogue(
        **{
            **vars(make_catalogue(node_pools=(alone, common))),
            "classes": {
                each.slug: each
                for each in (
                    make_class("a", session=make_placement(alone), groups=("lab",)),
                    make_class("b", session=make_placement(alone), groups=("lab",)),
                    make_class("c", session=make_placement(alone), groups=("lab",)),
                )
            },
        }
    )

    first, second = (each["spec"]["tags"] for each in build_node_classes(make_aws(), catalogue))

    assert first == {
        "cost-center": "4711",
        "notebook-hpc/pool": "sessions",
        "notebook-hpc/kind": "session",
        "notebook-hpc/group": "lab",
    }
    assert second["notebook-hpc/pool"] == "jobs"


def test_a_pool_of_several_groups_is_billed_to_none() -> None:
    classes = (make_class("a", groups=("lab", "course")),)
    catalogue = make_catalogue(classes=classes)

    for each in build_node_classes(make_aws(), catalogue):
        assert "notebook-hpc/group" not in each["spec"]["tags"]


@pytest.mark.parametrize(
    ("volumes", "keys"),
    [
        ({"homes": {"nfs": {"server": "x", "path": "/"}}}, None),
        ({"homes": {"csi": {"driver": "cephfs.csi.example"}}}, None),
        ({"homes": {"csi": {"driver": "efs.csi.aws.com"}}}, ["efs.csi.aws.com/agent-not-ready"]),
        (
            {
                "data-raw": {"csi": {"driver": "s3.csi.aws.com"}},
                "homes": {"csi": {"driver": "efs.csi.aws.com"}},
            },
            # No step of ours brings the other, and its taint would stay for ever.
            ["efs.csi.aws.com/agent-not-ready"],
        ),
    ],
)
def test_machines_wait_for_the_drivers_of_volumes_that_say_when_they_are_ready(
    volumes: dict[str, dict[str, Any]], keys: list[str] | None
) -> None:
    for pool in build_pools(make_settings(volumes)):
        spec = pool["spec"]["template"]["spec"]
        expected = [{"key": key, "effect": "NoExecute"} for key in keys] if keys else None
        assert spec.get("startupTaints") == expected


def test_nothing_cuts_a_session_or_job_short() -> None:
    """Neither a machine's age, nor a deadline for its going, nor a better machine."""
    for pool in build_pools(make_settings({})):
        template = pool["spec"]["template"]["spec"]
        assert template["expireAfter"] == "Never"
        assert "terminationGracePeriod" not in template
        assert pool["spec"]["disruption"]["consolidationPolicy"] == "WhenEmpty"


def test_karpenter_hears_that_a_spot_machine_goes() -> None:
    values = build_karpenter_values(make_aws(), make_catalogue())

    assert values["settings"] == {"clusterName": "lab", "interruptionQueue": "lab"}
    assert values["controller"]["env"] == [{"name": "AWS_REGION", "value": "eu-central-1"}]


def test_karpenters_account_is_the_one_with_rights() -> None:
    shipped = yaml.safe_load((FOLDER / "karpenter.yaml").read_text(encoding="utf-8"))
    associations = build_cluster_config(make_aws())["iam"]["podIdentityAssociations"]

    assert shipped["serviceAccount"]["name"] in {
        each["serviceAccountName"] for each in associations
    }
