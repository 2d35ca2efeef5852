"""The section of a cluster on AWS: what is read, and that each mistake is named with its mend."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.driver.aws_observe import Budget, Metrics, Observe
from cluster.driver.aws_pulls import Pull
from cluster.driver.aws_settings import Aws, Core, Network, read_aws
from cluster.driver.settings import load_settings
from cluster.driver.versions import find_misfits, read_compatibility, read_versions
from hub_config.platform.entry import Entry, Report
from hub_config.platform.errors import CatalogueError
from hub_config.platform.located import read_text
from tests.bed.overlay import CATALOGUE
from tests.factories import make_catalogue

CLUSTER = CATALOGUE.parents[1] / "cluster"
#: Both examples, as an administrator puts them together.
EXAMPLE = "".join(
    path.read_text(encoding="utf-8")
    for path in (CLUSTER / "settings.yaml", CLUSTER / "aws" / "settings.yaml")
)
SECTION: dict[str, Any] = yaml.safe_load(EXAMPLE)["aws"]
POOLS = make_catalogue()
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1"
CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/1"

Change = Callable[[dict[str, Any]], object]


def read(section: dict[str, Any]) -> tuple[Aws | None, Report]:
    tree, _ = read_text(yaml.safe_dump({"aws": section}, sort_keys=False))
    report = Report()
    entry = Entry("", tree, report).entry("aws")
    assert entry is not None
    return read_aws(entry, POOLS), report


def copy() -> dict[str, Any]:
    section: dict[str, Any] = yaml.safe_load(yaml.safe_dump(SECTION))
    return section


def test_what_the_example_says_is_read() -> None:
    section = copy()
    section.update(secrets_key=KEY, local_disks=["jobs"], pulls={"jobs": {"parallel": True}})

    aws, report = read(section)

    assert report.mistakes == []
    assert aws == Aws(
        account="111122223333",
        region="eu-central-1",
        partition="aws",
        cluster="notebook-hpc-eu-central-1",
        kubernetes=read_versions()["KUBERNETES_VERSION"],
        zones=("eu-central-1a", "eu-central-1b", "eu-central-1c"),
        network=Network(
            IPv4Network("10.20.0.0/16"),
            IPv4Network("172.20.0.0/16"),
            "single",
            (IPv4Network("203.0.113.0/24"),),
        ),
        core=Core("m6i.large", 3),
        secrets_key=KEY,
        local_disks=("jobs",),
        pulls={"jobs": Pull(parallel=True)},
        tags={"cost-center": "4711"},
        quotas={
            "on-demand": {"standard": 512, "gpu": 192},
            "spot": {"standard": 256, "gpu": 128},
        },
    )


def test_what_watches_is_read() -> None:
    section = copy()
    section["observe"] = {
        "mails": ["platform@example.org"],
        "metrics": {"disk_gib": 80},
        "dashboards": True,
        "logs": {},
        "budget": {"month": 3000, "tag": "cost-center"},
    }

    aws, report = read(section)

    assert report.mistakes == []
    assert aws is not None
    assert aws.observe == Observe(
        ("platform@example.org",),
        Metrics(keep_days=30, disk_gib=80),
        True,
        30,
        Budget(3000, "cost-center"),
    )
    assert aws.observe.sends_alarms
    section["observe"] = {"metrics": {}}
    aws, report = read(section)
    assert report.mistakes == []
    assert aws is not None
    assert aws.observe == Observe(metrics=Metrics())


@pytest.mark.parametrize(
    ("observe", "key", "said"),
    [
        (
            {"metric": {}},
            "metric",
            "unknown key; allowed: metrics, logs, budget, mails",
        ),
        ({"metrics": {}, "mails": ["ada"]}, "mails[0]", "is written like platform@example.org"),
        ({"metrics": {}, "mails": ["a@b.c d"]}, "mails[0]", "is written like platform@example"),
        ({"metrics": {}, "mails": [f"a{n}@b.org" for n in range(11)]}, "mails", "takes 10"),
        ({"mails": ["a@example.org"]}, "mails", "write metrics: {} for alarms, or a budget"),
        ({"dashboards": True}, "dashboards", "write metrics: {}"),
        ({"metrics": {"disk_gib": 5}}, "metrics.disk_gib", "must be from 10 to 16384, not 5"),
        ({"metrics": {"keep_days": 0}}, "metrics.keep_days", "must be from 1 to 3650"),
        ({"logs": {"keep_days": 31}}, "logs.keep_days", "31 is none of CloudWatch's; allowed: 1"),
        ({"budget": {"month": 10}}, "budget", "write who is to know, mails: ["),
        ({"budget": {}, "mails": ["a@b.org"]}, "budget.month", "is missing"),
        (
            {"budget": {"month": 1, "tag": "team"}, "mails": ["a@b.org"]},
            "budget.tag",
            "team is none of aws.tags (cost-center)",
        ),
    ],
)
def test_what_watches_nothing_or_nobody_is_refused(
    observe: dict[str, Any], key: str, said: str
) -> None:
    section = copy()
    section["observe"] = observe

    mistakes = read(section)[1].mistakes

    assert [each.key for each in mistakes] == [f"aws.observe.{key}"]
    assert said in mistakes[0].message


def test_most_of_it_may_be_left_out() -> None:
    section = copy()
    for key in ("cluster", "tags", "quotas", "local_disks"):
        del section[key]
    for key in ("peers", "nat", "api_access"):
        del section["network"][key]
    del section["core"]["count"]

    aws, report = read(section)

    assert report.mistakes == []
    assert aws is not None
    assert aws.cluster == "notebook-hpc-eu-central-1"
    assert aws.network.nat == "single"
    assert aws.network.api_access == ()
    assert aws.core.count == 3


def test_china_is_a_partition_of_its_own() -> None:
    section = copy()
    del section["cluster"]
    section.update(region="cn-north-1", zones=["cn-north-1a", "cn-north-1b"])

    aws, report = read(section)

    assert report.mistakes == []
    assert aws is not None
    assert aws.partition == "aws-cn"
    assert aws.cluster == "notebook-hpc-cn-north-1"
    assert aws.build_arn("iam", "role/x") == "arn:aws-cn:iam::111122223333:role/x"


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        (lambda s: s.update(acount="1"), "acount", "unknown key; allowed: account, region"),
        (lambda s: s.update(account="1234"), "account", "twelve digits"),
        (lambda s: s.update(account=111122223333), "account", 'for example "111122223333"'),
        (lambda s: s.update(partition="aws-cn"), "partition", "of eu-central-1 is aws"),
        (lambda s: s.update(partition="azure"), "partition", "allowed: aws, aws-cn"),
        (lambda s: s.update(cluster="Lab"), "cluster", "at most 46 small letters"),
        (
            lambda s: s.update(cluster=f"{'a' * 34}-eu-central-1"),
            "cluster",
            "at most 46 small letters",
        ),
        # Roles of two clusters of one name, in two regions, would be called alike.
        (lambda s: s.update(cluster="lab"), "cluster", "write lab-eu-central-1"),
        (lambda s: s.update(cluster="lab-eu-west-1"), "cluster", "must end with the region"),
        (lambda s: s.update(kubernetes=1.35), "kubernetes", "put it in quotes"),
        (lambda s: s.update(kubernetes="1.35.4"), "kubernetes", "a minor version"),
        (lambda s: s.update(kubernetes="1.29"), "kubernetes", "for Kubernetes 1.30 to 1.36"),
        (lambda s: s.update(kubernetes="1.31"), "kubernetes", 'write "1.32" or newer'),
        (
            lambda s: s.update(zones=["eu-central-1a", "eu-west-1b"]),
            "zones[1]",
            "eu-west-1b is no zone of eu-central-1",
        ),
        (lambda s: s.update(zones=["eu-central-1a"]), "zones", "two at least"),
        (lambda s: s["network"].update(cidr="11.0.0.0/16"), "network.cidr", "not private"),
        (lambda s: s["network"].update(cidr="100.64.0.0/16"), "network.cidr", "not private"),
        (lambda s: s["network"].update(cidr="172.32.0.0/16"), "network.cidr", "not private"),
        (lambda s: s["network"].update(cidr="198.18.0.0/16"), "network.cidr", "not private"),
        (lambda s: s["network"].update(cidr="10.64.0.0/12"), "network.cidr", "from /16 to /24"),
        (
            lambda s: s["network"].update(cidr="10.20.3.4/16"),
            "network.cidr",
            "write 10.20.0.0/16",
        ),
        (lambda s: s["network"].update(cidr="10.20.0.0/33"), "network.cidr", "no range of IPv4"),
        (lambda s: s["network"].update(services="9.0.0.0/16"), "network.services", "not private"),
        (
            lambda s: s["network"].update(services="10.20.128.0/20"),
            "network.services",
            "overlaps cidr, 10.20.0.0/16",
        ),
        (
            lambda s: s["network"].update(peers=["10.20.7.0/24"]),
            "network.peers[0]",
            "overlaps cidr, 10.20.0.0/16",
        ),
        (
            lambda s: s["network"].update(peers=["172.16.0.0/12"]),
            "network.peers[0]",
            "overlaps services, 172.20.0.0/16",
        ),
        (lambda s: s["network"].update(nat="none"), "network.nat", "allowed: single, each-zone"),
        (lambda s: s["network"].update(api_access=["me"]), "network.api_access[0]", "no range"),
        (lambda s: s["network"].update(vpc="x"), "network.vpc", "unknown key"),
        (lambda s: s.pop("network"), "network", "is missing"),
        (lambda s: s["core"].update(machine="large"), "core.machine", "m6i.large"),
        (lambda s: s["core"].update(count=1), "core.count", "at least 2"),
        (lambda s: s.pop("core"), "core", "is missing"),
        (lambda s: s.update(secrets_key="alias/mine"), "secrets_key", "arn:PARTITION:kms"),
        (lambda s: s.update(secrets_key=CERTIFICATE), "secrets_key", "arn:PARTITION:kms"),
        (
            lambda s: s.update(secrets_key=KEY.replace("eu-central-1", "eu-west-1")),
            "secrets_key",
            "is of region eu-west-1, and the cluster of eu-central-1",
        ),
        (lambda s: s.update(local_disks=["nowhere"]), "local_disks[0]", "allowed: sessions, jobs"),
        (lambda s: s.update(pulls={"jobs": {"iops": 1}}), "pulls.jobs.iops", "from 3000 to 16000"),
        (lambda s: s.update(tags={"year": 2026}), "tags.year", "put it in quotes"),
        (lambda s: s.update(tags={"karpenter.sh/nodepool": "x"}), "tags.karpenter", "otherwise"),
        (lambda s: s["quotas"].update(reserved={}), "quotas.reserved", "on-demand, spot"),
        (
            lambda s: s["quotas"]["spot"].update(tpu=1),
            "quotas.spot.tpu",
            "allowed: standard, gpu",
        ),
        (lambda s: s["quotas"]["spot"].update(gpu=0.5), "quotas.spot.gpu", "a whole number"),
    ],
)
def test_a_mistake_is_named_with_its_mend(change: Change, key: str, said: str) -> None:
    section = copy()
    change(section)

    aws, report = read(section)

    (mistake,) = report.mistakes
    assert mistake.key.startswith(f"aws.{key}")
    assert said in mistake.message
    assert mistake.line
    assert aws is None


def test_the_oldest_kubelet_that_knows_what_machines_are_told() -> None:
    section = copy()
    section["kubernetes"] = "1.32"

    assert read(section)[1].mistakes == []


def test_the_longest_name_fits_a_role() -> None:
    section = copy()
    section["cluster"] = f"{'a' * 33}-eu-central-1"

    aws, report = read(section)

    assert report.mistakes == []
    assert aws is not None
    assert len(f"KarpenterNodeRole-{aws.cluster}") == 64


@pytest.mark.parametrize("name", ["", "gp3"])
def test_disks_may_have_the_class_that_the_plan_makes(tmp_path: Path, name: str) -> None:
    settings = write_with_class(tmp_path, name)

    assert load_settings(settings, are_pushed=False).storage_class == name


def test_a_class_of_disks_that_nothing_makes_is_refused(tmp_path: Path) -> None:
    settings = write_with_class(tmp_path, "gp2")

    with pytest.raises(CatalogueError) as refused:
        load_settings(settings, are_pushed=False)

    (mistake,) = refused.value.mistakes
    assert mistake.key == "storage.class"
    assert "no step makes gp2" in mistake.message
    assert "has gp3; write that, or leave it out" in mistake.message


def test_a_cluster_that_is_there_may_have_any_class_of_disks(tmp_path: Path) -> None:
    settings = write_with_class(tmp_path, "gp2")
    written = yaml.safe_load(settings.read_text())
    del written["aws"]
    settings.write_text(yaml.safe_dump(written))

    assert load_settings(settings, are_pushed=False).storage_class == "gp2"


def write_with_class(folder: Path, name: str) -> Path:
    settings = yaml.safe_load(EXAMPLE)
    settings["catalogue"] = str(CATALOGUE)
    settings["storage"]["class"] = name
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_peers_may_overlap_one_another() -> None:
    section = copy()
    section["network"]["peers"] = ["10.0.0.0/16", "10.0.1.0/24"]

    assert read(section)[1].mistakes == []


@pytest.mark.parametrize("region", ["us-gov-west-1", "us-iso-east-1"])
def test_other_partitions_are_refused(region: str) -> None:
    section = copy()
    del section["cluster"]
    section.update(region=region, zones=[f"{region}a", f"{region}b"])

    (mistake,) = read(section)[1].mistakes

    assert mistake.key == "aws.region"
    assert "another partition than aws, aws-cn" in mistake.message


@pytest.mark.parametrize(
    ("certificate", "said"),
    [
        (CERTIFICATE, None),
        (f"{CERTIFICATE},{CERTIFICATE}2", None),
        ("arn:aws:iam::111122223333:server-certificate/x", None),
        (CERTIFICATE.replace("1111", "9999"), "account 999922223333"),
        (CERTIFICATE.replace("eu-central-1", "us-east-1"), "region us-east-1"),
        (CERTIFICATE.replace("arn:aws:", "arn:aws-cn:"), "partition aws-cn"),
        (KEY, "arn:PARTITION:acm:REGION:ACCOUNT:certificate/ID or"),
        (f"{CERTIFICATE},elsewhere", "not elsewhere"),
    ],
)
def test_a_certificate_is_of_the_clusters_account(certificate: str, said: str | None) -> None:
    report = Report()
    section, _ = read_text(yaml.safe_dump({"aws": copy(), "ingress": {}}))
    top = Entry("", section, report)
    aws, ingress = top.entry("aws"), top.entry("ingress")
    assert aws is not None
    assert ingress is not None

    read_aws(aws, POOLS, (ingress, "certificate", certificate))

    messages = [each.message for each in report.mistakes]
    assert (len(messages), said in messages[0]) == (1, True) if said else messages == []


def test_the_certificate_of_the_settings_is_held_against_the_account(tmp_path: Path) -> None:
    """With all other mistakes of the file."""
    settings = yaml.safe_load(EXAMPLE)
    settings["catalogue"] = str(CATALOGUE)
    settings["aws"]["account"] = "999922223333"
    settings["aws"]["zones"] = ["eu-central-1a"]
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))

    with pytest.raises(CatalogueError) as refused:
        load_settings(tmp_path / "settings.yaml")

    said = {each.key: each.message for each in refused.value.mistakes}
    assert "is of account 111122223333" in said["ingress.certificate"]
    assert said.keys() == {
        "ingress.certificate",
        "aws.zones",
        "catalogue",
        "digests.hub",
        "digests.jobs-service",
    }


def test_nothing_is_held_against_an_account_that_is_none() -> None:
    section = copy()
    section.update(account="1234", secrets_key=KEY)

    assert [each.key for each in read(section)[1].mistakes] == ["aws.account"]


def test_the_pinned_versions_go_together() -> None:
    versions, table = read_versions(), read_compatibility()

    assert list(find_misfits(versions["KUBERNETES_VERSION"], versions, table)) == []
    assert {key for key in versions if key.endswith("_VERSION")} == {"KUBERNETES_VERSION", *table}


def test_versions_that_do_not_go_together_are_named() -> None:
    table = {
        "A_B_VERSION": {"1.2": {"oldest": "1.9", "newest": "1.35"}},
        "C_VERSION": {"2.0": {"oldest": "1.30"}},
        "D_VERSION": {"3.0": {"oldest": "1.30"}},
    }
    versions = {"A_B_VERSION": "1.2.7", "C_VERSION": "2.0.0", "D_VERSION": "3.1.0"}

    assert list(find_misfits("1.36", versions, table)) == [
        "A b 1.2.7 is for Kubernetes 1.9 to 1.35",
        "D 3.1.0 is not in helm-values/compatibility.yaml: look up what it goes with",
    ]
    assert list(find_misfits("1.10", versions, table))[:1] == [
        "C 2.0.0 is for Kubernetes 1.30 or newer"
    ]
