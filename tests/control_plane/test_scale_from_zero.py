"""Without any node, a job of each kind of class brings just the machine that it needs.

This is what the platform is: nobody pays for machines that do nothing, and still a job starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

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
def plugin(client: Client, namespace: str) -> str:
    """The name of a DaemonSet that is placed as NVIDIA's chart places its own, with our values.

    Source: https://github.com/NVIDIA/k8s-device-plugin (0.17), deployments/helm, its affinity
    """
    name = "nvidia-device-plugin"
    values = yaml.safe_load(PLUGIN_VALUES.read_text(encoding="utf-8"))
    present = {"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [present]}]}
    client.create(
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "containers": [{"name": "plugin", "image": "localhost/plugin"}],
                        "tolerations": values["tolerations"],
                        "affinity": {
                            "nodeAffinity": {
                                "requiredDuringSchedulingIgnoredDuringExecution": terms
                            }
                        },
                    },
                },
            },
        }
    )
    return name


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
    plugged: set[str] = set()

    def look() -> dict[str, str]:
        claims.update({each["metadata"]["uid"]: each for each in client.list(*NODE_CLAIM)})
        pods = client.list(*POD, jobs.namespace, labels=f"app={plugin}")
        plugged.update(each["spec"].get("nodeName", "") for each in pods)
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
    assert plugged - {""} == {gpu["spec"]["nodeName"]}

    started = time.monotonic()
    wait("no machine", lambda: client.list(*NODE_CLAIM), 90.0, until=lambda left: not left)
    record_property("seconds until they were gone", round(time.monotonic() - started, 1))
    assert not client.list(*NODE, labels=POOL)
