"""The steps that make a cluster on AWS and what runs on it, in their order.

A step looks at the world and makes what lacks, so that it may run again at any time, also after it
was ended in the middle. No file says how far an earlier run came.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from cluster.aws.commands import LOOK_MINUTES, CommandFailed
from cluster.aws.context import Context
from cluster.aws.costs import find_short_quotas
from cluster.aws.eksctl import NAMESPACE, build_cluster_config
from cluster.aws.gpus import list_plugins
from cluster.aws.names import make_names
from cluster.aws.order import name_stack
from cluster.aws.platform import deploy
from cluster.aws.pushing import make_images
from cluster.aws.storage import StackUnfinished
from cluster.aws.watching import look_at_watching, make_watching
from cluster.driver.aws_settings import CAPACITY_TYPES, QUOTAS
from cluster.driver.deployment import Deployment, Finding
from cluster.driver.instance_types import load_types
from cluster.driver.tools import ToolFailed
from cluster.driver.versions import order_version, read_versions
from cluster.driver.volumes import name_stack as name_storage
from hub_config.platform.errors import CatalogueError

#: Codes of EC2's quotas of virtual cores: capacity type -> key of QUOTAS -> code.
#: Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
QUOTA_CODES = {
    "on-demand": {"standard": "L-1216C47A", "gpu": "L-DB2E81BA"},
    "spot": {"standard": "L-34B43A08", "gpu": "L-3819A6DF"},
}


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        purpose: what it is, for people.
        minutes: that it takes where nothing is there yet; reckoned, never measured.
        make: makes what lacks.
    """

    purpose: str
    minutes: int
    make: Callable[[Context], None]


def check_ground(context: Context) -> None:
    """Programs, credentials, region and quotas; nothing is made.

    Raises:
        CommandFailed: something is not as it has to be.
    """
    check_programs(context)
    check_account(context)
    aws = context.aws
    regions = context.commands.load(
        context.call("ec2", "describe-regions", "--all-regions", "--region-names", aws.region)
    )["Regions"]
    if not regions or regions[0].get("OptInStatus") == "not-opted-in":
        raise CommandFailed(
            f"Region {aws.region} is not enabled in account {aws.account}: enable it (Account, AWS"
            " Regions), which takes some minutes"
        )
    _check_quotas(context)


def check_account(context: Context) -> None:
    """See that the credentials are of the settings' account.

    Raises:
        CommandFailed: they are not, or there are none.
    """
    aws = context.aws
    words = ("aws", "sts", "get-caller-identity", "--region", aws.region)
    identity = context.commands.load(words)
    partition = str(identity["Arn"]).split(":")[1]
    if (identity["Account"], partition) != (aws.account, aws.partition):
        raise CommandFailed(
            f"These credentials are of account {identity['Account']} ({partition}), and the"
            f" settings are for {aws.account} ({aws.partition}): sign in there, name another"
            " profile in AWS_PROFILE, or change aws.account"
        )


def check_programs(context: Context) -> None:
    """See that the four programs are there, and are of versions that go with this.

    Raises:
        CommandFailed: all that lacks.
    """
    wanted = read_versions()
    lacking = []
    for words, newest_pattern in (
        (("aws", "--version"), r"aws-cli/([12])\."),
        (("eksctl", "version"), r"^v?(\d+\.\d+)\."),
        (("kubectl", "version", "--client"), r"v(\d+\.\d+)\."),
    ):
        try:
            said = context.commands.run(words, LOOK_MINUTES)
        except CommandFailed as failed:
            lacking.append(str(failed))
            continue
        found = re.search(newest_pattern, said)
        if problem := _judge(words[0], found.group(1) if found else "", wanted):
            lacking.append(f"{problem}; it says {said.strip()[:80]!r}")
    try:
        context.tools.check()
    except ToolFailed as failed:
        lacking.append(str(failed))
    if lacking:
        raise CommandFailed("\n".join(lacking))


def _judge(program: str, version: str, wanted: Mapping[str, str]) -> str:
    """Why a program's version will not do; empty where it will."""
    if not version:
        return f"{program} does not say its version"
    if program == "aws":
        return ""
    parts = order_version(version)
    if program == "eksctl":
        least = ".".join(wanted["EKSCTL_VERSION"].split(".")[:2])
        return f"eksctl {least} or newer is needed" if parts < order_version(least) else ""
    # kubectl goes with a cluster one minor version older or newer.
    kubernetes = wanted["KUBERNETES_VERSION"]
    far = abs(parts[1] - order_version(kubernetes)[1]) > 1
    return f"kubectl {kubernetes}, or one older or newer, is needed" if far else ""


def _check_quotas(context: Context) -> None:
    aws = context.aws
    words = context.call("service-quotas", "list-service-quotas", "--service-code", "ec2")
    # Who makes a cluster need not be let look at quotas.
    answer = context.load_if_allowed(words, "the account's quotas were not compared.")
    if answer is None:
        return
    found = {each["QuotaCode"]: int(each["Value"]) for each in answer["Quotas"]}
    live = {
        capacity_type: {
            kind: found[code] for kind, code in QUOTA_CODES[capacity_type].items() if code in found
        }
        for capacity_type in CAPACITY_TYPES
    }
    machines = {each.name: each for each in load_types()}
    core = machines.get(aws.core.machine)
    for kind, allowed in live["on-demand"].items():
        if core and core.category in QUOTAS[kind] and aws.core.count * core.cores > allowed:
            raise CommandFailed(
                f"The account may have {allowed} virtual cores of {kind} machines, and the core"
                f" machines alone have {aws.core.count * core.cores:g}: ask for more in Service"
                f" Quotas ({QUOTA_CODES['on-demand'][kind]})"
            )
    # Pools work below their limits, too.
    short = find_short_quotas(replace(aws, quotas=live), context.settings.catalogue, machines)
    for sentence in short:
        context.say(f"Note: {sentence}.")


def make_cluster(context: Context) -> None:
    """Karpenter's stack, the role of spot machines and the cluster, with the way into it.

    Raises:
        CommandFailed: a command failed, or what is there cannot be gone on with.
    """
    aws = context.aws
    cluster = context.find_cluster()
    if cluster and cluster["version"] != aws.kubernetes:
        raise CommandFailed(
            f"The cluster has Kubernetes {cluster['version']}, and the settings say"
            f" {aws.kubernetes}: `make cluster-upgrade` brings it there (docs/deploy.md)"
        )
    own, eks = name_stack(aws), f"eksctl-{aws.cluster}-cluster"
    stacks = (own, f"aws cloudformation delete-stack --stack-name {own} --region {aws.region}")
    context.refuse_half_made(*stacks)
    context.run("stack", "spot")
    undo = f"eksctl delete cluster --name {aws.cluster} --region {aws.region} --wait"
    if cluster is None:
        # Where the program that made it was ended, AWS goes on by itself.
        if context.find_stack(eks) == "CREATE_IN_PROGRESS":
            context.wait("cloudformation", "stack-create-complete", "--stack-name", eks)
            cluster = context.find_cluster()
        else:
            context.refuse_half_made(eks, undo)
    if cluster is None:
        context.run("cluster")
    else:
        if cluster["status"] != "ACTIVE":
            context.wait("eks", "cluster-active", "--name", aws.cluster)
        complete(context)
    context.run("access", "endpoints")


def complete(context: Context) -> None:
    """Make what a run of eksctl that was ended in the middle did not come to."""
    config = build_cluster_config(context.aws)
    for kind, lacking in _list_lacking(context, config):
        part = {each: config[each] for each in ("apiVersion", "kind", "metadata")} | lacking
        path = context.target / "10-eksctl" / f"lacking-{kind}.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(part, sort_keys=False), encoding="utf-8")
        context.commands.run(("eksctl", "create", kind, "--config-file", str(path)), 30)


def _list_lacking(
    context: Context, config: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind in eksctl's words, and the part of a ClusterConfig with those that are not there."""

    def ask(what: str) -> Any:
        words = context.call("eks", what, "--cluster-name", context.aws.cluster)
        (found,) = (
            each for each in context.commands.load(words).values() if isinstance(each, list)
        )
        return found

    entries = ask("list-access-entries")
    access = config["accessConfig"]["accessEntries"]
    if lacking := [each for each in access if each["principalARN"] not in entries]:
        yield "accessentry", {"accessConfig": {"accessEntries": lacking}}
    addons = ask("list-addons")
    # The agent that hands out rights comes first, as eksctl has it.
    if lacking := [each for each in config["addons"] if each["name"] not in addons]:
        yield "addon", {"addons": lacking}
    there = {(each["namespace"], each["serviceAccount"]) for each in ask(_ASSOCIATIONS)}
    wanted = config["iam"]["podIdentityAssociations"]
    if lacking := [
        each for each in wanted if (each["namespace"], each["serviceAccountName"]) not in there
    ]:
        yield "podidentityassociation", {"iam": {"podIdentityAssociations": lacking}}
    groups = ask("list-nodegroups")
    for name in groups:
        # One that could not be made is there, too.
        words = ("--cluster-name", context.aws.cluster, "--nodegroup-name", name)
        context.wait("eks", "nodegroup-active", *words)
    if lacking := [each for each in config["managedNodeGroups"] if each["name"] not in groups]:
        yield "nodegroup", {"managedNodeGroups": lacking}


_ASSOCIATIONS = "list-pod-identity-associations"


def _make_storage(context: Context) -> None:
    context.refuse_half_made(name_storage(context.aws.cluster))
    context.run("storage", "files")


def _make_platform(context: Context) -> None:
    deploy(context)
    make_names(context)


def make_steps(
    context: Context, names: Iterable[str] = (), steps: Mapping[str, Step] | None = None
) -> bool:
    """Make all steps, or those named; whether all of them were made.

    Where one fails it is told why, and those after it are not begun.

    Args:
        context: of the cluster.
        names: of steps; all where there is none.
        steps: in their order; those of :data:`STEPS` where nothing is said.
    """
    steps = STEPS if steps is None else steps
    context.target.joinpath("10-eksctl").mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in names or steps:
        step = steps[name]
        context.say(f"{name}: {step.purpose} (reckoned {step.minutes} minutes at most) ...")
        try:
            step.make(context)
        except (CommandFailed, ToolFailed, StackUnfinished, CatalogueError) as error:
            context.say(f"{name} stopped. {error}\nWhat was made stays; run it again to go on.")
            return False
        context.say(f"{name}: done")
    return True


def verify(context: Context) -> list[Finding]:
    """What is there and whether it is right; nothing is changed."""
    nodes = context.tools.list("node", labels="hub.jupyter.org/node-purpose=core")
    ready = sum(map(_is_ready, nodes))
    wanted = context.aws.core.count
    found = [
        Finding("core machines", ready >= wanted, f"{ready} of {wanted} are ready"),
        *_look_at_machines(context),
        *look_at_watching(context),
    ]
    with TemporaryDirectory(prefix="notebook-hpc-") as folder:
        deployment = Deployment(context.settings, context.tools, Path(folder), context.say)
        return [*found, *deployment.look()]


def _look_at_machines(context: Context) -> Iterator[Finding]:
    yield from _look_at_gpus(context)
    for kind in ("ec2nodeclasses.karpenter.k8s.aws", "nodepools.karpenter.sh"):
        there = {each["metadata"]["name"]: each for each in context.tools.list(kind)}
        short = kind.partition(".")[0]
        for slug in context.settings.catalogue.node_pools:
            fine = slug in there and _is_ready(there[slug])
            mend = "ready" if fine else f"not ready: kubectl describe {short} {slug}"
            yield Finding(f"{short} {slug}", fine, mend)


def _look_at_gpus(context: Context) -> Iterator[Finding]:
    """Whether each machine with a GPU shows it; none of them need be there."""
    there = {
        each["metadata"]["name"]: each.get("status", {})
        for each in context.tools.list("daemonset", NAMESPACE)
    }
    for name in list_plugins(context.settings.catalogue):
        status = there.get(name, {})
        ready, wanted = (
            int(status.get(each, 0)) for each in ("numberReady", "desiredNumberScheduled")
        )
        # On a machine that has only just begun to start it is not ready.
        is_right = name in there and (ready > 0 or wanted == 0)
        if name not in there:
            sentence = "is not there, so no GPU can be had: make cluster-up STEP=20-karpenter"
        else:
            how = "" if is_right else f": kubectl describe daemonset {name} -n {NAMESPACE}"
            sentence = f"{ready} of {wanted} are ready{how}"
        yield Finding(name, is_right, sentence)


def _is_ready(found: Mapping[str, Any]) -> bool:
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


#: Commands of Karpenter with its pools, and of GPUs where there are any.
MACHINES = ("karpenter-crd", "karpenter", "machines", "whole-gpus", "ready")
#: In their order, by their folders.
STEPS: Mapping[str, Step] = {
    "00-tools": Step("programs, credentials, region and quotas", 1, check_ground),
    "05-images": Step("images in the registry", 60, make_images),
    "10-eksctl": Step("Karpenter's stack, and the cluster", 25, make_cluster),
    "20-karpenter": Step(
        "Karpenter with its pools",
        5,
        lambda context: context.run(*MACHINES),
    ),
    "30-load-balancer": Step(
        "load balancer controller", 3, lambda context: context.run("balancer")
    ),
    "40-storage": Step("disks, files, buckets and database", 15, _make_storage),
    "50-platform": Step("Volcano, databases, hub, jobs service, names", 13, _make_platform),
    "60-observe": Step("metrics, dashboards, alarms, logs and budget", 8, make_watching),
}
