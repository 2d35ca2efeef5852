"""What a cluster has and what runs on it, as kubectl and helm tell; nothing is changed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.aws.skew import Machine, Present
from cluster.driver.charts import JOBS_NAMESPACE, NAMESPACE
from cluster.driver.tools import Tools

#: Pods of sessions and of jobs: namespace and labels.
_KINDS = {
    "session": (NAMESPACE, "component=singleuser-server"),
    "job": (JOBS_NAMESPACE, "volcano.sh/job-name"),
}


@dataclass(frozen=True)
class Pod:
    """A session or a job.

    Attributes:
        kind: ``session`` or ``job``.
        name: of the pod.
        phase: in Kubernetes' words.
        machine: it is on; empty while it waits.
    """

    kind: str
    name: str
    phase: str
    machine: str


def fetch_present(tools: Tools) -> Present:
    """What a cluster has of what an upgrade changes.

    Raises:
        ToolFailed: it is away.
    """
    machines = []
    for each in tools.list("node"):
        pool = each["metadata"].get("labels", {}).get("karpenter.sh/nodepool", "")
        said = each.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")
        # One that has only just begun to start has not said it yet.
        if version := _take_minor(said):
            machines.append(Machine(each["metadata"]["name"], version, pool))
    return Present(_take_minor(tools.read_version()), tools.list_releases(), tuple(machines))


def list_pods(tools: Tools) -> dict[str, Pod]:
    """Sessions and jobs that run, or have ended a short while ago, by their uid.

    Raises:
        ToolFailed: the cluster is away.
    """
    found = {}
    for kind, (namespace, labels) in _KINDS.items():
        for each in tools.list("pod", namespace, labels):
            phase = str(each.get("status", {}).get("phase", ""))
            name, machine = each["metadata"]["name"], each["spec"].get("nodeName", "")
            found[each["metadata"]["uid"]] = Pod(kind, name, phase, machine)
    return found


def count(pods: Mapping[str, Pod]) -> str:
    """How many of each kind run, for people."""
    kinds = [each.kind for each in pods.values() if each.phase == "Running"]
    return " and ".join(_say_number(kinds.count(kind), kind) for kind in _KINDS)


def compare(before: Mapping[str, Pod], after: Mapping[str, Pod]) -> str:
    """What became of sessions and jobs that ran, for people."""
    ran = {uid: pod for uid, pod in before.items() if pod.phase == "Running"}
    still = {uid: after[uid] for uid in ran if uid in after and after[uid].phase == "Running"}
    said = f"Of {count(ran)} that ran before, {count(still)} still run."
    if ended := sorted(_say_end(ran[uid], after.get(uid)) for uid in ran.keys() - still.keys()):
        said += f" Ended meanwhile: {', '.join(ended)}; whether by themselves, their pages say."
    return said


def tell_old_machines(
    machines: Sequence[Machine], pods: Mapping[str, Pod], kubernetes: str
) -> list[str]:
    """Machines that have an older Kubernetes, and what holds each of them, a line each."""
    lines = []
    for each in machines:
        if each.kubernetes != kubernetes:
            held = {uid: pod for uid, pod in pods.items() if pod.machine == each.name}
            runs = any(pod.phase == "Running" for pod in held.values())
            what = f"has {count(held)}, and goes after them" if runs else "goes when it is idle"
            lines.append(f"{each.name} ({each.pool or 'of EKS'}, {each.kubernetes}) {what}")
    return lines


def _say_number(number: int, kind: str) -> str:
    return f"{number} {kind}" if number == 1 else f"{number} {kind}s"


def _say_end(pod: Pod, now: Pod | None) -> str:
    return f"{pod.kind} {pod.name} ({now.phase if now else 'gone'})"


def _take_minor(version: str) -> str:
    """`v1.35.2-eks-1` -> `1.35`; empty for what is no version."""
    found = re.match(r"v?(\d+\.\d+)\b", version)
    return found[1] if found else ""
