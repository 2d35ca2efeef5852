"""The part of the service that starts jobs, with its own store and real Volcano: no web side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hub_config.platform.catalogue import Catalogue
from offline_jobs.contract.states import Reason, State
from offline_jobs.service.backends.kubernetes.client import Client
from offline_jobs.service.backends.volcano.backend import VolcanoBackend
from offline_jobs.service.changes import Changes
from offline_jobs.service.model import Job
from offline_jobs.service.publishing import Publishing
from offline_jobs.service.pulse import Pulse
from offline_jobs.service.reconciler import Reconciler
from offline_jobs.service.rules.sentences import describe
from offline_jobs.service.rules.steps import Patience
from offline_jobs.service.store.store import Store
from offline_jobs.service.tokens import Tokens
from tests.bed.bed import Bed
from tests.bed.client import wait
from tests.control_plane.claims import bound_claims
from tests.service.core.factories import create_job, make_new_job


@dataclass
class Service:
    """The part of the service that starts jobs, and what it knows."""

    store: Store
    reconciler: Reconciler

    def submit(
        self, group: str, instance_class: str, image: str, *, owner: str = "ada", key: str = "1"
    ) -> str:
        """Submit a job; its id."""
        asked = {"group": group, "machine_class": instance_class, "image": image}
        new = make_new_job(key, owner=owner, **asked)
        return create_job(self.store, new)[0].id

    def reconcile(self) -> None:
        """One pass."""
        asyncio.run(self.reconciler.reconcile())

    def find(self, job_id: str) -> Job:
        """A job as it is stored."""
        job = self.store.job(job_id)
        assert job is not None
        return job

    def follow(self, job_id: str, *, until: State | Reason) -> tuple[Job, list[str]]:
        """Pass until a job has that state or reason; it, and every sentence on the way."""
        told: list[str] = []

        def look() -> Job:
            self.reconcile()
            job = self.find(job_id)
            if describe(job).sentence not in told[-1:]:
                told.append(describe(job).sentence)
            return job

        wait(
            f"{job_id} to be {until}",
            lambda: _as_json(look()),
            60.0,
            until=lambda seen: until.value in (seen["state"], seen["reason"]),
        )
        return self.find(job_id), told


def _as_json(job: Job) -> dict[str, object]:
    return {"state": job.state.value, "reason": job.reason and job.reason.value, **job.facts}


@contextmanager
def running_service(
    bed: Bed,
    namespace: str,
    catalogue: Catalogue,
    folder: Path,
    patience: Patience,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Service]:
    """A service for the jobs of a namespace; its database is in a folder."""
    changes = Changes()
    store = Store(f"sqlite:///{folder / 'jobs.sqlite'}", changes, clock)
    store.migrate()
    pools = {
        each.slug: catalogue.node_pools[each.job.node_pool] for each in catalogue.classes.values()
    }
    backend = VolcanoBackend(Client.from_kubeconfig(bed.kubeconfig), namespace, pools)

    async def find_groups(_: str) -> frozenset[str]:
        return frozenset(catalogue.groups)

    reconciler = Reconciler(
        store,
        backend,
        Tokens(b"k" * 32),
        catalogue,
        internal_url="http://offline-jobs:8080",
        changes=changes,
        find_groups=find_groups,
        count_kept=lambda *_: 0,
        publishing=Publishing(),
        pulse=Pulse(300),
        patience=patience,
        clock=clock,
    )
    with bound_claims(bed.client, namespace):
        backend.start(lambda: None)
        yield Service(store, reconciler)
        backend.close()
    store.close()
