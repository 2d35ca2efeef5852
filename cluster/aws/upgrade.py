"""Brings a cluster that is there to the settings' Kubernetes and this checkout's versions.

What has to know the new Kubernetes comes before it, what has to follow it afterwards. As the steps
of :mod:`cluster.aws.steps`, each phase looks at the world and does what lacks: no file says how far
an earlier run came.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cluster.aws.commands import CommandFailed
from cluster.aws.context import Context
from cluster.aws.eksctl import CORE, name_group_stack
from cluster.aws.order import name_stack
from cluster.aws.platform import deploy
from cluster.aws.running import Pod, compare, count, fetch_present, list_pods, tell_old_machines
from cluster.aws.skew import (
    NodeGroup,
    Present,
    find_hindrances,
    find_newer_charts,
    find_other_groups,
    judge_insights,
    judge_update,
    list_changes,
    list_wanted,
    name_images,
    name_newest_release,
)
from cluster.aws.steps import (
    STEPS,
    Step,
    check_account,
    check_programs,
    complete,
    make_steps,
    verify,
)
from cluster.driver.tools import ToolFailed
from cluster.driver.versions import read_compatibility, read_versions
from hub_config.platform.catalogue import GPU_RESOURCE

#: Seconds for Karpenter to find images for another Kubernetes: it asks for the version each five
#: minutes, and for images each five. Source: karpenter-provider-aws v1.14.1, pkg/controllers/
#: providers/version/controller.go and nodeclass/ami.go
_IMAGES_SECONDS = 900.0


def upgrade(context: Context, agrees: Callable[[], bool], names: Iterable[str] = ()) -> bool:
    """Upgrade a cluster; whether all of it was done.

    Args:
        context: of the cluster.
        agrees: asked once, after all is told and before anything is changed.
        names: of :data:`PHASES`; all where there is none.

    Raises:
        CommandFailed: it cannot be upgraded; nothing was changed.
        ToolFailed: the cluster is away.
    """
    present = _look(context)
    before = list_pods(context.tools)
    _tell(context, present, before)
    if not agrees():
        return False
    done = make_steps(context, names, PHASES)
    try:
        context.say(compare(before, list_pods(context.tools)))
    except ToolFailed as failed:
        context.say(f"What became of sessions and jobs cannot be told: {failed}")
    return done


def _look(context: Context) -> Present:
    """What is there; refused are all reasons against an upgrade, at once."""
    aws, versions = context.aws, read_versions()
    check_programs(context)
    check_account(context)
    cluster = _settle(context)
    context.run("access")
    present = fetch_present(context.tools)
    wanted = list_wanted(context.settings, versions)
    now = str(cluster["version"])
    reasons = [
        *find_hindrances(present, aws.kubernetes, versions, read_compatibility()),
        *find_newer_charts(present, wanted),
        *find_other_groups(_list_groups(context), aws.cluster, now, aws.kubernetes),
    ]
    # Who would skip a version is not told of what lies behind it.
    if not reasons:
        reasons = find_missing_images(context, {now, aws.kubernetes})
        reasons += _ask_for_insights(context) if now != aws.kubernetes else []
    if reasons:
        raise CommandFailed("\n".join(reasons) + "\nNothing was changed")
    return present


def _settle(context: Context) -> dict[str, Any]:
    """The cluster, when EKS is no more at work on it.

    An update to the settings' version is waited for, whoever began it: a run that was killed, most
    likely. Another one is somebody else's.
    """
    name = context.aws.cluster
    cluster = context.find_cluster()
    if cluster is None:
        raise CommandFailed(f"There is no cluster {name}: `make cluster-up` makes it")
    if cluster["status"] == "ACTIVE":
        return cluster
    if cluster["status"] != "UPDATING":
        raise CommandFailed(f"Cluster {name} is {cluster['status']}: only one at work is upgraded")
    for each in context.commands.load(context.call("eks", "list-updates", "--name", name))[
        "updateIds"
    ]:
        words = context.call("eks", "describe-update", "--name", name, "--update-id", each)
        update = context.commands.load(words)["update"]
        if update["status"] == "InProgress":
            if reason := judge_update(update, context.aws.kubernetes):
                raise CommandFailed(reason)
            context.say(f"EKS is at work on Kubernetes {context.aws.kubernetes} already.")
    context.wait("eks", "cluster-active", "--name", name, minutes=75)
    return context.find_cluster() or {}


def _list_groups(context: Context) -> list[NodeGroup]:
    name = context.aws.cluster
    listed = context.commands.load(context.call("eks", "list-nodegroups", "--cluster-name", name))
    return [_find_group(context, each) for each in listed["nodegroups"]]


def _find_group(context: Context, group: str) -> NodeGroup:
    words = ("--cluster-name", context.aws.cluster, "--nodegroup-name", group)
    found = context.commands.load(context.call("eks", "describe-nodegroup", *words))["nodegroup"]
    return NodeGroup(
        group,
        str(found["version"]),
        str(found.get("releaseVersion", "")),
        str(found.get("amiType", "")),
        str(found["status"]),
    )


def find_missing_images(context: Context, kubernetes: set[str]) -> list[str]:
    """Images that Karpenter would look for in vain: it would start no machine at all."""
    pools = context.settings.catalogue.node_pools.values()
    release = read_versions()["AL2023_AMI"]
    has_gpu = any(pool.limits.get(GPU_RESOURCE) for pool in pools)
    images = name_images(kubernetes, release, has_gpu=has_gpu)
    words = context.call("ssm", "get-parameters", "--names", *images)
    missing = context.commands.load(words)["InvalidParameters"]
    return [
        f"EKS has no image {images[each]}, so that Karpenter could start no such machine: pin an"
        " AL2023_AMI in helm-values/versions.env that has one"
        for each in missing
    ]


def _ask_for_insights(context: Context) -> list[str]:
    """What EKS knows of things in use that the next version does not have; the rest is told."""
    aws = context.aws
    what = f"categories=UPGRADE_READINESS,kubernetesVersions={aws.kubernetes}"
    words = context.call("eks", "list-insights", "--cluster-name", aws.cluster, "--filter", what)
    # EKS judges by them itself, and refuses.
    answer = context.load_if_allowed(words, "EKS' insights were not read.")
    if answer is None:
        return []
    wrong, told = judge_insights(answer["insights"])
    for each in told:
        context.say(f"Note: {each}")
    if wrong:
        refresh = f"aws eks start-insights-refresh --cluster-name {aws.cluster}"
        wrong.append(f"EKS looks once a day, or after {refresh} --region {aws.region}")
    return wrong


def _tell(context: Context, present: Present, pods: Mapping[str, Pod]) -> None:
    aws, say = context.aws, context.say
    changes = list(
        list_changes(present, aws.kubernetes, list_wanted(context.settings, read_versions()))
    )
    say(f"Cluster {aws.cluster} in {aws.region}, account {aws.account}. It would change:")
    for each in changes or ["no version that is known here; EKS may have newer add-ons and images"]:
        say(f"  {each}")
    say("In this order:")
    for name, step in PHASES.items():
        say(f"  {name}: {step.purpose}")
    say(f"{count(pods)} run now, and go on: their machines are not replaced under them. Hub, jobs")
    say("service and the proxy before sessions are away for a minute or two when they move: pages")
    say("and kernels connect again by themselves. Machines are started a few minutes later.")
    if present.kubernetes != aws.kubernetes:
        say(f"From Kubernetes {aws.kubernetes} this goes no way back (docs/deploy.md, Upgrading).")


def _prepare_karpenter(context: Context) -> None:
    """Karpenter's rights before Karpenter, and classes whose image there is for both versions."""
    context.refuse_half_made(name_stack(context.aws))
    context.run("stack")
    STEPS["20-karpenter"].make(context)


def _upgrade_control_plane(context: Context) -> None:
    cluster = _settle(context)
    if cluster["version"] == context.aws.kubernetes:
        context.say(f"The control plane has Kubernetes {context.aws.kubernetes}.")
        return
    context.run("control-plane")


def _upgrade_addons(context: Context) -> None:
    complete(context)
    context.run("addons")


def _upgrade_core(context: Context) -> None:
    """Replace core machines one by one, as their pods' disruption budgets let it."""
    aws, stack = context.aws, name_group_stack(context.aws)
    words = ("--cluster-name", aws.cluster, "--nodegroup-name", CORE)
    if _find_group(context, CORE).status == "UPDATING":
        context.wait("eks", "nodegroup-active", *words)
    # Where the program that changed it was ended, AWS goes on by itself.
    if context.find_stack(stack) in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"):
        context.wait("cloudformation", "stack-update-complete", "--stack-name", stack)
    context.refuse_half_made(stack)
    group = _find_group(context, CORE)
    newest = ""
    if parameter := name_newest_release(aws.kubernetes, group.image):
        found = context.commands.load(context.call("ssm", "get-parameter", "--name", parameter))
        newest = found["Parameter"]["Value"]
    if (group.kubernetes, group.release) == (aws.kubernetes, newest):
        context.say(f"The core machines have EKS' newest image, {newest}.")
        return
    context.say(f"Core machines: {group.release} -> {newest or aws.kubernetes}")
    context.run("core")


def look_after_machines(context: Context, pause_seconds: float = 15.0) -> None:
    """Wait until Karpenter has images of the new version, and tell which machines are older.

    Args:
        context: of the cluster.
        pause_seconds: between two looks.

    Raises:
        CommandFailed: it finds none.
        ToolFailed: the cluster is away.
    """
    deadline = time.monotonic() + _IMAGES_SECONDS
    while lacking := _list_lacking_images(context):
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"Karpenter has found no image of Kubernetes {context.aws.kubernetes} for"
                f" {', '.join(lacking)}: kubectl describe ec2nodeclass {lacking[0]}"
            )
        context.say(f"  waiting for Karpenter to find images for {', '.join(lacking)}")
        time.sleep(pause_seconds)
    context.run("ready")
    present, pods = fetch_present(context.tools), list_pods(context.tools)
    machines = [each for each in present.machines if each.pool]
    for line in tell_old_machines(machines, pods, context.aws.kubernetes):
        context.say(f"  {line}")


def _list_lacking_images(context: Context) -> list[str]:
    """Node classes whose images are of another Kubernetes."""
    mark = f"-{context.aws.kubernetes}-"
    return [
        str(each["metadata"]["name"])
        for each in context.tools.list("ec2nodeclasses.karpenter.k8s.aws")
        if not any(mark in image["name"] for image in each.get("status", {}).get("amis", []))
    ]


def _verify(context: Context) -> None:
    wrong = [each for each in verify(context) if not each.is_right]
    if wrong:
        raise CommandFailed("\n".join(f"{each.part}: {each.sentence}" for each in wrong))


#: The phases in their order.
PHASES: Mapping[str, Step] = {
    "karpenter": Step("Karpenter's stack, charts, node classes and pools", 5, _prepare_karpenter),
    "load-balancer": Step("load balancer controller", 3, lambda context: context.run("balancer")),
    "volcano": Step("Volcano, by make deploy's step", 3, lambda each: deploy(each, "volcano")),
    "control-plane": Step(
        "EKS replaces the API servers one by one; waits for eksctl", 15, _upgrade_control_plane
    ),
    "addons": Step("EKS's add-ons, their newest; waits for each", 10, _upgrade_addons),
    "core": Step(
        "core machines, one by one; waits for their pods to leave each", 30, _upgrade_core
    ),
    "machines": Step(
        "Karpenter's machines; waits for their new images, not for old machines to become empty",
        10,
        look_after_machines,
    ),
    "platform": Step("hub and jobs service, by make deploy", 10, STEPS["50-platform"].make),
    "observe": Step("what watches", 5, STEPS["60-observe"].make),
    "verify": Step("looks at it all, as make cluster-verify", 1, _verify),
}
