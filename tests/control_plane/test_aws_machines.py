"""What a cluster on AWS gets for its machines, as a real API server judges it.

Its custom resource comes from Karpenter's provider for AWS, with rules that only a server applies.
No program here knows what to do with such a node class.
"""

from __future__ import annotations

import copy
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cluster.aws.karpenter import NODE_CLASS, build_karpenter_values, build_node_classes
from cluster.driver.aws_pulls import Pull
from cluster.driver.node_pools import build_node_pools
from cluster.driver.tools import ToolFailed, Tools
from tests.bed.bed import Bed
from tests.bed.client import CRD, Client, Object
from tests.bed.overlay import CATALOGUE, load_catalogue
from tests.control_plane.chart import run_helm
from tests.unit.cluster_aws.accounts import make_aws

AWS = make_aws(
    local_disks=("jobs-gpu",),
    pulls={
        "jobs-gpu": Pull(parallel=True),
        "jobs-general": Pull(parallel=True, throughput=1000, iops=16_000),
        "sessions-general": Pull(snapshot="snap-0123456789abcdef0", fill=300),
    },
)
SHIPPED = load_catalogue(real=False)

pytestmark = pytest.mark.usefixtures("pretended")


@pytest.fixture(scope="module")
def tools(bed: Bed, client: Client) -> Iterator[Tools]:
    """Of a cluster that knows EC2NodeClass."""
    folder = bed.programs.data / "karpenter-aws" / "crds"
    definition = yaml.safe_load((folder / "karpenter.k8s.aws_ec2nodeclasses.yaml").read_text())
    client.apply(definition)
    client.wait_for_crds()
    yield Tools(str(bed.kubeconfig), kubectl=str(bed.programs.path("kubectl")))
    client.delete(*CRD, definition["metadata"]["name"])


def test_every_node_class_is_taken(tools: Tools) -> None:
    tools.apply(build_node_classes(AWS, SHIPPED), only_tries=True)


def test_a_disk_that_is_filled_from_nothing_is_refused(tools: Tools) -> None:
    """So what the settings refuse is what Karpenter would."""
    classes = {each["metadata"]["name"]: each for each in build_node_classes(AWS, SHIPPED)}
    _, images = copy.deepcopy(classes["sessions-general"]["spec"]["blockDeviceMappings"])
    del images["ebs"]["snapshotID"]
    images["ebs"]["volumeSize"] = "10Gi"
    classes["sessions-general"]["spec"]["blockDeviceMappings"][1] = images

    with pytest.raises(ToolFailed, match="snapshotID must be set when volumeInitializationRate"):
        tools.apply([classes["sessions-general"]], only_tries=True)


def test_a_node_class_with_karpenters_own_tag_is_refused(tools: Tools) -> None:
    """So the rules that no schema shows are applied."""
    (first, *_) = copy.deepcopy(build_node_classes(AWS, SHIPPED))
    first["spec"]["tags"]["karpenter.sh/nodepool"] = "mine"

    with pytest.raises(ToolFailed, match=r"tag contains a restricted tag"):
        tools.apply([first], only_tries=True)


def test_every_node_pool_is_taken(tools: Tools) -> None:
    pools = build_node_pools(SHIPPED, NODE_CLASS, ["efs.csi.aws.com/agent-not-ready"])

    # Those of the bed have the same names, and a pool's kind of node class never changes.
    tools.apply([_rename(each) for each in pools], only_tries=True)


def test_the_difference_to_a_cluster_is_what_was_edited(tools: Tools, client: Client) -> None:
    there = build_node_classes(AWS, SHIPPED)
    edited = copy.deepcopy(there)
    mapping = edited[0]["spec"]["blockDeviceMappings"][0]
    mapping["ebs"]["volumeSize"] = "641Gi"

    tools.apply(there)

    assert tools.diff(there) == ""
    changed = [line for line in tools.diff(edited).splitlines() if re.match(r"[-+][^-+]", line)]
    # Kubernetes counts changes of what is wanted.
    assert [line for line in changed if "generation" not in line] == [
        "-      volumeSize: 640Gi",
        "+      volumeSize: 641Gi",
    ]


def test_a_cluster_that_is_away_has_no_difference(tools: Tools, tmp_path: Path) -> None:
    config = yaml.safe_load(Path(tools.kubeconfig).read_text(encoding="utf-8"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    away = tmp_path / "kubeconfig"
    away.write_text(yaml.safe_dump(config))

    with pytest.raises(ToolFailed, match="kubectl diff"):
        replace(tools, kubeconfig=str(away)).diff(build_node_classes(AWS, SHIPPED))


def test_karpenters_chart_gets_region_and_queue(bed: Bed) -> None:
    chart = bed.programs.data / "karpenter-aws" / "chart"
    values = build_karpenter_values(AWS)

    objects = run_helm(bed, "karpenter", chart, [CATALOGUE.with_name("karpenter.yaml")], values)

    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    variables = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert variables["CLUSTER_NAME"] == "lab"
    assert variables["INTERRUPTION_QUEUE"] == "lab"
    assert variables["AWS_REGION"] == "eu-central-1"
    assert pod["serviceAccountName"] == "karpenter"
    assert deployment["spec"]["replicas"] == 2
    # Never on machines of its own.
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert {"key": "karpenter.sh/nodepool", "operator": "DoesNotExist"} in term["matchExpressions"]


def _rename(pool: Object) -> Object:
    name = f"aws-{pool['metadata']['name']}"
    return {**pool, "metadata": {**pool["metadata"], "name": name}}
