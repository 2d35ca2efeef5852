"""What `make cluster-plan` writes and says."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.aws.__main__ import main
from cluster.aws.plan import PlanFailed, make_plan
from cluster.aws.stack import StackChanged
from cluster.driver.deployment import STEPS, Deployment
from cluster.driver.settings import Settings, load_settings
from cluster.driver.tools import Tools
from cluster.driver.versions import read_versions
from tests.unit.cluster.test_aws_settings import CLUSTER, EXAMPLE, SECTION

#: Of Karpenter's file, where it is not.
AWAY = "file:///nowhere/{version}"
NAME = SECTION["cluster"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The example, before any image was pushed."""
    return load_settings(write_example(tmp_path_factory.mktemp("settings")), are_pushed=False)


def plan(settings: Settings, folder: Path, address: str = AWAY) -> list[str]:
    said: list[str] = []
    assert settings.aws
    make_plan(settings, settings.aws, folder, said.append, address)
    return said


def list_files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def load_all(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_all_that_would_be_made_is_written_in_the_order_of_the_steps(
    settings: Settings, tmp_path: Path
) -> None:
    plan(settings, tmp_path)
    place = tmp_path / NAME

    assert [each for each in list_files(place) if not each.startswith("50-platform/")] == [
        ".plan",
        "10-eksctl/addons.yaml",
        "10-eksctl/cluster.yaml",
        "10-eksctl/endpoints.yaml",
        "20-karpenter/gpus.yaml",
        "20-karpenter/node-classes.yaml",
        "20-karpenter/node-pools.yaml",
        "20-karpenter/values/1-karpenter.yaml",
        "20-karpenter/values/2-karpenter.ours.yaml",
        "30-load-balancer/values/1-load-balancer.yaml",
        "30-load-balancer/values/2-load-balancer.ours.yaml",
        "40-storage/storage-class.yaml",
    ]
    (cluster,) = load_all(place / "10-eksctl/cluster.yaml")
    assert cluster["kind"] == "ClusterConfig"
    slugs = list(settings.catalogue.node_pools)
    for name, kind in (("node-classes", "EC2NodeClass"), ("node-pools", "NodePool")):
        found = load_all(place / "20-karpenter" / f"{name}.yaml")
        assert [(each["kind"], each["metadata"]["name"]) for each in found] == [
            (kind, slug) for slug in slugs
        ]
    (storage,) = load_all(place / "40-storage/storage-class.yaml")
    assert storage["kind"] == "StorageClass"
    (root,) = load_all(place / "50-platform" / "root-queue.yaml")
    assert root["metadata"]["name"] == "root"


def test_pools_wait_for_the_driver_of_homes(settings: Settings, tmp_path: Path) -> None:
    plan(settings, tmp_path)

    for pool in load_all(tmp_path / f"{NAME}/20-karpenter/node-pools.yaml"):
        assert pool["spec"]["template"]["spec"]["startupTaints"] == [
            {"key": "efs.csi.aws.com/agent-not-ready", "effect": "NoExecute"}
        ]


@pytest.mark.parametrize("release", STEPS)
def test_values_are_those_that_helm_gets(settings: Settings, tmp_path: Path, release: str) -> None:
    plan(settings, tmp_path)
    deployment = Deployment(settings, Tools(), tmp_path / "values", lambda line: None)
    folder = tmp_path / NAME / "50-platform" / release

    written = [each.read_text() for each in sorted(folder.iterdir())]
    assert written == [each.read_text() for each in deployment.list_values(release)]


def test_nobody_else_reads_it(settings: Settings, tmp_path: Path) -> None:
    plan(settings, tmp_path)

    for each in (tmp_path / NAME).rglob("*"):
        if each.is_file():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600


def test_commands_name_files_that_were_written(settings: Settings, tmp_path: Path) -> None:
    """But for Karpenter's own file, of which the plan says that it is away."""
    said = "\n".join(plan(settings, tmp_path / "a folder"))

    named = re.findall(rf"'([^']*/{NAME}/[^']*)'", said)
    stack = str(tmp_path / f"a folder/{NAME}/20-karpenter/stack.yaml")
    # The way into the cluster is written once that is there.
    written = [each for each in named if Path(each).name != "kubeconfig"]
    assert len(written) == 11
    assert [each for each in written if not Path(each).exists()] == [stack]
    assert "Not in it: file:///nowhere/1.14.1 cannot be fetched from here" in said
    order = [
        said.index(each) for each in ("cloudformation deploy", "eksctl create", "helm upgrade")
    ]
    assert order == sorted(order)


def test_stacks_are_written_where_something_is_asked_for(tmp_path: Path) -> None:
    storage: dict[str, Any] = {"files": {}, "database": {}}
    path = write_example(tmp_path, zone="Z0123", storage=storage)

    said = "\n".join(plan(load_settings(path, are_pushed=False), tmp_path / "plan"))

    place = tmp_path / "plan" / NAME
    for name in ("30-load-balancer/names.yaml", "40-storage/stack.yaml"):
        (template,) = load_all(place / name)
        assert template["AWSTemplateFormatVersion"] == "2010-09-09"
        assert f"--template-file {place / name}" in said
    names = "hub.example.org and *.hub.example.org in zone Z0123"
    assert f"The last of 50-platform are records of {names}, as by" in said
    # Tags of the stack come to all that it makes.
    assert (
        f"--stack-name {NAME}-storage --no-fail-on-empty-changeset --tags cost-center=4711"
        f" notebook-hpc/cluster={NAME} " in said
    )
    assert "unknown  homes and shared folders: by use: 0.3 a GiB in a month" in said
    assert "         50  database: 1 × db.t4g.medium, 0.065 an hour" in said


def test_what_watches_is_written_and_installed_where_it_is_asked_for(tmp_path: Path) -> None:
    path = write_example(
        tmp_path,
        observe={
            "mails": ["ada@example.org"],
            "metrics": {},
            "dashboards": True,
            "logs": {"keep_days": 30},
            "budget": {"month": 3000, "tag": "cost-center"},
        },
    )

    said = "\n".join(plan(load_settings(path, are_pushed=False), tmp_path / "plan"))

    place = tmp_path / "plan" / NAME / "60-observe"
    assert list_files(place) == [
        *(f"dashboards/{name}.json" for name in ("errors", "machines", "queues")),
        *(f"dashboards/{name}.json" for name in ("sessions", "waiting")),
        "objects.yaml",
        "stack.yaml",
        "values/1-fluent-bit.yaml",
        "values/1-grafana.yaml",
        "values/1-prometheus.yaml",
        "values/2-alarms.yaml",
        "values/2-fluent-bit.ours.yaml",
        "values/3-prometheus.ours.yaml",
    ]
    for each in re.findall(r"\S*/60-observe/\S+", said):
        assert Path(each).exists()
    order = [
        said.index(each)
        for each in ("stack-name " + NAME + "-observe", "objects.yaml", "--install prometheus ")
    ]
    assert order == sorted(order)
    pins = read_versions()
    for chart, pin in (("prometheus", "PROMETHEUS"), ("grafana", "GRAFANA")):
        version = pins[f"{pin}_CHART_VERSION"]
        assert re.search(rf"--install {chart} {chart} --repo \S+ --version {version} ", said)
    assert "          4  Prometheus' disk: 50 GiB" in said


def test_without_a_zone_the_records_to_make_are_told(settings: Settings, tmp_path: Path) -> None:
    said = "\n".join(plan(settings, tmp_path))

    assert "make records of hub.example.org and *.hub.example.org, each a CNAME" in said
    assert "names.yaml" not in said


def test_a_second_plan_takes_the_place_of_the_first(settings: Settings, tmp_path: Path) -> None:
    more = replace(settings, values={**settings.values, "volcano": {"custom": {"x": 1}}})
    plan(more, tmp_path)
    before = list_files(tmp_path)

    plan(settings, tmp_path)

    gone = {*before} - {*list_files(tmp_path)}
    assert [Path(each).parent.name for each in gone] == ["volcano"]
    assert {*list_files(tmp_path)} < {*before}


def test_what_the_plan_did_not_write_stays(settings: Settings, tmp_path: Path) -> None:
    plan(settings, tmp_path)
    mine = [tmp_path / NAME / each for each in ("notes.md", "20-karpenter/mine.yaml")]
    for each in mine:
        each.write_text("mine")

    plan(settings, tmp_path)

    assert [each.read_text() for each in mine] == ["mine", "mine"]


def test_a_folder_that_is_empty_once_the_plans_files_are_gone_goes(
    settings: Settings, tmp_path: Path
) -> None:
    plan(settings, tmp_path)
    target = tmp_path / NAME
    for name in ("left/alone", "shared/alone"):
        (target / name).mkdir(parents=True)
        (target / name / "old.yaml").touch()
    (target / "shared" / "mine").touch()
    with (target / ".plan").open("a") as listed:
        listed.write("left/alone/old.yaml\nshared/alone/old.yaml\n")

    plan(settings, tmp_path)

    assert not (target / "left").exists()
    assert [each.name for each in (target / "shared").iterdir()] == ["mine"]


@pytest.mark.parametrize("place", ["../outside", "20-karpenter/../../outside", "{folder}/outside"])
def test_a_list_leads_nowhere_else(settings: Settings, tmp_path: Path, place: str) -> None:
    plan(settings, tmp_path)
    outside = tmp_path / "outside"
    outside.touch()
    with (tmp_path / NAME / ".plan").open("a") as listed:
        listed.write(place.format(folder=tmp_path) + "\n")

    plan(settings, tmp_path)

    assert outside.exists()


def test_ones_own_file_in_the_place_of_a_plans_is_not_written_over(
    settings: Settings, tmp_path: Path
) -> None:
    plan(settings, tmp_path)
    more = replace(settings, values={**settings.values, "volcano": {"custom": {"x": 1}}})
    before = list_files(tmp_path)
    plan(more, tmp_path / "other")
    (place,) = {*list_files(tmp_path / "other")} - {*before}
    (tmp_path / place).write_text("mine")

    with pytest.raises(PlanFailed, match="is not of an earlier plan, and would be written over"):
        plan(more, tmp_path)

    assert (tmp_path / place).read_text() == "mine"
    # The same text is nobody's loss, as of Karpenter's file where it was laid there by hand.
    (tmp_path / place).write_text((tmp_path / "other" / place).read_text())
    plan(more, tmp_path)


def test_a_folder_in_the_place_of_a_file_is_refused(settings: Settings, tmp_path: Path) -> None:
    plan(replace(settings, values={}), tmp_path)
    before = list_files(tmp_path)
    plan(settings, tmp_path / "other")
    (place, *_) = {*list_files(tmp_path / "other")} - {*before}
    (tmp_path / place).mkdir(parents=True)

    with pytest.raises(PlanFailed, match="would be written over"):
        plan(settings, tmp_path)


def test_disks_have_an_encrypted_class_in_the_zone_of_their_pod(
    settings: Settings, tmp_path: Path
) -> None:
    said = plan(settings, tmp_path)

    (storage,) = load_all(tmp_path / NAME / "40-storage/storage-class.yaml")
    assert storage["metadata"]["name"] == "gp3"
    assert storage["parameters"] == {"type": "gp3", "encrypted": "true"}
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"
    annotations = storage["metadata"]["annotations"]
    assert annotations == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert sum("40-storage/storage-class.yaml" in each for each in said) == 1


#: Stands in for AWS' program, where a role is made once: a second time is refused.
STAND_IN = """#!/bin/sh
cd "$(dirname "$0")" || exit 9
echo "$2" >> calls
case "$2" in
get-role) test -f role ;;
create-service-linked-role) ! test -f role && touch role ;;
esac
"""


def test_the_role_of_spot_machines_is_made_once(settings: Settings, tmp_path: Path) -> None:
    (command,) = (each for each in plan(settings, tmp_path) if "spot.amazonaws.com" in each)
    stand_in = tmp_path / "bin" / "aws"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o700)
    environ = {"PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}"}

    for _ in range(2):
        subprocess.run(["sh", "-e", "-c", command], env=environ, check=True)

    calls = (stand_in.parent / "calls").read_text().split()
    assert calls == ["get-role", "create-service-linked-role", "get-role"]


def test_a_folder_that_is_no_plan_stays(settings: Settings, tmp_path: Path) -> None:
    mine = tmp_path / NAME / "thesis.tex"
    mine.parent.mkdir()
    mine.touch()

    with pytest.raises(PlanFailed, match="is no earlier plan: name another folder"):
        plan(settings, tmp_path)

    assert list_files(tmp_path) == [f"{NAME}/thesis.tex"]


def test_with_another_file_of_karpenters_nothing_is_written(
    settings: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "stack.yaml"
    other.write_text("Resources: {}\n")

    with pytest.raises(StackChanged, match="is pinned"):
        plan(settings, tmp_path / "plan", other.as_uri())

    assert not (tmp_path / "plan").exists()


def test_what_it_costs_is_told(settings: Settings, tmp_path: Path) -> None:
    said = plan(settings, tmp_path)

    assert "        210  3 core machines, m6i.large: 0.096 an hour each" in said
    assert sum(each.endswith("in all that is known") for each in said) == 2
    assert any(each.startswith("Idle, a month, reckoned (dollars") for each in said)
    # The example's quotas hold all that its catalogue's limits come to.
    assert not any(each.startswith("Too little") for each in said)


def test_images_need_not_be_pushed_for_a_look(settings: Settings, tmp_path: Path) -> None:
    assert any(each.startswith("Images are not pushed yet") for each in plan(settings, tmp_path))


def write_example(folder: Path, **changes: Any) -> Path:
    written = yaml.safe_load(EXAMPLE)
    written["catalogue"] = str((CLUSTER / written["catalogue"]).resolve())
    written["aws"].update(changes)
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(written))
    return path


def test_of_china_no_prices_are_known(tmp_path: Path) -> None:
    certificate = "arn:aws-cn:acm:cn-north-1:111122223333:certificate/1"
    path = write_example(
        tmp_path,
        region="cn-north-1",
        zones=["cn-north-1a", "cn-north-1b"],
        cluster="lab-cn-north-1",
    )
    text = re.sub(r"arn:aws:acm:[^\n]*", certificate, path.read_text())
    path.write_text(text)

    said = plan(load_settings(path, are_pushed=False), tmp_path)

    assert "Of aws-cn no prices are known here." in said
    assert not any(each.startswith("Idle") for each in said)


def test_quotas_that_are_too_small_are_told(tmp_path: Path) -> None:
    path = write_example(tmp_path, quotas={"on-demand": {"standard": 100}})

    said = plan(load_settings(path, are_pushed=False), tmp_path)

    assert [each[:45] for each in said if each.startswith(("Too little", "Note"))] == [
        "Too little: The account may have 100 virtual ",
        "Note: the shares of spatial-lab, gpu-users, t",
    ]


def test_mistakes_of_the_settings_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_example(tmp_path, account="1", zones=["eu-west-1a"])

    assert main(["plan", "--settings", str(path), "--into", str(tmp_path / "plan")]) == 2

    said = capsys.readouterr().out
    assert re.search(r"settings\.yaml:\d+: aws\.account: '1' is not allowed here", said)
    assert re.search(r"settings\.yaml:\d+: aws\.zones: must be two at least", said)
    assert not (tmp_path / "plan").exists()


def test_a_cluster_that_is_not_there_yet_has_no_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its kubeconfig may be named already."""
    words = ["plan", "--settings", str(write_example(tmp_path)), "--into", str(tmp_path / "plan")]

    assert main([*words, "--stack", AWAY, "--kubeconfig", str(tmp_path / "nowhere")]) == 0

    assert f"There is no kubeconfig {tmp_path}/nowhere" in capsys.readouterr().out
    assert (tmp_path / f"plan/{NAME}/10-eksctl/cluster.yaml").exists()


def test_without_a_cluster_in_the_settings_there_is_nothing_to_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_example(tmp_path)
    written = yaml.safe_load(path.read_text())
    del written["aws"]
    path.write_text(yaml.safe_dump(written))

    assert main(["plan", "--settings", str(path), "--into", str(tmp_path / "plan")]) == 2

    assert "has no section aws" in (said := capsys.readouterr().out)
    assert "cluster/aws/settings.yaml" in said


def test_the_example_that_everybody_copies_has_no_cluster_on_aws(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["plan", "--settings", str(CLUSTER / "settings.yaml"), "--into", str(tmp_path)]

    assert main(words) == 2

    assert "has no section aws" in capsys.readouterr().out
