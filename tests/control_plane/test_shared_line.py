"""Within a group people take turns, with real Volcano behind the service's own line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.catalogue_rules import amounts_of
from offline_jobs.contract.states import Reason
from offline_jobs.service.model import Job
from offline_jobs.service.rules.sentences import describe
from offline_jobs.service.rules.steps import Patience
from tests.bed.bed import Bed
from tests.bed.client import JOB, POD, Client, wait
from tests.control_plane.loop import Service, running_service

pytestmark = pytest.mark.usefixtures("pretended", "no_nodes")
GROUP, CLASS = "teaching", "standard"


@pytest.fixture
def service(bed: Bed, namespace: str, catalogue: Catalogue, tmp_path: Path) -> Iterator[Service]:
    with running_service(bed, namespace, catalogue, tmp_path, Patience()) as made:
        yield made


def list_jobs(client: Client, namespace: str) -> set[str]:
    """Ids of the jobs that Volcano knows."""
    found = client.list(*JOB, namespace)
    return {each["metadata"]["labels"]["notebook-hpc/job-id"] for each in found}


def list_started(client: Client, namespace: str) -> set[str]:
    """Ids of the jobs that have a pod: their queue had room."""
    found = client.list(*POD, namespace)
    return {each["metadata"]["labels"]["notebook-hpc/job-id"] for each in found}


def test_a_colleague_does_not_wait_behind_a_flood(
    service: Service, client: Client, namespace: str, catalogue: Catalogue
) -> None:
    share = catalogue.groups[GROUP].queue.capability
    wanted = amounts_of(catalogue.classes[CLASS])
    room = min(int(share[resource] // amount) for resource, amount in wanted.items())
    flood = [service.submit(GROUP, CLASS, "notebook", key=f"a{n}") for n in range(room + 3)]
    last = flood[-1]

    def pass_and_list() -> set[str]:
        service.reconcile()
        return list_started(client, namespace)

    wait("the share to be used", pass_and_list, 60, until=lambda started: len(started) == room)
    single = service.submit(GROUP, CLASS, "notebook", owner="ben", key="b")

    def pass_and_find() -> Job:
        service.reconcile()
        return service.find(last)

    # Beside those that have room, one of each person stands in Volcano's line.
    place = {"group": GROUP, "ahead": 3}
    held = wait("its place", pass_and_find, 60, until=lambda job: job.facts == place)
    assert list_jobs(client, namespace) == {*flood[: room + 1], single}
    assert held.reason == Reason.QUEUE_QUOTA
    assert describe(held).sentence == (f"Waiting until {GROUP} has room in its share, 3 jobs ahead")

    # Room for two: one of them is for the colleague, who came last.
    for job in flood[:2]:
        service.store.request_cancel(job)
    wait("the colleague's turn", pass_and_list, 180, until=lambda started: single in started)
    assert last not in list_jobs(client, namespace)
