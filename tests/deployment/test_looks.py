"""What the steps look at, by the real `aws` at moto's server: its words, not a stand-in's.

moto has no model of the quotas of EC2, nor of rights; what needs them is not here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cluster.aws.commands import CommandFailed, Commands, hold
from cluster.aws.context import Context
from cluster.aws.eksctl import CLUSTER_TAG
from cluster.aws.homes import delete_homes
from cluster.aws.load_balancer import name_names
from cluster.aws.names import make_names
from cluster.aws.removal import list_left
from cluster.aws.steps import check_ground, make_cluster
from cluster.driver.settings import Settings, load_settings
from tests.deployment.test_names import put_ingress, with_zone
from tests.moto_client import build_client
from tests.site import wait_until
from tests.unit.cluster_aws.test_plan import write_example

PROGRAMS = Path(__file__).parents[2] / "build" / "environments" / "notebook" / "bin"
REGION = "eu-central-1"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(write_example(tmp_path_factory.mktemp("settings")), are_pushed=False)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def context(settings: Settings, endpoint: str, tmp_path: Path) -> Context:
    environ = {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "administrator",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": "/nonexistent/config",
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1",
    }
    assert settings.aws
    said: list[str] = []
    commands = Commands(tmp_path / "log", said.append, environ)
    return Context(settings, settings.aws, tmp_path, commands, said.append, tmp_path / "none")


def test_what_is_not_there_is_none(context: Context) -> None:
    assert context.find_cluster() is None
    assert context.find_stack("nothing") == ""
    assert list_left(context) == []


def test_the_role_of_spot_machines_is_made_where_it_is_not_there(context: Context) -> None:
    """Once: moto gives it another name than AWS, so that a second look would not find it."""
    context.run("spot")

    logs = sorted(each.name[3:] for each in context.commands.log.glob("*.err"))
    assert logs == ["aws-iam-create-service-linked-role.err", "aws-iam-get-role.err"]


def test_another_ones_cluster_is_told_from_ours(context: Context, endpoint: str) -> None:
    eks = boto3.session.Session().client(
        "eks",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="administrator",
        aws_secret_access_key="secret",
    )

    def make(name: str, tags: dict[str, str]) -> Context:
        eks.create_cluster(
            name=name,
            roleArn="arn:aws:iam::123456789012:role/cluster",
            resourcesVpcConfig={"subnetIds": []},
            version="1.33",
            tags=tags,
        )
        return replace(context, aws=replace(context.aws, cluster=name))

    with pytest.raises(CommandFailed, match="theirs is there that this did not make"):
        make_cluster(make("theirs", {}))
    ours = make("ours", {CLUSTER_TAG: "ours"})
    with pytest.raises(CommandFailed, match=r"has Kubernetes 1\.33, and the settings say"):
        make_cluster(ours)
    ours.run("access")
    assert (ours.target / "kubeconfig").stat().st_mode & 0o077 == 0


def test_another_account_is_told(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind stand-ins of the three programs that are not AWS'."""
    programs = context.target / "programs"
    programs.mkdir()
    for name in ("eksctl", "helm", "kubectl"):
        (programs / name).symlink_to(Path(__file__).with_name("stand_in.sh"))
    path = f"{PROGRAMS}{os.pathsep}{programs}{os.pathsep}{os.environ['PATH']}"
    environ = {**context.commands.environment, "PATH": path, "WORLD": str(context.target)}
    # Tools finds helm by this process's own path.
    monkeypatch.setenv("PATH", path)
    commands = replace(context.commands, environment=environ)

    with pytest.raises(
        CommandFailed, match=r"are of account 123456789012 \(aws\), and the settings"
    ):
        check_ground(replace(context, commands=commands))


def test_a_program_ends_with_the_driver_and_all_that_it_started(context: Context) -> None:
    started = context.target / "started"
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if "still waiting for sh" in line and started.exists() and started.read_text():
            raise KeyboardInterrupt

    commands = Commands(context.target / "log", say, beat_seconds=0.05)
    with pytest.raises(KeyboardInterrupt):
        commands.run(("sh", "-c", f"sleep 600 & echo $! > {started}; wait"), 5)

    state = Path(f"/proc/{started.read_text().strip()}/stat")

    def has_ended() -> bool:
        """It may be a moment until it is dead, and until whoever inherited it has buried it."""
        try:
            return state.read_text().split()[2] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(has_ended, "the end of what it started", 60)


def test_a_program_has_a_limit_of_time(context: Context) -> None:
    with pytest.raises(CommandFailed, match=r"sleep 600 took more than 0\.001 minutes"):
        context.commands.run(("sleep", "600"), 0.001)


def test_while_one_is_at_work_another_is_refused(tmp_path: Path) -> None:
    """Also where the first was killed, and a program of its own still runs."""
    with hold(tmp_path) as lock:
        left = subprocess.Popen(["sleep", "600"], pass_fds=(lock,))
    try:
        with pytest.raises(CommandFailed, match="Another run, or a program"), hold(tmp_path):
            pass
    finally:
        left.kill()
        left.wait()
    with hold(tmp_path):
        pass


def test_what_commands_write_is_for_nobody_else(context: Context) -> None:
    context.commands.run(("sh", "-c", "echo out; echo err >&2"), 1)

    modes = [each.stat().st_mode & 0o777 for each in context.commands.log.iterdir()]
    assert modes == [0o600, 0o600]


def read_records(client: Any, zone: str) -> dict[str, str]:
    records = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return {
        each["Name"].replace("\\052", "*"): each["AliasTarget"]["DNSName"]
        for each in records
        if each["Type"] == "A"
    }


def test_records_are_made_and_taken_away_with_their_stack(
    context: Context, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dns = build_client(endpoint, "route53")
    ec2 = build_client(endpoint, "ec2")
    subnets = [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"][:2]]
    made = build_client(endpoint, "elbv2").create_load_balancer(Name="hub", Subnets=subnets)
    host = made["LoadBalancers"][0]["DNSName"]
    zone = dns.create_hosted_zone(Name="example.org", CallerReference="1")["HostedZone"]["Id"]
    zone = zone.removeprefix("/hostedzone/")
    programs = context.target / "programs"
    programs.mkdir()
    (programs / "kubectl").symlink_to(Path(__file__).with_name("stand_in.sh"))
    put_ingress(context.target, host)
    path = f"{PROGRAMS}{os.pathsep}{programs}{os.pathsep}{os.environ['PATH']}"
    environ = {**context.commands.environment, "PATH": path, "WORLD": str(context.target)}
    monkeypatch.setenv("PATH", path)
    own = with_zone(replace(context, commands=replace(context.commands, environment=environ)), zone)

    make_names(own)

    names = ("hub.example.org.", "*.hub.example.org.")
    assert read_records(dns, zone) == dict.fromkeys(names, host)

    own.delete_stack(name_names(own.aws.cluster))
    assert read_records(dns, zone) == {}


def test_a_bucket_goes_with_all_versions_and_a_file_system_with_what_is_in_it(
    context: Context, endpoint: str
) -> None:
    s3, efs = build_client(endpoint, "s3"), build_client(endpoint, "efs")
    s3.create_bucket(Bucket="raw", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="raw", VersioningConfiguration={"Status": "Enabled"})
    for content in (b"1", b"2"):
        s3.put_object(Bucket="raw", Key="a file's name", Body=content)
    s3.delete_object(Bucket="raw", Key="a file's name")
    files = efs.create_file_system(CreationToken="1")["FileSystemArn"]

    # Once more, as tags are told for a while of what is gone.
    for _ in range(2):
        delete_homes(context, ["arn:aws:s3:::raw", files])

    assert "raw" not in {each["Name"] for each in s3.list_buckets()["Buckets"]}
    left = efs.describe_file_systems()["FileSystems"]
    assert files not in {each["FileSystemArn"] for each in left}
