"""`make bed`, `make bed-hub`, `make bed-down`, `make bed-status`: the test bed at a command line.

`manifests` prints the queues and node pools as YAML, for another cluster.

The last line of `up` is `KUBECONFIG=PATH`, for a shell or a script to read.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable

import yaml

from hub_config.logins.demonstration_users import PASSWORD, USERS
from tests.bed import bed as beds
from tests.bed import nodes
from tests.bed.bed import Bed
from tests.bed.hub import stand_in
from tests.bed.overlay import load_catalogue
from tests.bed.worlds import close_pools
from tests.images import building

CHEAT_SHEET = """\
Look inside (kubectl is at {kubectl}):
  export KUBECONFIG={kubeconfig}
  kubectl get nodes,nodeclaims,nodepools          machines, and what asked for them
  kubectl get queues,vcjob,podgroups -A           Volcano's side
  kubectl get pods -A -o wide                     and the pods
  kubectl get events -A --sort-by=.lastTimestamp  what happened
  ls {logs}   every program's log
End it with: make bed-down"""
HUB = """\
Sessions run on the real node real-sessions, jobs on real-jobs. Neither has a GPU: what asks for one
waits for a machine, and nobody starts it.
  export KUBECONFIG={kubeconfig}
  kubectl get pods -n jupyterhub                  hub, proxy, jobs service, sessions
  kubectl get vcjob,pods -n offline-jobs          jobs
  ls {homes}   the homes
End it, homes and all, with: make bed-down. Sign in as"""


def main() -> int:
    """Run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bed", description=__doc__)
    parser.add_argument("command", choices=("up", "hub", "down", "status", "manifests"))
    parser.add_argument("--name", type=_check_name, default="main", help="name of the bed")
    parser.add_argument(
        "--without-nodes", action="store_true", help="no real nodes, also where they could be had"
    )
    parser.add_argument("--port", type=int, default=0, help="of loopback, for `hub`; 0 for any")
    options = parser.parse_args()
    commands: dict[str, Callable[[], int]] = {
        "up": lambda: _up(options.name, wants_nodes=not options.without_nodes),
        "hub": lambda: _start_hub(options.name, options.port),
        "down": lambda: _down(options.name),
        "status": lambda: _status(options.name),
        "manifests": _print_manifests,
    }
    return commands[options.command]()


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
        raise argparse.ArgumentTypeError(f"{name!r}: small letters, digits and hyphens, please")
    return name


def _up(name: str, *, wants_nodes: bool) -> int:
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


def _start_hub(name: str, port: int) -> int:
    """Start the platform on the bed's real nodes; Karpenter may start no others."""
    if reason := nodes.why_not() or building.why_not():
        _say(f"No hub on this machine: {reason}.")
        return 1
    try:
        bed = beds.up(name, with_nodes=True, say=_say)
        close_pools(bed.client)
        hub = stand_in.start(bed, port=port, say=_say)
    except (*beds.FAILURES, *stand_in.FAILURES) as error:
        _say("\n".join([str(error), *getattr(error, "__notes__", [])]))
        return 1
    _say(HUB.format(kubeconfig=bed.kubeconfig, homes=hub.homes))
    width = max(len(user.name) for user in USERS)
    for user in USERS:
        _say(f"  {user.name:{width}}  {user.purpose} ({', '.join(user.groups)})")
    _say(f"Password of all: {PASSWORD}")
    _say(hub.url)
    return 0


def _down(name: str) -> int:
    beds.down(name)
    return 0


def _status(name: str) -> int:
    bed = beds.find(name)
    if bed is None:
        _say(f"No bed {name} runs; start it with: make bed")
        return 1
    _say(_describe(bed))
    return 0 if beds.load(name) else 1


def _print_manifests() -> int:
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
