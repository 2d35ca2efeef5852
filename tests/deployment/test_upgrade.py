"""`make cluster-upgrade` but for the platform, with stand-ins for all programs.

Nothing of this ever spoke to AWS. What is judged before: `tests/unit/cluster_aws/test_skew.py`.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cluster.aws.commands import CommandFailed
from cluster.aws.steps import STEPS, make_steps
from cluster.aws.upgrade import PHASES, look_after_machines, upgrade
from cluster.driver.charts import JOBS_NAMESPACE, NAMESPACE
from cluster.driver.tools import ToolFailed
from tests.deployment.world import World
from tests.unit.cluster_aws.test_plan import NAME

#: But for what the bed's rings deploy for real, and what is a step of `cluster-up`, too: of these
#: the tests of the steps fail at each call.
OWN = ["control-plane", "addons", "core", "machines"]
NAMES = ["karpenter", "load-balancer", *OWN]
OLD, NEW = "1.34", "1.35"
JOBS = f"pod-{JOBS_NAMESPACE}"


def build_pod(uid: str, name: str, machine: str, phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "name": name},
        "spec": {"nodeName": machine},
        "status": {"phase": phase},
    }


def build_node(name: str, version: str, pool: str = "") -> dict[str, Any]:
    labels = {"karpenter.sh/nodepool": pool} if pool else {}
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {"nodeInfo": {"kubeletVersion": f"v{version}.4-eks-0"}},
    }


def put(world: World, kind: str, *items: Mapping[str, Any]) -> None:
    """Have kubectl list these objects, of a kind or of `kind-NAMESPACE`."""
    (world.folder / f"list-{kind}").write_text(json.dumps({"items": items}))


@pytest.fixture
def old(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A cluster that is a version behind the settings, with all that belongs to it."""
    monkeypatch.setenv("VERSION", OLD)
    (world.folder / "cluster").write_text(NAME)
    for kind, names in {
        "accessentry": [f"arn:aws:iam::111122223333:role/KarpenterNodeRole-{NAME}"],
        "addon": [
            *("vpc-cni", "kube-proxy", "coredns", "metrics-server", "eks-pod-identity-agent"),
            *("aws-ebs-csi-driver", "aws-efs-csi-driver"),
        ],
        "nodegroup": ["core"],
    }.items():
        (world.folder / kind).write_text(json.dumps(names))
    (world.folder / "podidentityassociation").write_text(
        json.dumps(
            [
                {"namespace": "kube-system", "serviceAccount": each}
                for each in ("karpenter", "aws-load-balancer-controller")
            ]
        )
    )
    (world.folder / "pools").touch()
    return world


def run(world: World, *names: str) -> bool:
    return upgrade(world.context, lambda: True, names or OWN)


def read(world: World) -> tuple[str, str, str]:
    """Kubernetes of control plane, core machines and add-ons."""
    files = ("version", "group-version", "addons-version")
    version, group, addons = ((world.folder / each).read_text().strip() for each in files)
    return version, group, addons


def list_changes(calls: list[str]) -> list[str]:
    """Calls that change something, each by its first words."""
    changing = ("eksctl ", "helm upgrade", "kubectl apply", "aws cloudformation deploy")
    made = [each for each in calls if each.startswith(changing) and each != "eksctl version"]
    return [" ".join(each.split()[:4]) for each in made]


def test_what_has_to_know_the_version_comes_before_and_what_has_to_follow_it_after(
    old: World,
) -> None:
    assert run(old, *NAMES)

    assert list_changes(old.list_calls()) == [
        "aws cloudformation deploy --region",
        *("helm upgrade --install karpenter-crd", "helm upgrade --install karpenter"),
        "kubectl apply --server-side --field-manager=notebook-hpc",
        "helm upgrade --install aws-load-balancer-controller",
        *("eksctl upgrade cluster --name", "eksctl update addon --config-file"),
        "eksctl upgrade nodegroup --cluster",
    ]
    assert read(old) == (NEW, NEW, NEW)
    assert list(PHASES)[: len(NAMES) + 1] == ["karpenter", "load-balancer", "volcano", *OWN]
    assert list(PHASES)[len(NAMES) + 1 :] == ["platform", "observe", "verify"]
    assert PHASES["observe"].make is STEPS["60-observe"].make


def test_what_is_upgraded_already_is_left(old: World) -> None:
    assert run(old)
    begun = len(old.list_calls())

    assert run(old)

    # EKS may have newer add-ons, which eksctl finds out.
    assert list_changes(old.list_calls()[begun:]) == ["eksctl update addon --config-file"]


def end_at_each_call(world: World, attempt: Callable[[], bool | None]) -> int:
    """Refuse one call further at each attempt, until one gets through; how many there were."""
    (world.folder / "calls").touch()
    attempts = 1
    world.fail_at(1, "refuse")
    while not attempt():
        attempts += 1
        world.fail_at(len(world.list_calls()) + attempts, "refuse")
    return attempts


def test_ended_at_each_of_its_calls_it_goes_on(old: World) -> None:
    attempts = end_at_each_call(old, lambda: make_steps(old.context, OWN, PHASES))

    assert attempts > 12
    assert read(old) == (NEW, NEW, NEW)
    changes = list_changes(old.list_calls())
    # Of each that changes a version the first call was refused.
    assert changes.count("eksctl upgrade cluster --name") == 2
    assert changes.count("eksctl upgrade nodegroup --cluster") == 2


def test_where_a_look_fails_nothing_is_changed_and_nobody_is_asked(old: World) -> None:
    asked: list[str] = []

    def agrees() -> bool:
        asked.append("agreed?")
        return False

    def attempt() -> bool:
        try:
            return not upgrade(old.context, agrees)
        except (CommandFailed, ToolFailed):
            return False

    assert end_at_each_call(old, attempt) > 12

    assert asked == ["agreed?"]
    assert list_changes(old.list_calls()) == []


@pytest.mark.parametrize("what", ["eksctl upgrade cluster", "eksctl upgrade nodegroup"])
def test_killed_while_eks_goes_on_it_waits_for_that(old: World, what: str) -> None:
    """Another run neither begins it anew nor takes it for somebody else's."""
    if "nodegroup" in what:
        assert run(old, "control-plane", "addons")
    (old.folder / "calls").touch()
    calls = len(old.list_calls())
    (old.folder / "kill-at").write_text(what)
    driver = os.fork()
    if driver == 0:
        # A copy of this process, so that nothing is imported anew; it gets no further than this.
        try:
            run(old)
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(driver, 0)[1]) == signal.SIGKILL
    (old.folder / "kill-at").unlink()

    assert run(old)

    assert read(old) == (NEW, NEW, NEW)
    assert len([each for each in old.list_calls()[calls:] if each.startswith(what)]) == 1


INSIGHT = {
    "id": "i-1",
    "name": "Deprecated APIs",
    "insightStatus": {"status": "ERROR", "reason": "in use"},
}
#: File of the world -> what it has, and what is told then.
HINDRANCES = {
    "version": ("1.33", "one version would be skipped, and EKS takes one at a time"),
    "updating": ("1.34", "Somebody else changes the cluster: EKS is at work on its update u-1"),
    "group-version": ("1.33", "Node group core has Kubernetes 1.33 and the control plane 1.34"),
    "no-images": ("", "so that Karpenter could start no such machine: pin an AL2023_AMI"),
    "insights": (json.dumps({"insights": [INSIGHT]}), "EKS finds Deprecated APIs: in use. aws eks"),
    "releases": (
        '[{"name": "karpenter", "chart": "karpenter-2.0.0"}]',
        "Chart karpenter is there as 2.0.0, and this checkout has ",
    ),
    "list-node": (
        json.dumps({"items": [build_node("ip-1", "1.31", "jobs")]}),
        "Machine ip-1 has a kubelet of 1.31, which an API server of 1.35 does not take",
    ),
    "cluster": ("other", "is there that this did not make"),
}


@pytest.mark.parametrize("name", HINDRANCES)
def test_what_cannot_be_upgraded_is_told_before_anything_changes(old: World, name: str) -> None:
    text, sentence = HINDRANCES[name]
    (old.folder / name).write_text(text)

    with pytest.raises(CommandFailed) as refused:
        run(old)

    assert sentence in str(refused.value)
    assert list_changes(old.list_calls()) == []


def test_from_a_newer_version_it_does_not_go_back(old: World) -> None:
    """By eksctl alone it would: EKS can take a control plane back for some days."""
    (old.folder / "version").write_text("1.36")

    with pytest.raises(CommandFailed, match=r'goes no way back. Write kubernetes: "1.36"'):
        run(old)

    assert list_changes(old.list_calls()) == []


def test_without_a_cluster_there_is_nothing_to_upgrade(world: World) -> None:
    with pytest.raises(CommandFailed, match="`make cluster-up` makes it"):
        run(world)


def test_who_does_not_agree_has_been_told_what_would_change(old: World) -> None:
    put(old, "node", build_node("ip-1", OLD, "jobs-general"), build_node("ip-2", OLD))
    put(old, f"pod-{NAMESPACE}", build_pod("1", "jupyter-ada", "ip-1"))
    put(old, JOBS, build_pod("2", "run-b", "ip-1"), build_pod("3", "run-c", "", "Pending"))
    (old.folder / "releases").write_text('[{"name": "karpenter", "chart": "karpenter-1.13.2"}]')

    assert not upgrade(old.context, lambda: False)

    said = "\n".join(old.said)
    assert f"  Kubernetes {OLD} -> {NEW}: control plane, add-ons, core machines" in said
    assert "  chart karpenter 1.13.2 -> 1.14.1" in said
    assert "  1 machine with a kubelet of 1.34, of pool jobs-general: goes when empty" in said
    assert "1 session and 1 job run now, and go on" in said
    assert f"From Kubernetes {NEW} this goes no way back" in said
    assert list_changes(old.list_calls()) == []


@pytest.mark.parametrize(
    ("denied", "note"),
    [
        ("eks list-insights", "EKS' insights were not read."),
        ("service-quotas list-service-quotas", "the account's quotas were not compared."),
    ],
)
def test_who_may_not_look_at_what_is_only_told_is_not_stopped(
    old: World, denied: str, note: str
) -> None:
    (old.folder / "denied").write_text(f"aws {denied}")

    assert not upgrade(old.context, lambda: False)
    assert old.up("00-tools")

    (said,) = [each for each in old.said if each.startswith(f"Note: {note}")]
    assert "AccessDenied" in said


def test_what_became_of_sessions_and_jobs_is_told(old: World) -> None:
    put(old, "node", build_node("ip-1", OLD, "jobs-general"), build_node("ip-2", NEW, "jobs-gpu"))
    put(old, f"pod-{NAMESPACE}", build_pod("1", "jupyter-ada", "ip-1"))
    put(old, JOBS, build_pod("2", "run-b", "ip-1"), build_pod("3", "run-c", "ip-2"))

    def agrees() -> bool:
        put(old, JOBS, build_pod("2", "run-b", "ip-1"), build_pod("3", "run-c", "ip-2", "Failed"))
        return True

    assert upgrade(old.context, agrees, ["machines"])

    said = "\n".join(old.said)
    assert "  ip-1 (jobs-general, 1.34) has 1 session and 1 job, and goes after them" in said
    assert "ip-2 (" not in said
    assert "Of 1 session and 2 jobs that ran before, 1 session and 1 job still run." in said
    assert "Ended meanwhile: job run-c (Failed); whether" in said


def test_karpenter_is_waited_for_until_it_has_images_of_the_version(old: World) -> None:
    """It asks for the version every five minutes, and until then starts machines of the old."""
    kind = "ec2nodeclasses.karpenter.k8s.aws"

    def have(version: str) -> None:
        images = [{"name": f"amazon-eks-node-al2023-x86_64-standard-{version}-v20260714"}]
        put(old, kind, {"metadata": {"name": "jobs"}, "status": {"amis": images}})

    def say(line: str) -> None:
        old.said.append(line)
        if "waiting for Karpenter" in line:
            have(NEW)

    have(OLD)
    look_after_machines(replace(old.context, say=say), pause_seconds=0)

    assert len([each for each in old.said if "to find images for jobs" in each]) == 1
    assert [each for each in old.list_calls() if each.startswith("kubectl wait nodepools")]


def test_a_cluster_of_another_version_is_sent_here_by_the_steps(old: World) -> None:
    assert not old.up("10-eksctl")

    assert "`make cluster-upgrade` brings it there" in "\n".join(old.said)
