"""Without any node, a job of each kind of class brings just the machine that it needs.

This is what the platform is: nobody pays for machines that do nothing, and still a job starts.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cluster.aws.gpus import build_gpu_objects
from hub_config.platform.catalogue import Catalogue
from tests.bed.client import NODE, NODE_CLAIM, POD, Client, Object, wait
from tests.bed.jobs import Jobs, Wish, get_phase

PLUGIN_VALUES = Path(__file__).parents[2] / "helm-values" / "nvidia-device-plugin.yaml"

TYPE = "node.kubernetes.io/instance-type"
CATEGORY = "karpenter.k8s.aws/instance-category"
POOL = "karpenter.sh/nodepool"
#: The first accepts a machine that may be taken away, or it could share the second one's machine.
WISHES = {
    "cpu": Wish("spatial-lab", "standard", interruptible=True),
    "memory": Wish("spatial-lab", "large-memory"),
    "gpu": Wish("gpu-users", "gpu"),
}
CATEGORIES = {"cpu": {"m", "r"}, "memory": {"r"}, "gpu": {"g"}}


@pytest.fixture
def plugin(client: Client, namespace: str, catalogue: Catalogue) -> Iterator[str]:
    """Label of what shows GPUs on AWS, placed as it is there, by the real controller.

    Beside it a pod that is placed as NVIDIA's own chart places its, with our values for that.
    Source: https://github.com/NVIDIA/k8s-device-plugin (0.17), deployments/helm, its affinity
    """
    (ours,) = build_gpu_objects(catalogue)
    ours["metadata"]["namespace"] = namespace
    values = yaml.safe_load(PLUGIN_VALUES.read_text(encoding="utf-8"))
    present = {"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [present]}]}
    of_chart = copy.deepcopy(ours)
    of_chart["metadata"]["name"] = "of-chart"
    labels = {"app": "of-chart"}
    of_chart["spec"]["selector"]["matchLabels"] = labels
    of_chart["spec"]["template"]["metadata"]["labels"] = labels
    of_chart["spec"]["template"]["spec"] |= {
        "tolerations": values["tolerations"],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
    }
    for each in (ours, of_chart):
        client.create(each)
    yield "app.kubernetes.io/name=nvidia-device-plugin"
    # A pod that tolerates everything is not asked to leave a machine that goes, so nobody ends it.
    for each in (ours, of_chart):
        client.delete("apps/v1", "DaemonSet", each["metadata"]["name"], namespace)
    client.delete_all(*POD, namespace, grace_seconds=0)


@pytest.mark.usefixtures("pretended", "no_nodes")
def test_each_job_brings_one_machine_of_a_right_type_that_goes_again(
    jobs: Jobs, client: Client, plugin: str, record_property: Callable[[str, object], None]
) -> None:
    """One NodeClaim each, of the class's pool and large enough; the job completes on it.

    More than one would be money for nothing; none is a job that waits for ever, which is what
    Volcano's default does. Then the machines go while the finished jobs are still there to read:
    after 10 s of idleness here, and 20 s for which Karpenter keeps a machine that it has just
    chosen for a pod.
    """
    started = time.monotonic()
    for name, wish in WISHES.items():
        jobs.submit(name, wish, stages={"bed/complete-after": "1s"})
    claims: dict[str, Object] = {}
    labels_of_plugins = (plugin, "app=of-chart")
    plugged: dict[str, set[str]] = {each: set() for each in labels_of_plugins}

    def look() -> dict[str, str]:
        claims.update({each["metadata"]["uid"]: each for each in client.list(*NODE_CLAIM)})
        for each, nodes in plugged.items():
            pods = client.list(*POD, jobs.namespace, labels=each)
            nodes.update(pod["spec"].get("nodeName", "") for pod in pods)
        return {name: get_phase(jobs.get(name)) for name in WISHES}

    wait("the jobs to end", look, until=lambda phases: set(phases.values()) == {"Completed"})
    record_property("seconds", round(time.monotonic() - started, 1))
    assert len(claims) == len(WISHES)
    for name, wish in WISHES.items():
        (pod,) = jobs.list_pods(name)
        node = client.get(*NODE, pod["spec"]["nodeName"])
        labels = node["metadata"]["labels"]
        record_property(f"type for {name}", labels[TYPE])
        chosen = jobs.catalogue.classes[wish.instance_class]
        assert labels[POOL] == chosen.job.node_pool
        assert labels[CATEGORY] in CATEGORIES[name]
        assert int(node["status"]["allocatable"].get("nvidia.com/gpu", 0)) == chosen.gpus

    # What shows a machine's GPUs comes to the one that has some.
    (gpu,) = jobs.list_pods("gpu")
    for nodes in plugged.values():
        assert nodes - {""} == {gpu["spec"]["nodeName"]}

    started = time.monotonic()
    wait("no machine", lambda: client.list(*NODE_CLAIM), 90.0, until=lambda left: not left)
    record_property("seconds until they were gone", round(time.monotonic() - started, 1))
    assert not client.list(*NODE, labels=POOL)
