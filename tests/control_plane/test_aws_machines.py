"""What a cluster on AWS gets, as a real API server, eksctl's schema and its own code judge it.

The custom resource of machines comes from Karpenter's provider for AWS, with rules that only a
server applies. No program here knows what to do with such a node class.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.aws.__main__ import main
from cluster.aws.commands import Commands
from cluster.aws.context import Context
from cluster.aws.eksctl import build_addon_upgrade, build_cluster_config
from cluster.aws.gpus import build_gpu_objects
from cluster.aws.karpenter import build_karpenter_values, build_node_classes, build_pools
from cluster.aws.observe import build_objects
from cluster.aws.order import KUBECONFIG
from cluster.aws.steps import verify
from cluster.aws.storage import build_storage_class
from cluster.driver.aws_observe import Metrics, Observe
from cluster.driver.aws_pulls import Pull
from cluster.driver.aws_settings import Aws
from cluster.driver.tools import ToolFailed, Tools
from cluster.driver.versions import read_versions
from images._tool.tools import find_places
from tests.bed import pins
from tests.bed.bed import Bed
from tests.bed.client import CRD, Client, Object
from tests.bed.overlay import CATALOGUE, load_catalogue
from tests.bed.workshop import Workshop
from tests.control_plane.chart import run_helm
from tests.unit.cluster.test_aws_settings import SECTION, read
from tests.unit.cluster_aws.accounts import CHINA, make_aws
from tests.unit.cluster_aws.test_karpenter import make_settings
from tests.unit.cluster_aws.test_plan import AWAY, NAME, write_example

AWS = make_aws(
    local_disks=("jobs-gpu",),
    pulls={
        "jobs-gpu": Pull(parallel=True),
        "jobs-general": Pull(parallel=True, throughput=1000, iops=16_000),
        "sessions-general": Pull(snapshot="snap-0123456789abcdef0", fill=300),
    },
)
SHIPPED = load_catalogue(real=False)
HOMES = {"homes": {"csi": {"driver": "efs.csi.aws.com"}}}
#: Clusters as settings may have them.
CLUSTERS: dict[str, Aws | None] = {
    "shipped": read(SECTION)[0],
    "local-disks": AWS,
    "china": CHINA,
    "key": make_aws(secrets_key="arn:aws:kms:eu-central-1:111122223333:key/1"),
    "open": replace(AWS, network=replace(AWS.network, nat="each-zone", api_access=())),
}

Config = dict[str, Any]

pytestmark = pytest.mark.usefixtures("pretended")


def test_a_cluster_without_karpenter_is_told_as_that(
    bed: Bed, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before `tools` makes the bed know EC2NodeClass; the plan is written all the same."""
    for name in ("helm", "kubectl"):
        monkeypatch.setenv(name.upper(), str(bed.programs.path(name)))
    # What an upgrade would change is told from what there is, here one chart and its Kubernetes.
    chart = tmp_path / "chart"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: karpenter-crd, version: 1.0.9}")
    helm = [str(bed.programs.path("helm")), "--kubeconfig", str(bed.kubeconfig)]
    settings = write_example(tmp_path, kubernetes="1.34")
    words = ["plan", "--settings", str(settings), "--into", str(tmp_path / "plan")]
    subprocess.run([*helm, "install", "karpenter-crd", str(chart)], check=True, capture_output=True)

    assert main([*words, "--stack", AWAY, "--kubeconfig", str(bed.kubeconfig)]) == 0

    subprocess.run([*helm, "uninstall", "karpenter-crd"], check=True, capture_output=True)
    said = capsys.readouterr().out
    pins = read_versions()
    there = pins["KUBERNETES_VERSION"]
    assert f"  Kubernetes {there} -> 1.34: control plane, add-ons" in said
    assert f"  chart karpenter-crd 1.0.9 -> {pins['KARPENTER_VERSION']}" in said
    assert f"It would refuse: The cluster has Kubernetes {there}, and the settings say 1.34" in said
    assert "has no Karpenter for AWS yet (no ec2nodeclasses.karpenter.k8s.aws)" in said
    # What such a cluster can have is compared.
    assert re.search(r"^\+ +encrypted: \"true\"", said, re.MULTILINE)
    assert (tmp_path / "plan" / NAME / "10-eksctl" / "cluster.yaml").exists()


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
    settings = replace(make_settings(HOMES, local_disks=("jobs-gpu",)), catalogue=SHIPPED)
    pools = build_pools(settings)
    assert "instance-local-nvme" in json.dumps(pools)

    # Those of the bed have the same names, and a pool's kind of node class never changes.
    tools.apply([_rename(each) for each in pools], only_tries=True)


def test_the_class_of_disks_is_taken(tools: Tools) -> None:
    tools.apply([build_storage_class()], only_tries=True)


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


def test_a_look_at_what_is_there_tells_what_is_ready_from_what_is_not(
    bed: Bed, tools: Tools, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster with node classes and pools, of which one class is ready, and with no platform."""
    (ready, *others) = classes = build_node_classes(AWS, SHIPPED)
    tools.apply(classes)
    is_ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": ""}
    is_ready["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    kind, name = ("karpenter.k8s.aws/v1", "EC2NodeClass"), ready["metadata"]["name"]
    client.patch(*kind, name, {"status": {"conditions": [is_ready]}}, subresource="status")
    shutil.copy(bed.kubeconfig, tmp_path / KUBECONFIG)
    places = (str(bed.programs.path(name).parent) for name in ("kubectl", "helm"))
    monkeypatch.setenv("PATH", os.pathsep.join([*places, os.environ["PATH"]]))
    settings = replace(make_settings(HOMES), catalogue=SHIPPED)

    aws = replace(AWS, observe=Observe(metrics=Metrics(), dashboards=True))
    tools.apply(build_objects(aws))

    context = Context(settings, aws, tmp_path, Commands(tmp_path, print), print, tmp_path)
    found = {each.part: each for each in verify(context)}

    assert found["core machines"].sentence == f"0 of {AWS.core.count} are ready"
    assert found[f"ec2nodeclasses {name}"].is_right
    other = others[0]["metadata"]["name"]
    assert f"kubectl describe ec2nodeclasses {other}" in found[f"ec2nodeclasses {other}"].sentence
    assert found["nodepools sessions-general"].is_right
    # No machine has a GPU, so nothing lacks once what would show it is there.
    plugin = "nvidia-device-plugin"
    assert found[plugin].sentence.endswith("make cluster-up STEP=20-karpenter")
    tools.apply(build_gpu_objects(SHIPPED))
    (there,) = (each for each in verify(context) if each.part == plugin)
    assert (there.is_right, there.sentence) == (True, "0 of 0 are ready")
    tools.delete("daemonset", plugin, namespace="kube-system")
    assert found["volcano"].sentence == "not installed: make deploy STEP=volcano"
    assert found["grafana"].sentence == "kubectl describe deployment grafana -n monitoring"
    assert not found["prometheus-server"].is_right
    kept = tools.find("configmap", "dashboards", "monitoring")
    assert kept is not None
    assert len(kept["data"]) == 5


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
    values = build_karpenter_values(AWS, SHIPPED)

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


@pytest.fixture(scope="module")
def validator(bed: Bed) -> jsonschema.Draft7Validator:
    """Of the schema that eksctl brings. Its references are not as the draft wants them."""
    text = (bed.programs.data / "eksctl.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft7Validator(json.loads(text))


@pytest.mark.parametrize("name", CLUSTERS)
def test_eksctls_schema_takes_every_cluster(
    validator: jsonschema.Draft7Validator, name: str
) -> None:
    validator.validate(build_config(name))
    aws = CLUSTERS[name]
    assert aws
    validator.validate(build_addon_upgrade(aws))


def build_config(name: str) -> Config:
    aws = CLUSTERS[name]
    assert aws, "the shipped example has a mistake"
    return build_cluster_config(aws)


def _get_core(config: Config) -> Config:
    core: Config = config["managedNodeGroups"][0]
    return core


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: _get_core(c).update(privateNetwork=True), "privateNetwork"),
        (lambda c: _get_core(c).update(volumeType="gp9"), "gp9"),
        (lambda c: _get_core(c).update(instanceType=["m6i.large"]), "is not of type 'string'"),
        (lambda c: c["vpc"].update(nat={"gateway": "Double"}), "Double"),
    ],
)
def test_eksctls_schema_refuses_what_it_does_not_know(
    validator: jsonschema.Draft7Validator, change: Callable[[Config], object], said: str
) -> None:
    config = build_cluster_config(AWS)
    change(config)

    with pytest.raises(jsonschema.ValidationError, match=said):
        validator.validate(config)


@pytest.fixture(scope="module")
def eksctl() -> Path:
    """A program of eksctl's own code; minutes of compilation where it is not there yet."""
    workshop = Workshop(find_places(os.environ), print, (pins.CHECK_CLUSTER,))
    return workshop.prepare() / "bin" / "check-cluster"


def ask(eksctl: Path, folder: Path, config: Config) -> str:
    """What eksctl has against a cluster; nothing where it would make it."""
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    done = subprocess.run([eksctl, path], capture_output=True, text=True, check=False)
    assert done.returncode == (1 if done.stdout else 0)
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", CLUSTERS)
def test_eksctl_itself_takes_every_cluster(eksctl: Path, tmp_path: Path, name: str) -> None:
    assert ask(eksctl, tmp_path, build_config(name)) == ""


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: _get_core(c).update(privateNetwork=True), 'unknown field "privateNetwork"'),
        (lambda c: _get_core(c).update(instanceType=["m6i.large"]), "instanceType of type string"),
        (lambda c: _get_core(c).update(instanceTypes=["m6i.large"]), "only one of instanceType or"),
        (lambda c: _get_core(c).update(amiFamily="Debian"), "AMI Family Debian is not supported"),
        (lambda c: _get_core(c).update(minSize=9), "nodes-min=9"),
        (
            # So pods would have no other rights than the machine's, which they are kept from.
            lambda c: _get_core(c).update(iam={"withAddonPolicies": {"ebs": True}}),
            "cannot be set at the same time",
        ),
        (lambda c: c["metadata"].update(region="eu-central-9"), "is not one that eksctl knows"),
        (lambda c: c.update(availabilityZones=["eu-central-1a"]), "2 are required"),
        (lambda c: c["vpc"].update(publicAccessCIDRs=["me"]), "invalid CIDR address"),
        (lambda c: c["vpc"].update(clusterEndpoints={"publicAccess": False}), "public or private"),
        (
            lambda c: c["cloudWatch"]["clusterLogging"].update(logRetentionInDays=31),
            "logRetentionInDays",
        ),
        (lambda c: c["addons"][0].update(configurationValues="{"), "configurationValues"),
    ],
)
def test_eksctl_itself_refuses_what_it_cannot_make(
    eksctl: Path, tmp_path: Path, change: Callable[[Config], object], said: str
) -> None:
    config = build_cluster_config(AWS)
    change(config)

    assert said in ask(eksctl, tmp_path, config)
