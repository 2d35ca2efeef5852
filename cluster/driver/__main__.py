"""``python -m cluster.driver COMMAND``: what `make deploy` and its like run."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster.driver.deployment import STEPS, Deployment
from cluster.driver.instance_types import load_types
from cluster.driver.limits import find_notes
from cluster.driver.settings import load_settings
from cluster.driver.tools import ToolFailed, Tools, is_missing
from hub_config.platform.errors import CatalogueError


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.driver")
    parser.add_argument("command", choices=("deploy", "status", "undeploy", "values"))
    parser.add_argument("chart", nargs="?", choices=tuple(STEPS), help="for `values`")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument(
        "--kubeconfig", default="", help="of an administrator; kubectl's own if empty"
    )
    parser.add_argument("--step", default="", choices=("", *STEPS), help="only this one")
    parser.add_argument("--take-over", action="store_true", help="also what others installed")
    parser.add_argument("--yes", action="store_true", help="take it away without asking")
    options = parser.parse_args(arguments)
    if is_missing(options.kubeconfig):
        _say(f"There is no kubeconfig {options.kubeconfig}: say where it is in KUBECONFIG")
        return 2
    try:
        settings = load_settings(options.settings)
    except CatalogueError as error:
        _say(str(error))
        return 2
    tools = Tools(
        options.kubeconfig, os.environ.get("HELM", "helm"), os.environ.get("KUBECTL", "kubectl")
    )
    try:
        # Values may be secret, and another installation's are not to be mixed with them.
        with TemporaryDirectory(prefix="notebook-hpc-") as folder:
            return _run(Deployment(settings, tools, Path(folder), _say), options)
    except ToolFailed as error:
        _say(str(error))
        return 1


def _run(deployment: Deployment, options: argparse.Namespace) -> int:
    if options.command == "deploy":
        for note in find_notes(deployment.settings.catalogue, load_types()):
            _say(f"Note: {note}.")
        steps = [options.step] if options.step else []
        deployment.deploy(*steps, takes_over=options.take_over)
    elif options.command == "status":
        return _print_status(deployment)
    elif options.command == "values":
        if not options.chart:
            _say(f"Of which chart? One of {', '.join(STEPS)}.")
            return 2
        return _print_values(deployment, options.chart)
    elif options.yes or _agrees(deployment):
        deployment.undeploy()
    else:
        return 1
    return 0


def _print_status(deployment: Deployment) -> int:
    findings = deployment.look()
    width = max(len(each.part) for each in findings)
    for each in findings:
        _say(f"{'ok   ' if each.is_right else 'WRONG'}  {each.part:{width}}  {each.sentence}")
    return 0 if all(each.is_right for each in findings) else 1


def _print_values(deployment: Deployment, chart: str) -> int:
    """Print the files that helm gets, the later of which win."""
    for path in deployment.list_values(chart):
        _say(f"# {path}\n{path.read_text(encoding='utf-8').rstrip()}\n---")
    return 0


def _agrees(deployment: Deployment) -> bool:
    _say(
        f"This ends all sessions and jobs at {deployment.settings.address} and takes the platform"
        " away. Homes, shared folders and records of jobs stay."
    )
    sys.stdout.write("Write yes to go on: ")
    sys.stdout.flush()
    return sys.stdin.readline().strip() == "yes"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
