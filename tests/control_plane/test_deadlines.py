"""A job whose machine or image cannot be had, with the service's own store, loop and backend.

The waits of half an hour and ten minutes are seconds here; who says that nothing can be had, or
that others have it, are Karpenter and a pretended kubelet.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub_config.platform.catalogue import Catalogue
from offline_jobs.contract.names import object_name
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.backends.volcano.build import pod_name
from offline_jobs.service.rules.steps import Patience
from tests.bed.bed import Bed
from tests.bed.client import JOB, NODE_CLAIM, POD, wait
from tests.bed.client import Client as BedClient
from tests.bed.worlds import closed_pools, limited_pool
from tests.control_plane.loop import Service, running_service

pytestmark = pytest.mark.usefixtures("pretended", "no_nodes")
PATIENCE = Patience(machine_seconds=6, image_seconds=4)


@pytest.fixture
def service(bed: Bed, namespace: str, catalogue: Catalogue, tmp_path: Path) -> Iterator[Service]:
    """A service with little patience."""
    with running_service(bed, namespace, catalogue, tmp_path, PATIENCE) as made:
        yield made


def test_a_job_for_which_no_machine_can_be_had_is_given_up(
    service: Service, client: BedClient, namespace: str
) -> None:
    with closed_pools(client):
        job_id = service.submit("gpu-users", "gpu", "gpu")
        job, told = service.follow(job_id, until=State.FAILED)

        assert (job.cause, job.attempt) == (Cause.NO_CAPACITY, 1)
        assert told[-2:] == [
            "No machine of class gpu can be had: the limit of its pool leaves no room for one,"
            " still trying",
            f"No machine of class gpu could be had for {job.facts['waited_seconds']} s: the limit"
            " of its pool leaves no room for one",
        ]
        assert job.facts["waited_seconds"] >= PATIENCE.machine_seconds
        wait_until_nothing_is_left(client, namespace)
        assert client.list(*NODE_CLAIM) == []


def test_a_job_of_which_nobody_says_anything_is_given_up_in_words(
    service: Service, bed: Bed, client: BedClient, namespace: str
) -> None:
    bed.daemons.pause("karpenter")
    try:
        job_id = service.submit("spatial-lab", "standard", "notebook")
        job, told = service.follow(job_id, until=State.FAILED)
    finally:
        bed.daemons.resume("karpenter")

    assert (job.cause, job.attempt) == (Cause.NO_CAPACITY, 1)
    assert told[-2:] == [
        "Asking for a machine of class standard",
        f"No machine of class standard could be had for {job.facts['waited_seconds']} s: nobody"
        " said why",
    ]
    wait_until_nothing_is_left(client, namespace)


def test_a_job_whose_image_cannot_be_pulled_is_given_up(
    service: Service, client: BedClient, namespace: str
) -> None:
    job_id = service.submit("spatial-lab", "standard", "notebook")
    service.follow(job_id, until=Reason.NODE_STARTING)
    annotations: dict[str, object] = {"bed/image-missing": "true"}
    name = pod_name(f"job-{job_id}-1")
    client.patch(*POD, name, {"metadata": {"annotations": annotations}}, namespace)

    job, told = service.follow(job_id, until=State.FAILED)

    assert (job.cause, job.attempt) == (Cause.IMAGE_PULL, 1)
    assert told[-2:] == [
        "The registry does not have the image notebook, still trying: tell an administrator, who"
        " can push it",
        "The image notebook could not be pulled: the registry does not have it",
    ]
    wait_until_nothing_is_left(client, namespace)


def test_a_job_of_a_full_pool_stands_in_a_line_for_as_long_as_it_takes(
    bed: Bed, client: BedClient, namespace: str, catalogue: Catalogue, tmp_path: Path
) -> None:
    late = timedelta()
    pool = catalogue.classes["standard"].job.node_pool
    with (
        limited_pool(client, pool, {"cpu": "2", "memory": "8Gi"}),
        running_service(
            bed, namespace, catalogue, tmp_path, Patience(), clock=lambda: datetime.now(UTC) + late
        ) as service,
    ):
        first = service.submit("spatial-lab", "standard", "notebook", key="1")
        service.follow(first, until=Reason.KERNEL_START)
        waiting = service.submit("spatial-lab", "standard", "notebook", key="2")
        _, told = service.follow(waiting, until=Reason.POOL_LIMIT)
        assert told[-1] == "Waiting for a machine of class standard: its pool is at its limit"

        late = timedelta(days=7)
        service.reconcile()
        job = service.find(waiting)
        assert (job.state, job.reason) == (State.QUEUED, Reason.POOL_LIMIT)

        client.delete(*JOB, object_name(first, 1), namespace)
        service.follow(waiting, until=Reason.KERNEL_START)
        assert len(client.list(*NODE_CLAIM)) == 1


def wait_until_nothing_is_left(client: BedClient, namespace: str) -> None:
    wait(
        "no job and no pod",
        lambda: [*client.list(*JOB, namespace), *client.list(*POD, namespace)],
        until=lambda left: not left,
    )
