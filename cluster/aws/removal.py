"""Takes a cluster on AWS away, in an order that leaves nothing which somebody pays for unseen.

What makes machines and balancers goes after what they are made for, and before the cluster.
People's files stay, unless somebody asked twice that they go, and the disks of hub and jobs service
do; what is left is listed.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster.aws.commands import CommandFailed
from cluster.aws.context import Context
from cluster.aws.eksctl import CLUSTER_TAG, DISCOVERY, NAMESPACE
from cluster.aws.endpoints import name_endpoints
from cluster.aws.homes import delete_homes
from cluster.aws.load_balancer import CHART, name_names
from cluster.aws.observe import FLUENT_BIT, GRAFANA, PROMETHEUS
from cluster.aws.observe import name_stack as name_observe
from cluster.aws.order import name_stack as name_karpenter
from cluster.aws.steps import check_account, check_programs
from cluster.driver.aws_observe import MONITORING
from cluster.driver.deployment import Deployment
from cluster.driver.tools import PATIENCE_SECONDS
from cluster.driver.volumes import name_stack as name_storage

#: Tags of what belongs to a cluster, key and value with ``{name}`` for its name: eksctl's and ours,
#: Karpenter's machines, balancers of its controller, disks of EBS' driver.
#: Source: https://kubernetes-sigs.github.io/aws-load-balancer-controller (v2), resource tags
_TAGS = (
    (CLUSTER_TAG, "{name}"),
    (DISCOVERY, "{name}"),
    ("karpenter.sh/managed-by", "{name}"),
    ("eks:eks-cluster-name", "{name}"),
    ("elbv2.k8s.aws/cluster", "{name}"),
    ("kubernetes.io/cluster/{name}", "owned"),
)
_BALANCERS = ("elbv2.k8s.aws/cluster", "elasticloadbalancing:loadbalancer")


def remove(context: Context, pause_seconds: float = 15.0, *, with_homes: bool = False) -> list[str]:
    """Remove everything, people's files only where that was asked for; ARNs of what is left.

    Args:
        context: of the cluster.
        pause_seconds: between two looks at balancers that are to go.
        with_homes: whether file system, backups and buckets go, too.

    Raises:
        CommandFailed: a command failed; what is there still can be removed by another run.
        ToolFailed: as it, of helm or kubectl.
    """
    aws, commands = context.aws, context.commands
    check_programs(context)
    check_account(context)
    if context.find_cluster():
        context.run("access")
        _remove_inside(context, pause_seconds)
        # They hold the cluster's network. Files, backups and buckets stay without their stack.
        for name in (name_observe, name_names, name_storage, name_endpoints):
            context.delete_stack(name(aws.cluster))
        words = ("--name", aws.cluster, "--region", aws.region, "--wait")
        commands.run(("eksctl", "delete", "cluster", *words), 60)
    context.delete_stack(name_karpenter(aws))
    if with_homes:
        delete_homes(context, _list_tagged(context, CLUSTER_TAG, aws.cluster), pause_seconds)
    return list_left(context)


def list_left(context: Context) -> list[str]:
    """ARNs of what has a tag of the cluster."""
    found = set()
    for key, value in _TAGS:
        name = context.aws.cluster
        found |= set(_list_tagged(context, key.format(name=name), value.format(name=name)))
    return sorted(found)


def _remove_inside(context: Context, pause_seconds: float) -> None:
    """What runs in the cluster, while what takes it away is still there to do so."""
    tools = context.tools
    # Its disk goes while its driver is there.
    if tools.find("namespace", MONITORING):
        for release, _ in (GRAFANA, PROMETHEUS, FLUENT_BIT):
            tools.uninstall(release, MONITORING)
        tools.delete("namespace", MONITORING)
    with TemporaryDirectory(prefix="notebook-hpc-") as folder:
        Deployment(context.settings, tools, Path(folder), context.say).undeploy()
    deadline = time.monotonic() + PATIENCE_SECONDS
    key, kind = _BALANCERS
    while balancers := _list_tagged(context, key, context.aws.cluster, kind):
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"Still there: {', '.join(balancers)}. Look at the load balancer controller:"
                f" kubectl logs deployment/aws-load-balancer-controller --namespace {NAMESPACE}"
            )
        time.sleep(pause_seconds)
    context.say("Ending Karpenter's machines ...")
    # A class of machines has an instance profile, which holds the role of Karpenter's stack.
    for kind in (
        "nodepools.karpenter.sh",
        "nodeclaims.karpenter.sh",
        "ec2nodeclasses.karpenter.k8s.aws",
    ):
        if tools.find("customresourcedefinition", kind):
            tools.delete(kind, takes_all=True)
    for release in (CHART, "karpenter", "karpenter-crd"):
        tools.uninstall(release, NAMESPACE)


def _list_tagged(context: Context, key: str, value: str, kind: str = "") -> list[str]:
    words = context.call(
        "resourcegroupstaggingapi", "get-resources", "--tag-filters", f"Key={key},Values={value}"
    )
    more = ("--resource-type-filters", kind) if kind else ()
    answer = context.commands.load((*words, *more))
    return [str(each["ResourceARN"]) for each in answer["ResourceTagMappingList"]]
