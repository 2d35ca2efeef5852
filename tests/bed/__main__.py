"""`make bed`, `make bed-down`, `make bed-status`: the test bed from the command line.

`manifests` prints the queues and node pools as YAML, for another cluster.

The last line of `up` is `KUBECONFIG=PATH`, for a shell or a script to read.
"""

from __future__ import annotations

import argparse
import re
import sys

import yaml

from tests.bed import bed as beds
from tests.bed import nodes
from tests.bed.bed import Bed
from tests.bed.overlay import load_catalogue

CHEAT_SHEET = """\
Look inside (kubectl is at {kubectl}):
  export KUBECONFIG={kubeconfig}
  kubectl get nodes,nodeclaims,nodepools          machines, and what asked for them
  kubectl get queues,vcjobs,podgroups -A          Volcano's side
  kubectl get pods -A -o wide                     and the pods
  kubectl get events -A --sort-by=.lastTimestamp  what happened
  ls {logs}   every program's log
End it with: make bed-down"""


def main() -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bed", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status", "manifests"))
    parser.add_argument("--name", type=_check_name, default="main", help="name of the bed")
    parser.add_argument(
        "--without-nodes", action="store_true", help="no real nodes, also where they could be had"
    )
    options = parser.parse_args()
    commands = {"up": _up, "down": _down, "status": _status, "manifests": _print_manifests}
    return commands[options.command](options.name, not options.without_nodes)


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise argparse.ArgumentTypeError(f"{name!r}: small letters, digits and hyphens, please")
    return name


def _up(name: str, wants_nodes: bool) -> int:
    if wants_nodes and (reason := nodes.why_not()):
        _say(f"Without real nodes: {reason}.")
        wants_nodes = False
    try:
        bed = beds.up(name, with_nodes=wants_nodes, say=_say)
    except beds.FAILURES as error:
        _say(str(error))
        return 1
    kubectl = bed.programs.path("kubectl")
    _say(CHEAT_SHEET.format(kubectl=kubectl, kubeconfig=bed.kubeconfig, logs=bed.folder / "logs"))
    _say(f"KUBECONFIG={bed.kubeconfig}")
    return 0


def _down(name: str, _: bool) -> int:
    beds.down(name)
    return 0


def _status(name: str, _: bool) -> int:
    bed = beds.find(name)
    if bed is None:
        _say(f"No bed {name} runs; start it with: make bed")
        return 1
    _say(_describe(bed))
    return 0 if beds.load(name) else 1


def _print_manifests(_name: str, _: bool) -> int:
    _say(yaml.safe_dump_all(beds.build_manifests(load_catalogue(real=False)), sort_keys=False))
    return 0


def _describe(bed: Bed) -> str:
    memory = bed.daemons.measure_memory()
    lines = [f"Bed {bed.name} in {bed.folder}"]
    for name in bed.daemons.names():
        state = f"{memory[name] / 2**20:6.0f} MiB" if name in memory else "     ended"
        lines.append(f"  {name:26} {state}")
    lines.append(f"  {'all':26} {sum(memory.values()) / 2**20:6.0f} MiB")
    return "\n".join(lines)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
