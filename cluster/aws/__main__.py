"""``python -m cluster.aws COMMAND``: what `make cluster-plan` and its like run."""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cluster.aws.commands import CommandFailed, Commands, end_on_signals, hold
from cluster.aws.context import Context
from cluster.aws.gpus import build_gpu_objects
from cluster.aws.karpenter import build_node_classes, build_pools
from cluster.aws.plan import PlanFailed, make_plan
from cluster.aws.programs import add_to_path
from cluster.aws.removal import remove
from cluster.aws.running import fetch_present
from cluster.aws.skew import find_hindrances, find_newer_charts, list_changes, list_wanted
from cluster.aws.stack import ADDRESS, StackChanged
from cluster.aws.steps import STEPS, make_steps, verify
from cluster.aws.storage import build_storage_class
from cluster.aws.upgrade import upgrade
from cluster.driver.aws_settings import Aws
from cluster.driver.settings import Settings, load_settings
from cluster.driver.tools import ToolFailed, Tools, is_missing
from cluster.driver.versions import read_compatibility, read_versions
from hub_config.platform.errors import CatalogueError

#: What a cluster knows once Karpenter's charts are there.
_DEFINITIONS = ("ec2nodeclasses.karpenter.k8s.aws", "nodepools.karpenter.sh")


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.aws")
    parser.add_argument("command", choices=("plan", "up", "verify", "upgrade", "down"))
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--into", type=Path, default=Path("build/cluster"))
    parser.add_argument(
        "--stack",
        default=ADDRESS,
        help="where Karpenter's CloudFormation file is, with {version}; another place has the same",
    )
    parser.add_argument(
        "--kubeconfig", default="", help="of a cluster that is there, to show the difference to it"
    )
    parser.add_argument("--step", default="", choices=("", *STEPS), help="only this one")
    parser.add_argument("--yes", default="", help="the cluster's name, to do it unasked")
    parser.add_argument(
        "--homes", default="keep", choices=("keep", "delete"), help="people's files, for down"
    )
    options = parser.parse_args(arguments)
    add_to_path(os.environ)
    try:
        # The platform is installed by digests only, which step 05-images writes.
        pushed = options.command == "upgrade" or (
            options.command == "up" and options.step == "50-platform"
        )
        settings = load_settings(options.settings, are_pushed=pushed)
    except CatalogueError as error:
        _say(str(error))
        return 2
    if settings.aws is None:
        _say(
            f"{options.settings} has no section aws, so no cluster is to be made: put that of"
            " cluster/aws/settings.yaml at its end, and say what is yours (docs/deploy.md)"
        )
        return 2
    try:
        if options.command != "plan":
            return _work(settings, settings.aws, options)
        make_plan(settings, settings.aws, options.into, _say, options.stack)
        if is_missing(options.kubeconfig):
            _say(f"There is no kubeconfig {options.kubeconfig}, so no difference to a cluster.")
        elif options.kubeconfig:
            _tell_difference(settings, settings.aws, options.kubeconfig)
    except (PlanFailed, StackChanged, ToolFailed, CommandFailed) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("Ended. Run it again: it goes on with what is there by then.")
        return 130
    return 0


def _work(settings: Settings, aws: Aws, options: argparse.Namespace) -> int:
    """Make, look at or remove a cluster, as the only one who does."""
    end_on_signals()
    target = options.into / aws.cluster
    # A folder of somebody else is refused before a lock is put there.
    make_plan(settings, aws, options.into, lambda line: None, options.stack)
    with hold(target) as lock:
        log = target / "log" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
        commands = Commands(log, _say, lock=lock)
        context = Context(settings, aws, target, commands, _say, options.settings)
        if options.command == "up":
            return 0 if make_steps(context, [options.step] if options.step else ()) else 1
        if options.command == "verify":
            return _verify(context)
        if options.command == "upgrade":
            return 0 if upgrade(context, lambda: _agrees(aws.cluster, options.yes)) else 1
        return _remove(context, options.yes, with_homes=options.homes == "delete")


def _verify(context: Context) -> int:
    if context.find_cluster() is None:
        _say(f"There is no cluster {context.aws.cluster} in {context.aws.region}.")
        return 1
    context.run("access")
    findings = verify(context)
    for each in findings:
        _say(f"{'ok   ' if each.is_right else 'WRONG'}  {each.part}: {each.sentence}")
    return 0 if all(each.is_right for each in findings) else 1


def _remove(context: Context, agreed: str, *, with_homes: bool) -> int:
    name = context.aws.cluster
    if not agreed:
        _say(
            f"This ends all that runs on cluster {name} of account {context.aws.account} and takes"
            " it away. Disks of hub and jobs service stay"
            + ("." if with_homes else ", and so do files of people.")
        )
    if not _agrees(name, agreed):
        return 1
    if with_homes and not _agrees_to_lose_homes(name):
        return 1
    left = remove(context, with_homes=with_homes)
    for arn in left:
        _say(f"  left: {arn}")
    _say("What is left costs until it is deleted." if left else "Nothing with its tags is left.")
    return 0


def _agrees(name: str, agreed: str) -> bool:
    """Whether somebody has written the cluster's name, or does so now."""
    if not agreed:
        sys.stdout.write(f"Write the cluster's name, {name}, to go on: ")
        sys.stdout.flush()
        agreed = sys.stdin.readline().strip()
    if agreed != name:
        _say(f"That is not {name}; nothing was changed.")
    return agreed == name


def _agrees_to_lose_homes(name: str) -> bool:
    """The second question, which no option answers."""
    words = f"delete the homes of {name}"
    _say(
        "HOMES=delete: all homes and shared folders, their backups, and all buckets that the"
        " settings had made for this cluster are deleted, too. Nobody can bring them back."
    )
    sys.stdout.write(f"Write: {words}: ")
    sys.stdout.flush()
    if sys.stdin.readline().strip() != words:
        _say("That is something else; nothing was changed.")
        return False
    return True


def _tell_upgrade(settings: Settings, aws: Aws, tools: Tools) -> None:
    """Say what `make cluster-upgrade` would change in a cluster, and what forbids it."""
    present, versions = fetch_present(tools), read_versions()
    wanted = list_wanted(settings, versions)
    if not (changes := [*list_changes(present, aws.kubernetes, wanted)]):
        return _say(f"Kubernetes {present.kubernetes} and charts: as the settings and pins say.")
    _say("`make cluster-upgrade` would change (with EKS' newest add-ons and core images):")
    for each in changes:
        _say(f"  {each}")
    for each in (
        *find_hindrances(present, aws.kubernetes, versions, read_compatibility()),
        *find_newer_charts(present, wanted),
    ):
        _say(f"It would refuse: {each}.")


def _tell_difference(settings: Settings, aws: Aws, kubeconfig: str) -> None:
    """Show what applying the objects of machines and disks would change in a cluster."""
    helm, kubectl = (os.environ.get(each.upper(), each) for each in ("helm", "kubectl"))
    tools = Tools(kubeconfig, helm, kubectl)
    _tell_upgrade(settings, aws, tools)
    objects = [build_storage_class()]
    lacking = [
        each for each in _DEFINITIONS if tools.find("customresourcedefinition", each) is None
    ]
    if lacking:
        _say(
            f"The cluster of {kubeconfig} has no Karpenter for AWS yet (no {', '.join(lacking)}),"
            " so no node classes and node pools to compare: step 20-karpenter brings it."
        )
    else:
        objects += [*build_node_classes(aws, settings.catalogue), *build_pools(settings)]
        objects += build_gpu_objects(settings.catalogue)
    what = "Storage class" if lacking else "Storage class, node classes, node pools and GPUs"
    if found := tools.diff(objects):
        _say(f"{what}, against the cluster:\n{found.rstrip()}")
    else:
        _say(f"{what}: as in the cluster.")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
