"""What an upgrade of a cluster would change, and what forbids it, from plain facts. Pure.

Kubernetes goes up one minor version at a time, and whatever runs on it has to go with the version
before as well as with the one after.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.aws.load_balancer import CHART
from cluster.aws.observe import FLUENT_BIT, GRAFANA, PROMETHEUS
from cluster.driver.settings import Settings
from cluster.driver.versions import find_misfits, order_version

#: Releases of charts -> their pin in ``helm-values/versions.env``. All are called as their charts.
PINS = {
    "karpenter-crd": "KARPENTER_VERSION",
    "karpenter": "KARPENTER_VERSION",
    CHART: "LOAD_BALANCER_CHART_VERSION",
    "volcano": "VOLCANO_VERSION",
    "jupyterhub": "JUPYTERHUB_CHART_VERSION",
    PROMETHEUS[0]: "PROMETHEUS_CHART_VERSION",
    GRAFANA[0]: "GRAFANA_CHART_VERSION",
    FLUENT_BIT[0]: "FLUENT_BIT_CHART_VERSION",
}
#: Minor versions that a machine's kubelet may be older than the API server.
#: Source: https://kubernetes.io/releases/version-skew-policy/#kubelet
_KUBELET_MAY_LAG = 3
#: How EKS' images are called in Parameter Store, by the types of node groups.
#: Source: https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html; Karpenter asks for
#: the same: karpenter-provider-aws v1.14.1, pkg/providers/amifamily/al2023.go
_IMAGES = "/aws/service/eks/optimized-ami/{kubernetes}/amazon-linux-2023/{processor}"
_PROCESSORS = {"AL2023_x86_64_STANDARD": "x86_64", "AL2023_ARM_64_STANDARD": "arm64"}
_GUIDE = "https://docs.aws.amazon.com/eks/latest/userguide/cluster-insights.html"


@dataclass(frozen=True)
class Machine:
    """A machine of the cluster.

    Attributes:
        name: of its node.
        kubernetes: minor version of its kubelet, such as ``1.35``.
        pool: of Karpenter's pools; empty for one that EKS made.
    """

    name: str
    kubernetes: str
    pool: str = ""


@dataclass(frozen=True)
class NodeGroup:
    """A group of machines that EKS makes.

    Attributes:
        name: of it.
        kubernetes: minor version of its machines.
        release: of EKS' image, such as ``1.35.2-20260714``.
        image: kind of that image, in EKS' words.
        status: in EKS' words.
    """

    name: str
    kubernetes: str
    release: str
    image: str
    status: str


@dataclass(frozen=True)
class Present:
    """What a cluster has.

    Attributes:
        kubernetes: minor version of its API server.
        releases: of charts, by name: the chart's version.
        machines: all of them.
    """

    kubernetes: str
    releases: Mapping[str, str]
    machines: tuple[Machine, ...]


def list_wanted(settings: Settings, versions: Mapping[str, str]) -> dict[str, str]:
    """Versions of the charts that would be installed, by release.

    Of a chart that is a place of the administrator's own the version is not known.
    """
    wanted = {}
    for release, pin in PINS.items():
        version, copied, _ = settings.charts.get(release, versions[pin]).partition("@sha256:")
        if copied or release not in settings.charts:
            wanted[release] = version
    return wanted


def list_changes(present: Present, kubernetes: str, wanted: Mapping[str, str]) -> Iterator[str]:
    """What an upgrade would change, a line each.

    Args:
        present: what is there.
        kubernetes: minor version that the settings say.
        wanted: as :func:`list_wanted`.
    """
    if present.kubernetes != kubernetes:
        what = "control plane, add-ons, core machines, and new machines of all pools"
        yield f"Kubernetes {present.kubernetes} -> {kubernetes}: {what}"
    for release, version in wanted.items():
        there = present.releases.get(release, "")
        if there and _order(there) != _order(version):
            yield f"chart {release} {there} -> {version}"
    old = Counter(
        (each.pool, each.kubernetes) for each in present.machines if each.kubernetes != kubernetes
    )
    for (pool, version), count in sorted(old.items()):
        many = "1 machine" if count == 1 else f"{count} machines"
        goes = f"of pool {pool}: goes when empty" if pool else "of EKS: replaced one by one"
        yield f"{many} with a kubelet of {version}, {goes}"


def find_hindrances(
    present: Present, kubernetes: str, versions: Mapping[str, str], table: Mapping[str, Any]
) -> Iterator[str]:
    """Why a cluster cannot be brought to a Kubernetes, each with how to mend it.

    Args:
        present: what is there.
        kubernetes: minor version that the settings say.
        versions: as :func:`cluster.driver.versions.read_versions`.
        table: as :func:`cluster.driver.versions.read_compatibility`.
    """
    now, then = order_version(present.kubernetes), order_version(kubernetes)
    if then < now:
        yield (
            f"The cluster has Kubernetes {present.kubernetes}, and the settings say {kubernetes}:"
            f' this goes no way back. Write kubernetes: "{present.kubernetes}" (docs/deploy.md,'
            " Upgrading, has what EKS itself can take back)"
        )
        return
    if then[0] != now[0] or then[1] - now[1] > 1:
        following = f"{now[0]}.{now[1] + 1}"
        yield (
            f"From Kubernetes {present.kubernetes} to {kubernetes} one version would be skipped,"
            f' and EKS takes one at a time: write kubernetes: "{following}" first'
        )
    for misfit in find_misfits(present.kubernetes, versions, table):
        # Charts come before the control plane, so they meet the old one, too.
        yield (
            f"{misfit}, and it would be installed while the cluster still has"
            f" {present.kubernetes}: upgrade with an earlier release of this project first"
        )
    for each in present.machines:
        if then[1] - order_version(each.kubernetes)[1] > _KUBELET_MAY_LAG:
            yield (
                f"Machine {each.name} has a kubelet of {each.kubernetes}, which an API server of"
                f" {kubernetes} does not take: wait until what runs on it has ended, or end it"
                f" (kubectl get pods -A --field-selector spec.nodeName={each.name})"
            )


def find_newer_charts(present: Present, wanted: Mapping[str, str]) -> Iterator[str]:
    """Charts of which the cluster has a newer version than would be installed."""
    for release, version in wanted.items():
        there = present.releases.get(release, "")
        if there and _order(there) > _order(version):
            yield (
                f"Chart {release} is there as {there}, and this checkout has {version}: it would"
                " go back. Use the release of this project that the cluster was made with, or newer"
            )


def find_other_groups(
    groups: Sequence[NodeGroup], cluster: str, now: str, then: str
) -> Iterator[str]:
    """Node groups for which EKS would refuse another control plane: they have to be as it is.

    Source: https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateClusterVersion.html
    """
    for each in groups if now != then else ():
        if each.kubernetes != now:
            yield (
                f"Node group {each.name} has Kubernetes {each.kubernetes} and the control plane"
                f" {now}, and EKS wants both alike before it goes on: "
                + (
                    f'write kubernetes: "{now}", and run this for it first'
                    if each.name == "core"
                    else f"eksctl upgrade nodegroup --cluster {cluster} --name {each.name}"
                    f" --kubernetes-version {now}"
                )
            )


def judge_insights(insights: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """What EKS finds of readiness for a version: what forbids it, and what is to be told.

    Args:
        insights: summaries, as `aws eks list-insights` has them.
    """
    wrong, told = [], []
    for each in insights:
        found = each.get("insightStatus", {})
        sentence = f"{each.get('name', each.get('id'))}: {found.get('reason', '')}".rstrip(": ")
        if found.get("status") == "ERROR":
            how = f"aws eks describe-insight --id {each.get('id')} says where"
            wrong.append(f"EKS finds {sentence}. {how}; {_GUIDE}")
        elif found.get("status") != "PASSING":
            told.append(f"EKS says {str(found.get('status')).lower()} of {sentence}")
    return wrong, told


def name_images(kubernetes: Collection[str], release: str, *, has_gpu: bool) -> dict[str, str]:
    """Parameters of the images that Karpenter will look for -> what each is, for people.

    Args:
        kubernetes: minor versions.
        release: pin ``AL2023_AMI``.
        has_gpu: whether a pool has machines with GPUs.
    """
    found = {}
    for version in sorted(kubernetes):
        for kind in ("standard", *(["nvidia"] if has_gpu else [])):
            folder = _IMAGES.format(kubernetes=version, processor="x86_64")
            name = f"amazon-eks-node-al2023-x86_64-{kind}-{version}-{release}"
            found[f"{folder}/{kind}/{name}/image_id"] = f"{name} for Kubernetes {version}"
    return found


def name_newest_release(kubernetes: str, image: str) -> str:
    """The parameter that has the newest release of a node group's image; empty if not known."""
    processor = _PROCESSORS.get(image, "")
    folder = _IMAGES.format(kubernetes=kubernetes, processor=processor)
    return f"{folder}/standard/recommended/release_version" if processor else ""


def judge_update(update: Mapping[str, Any], kubernetes: str) -> str:
    """Why an update that EKS is at work on has to be waited for by hand; empty where it is ours.

    Args:
        update: as `aws eks describe-update` has it.
        kubernetes: minor version that the settings say.
    """
    asked = {each.get("type"): each.get("value") for each in update.get("params", [])}
    if update.get("type") == "VersionUpdate" and asked.get("Version") == kubernetes:
        return ""
    what = f"{update.get('type')} {asked.get('Version', '')}".strip()
    return (
        f"Somebody else changes the cluster: EKS is at work on its update {update.get('id')}"
        f" ({what}). Run this again when that has ended"
    )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version.partition("-")[0]))
