"""A job whose machine or image cannot be had, with the service's own store, loop and backend.

The waits of half an hour and ten minutes are seconds here; who says that nothing can be had are
Karpenter and a pretended kubelet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub_config.platform.catalogue import Catalogue
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.backends.kubernetes.client import Client
from offline_jobs.service.backends.volcano.backend import VolcanoBackend
from offline_jobs.service.backends.volcano.build import pod_name
from offline_jobs.service.changes import Changes
from offline_jobs.service.model import Job
from offline_jobs.service.reconciler import Reconciler
from offline_jobs.service.rules.sentences import describe
from offline_jobs.service.rules.steps import Patience
from offline_jobs.service.store.store import Store
from offline_jobs.service.tokens import Tokens
from tests.bed.bed import Bed
from tests.bed.client import JOB, NODE_CLAIM, POD, wait
from tests.bed.client import Client as BedClient
from tests.bed.worlds import closed_pools
from tests.control_plane.claims import bound_claims
from tests.service.core.factories import make_new_job

pytestmark = pytest.mark.usefixtures("pretended", "no_nodes")
PATIENCE = Patience(machine_seconds=6, image_seconds=4)


@dataclass
class Service:
    """The part of the service that starts jobs, and what it knows."""

    store: Store
    reconciler: Reconciler

    def submit(self, group: str, instance_class: str, image: str) -> str:
        new = make_new_job("1", group=group, machine_class=instance_class, image=image)
        return self.store.create_job(new, open_limit=9)[0].id

    def follow(self, job_id: str, *, until: State | Reason) -> tuple[Job, list[str]]:
        """Pass until a job has that state or reason; it, and every sentence on the way."""
        told: list[str] = []

        def look() -> Job:
            asyncio.run(self.reconciler.reconcile())
            job = self.store.job(job_id)
            assert job is not None
            if describe(job).sentence not in told[-1:]:
                told.append(describe(job).sentence)
            return job

        job = wait(
            f"{job_id} to be {until}",
            lambda: _as_json(look()),
            60.0,
            until=lambda seen: until.value in (seen["state"], seen["reason"]),
        )
        found = self.store.job(job_id)
        assert found is not None, job
        return found, told


def _as_json(job: Job) -> dict[str, object]:
    return {"state": job.state.value, "reason": job.reason and job.reason.value, **job.facts}


@pytest.fixture
def service(
    bed: Bed, client: BedClient, namespace: str, catalogue: Catalogue, tmp_path: Path
) -> Iterator[Service]:
    """A service without its web side."""
    changes = Changes()
    store = Store(f"sqlite:///{tmp_path / 'jobs.sqlite'}", changes, lambda: datetime.now(UTC))
    store.migrate()
    backend = VolcanoBackend(Client.from_kubeconfig(bed.kubeconfig), namespace)

    async def find_groups(_: str) -> frozenset[str]:
        return frozenset(catalogue.groups)

    reconciler = Reconciler(
        store,
        backend,
        Tokens(b"k" * 32),
        catalogue,
        internal_url="http://offline-jobs:8081",
        changes=changes,
        find_groups=find_groups,
        count_kept=lambda *_: 0,
        patience=PATIENCE,
    )
    with bound_claims(client, namespace):
        backend.start(lambda: None)
        yield Service(store, reconciler)
        backend.close()
    store.close()


def test_a_job_for_which_no_machine_can_be_had_is_given_up(
    service: Service, client: BedClient, namespace: str
) -> None:
    with closed_pools(client):
        job_id = service.submit("gpu-users", "gpu", "gpu")
        job, told = service.follow(job_id, until=State.FAILED)

        assert (job.cause, job.attempt) == (Cause.NO_CAPACITY, 1)
        assert told[-2:] == [
            "No machine of class gpu can be had at the moment, still trying",
            f"No machine of class gpu could be had for {job.facts['waited_seconds']} s",
        ]
        assert job.facts["waited_seconds"] >= PATIENCE.machine_seconds
        wait_until_nothing_is_left(client, namespace)
        assert client.list(*NODE_CLAIM) == []


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
        "Pulling the image notebook fails at the moment, still trying",
        "The image notebook could not be pulled",
    ]
    wait_until_nothing_is_left(client, namespace)


def wait_until_nothing_is_left(client: BedClient, namespace: str) -> None:
    wait(
        "no job and no pod",
        lambda: [*client.list(*JOB, namespace), *client.list(*POD, namespace)],
        until=lambda left: not left,
    )
