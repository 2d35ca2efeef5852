"""Files, buckets and database of a cluster: what of the settings is in the stack.

That AWS takes it is shown by `tests/platform/test_aws_stacks.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.aws.eksctl import build_cluster_config
from cluster.aws.endpoints import build_endpoints_stack
from cluster.aws.karpenter import build_pools
from cluster.aws.load_balancer import build_load_balancer_values, build_names_stack
from cluster.aws.storage import StackUnfinished, build_storage_stack, fill_volumes
from cluster.aws.template import build_id
from cluster.driver.aws_storage import Bucket, Database, Files, Storage
from cluster.driver.charts import build_service_values
from tests.factories import make_catalogue, make_group
from tests.unit.cluster_aws.accounts import CHINA, make_aws, make_storing


def build(**parts: Any) -> dict[str, Any]:
    aws = make_aws(storage=Storage(**parts))
    template = build_storage_stack(make_storing(aws), aws)
    resources: dict[str, Any] = template.get("Resources", {})
    return {name: each["Properties"] for name, each in resources.items()}


def test_where_nothing_is_to_be_made_there_is_no_stack() -> None:
    assert build_storage_stack(make_storing(make_aws()), make_aws()) == {}
    assert build() == {}


def test_files_belong_to_the_user_of_sessions_and_jobs() -> None:
    found = build(files=Files())

    for name in ("homes", "shared"):
        point = found[f"{name.capitalize()}AccessPoint"]
        assert point["PosixUser"] == {"Uid": "1000", "Gid": "100"}
        assert point["RootDirectory"]["Path"] == f"/{name}"
    assert [name for name in found if name.startswith("MountTarget")] == [
        "MountTarget1",
        "MountTarget2",
    ]
    assert found["FileSystem"]["LifecyclePolicies"][0] == {"TransitionToIA": "AFTER_30_DAYS"}
    (rule,) = found["BackupPlan"]["BackupPlan"]["BackupPlanRule"]
    assert rule["Lifecycle"] == {"DeleteAfterDays": 35}


def test_files_of_an_earlier_cluster_are_used_again() -> None:
    found = build(files=Files(file_system="fs-01234567", infrequent_days=1))

    assert "FileSystem" not in found
    assert found["MountTarget1"]["FileSystemId"] == "fs-01234567"
    (arn,) = found["BackupSelection"]["BackupSelection"]["Resources"]
    assert arn == "arn:aws:elasticfilesystem:eu-central-1:111122223333:file-system/fs-01234567"


def test_files_may_stay_without_backup_and_in_one_place() -> None:
    found = build(files=Files("bursting", 0, 0))

    assert not [name for name in found if name.startswith("Backup")]
    assert "LifecyclePolicies" not in found["FileSystem"]
    assert found["FileSystem"]["ThroughputMode"] == "bursting"


def test_a_bucket_that_is_there_stays_as_it_is() -> None:
    found = build(buckets={"raw": Bucket("raw"), "made": Bucket("made", True, 9)})

    assert [name for name in found if name.startswith("Bucket")] == ["Bucketmade"]
    (rule,) = found["Bucketmade"]["LifecycleConfiguration"]["Rules"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 9}
    assert {*found["Bucketmade"]["PublicAccessBlockConfiguration"].values()} == {True}


def test_a_group_reads_its_buckets_and_writes_where_it_may() -> None:
    found = build(buckets={"raw": Bucket("raw", writable=("results/",)), "other": Bucket("other")})

    (policy,) = found["RolespatialDlab"]["Policies"]
    rights = {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}
    assert rights["FindData"]["Resource"] == ["arn:aws:s3:::raw", "arn:aws:s3:::other"]
    assert rights["ReadData"]["Resource"] == ["arn:aws:s3:::raw/*", "arn:aws:s3:::other/*"]
    assert rights["WriteResults"]["Resource"] == ["arn:aws:s3:::raw/results/*"]
    associations = [each for name, each in found.items() if name.startswith("Association")]
    assert {(each["Namespace"], each["ServiceAccount"]) for each in associations} == {
        ("jupyterhub", "spatial-lab"),
        ("offline-jobs", "spatial-lab"),
    }


def test_without_folders_to_write_nobody_may_write() -> None:
    found = build(buckets={"raw": Bucket("raw")})

    assert "Put" not in str(found)


def test_groups_of_one_account_share_its_rights_and_no_others_do() -> None:
    groups = [
        replace(make_group("a"), buckets=("raw",), service_account="both"),
        replace(make_group("b"), buckets=("more",), service_account="both"),
        replace(make_group("c"), buckets=("own",), service_account="alone"),
    ]
    aws = make_aws(storage=Storage(buckets={n: Bucket(n) for n in ("raw", "more", "own")}))
    settings = replace(make_storing(aws), catalogue=make_catalogue(groups=groups))

    resources = build_storage_stack(settings, aws)["Resources"]

    roles = {name: str(each) for name, each in resources.items() if name.startswith("Role")}
    assert roles.keys() == {"Roleboth", "Rolealone"}
    assert "raw" in roles["Roleboth"]
    assert "more" in roles["Roleboth"]
    assert ":::own" in roles["Rolealone"]
    assert ":::own" not in roles["Roleboth"]
    assert ":::raw" not in roles["Rolealone"]


def test_a_role_is_of_one_account_of_this_cluster() -> None:
    found = build(objects=Bucket("jobs"))

    (trust,) = found["RoleofflineDjobs"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-central-1:111122223333:cluster/lab",
        "aws:RequestTag/kubernetes-namespace": ["jupyterhub"],
        "aws:RequestTag/kubernetes-service-account": "offline-jobs",
    }


def test_the_service_is_told_its_bucket() -> None:
    aws = make_aws(storage=Storage(objects=Bucket("jobs")))

    values = build_service_values(make_storing(aws))

    assert values["objects"] == {"bucket": "s3://jobs", "region": "eu-central-1"}


def test_the_database_is_private_and_reached_from_the_core_alone() -> None:
    found = build(database=Database(disk_gib=60_000))

    (rule,) = found["DatabaseSecurityGroup"]["SecurityGroupIngress"]
    assert "eksctl-lab-cluster::ClusterSecurityGroupId" in str(rule)
    server = found["Database"]
    assert not server["PubliclyAccessible"]
    assert server["DeletionProtection"]
    assert server["ManageMasterUserPassword"]
    assert "MasterUserPassword" not in server
    assert server["MaxAllocatedStorage"] == 65_536


@pytest.mark.parametrize(("name", "other"), [("a-b1", "a-b-1"), ("a.b", "a-b"), ("ab", "a-b")])
def test_names_that_differ_have_ids_that_differ(name: str, other: str) -> None:
    assert build_id("Role", name) != build_id("Role", other)
    assert build_id("Role", name).isalnum()


def test_a_stack_that_is_half_made_is_told() -> None:
    aws = make_aws(storage=Storage(files=Files()))
    settings = make_storing(aws)

    said = (
        "Stack lab-storage does not say SharedVolume yet: run step 40-storage, or write under"
        " storage.volumes where the files are"
    )
    with pytest.raises(StackUnfinished, match=said):
        fill_volumes(settings, aws, {"HomesVolume": "fs-1::fsap-1"})

    filled = fill_volumes(settings, aws, {"HomesVolume": "fs-1::a", "SharedVolume": "fs-1::b"})
    handles = [each.source["csi"]["volumeHandle"] for each in filled.volumes.values()]
    assert handles == ["fs-1::a", "fs-1::b"]
    assert not any(each.output for each in filled.volumes.values())


def test_a_cluster_whose_groups_have_buckets_gets_their_driver() -> None:
    aws = make_aws(storage=Storage(buckets={"raw": Bucket("raw")}))
    addons = [
        {each["name"] for each in build_cluster_config(cluster)["addons"]}
        for cluster in (make_aws(), aws)
    ]
    assert addons[1] - addons[0] == {"aws-mountpoint-s3-csi-driver"}

    (pool, *_) = build_pools(make_storing(aws))
    taints = pool["spec"]["template"]["spec"]["startupTaints"]
    assert [each["key"] for each in taints] == ["s3.csi.aws.com/agent-not-ready"]


def test_china_has_names_of_its_own_for_services_and_not_for_s3() -> None:
    network = replace(CHINA.network, endpoints=("ecr.dkr",))

    resources = build_endpoints_stack(replace(CHINA, network=network))["Resources"]

    names = {name: each["Properties"].get("ServiceName") for name, each in resources.items()}
    assert names["S3Gateway"] == "com.amazonaws.cn-north-1.s3"
    assert names["EcrDkrEndpoint"] == "cn.com.amazonaws.cn-north-1.ecr.dkr"


def test_the_controller_asks_no_machine_where_it_is() -> None:
    values = build_load_balancer_values(make_aws())

    assert values == {
        "clusterName": "lab",
        "region": "eu-central-1",
        "vpcTags": {"karpenter.sh/discovery": "lab"},
        "defaultTags": {"cost-center": "4711"},
    }
    # eksctl gives this tag to all that it makes.
    tags = build_cluster_config(make_aws())["metadata"]["tags"]
    assert values["vpcTags"].items() <= tags.items()


def test_without_a_zone_there_are_no_records_and_without_hosts_of_their_own_one() -> None:
    assert build_names_stack(make_storing(make_aws()), make_aws()) == {}
    aws = make_aws(zone="Z1")
    settings = replace(make_storing(aws), subdomains=False)
    (name,) = build_names_stack(settings, aws)["Resources"].values()
    assert name["Properties"]["Name"] == "hub.example.org."
