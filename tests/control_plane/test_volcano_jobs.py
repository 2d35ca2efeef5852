"""The platform's own Job on a real API server with Volcano and Karpenter: what is said on its way.

A pod is ended by an annotation, as its pretended kubelet reads them; all else is as the jobs
service makes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Choice
from hub_config.platform.people import build_person
from hub_config.platform.sentences import describe_start
from hub_config.platform.waiting import Waiting
from hub_config.platform.workspace import Kind, build_workspace
from offline_jobs.contract.names import object_name
from offline_jobs.contract.request import Request
from offline_jobs.contract.run import Specification, Termination
from offline_jobs.service.backends.backend import Launch
from offline_jobs.service.backends.kubernetes.client import JOBS, PODS, Client, Resource
from offline_jobs.service.backends.volcano.backend import VolcanoBackend
from offline_jobs.service.backends.volcano.build import build_job, pod_name
from offline_jobs.service.errors import BackendError, ClusterFull
from offline_jobs.service.model import Observation
from tests.bed.bed import Bed
from tests.bed.client import NODE, NODE_CLAIM, POD, wait
from tests.bed.client import Client as BedClient
from tests.bed.worlds import POOL_LABEL
from tests.control_plane.claims import bound_claims

pytestmark = pytest.mark.usefixtures("pretended")
JOB = "a1b2c3d4e5f6"


@dataclass
class World:
    """One namespace, and the service's backend for it."""

    client: Client
    namespace: str
    backend: VolcanoBackend
    news: list[None] = field(default_factory=list)

    def start(self) -> None:
        self.backend.start(lambda: self.news.append(None))
        wait("a first look", lambda: self.look("nothing").phase, until=lambda p: p == "absent")

    def look(self, name: str) -> Observation:
        return asyncio.run(self.backend.observe([name]))[name]

    def launch(self, launch: Launch) -> Mapping[str, Any]:
        return asyncio.run(self.backend.launch(launch))

    def read_all(self, resource: Resource) -> list[dict[str, Any]]:
        return self.client.list(resource, self.namespace)[0]

    def follow(self, launch: Launch, *, until: str, seconds: float = 60.0) -> list[str]:
        """Every sentence (or phase) and the object that told it, in order, until a phase."""
        told: list[str] = []

        def look() -> str:
            phase, said = self.say(launch)
            if said not in told[-1:]:
                told.append(said)
            return phase

        wait(f"{told} to end", look, seconds, until=lambda phase: phase == until, every=0.02)
        return told

    def say(self, launch: Launch) -> tuple[str, str]:
        """The phase; and the sentence, if there is one, with the kind of what told it."""
        seen = self.look(launch.object_name)
        if seen.reason is None:
            return seen.phase, seen.phase
        words = describe_start(Waiting(seen.reason, seen.facts))
        kind = str(seen.facts.get("object", "")).partition("/")[0]
        return seen.phase, f"{words} [{kind}]"


@pytest.fixture
def world(bed: Bed, client: BedClient, namespace: str) -> Iterator[World]:
    """A namespace with the claims that jobs mount."""
    with bound_claims(client, namespace):
        made = build_world(bed, namespace)
        made.start()
        yield made
        made.backend.close()


def build_world(bed: Bed, namespace: str) -> World:
    client = Client.from_kubeconfig(bed.kubeconfig)
    return World(client, namespace, VolcanoBackend(client, namespace, {}))


def make_launch(catalogue: Catalogue, group: str, instance_class: str, job: str = JOB) -> Launch:
    image = "gpu" if catalogue.classes[instance_class].gpus else "notebook"
    choice = Choice(
        group=catalogue.groups[group],
        image=catalogue.images[image],
        instance_class=catalogue.classes[instance_class],
    )
    workspace = build_workspace(catalogue, build_person("ada", [group]), choice, Kind.JOB)
    return Launch(
        object_name=object_name(job, 1),
        specification=Specification(
            job=job, attempt=1, request=Request(path="a.ipynb"), notebook={}, output=""
        ),
        workspace=workspace,
        url=f"http://offline-jobs:8080/internal/v1/runs/{job}/1",
        token="secret",
    )


@pytest.mark.usefixtures("no_nodes")
@pytest.mark.parametrize(
    ("group", "instance_class"),
    [
        ("teaching", "small"),
        ("spatial-lab", "standard"),
        ("spatial-lab", "large-memory"),
        ("gpu-users", "gpu"),
    ],
)
def test_from_no_machine_a_job_brings_one_of_its_class_and_says_what_it_waits_for(
    world: World, client: BedClient, catalogue: Catalogue, group: str, instance_class: str
) -> None:
    launch = make_launch(catalogue, group, instance_class)
    assert client.list(*NODE_CLAIM) == []

    world.launch(launch)
    told = world.follow(launch, until="running")

    (claim,) = client.list(*NODE_CLAIM)
    (pod,) = world.read_all(PODS)
    labels = client.get(*NODE, pod["spec"]["nodeName"])["metadata"]["labels"]
    pool = catalogue.node_pools[catalogue.classes[instance_class].job.node_pool]
    assert claim["status"]["nodeName"] == pod["spec"]["nodeName"]
    assert labels[POOL_LABEL] == pool.slug
    assert pool.labels.items() <= labels.items()
    assert labels["karpenter.k8s.aws/instance-category"] in pool.instance_categories

    expected = [
        f"Asking for room in the share of {group} []",
        f"Asking for room in the share of {group} [podgroup]",
        f"Asking for a machine of class {instance_class} []",
        f"Asking for a machine of class {instance_class} [pod]",
        f"Starting a machine of class {instance_class} [nodeclaim]",
        "Preparing the machine [pod]",
        f"Pulling the image {launch.workspace.image} [pod]",
        "Starting the kernel [pod]",
        "running",
    ]
    # Some last a moment only, so a look may miss them; these cannot be missed.
    assert told == [each for each in expected if each in told]
    assert {expected[4], expected[6], expected[-1]} <= set(told)

    message = Termination(cell=3, total=7, outcome="succeeded", exit_code=0).dumps()
    annotations: dict[str, Any] = {
        "bed/complete-after": "0s",
        "bed/termination-message": message,
    }
    client.patch(
        *POD,
        pod_name(launch.object_name),
        {"metadata": {"annotations": annotations}},
        world.namespace,
    )
    assert world.follow(launch, until="ended")[-1] == "ended"
    evidence = world.look(launch.object_name).evidence
    assert evidence is not None
    assert (evidence.exit_code, evidence.removed) == (0, False)
    assert evidence.termination == Termination(3, 7, "succeeded", 0)

    # Its end is known and could be stored: nothing more has to be kept.
    wait("its Job to be told as ended", lambda: asyncio.run(world.backend.list_ended()))
    assert asyncio.run(world.backend.list_ended()) == [launch.object_name]
    asyncio.run(world.backend.stop(launch.object_name, force=True))
    wait("its Job to go", lambda: world.read_all(JOBS), until=lambda left: left == [])


def test_over_the_quota_it_says_so_and_nothing_is_bought(
    world: World, client: BedClient, catalogue: Catalogue
) -> None:
    launches = [
        make_launch(catalogue, "teaching", "standard", job)
        for job in ("a1b2c3d4e5f6", "b1b2c3d4e5f6", "c1b2c3d4e5f6")
    ]
    # The group has 32 cores.
    launches = [
        replace(each, workspace=replace(each.workspace, cores=cores))
        for each, cores in zip(launches, (20, 13, 13), strict=True)
    ]
    world.launch(launches[0])
    world.follow(launches[0], until="running")
    claims = {each["metadata"]["name"] for each in client.list(*NODE_CLAIM)}
    for launch in launches[1:]:
        world.launch(launch)

    said = "Waiting until teaching has room in its share, {} [podgroup]"
    wait(
        "both to be told",
        lambda: [world.say(launch)[1] for launch in launches[1:]],
        until=lambda told: told == [said.format("next in line"), said.format("1 job ahead")],
    )

    assert len(world.read_all(PODS)) == 1
    # An empty machine of an earlier test may have gone meanwhile.
    assert {each["metadata"]["name"] for each in client.list(*NODE_CLAIM)} <= claims


def test_over_the_quota_of_objects_it_is_to_be_tried_later(
    world: World, client: BedClient, catalogue: Catalogue
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": world.namespace},
        "spec": {"hard": {"count/jobs.batch.volcano.sh": "0"}},
    }
    client.create(quota, world.namespace)
    launch = make_launch(catalogue, "spatial-lab", "standard")

    def is_refused() -> bool:
        # The quota is enforced a moment after it is there.
        try:
            world.launch(launch)
        except ClusterFull as e:
            return "count/jobs.batch.volcano.sh" in str(e)
        asyncio.run(world.backend.stop(launch.object_name, force=True))
        return False

    wait("the quota to hold", is_refused, until=bool)
    assert world.look(launch.object_name).phase in ("absent", "ended")


def test_a_pod_that_is_deleted_by_hand_ends_the_attempt_as_removed(
    world: World, client: BedClient, catalogue: Catalogue
) -> None:
    launch = make_launch(catalogue, "spatial-lab", "standard")
    world.launch(launch)
    world.follow(launch, until="running")

    client.delete(*POD, pod_name(launch.object_name), world.namespace)
    world.follow(launch, until="ended")

    evidence = world.look(launch.object_name).evidence
    assert evidence is not None
    assert evidence.removed


def test_a_job_that_is_stopped_takes_its_pod_with_it_and_leaves_its_last_words(
    world: World, catalogue: Catalogue
) -> None:
    launch = make_launch(catalogue, "spatial-lab", "standard")
    world.launch(launch)
    world.follow(launch, until="running")

    asyncio.run(world.backend.stop(launch.object_name, force=False))
    told = world.follow(launch, until="ended")

    evidence = world.look(launch.object_name).evidence
    assert told[-1] == "ended"
    assert evidence is not None
    assert evidence.removed
    assert evidence.exit_code == -15
    assert world.read_all(JOBS) == []
    # To stop what is gone is no error, and nothing of it comes back.
    asyncio.run(world.backend.stop(launch.object_name, force=True))
    assert world.look(launch.object_name).phase == "ended"


def test_a_job_is_seen_at_once_and_adopted_by_a_service_that_does_not_remember_it(
    world: World, bed: Bed, catalogue: Catalogue
) -> None:
    launch = make_launch(catalogue, "spatial-lab", "standard")

    handle = world.launch(launch)
    assert world.look(launch.object_name).phase == "waiting"
    assert world.launch(launch) == handle

    later = build_world(bed, world.namespace)
    later.start()
    try:
        assert later.look(launch.object_name).handle == handle
        assert later.launch(launch) == handle
        assert later.follow(launch, until="running")[-1] == "running"
    finally:
        later.backend.close()
    assert len(world.read_all(JOBS)) == 1
    assert len(world.read_all(PODS)) == 1
    assert world.news


def test_what_is_not_ours_is_neither_adopted_nor_deleted(
    world: World, client: BedClient, catalogue: Catalogue
) -> None:
    launch = make_launch(catalogue, "spatial-lab", "standard")
    foreign = build_job(launch, world.namespace)
    foreign["metadata"]["labels"] = {"notebook-hpc/job-id": "z1b2c3d4e5f6"}
    client.create(foreign, world.namespace)

    with pytest.raises(BackendError, match="not ours"):
        world.launch(launch)
    asyncio.run(world.backend.remove_job(JOB, 1))

    assert len(world.read_all(JOBS)) == 1


def test_a_cluster_that_does_not_answer_is_no_cluster_without_jobs(
    world: World, bed: Bed, catalogue: Catalogue
) -> None:
    """Else a service that starts beside an API server that is away would launch all anew."""
    launch = make_launch(catalogue, "spatial-lab", "standard")
    world.launch(launch)
    bed.daemons.pause("kube-apiserver")
    try:
        later = build_world(bed, world.namespace)
        later.backend.start(lambda: None)
        assert later.look(launch.object_name).phase == "unknown"
    finally:
        bed.daemons.resume("kube-apiserver")
    wait(
        "the server to be heard",
        lambda: later.look(launch.object_name).phase,
        until=lambda phase: phase not in ("unknown", "absent"),
    )
    later.backend.close()
