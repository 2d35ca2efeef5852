"""``python -m cluster.aws COMMAND``: what `make cluster-plan` runs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.aws.karpenter import build_node_classes, build_pools
from cluster.aws.plan import PlanFailed, make_plan
from cluster.aws.stack import ADDRESS, StackChanged
from cluster.aws.storage import build_storage_class
from cluster.driver.aws_settings import Aws
from cluster.driver.settings import Settings, load_settings
from cluster.driver.tools import ToolFailed, Tools, is_missing
from hub_config.platform.errors import CatalogueError

#: What a cluster knows once Karpenter's charts are there.
_DEFINITIONS = ("ec2nodeclasses.karpenter.k8s.aws", "nodepools.karpenter.sh")


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.aws")
    parser.add_argument("command", choices=("plan",))
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
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(options.settings, are_pushed=False)
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
        make_plan(settings, settings.aws, options.into, _say, options.stack)
        if is_missing(options.kubeconfig):
            _say(f"There is no kubeconfig {options.kubeconfig}, so no difference to a cluster.")
        elif options.kubeconfig:
            _tell_difference(settings, settings.aws, options.kubeconfig)
    except (PlanFailed, StackChanged, ToolFailed) as error:
        _say(str(error))
        return 1
    return 0


def _tell_difference(settings: Settings, aws: Aws, kubeconfig: str) -> None:
    """Show what applying the objects of machines and disks would change in a cluster."""
    tools = Tools(kubeconfig, kubectl=os.environ.get("KUBECTL", "kubectl"))
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
    what = "Storage class" if lacking else "Storage class, node classes and node pools"
    if found := tools.diff(objects):
        _say(f"{what}, against the cluster:\n{found.rstrip()}")
    else:
        _say(f"{what}: as in the cluster.")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
