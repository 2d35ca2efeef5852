"""Our CloudFormation templates: held against AWS's schemas, and made by the real `aws` with moto.

moto has no model of what :data:`UNKNOWN` names and passes it over, so that these are judged by
cfn-lint alone; nor does it judge rights, mount anything, or keep a file system's policy.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from moto.server import ThreadedMotoServer

from cluster.aws.endpoints import build_endpoints_stack, build_route_tables_query
from cluster.aws.load_balancer import build_names_stack
from cluster.aws.observe import build_observe_stack
from cluster.aws.storage import build_storage_stack, fill_volumes
from cluster.driver.aws_observe import Budget, Metrics, Observe
from cluster.driver.aws_settings import Aws
from cluster.driver.aws_storage import Bucket, Database, Files, Storage
from cluster.driver.charts import build_platform_values
from cluster.driver.settings import Settings
from tests.moto_client import REGION, build_client
from tests.unit.cluster_aws.accounts import CHINA, make_aws, make_storing

# It says so of each of them.
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS:UserWarning")
AWS = Path(__file__).parents[2] / "build" / "environments" / "notebook" / "bin" / "aws"
#: Kinds of what we make that moto's CloudFormation passes over.
UNKNOWN = {
    "AWS::Backup::BackupPlan",
    "AWS::Backup::BackupSelection",
    "AWS::Backup::BackupVault",
    "AWS::EKS::PodIdentityAssociation",
    "AWS::S3::BucketPolicy",
}


@dataclass(frozen=True)
class Cloud:
    """An account of moto's, reached by `aws`."""

    endpoint: str
    folder: Path

    def run(self, *words: str) -> str:
        environ = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "administrator",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/nonexistent/config",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [AWS, *words], env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, name: str, template: dict[str, Any], *more: str, change: str = "create") -> None:
        """Make or change a stack; without change sets, for moto's know no imports."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(json.loads(json.dumps(template)), sort_keys=False))
        words = [f"{change}-stack", "--stack-name", name, "--template-body", path.as_uri()]
        self.run("cloudformation", *words, *more)

    def outputs(self, name: str) -> dict[str, str]:
        found = json.loads(self.run("cloudformation", "describe-stacks", "--stack-name", name))
        return {
            each["OutputKey"]: each["OutputValue"] for each in found["Stacks"][0].get("Outputs", [])
        }

    def client(self, service: str) -> Any:
        return build_client(self.endpoint, service)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    running = Cloud(endpoint, tmp_path_factory.mktemp("stacks"))
    running.make("eksctl-lab-cluster", build_eksctl_stack(["a", "b"]))
    yield running
    server.stop()


def build_eksctl_stack(zones: Sequence[str]) -> dict[str, Any]:
    """What our templates import, exported as eksctl 0.230.0 does (pkg/cfn/outputs/api.go)."""
    network: dict[str, Any] = {"VpcId": {"Ref": "VPC"}}
    resources: dict[str, Any] = {
        "VPC": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.20.0.0/16"}},
    }
    for name in ("ClusterSecurityGroupId", "SharedNodeSecurityGroup"):
        properties = {"GroupDescription": name, **network}
        resources[name] = {"Type": "AWS::EC2::SecurityGroup", "Properties": properties}
    for number, zone in enumerate(zones):
        properties = {
            "CidrBlock": f"10.20.{number}.0/24",
            "AvailabilityZone": f"{REGION}{zone}",
            **network,
        }
        resources[f"Subnet{zone}"] = {"Type": "AWS::EC2::Subnet", "Properties": properties}
        resources[f"PrivateRouteTable{zone}"] = {
            "Type": "AWS::EC2::RouteTable",
            "Properties": network,
        }
    subnets = {"Fn::Join": [",", [{"Ref": f"Subnet{zone}"} for zone in zones]]}
    values = {
        "VPC": {"Ref": "VPC"},
        "SubnetsPrivate": subnets,
        "ClusterSecurityGroupId": {"Fn::GetAtt": ["ClusterSecurityGroupId", "GroupId"]},
        "SharedNodeSecurityGroup": {"Fn::GetAtt": ["SharedNodeSecurityGroup", "GroupId"]},
    }
    outputs = {
        name: {"Value": value, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}::" + name}}}
        for name, value in values.items()
    }
    return {"Resources": resources, "Outputs": outputs}


def find_faults(template: dict[str, Any], region: str = REGION) -> list[str]:
    """What AWS's schemas and cfn-lint's rules say of a template."""
    # It knows versions of databases in full only; RDS takes the first part for the newest of it.
    config = ManualArgs(regions=[region], ignore_checks=["W3691"])
    return [str(each) for each in lint(json.dumps(template), config=config)]


def whole(aws: Aws) -> Settings:
    """All there can be."""
    storage = Storage(
        Files(),
        {
            "lab-raw": Bucket("lab-raw", True, 90, ("results/",)),
            "lab.public": Bucket("lab.public"),
        },
        Bucket("lab-jobs", True),
        Database(zones="several"),
    )
    observe = Observe(("ada@example.org",), Metrics(), True, 30, Budget(3000, "cost-center"))
    return make_storing(replace(aws, storage=storage, zone="Z0123456789ABC", observe=observe))


@pytest.mark.parametrize("aws", [make_aws(), CHINA], ids=["aws", "aws-cn"])
def test_aws_s_schemas_have_nothing_against_the_templates(aws: Aws) -> None:
    network = replace(aws.network, endpoints=("ecr.api", "eks-auth"))
    settings = whole(replace(aws, network=network))
    assert settings.aws

    for template in (
        build_storage_stack(settings, settings.aws),
        build_endpoints_stack(settings.aws),
        build_names_stack(settings, settings.aws),
        build_observe_stack(settings.aws),
    ):
        assert find_faults(template, aws.region) == []


@pytest.mark.parametrize(
    ("resource", "key", "value"),
    [
        ("FileSystem", "ThroughputMode", "endless"),
        ("Database", "BackupRetention", 3),
        ("BackupVault", "BackupVaultName", "a name with spaces"),
        ("RolespatialDlab", "AssumeRolePolicyDocument", {"Version": "2012-10-17"}),
    ],
)
def test_a_mistake_in_a_template_would_be_found(resource: str, key: str, value: object) -> None:
    settings = whole(make_aws())
    assert settings.aws
    template = build_storage_stack(settings, settings.aws)
    template["Resources"][resource]["Properties"][key] = value

    assert find_faults(template)


def test_storage_is_made_used_changed_and_removed_but_for_what_people_have(cloud: Cloud) -> None:
    settings = whole(make_aws())
    assert settings.aws
    assert settings.aws.storage
    template = build_storage_stack(settings, settings.aws)
    # moto has no answer to this one; cfn-lint has.
    del template["Outputs"]["DatabaseSecret"]
    capabilities = ("--capabilities", "CAPABILITY_IAM", "--tags", "Key=cost-center,Value=4711")

    cloud.make("lab-storage", template, *capabilities)

    efs, s3 = cloud.client("efs"), cloud.client("s3")
    outputs = cloud.outputs("lab-storage")
    (system,) = efs.describe_file_systems()["FileSystems"]
    assert system["Encrypted"]
    assert system["ThroughputMode"] == "elastic"
    targets = efs.describe_mount_targets(FileSystemId=system["FileSystemId"])["MountTargets"]
    assert {each["AvailabilityZoneName"] for each in targets} == {f"{REGION}a", f"{REGION}b"}
    points = {
        each["RootDirectory"]["Path"]: each["AccessPointId"]
        for each in efs.describe_access_points()["AccessPoints"]
    }
    # moto tells the file system, and of an access point no id.
    for output, place in (("HomesVolume", "/homes"), ("SharedVolume", "/shared")):
        assert outputs[output].startswith(f"{system['FileSystemId']}::")
        outputs[output] = f"{system['FileSystemId']}::{points[place]}"
    made = {each["Name"] for each in s3.list_buckets()["Buckets"]}
    assert made == {"lab-raw", "lab-jobs"}
    (server,) = cloud.client("rds").describe_db_instances()["DBInstances"]
    assert server["StorageEncrypted"]
    assert server["MultiAZ"]
    assert outputs["DatabaseHost"] == server["Endpoint"]["Address"]
    # Ports are open to the machines' groups and to nobody else.
    groups = cloud.client("ec2").describe_security_groups()["SecurityGroups"]
    opened = {
        (rule["FromPort"], len(rule["UserIdGroupPairs"]), len(rule["IpRanges"]))
        for group in groups
        for rule in group["IpPermissions"]
        if "lab-storage" in str(group.get("Tags", ""))
    }
    assert opened == {(2049, 2, 0), (5432, 1, 0)}

    # The platform's volumes are what the stack tells.
    values = build_platform_values(fill_volumes(settings, settings.aws, outputs))
    sources = {each["name"]: each["source"]["csi"] for each in values["claims"]}
    assert sources["homes"]["volumeHandle"] == outputs["HomesVolume"]
    assert sources["data-lab-raw"]["volumeAttributes"]["authenticationSource"] == "pod"

    # Changed, the rest stays where it is.
    buckets = {**settings.aws.storage.buckets, "lab.public": Bucket("lab.public", True)}
    changed = replace(settings.aws, storage=replace(settings.aws.storage, buckets=buckets))
    more = {**build_storage_stack(settings, changed), "Outputs": template["Outputs"]}
    cloud.make("lab-storage", more, *capabilities, change="update")
    assert cloud.outputs("lab-storage")["FileSystem"] == outputs["FileSystem"]
    assert "lab.public" in {each["Name"] for each in s3.list_buckets()["Buckets"]}

    # What it passes over has neither kind nor id there.
    seen = cloud.client("cloudformation").describe_stack_resources(StackName="lab-storage")
    known = {each.get("ResourceType") for each in seen["StackResources"]}
    assert {each["Type"] for each in template["Resources"].values()} - known == UNKNOWN


def test_what_people_have_outlives_the_stack() -> None:
    settings = whole(make_aws())
    assert settings.aws
    resources = build_storage_stack(settings, settings.aws)["Resources"]

    stays = {
        name: each["DeletionPolicy"] for name, each in resources.items() if "DeletionPolicy" in each
    }
    assert stays == {
        "FileSystem": "Retain",
        "BackupVault": "Retain",
        "BucketlabDraw": "Retain",
        "PolicylabDraw": "Retain",
        "BucketlabDjobs": "Retain",
        "PolicylabDjobs": "Retain",
        "Database": "Snapshot",
    }
    assert all(resources[name]["UpdateReplacePolicy"] == what for name, what in stays.items())


def test_homes_stay_when_their_stack_goes(cloud: Cloud) -> None:
    aws = make_aws(storage=Storage(Files(backup_days=0)))
    settings = make_storing(aws)
    cloud.make("lab-homes", build_storage_stack(settings, aws))
    system = cloud.outputs("lab-homes")["FileSystem"]

    cloud.run("cloudformation", "delete-stack", "--stack-name", "lab-homes")

    left = cloud.client("efs").describe_file_systems()["FileSystems"]
    assert system in {each["FileSystemId"] for each in left}


def test_route_tables_are_found_and_get_the_way_to_s3(cloud: Cloud) -> None:
    aws = make_aws(network=replace(make_aws().network, endpoints=("ecr.api",)))
    tables = cloud.run(*build_route_tables_query(aws)).strip()
    assert len(tables.split(",")) == 2

    template = build_endpoints_stack(aws)
    listed = tables.replace(",", "\\,")
    parameter = f"ParameterKey=RouteTables,ParameterValue={listed}"
    cloud.make("lab-endpoints", template, "--parameters", parameter)

    found = cloud.client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    ways = {each["ServiceName"]: each for each in found}
    gateway = ways["com.amazonaws.eu-central-1.s3"]
    assert sorted(gateway["RouteTableIds"]) == tables.split(",")
    assert len(ways["com.amazonaws.eu-central-1.ecr.api"]["SubnetIds"]) == 2


def test_mistakes_in_what_watches_would_be_found() -> None:
    template = build_observe_stack(whole(make_aws()).aws or make_aws())
    template["Resources"]["Logs"]["Properties"]["RetentionInDays"] = 31
    del template["Resources"]["Budget"]["Properties"]["Budget"]["TimeUnit"]

    said = " ".join(find_faults(template))

    assert "31 is not one of" in said
    assert "'TimeUnit' is a required property" in said


def test_what_watches_is_made_and_removed(cloud: Cloud) -> None:
    aws = whole(make_aws()).aws
    assert aws
    template = build_observe_stack(aws)

    cloud.make("lab-observe", template, "--capabilities", "CAPABILITY_IAM")

    (topic,) = cloud.client("sns").list_topics()["Topics"]
    assert topic["TopicArn"].endswith(":lab-alarms")
    (told,) = cloud.client("sns").list_subscriptions()["Subscriptions"]
    assert (told["Protocol"], told["Endpoint"]) == ("email", "ada@example.org")
    logs = cloud.client("logs")
    (group,) = logs.describe_log_groups(logGroupNamePrefix="/notebook-hpc")["logGroups"]
    assert group["retentionInDays"] == 30

    seen = cloud.client("cloudformation").describe_stack_resources(StackName="lab-observe")
    known = {each.get("ResourceType") for each in seen["StackResources"]}
    unknown = {each["Type"] for each in template["Resources"].values()} - known
    assert unknown == {"AWS::EKS::PodIdentityAssociation", "AWS::Budgets::Budget"}

    cloud.run("cloudformation", "delete-stack", "--stack-name", "lab-observe")
    assert cloud.client("sns").list_topics()["Topics"] == []


def test_the_budget_is_one_that_aws_s_own_interface_takes(cloud: Cloud) -> None:
    """CloudFormation's words are those of the interface, but that amounts are texts there."""
    said = build_observe_stack(whole(make_aws()).aws or make_aws())
    budget = said["Resources"]["Budget"]["Properties"]
    limit = budget["Budget"]["BudgetLimit"]
    budgets, account = cloud.client("budgets"), "123456789012"

    budgets.create_budget(
        AccountId=account,
        Budget={**budget["Budget"], "BudgetLimit": {**limit, "Amount": str(limit["Amount"])}},
        NotificationsWithSubscribers=budget["NotificationsWithSubscribers"],
    )

    told = budgets.describe_notifications_for_budget(AccountId=account, BudgetName="lab")
    kinds = [(each["NotificationType"], each["Threshold"]) for each in told["Notifications"]]
    assert sorted(kinds) == [("ACTUAL", 80.0), ("ACTUAL", 100.0), ("FORECASTED", 100.0)]


def test_names_lead_to_the_balancer(cloud: Cloud) -> None:
    dns = cloud.client("route53")
    zone = dns.create_hosted_zone(Name="example.org", CallerReference="1")["HostedZone"]["Id"]
    aws = make_aws(zone=zone.removeprefix("/hostedzone/"))

    cloud.make(
        "lab-names",
        build_names_stack(make_storing(aws), aws),
        "--parameters",
        "ParameterKey=Balancer,ParameterValue=k8s.elb.amazonaws.com",
        "ParameterKey=BalancerZone,ParameterValue=Z215JYRZR1TBD5",
    )

    records = dns.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    names = {
        each["Name"].replace("\\052", "*"): each["AliasTarget"]["DNSName"]
        for each in records
        if each["Type"] == "A"
    }
    assert names == {
        "hub.example.org.": "k8s.elb.amazonaws.com",
        "*.hub.example.org.": "k8s.elb.amazonaws.com",
    }
