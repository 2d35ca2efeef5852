"""Volcano's controllers are restarted, as by an upgrade or a lost machine, while jobs run."""

from __future__ import annotations

import pytest

from tests.bed.bed import Bed
from tests.bed.client import wait
from tests.bed.jobs import Jobs, get_phase

pytestmark = pytest.mark.upstream

CONTROLLERS = "vc-controller-manager"


@pytest.mark.usefixtures("pretended")
def test_no_healthy_pod_is_touched(bed: Bed, jobs: Jobs) -> None:
    """Also after a kill without notice; what ended meanwhile is noted when they are back."""
    jobs.submit("steady")
    jobs.submit("ending", stages={"bed/complete-after": "4s"})
    for name in ("steady", "ending"):
        jobs.wait_for_pod(name)
    before = jobs.list_uids("steady", "ending")

    bed.daemons.stop(CONTROLLERS, force=True)
    jobs.wait_for_pod("ending", "Succeeded")
    bed.daemons.restart(CONTROLLERS)

    # They have looked at every job by the time that they carry a new one through.
    jobs.submit("new", stages={"bed/complete-after": "1s"})
    jobs.wait_for("new", "Completed")
    jobs.wait_for("ending", "Completed")
    assert jobs.list_uids("steady", "ending") == before
    assert get_phase(jobs.get("steady")) == "Running"
    assert jobs.get("steady")["status"].get("retryCount") in (None, 0)


@pytest.mark.usefixtures("pretended")
def test_a_policy_for_pods_that_wait_kills_healthy_ones(bed: Bed, jobs: Jobs) -> None:
    """Why the platform times waiting pods itself and gives Volcano no `PodPending` policy.

    The controllers take every pod that they see for the first time for a waiting one, and look at
    it no more when the time is over. Should this fail after an upgrade, the policy may be used.
    """
    policy = {"event": "PodPending", "action": "RestartJob", "timeout": "5s"}
    jobs.submit("healthy", policies=[policy])
    pod = jobs.wait_for_pod("healthy")

    bed.daemons.restart(CONTROLLERS)

    wait(
        "the healthy pod to be killed",
        lambda: jobs.list_uids("healthy"),
        until=lambda uids: pod["metadata"]["uid"] not in uids,
    )
