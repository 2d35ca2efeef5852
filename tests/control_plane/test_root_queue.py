"""The root queue's capability follows the catalogue's pools, and Volcano forbids to change it."""

from __future__ import annotations

import copy

import pytest

from cluster.driver.queues import build_root_queue
from tests.bed.bed import Bed
from tests.bed.client import QUEUE, ApiError, Client, wait
from tests.bed.jobs import Jobs
from tests.control_plane.cycles import wait_for_cycles, wait_in_vain
from tests.control_plane.protection import change_root_queue, is_refused


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended")
def test_the_root_queue_cannot_be_changed_until_its_check_is_away(
    bed: Bed, jobs: Jobs, client: Client
) -> None:
    """The error, the way round it, and that the scheduler follows without a restart.

    The root queue is shrunk below one job, so that a job has to wait, and given back what it had.
    """
    root = build_root_queue(jobs.catalogue)
    small = copy.deepcopy(root)
    small["spec"]["capability"]["cpu"] = "1"
    with pytest.raises(ApiError) as caught:
        client.apply(small)
    assert caught.value.status == 400
    assert caught.value.message == (
        'admission webhook "validatequeue.volcano.sh" denied the request: root queue\'s resource'
        " attributes (capability, deserved, guarantee) cannot be modified"
    )
    with pytest.raises(ApiError, match="`root` queue can not be deleted"):
        client.delete(*QUEUE, "root")

    try:
        change_root_queue(client, small)
        # The scheduler hears of the queue a moment later.
        wait_for_cycles(bed, 8)
        jobs.submit("job", stages={"bed/complete-after": "1s"})
        wait_in_vain(bed, jobs, "job")
    finally:
        change_root_queue(client, root)
    jobs.wait_for("job", "Completed")
    # Another pool than the catalogue's would be refused again.
    other = copy.deepcopy(root)
    other["spec"]["capability"]["cpu"] = "2000"
    try:
        wait("the check of queues to be back", lambda: is_refused(client, other))
    finally:
        if client.get(*QUEUE, "root")["spec"]["capability"] != root["spec"]["capability"]:
            change_root_queue(client, root)
