"""A real pod waits for a machine that Karpenter asks for, and starts on it when it has joined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed import machines, nodes
from tests.bed.bed import Bed
from tests.bed.client import NODE, NODE_CLAIM, NODE_POOL, Client, Kind, Object, is_true, wait
from tests.bed.jobs import Jobs, Wish, build_job, get_phase
from tests.bed.overlay import load_catalogue
from tests.node.pods import IMAGE, Pods

pytestmark = [pytest.mark.upstream, pytest.mark.usefixtures("real")]

LABELS = {"notebook-hpc/pool": "machines"}
PLACE = {"nodeSelector": LABELS}
REQUESTS = {"resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}}


@pytest.fixture
def pool(real: None, client: Client) -> Iterator[str]:
    """A node pool whose machines the test starts; made after `real` has closed all others."""
    node_class, pool = machines.build_node_class(), machines.build_node_pool("machines", LABELS)
    client.apply_all([node_class, pool])
    yield pool["metadata"]["name"]
    client.delete(*NODE_POOL, pool["metadata"]["name"])
    for claim in client.list(*NODE_CLAIM):
        client.delete(*NODE_CLAIM, claim["metadata"]["name"])
    wait("no node claims", lambda: client.list(*NODE_CLAIM), 60, until=lambda all: not all)
    client.delete(*Kind(node_class["apiVersion"], node_class["kind"]), machines.NODE_CLASS)


@pytest.mark.usefixtures("pool")
def test_a_pod_waits_for_a_machine_that_karpenter_links_to_its_claim_and_starts_on_it(
    bed: Bed, client: Client, pods: Pods, image: Path
) -> None:
    pods.start("waiting", "message", "here", "0", container=REQUESTS, **PLACE)

    (claim,) = wait("a launched claim", lambda: find_launched(client))
    name = claim["metadata"]["name"]
    assert get_phase(pods.get("waiting")) == "Pending"
    assert client.find(*NODE, name) is None

    assert machines.start_machine(bed, claim, [image]) == name
    try:
        end = pods.wait_for_end("waiting")
        claim = wait(
            "the claim to be ready",
            lambda: client.get(*NODE_CLAIM, name),
            until=lambda claim: is_true(claim, "Ready"),
        )
        node, pod = client.get(*NODE, name), pods.get("waiting")
    finally:
        nodes.remove(bed, name)

    assert end["message"] == "here"
    assert pod["spec"]["nodeName"] == name
    assert is_true(claim, "Registered")
    assert claim["status"]["nodeName"] == name
    assert node["spec"]["providerID"] == claim["status"]["providerID"]
    assert node["metadata"]["ownerReferences"][0]["uid"] == claim["metadata"]["uid"]
    # Karpenter took its start-up taint away, gave the labels that only it may give, and no mark by
    # which kwok would act the kubelet.
    assert "taints" not in node["spec"]
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"].startswith("m")
    assert machines.PRETENDED not in node["metadata"]["annotations"]


@pytest.mark.usefixtures("pool")
def test_a_volcano_job_brings_its_machine_and_the_machine_goes_when_it_is_empty(
    bed: Bed, client: Client, namespace: str, image: Path
) -> None:
    jobs = Jobs(client, namespace, load_catalogue(real=True))
    client.create(build_small_job(jobs), namespace)

    with machines.following(bed, [image]) as started:
        job = jobs.wait_for("on-machine", seconds=60)
        assert len(started) == 1
        wait(
            "the machine to be gone",
            lambda: [*client.list(*NODE_CLAIM), *bed.daemons.names()],
            90,
            until=lambda left: not client.list(*NODE_CLAIM) and f"node-{started[0]}" not in left,
        )

    assert get_phase(job) == "Completed"
    assert client.find(*NODE, started[0]) is None


def build_small_job(jobs: Jobs) -> Object:
    """A job as the product makes it, but for its image, its pool and what it does."""
    job = build_job(jobs.catalogue, "on-machine", Wish(instance_class="small"))
    spec = job["spec"]["tasks"][0]["template"]["spec"]
    spec["nodeSelector"] = LABELS
    (container,) = spec["containers"]
    container |= {"image": IMAGE, "imagePullPolicy": "Never", "args": ["exit", "0"]}
    container.pop("command", None)
    return job


def find_launched(client: Client) -> list[Object]:
    """The claims for which a machine has to be started."""
    return [claim for claim in client.list(*NODE_CLAIM) if machines.is_launched(claim)]
