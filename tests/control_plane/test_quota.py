"""A queue's capability is a budget: what is over it waits without costing anything."""

from __future__ import annotations

import pytest

from tests.bed.bed import Bed
from tests.bed.client import NODE, NODE_CLAIM, Client
from tests.bed.jobs import Jobs, Wish
from tests.control_plane.cycles import wait_in_vain

TEACHING = Wish("teaching", "standard", "grace")


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended")
def test_over_quota_no_pod_and_no_machine_until_room_appears(
    bed: Bed, jobs: Jobs, client: Client
) -> None:
    """The second job of a group of 32 cores waits for the 31 of the first one.

    With Volcano's action list without `enqueue` it would get its pod at once, Karpenter would buy a
    machine for it, and keep it as long as the pod waits.
    """
    jobs.submit("first", TEACHING, resources={"cpu": "31"})
    jobs.wait_for_pod("first")
    claims = {each["metadata"]["name"] for each in client.list(*NODE_CLAIM)}

    jobs.submit("second", TEACHING, stages={"bed/complete-after": "1s"})
    wait_in_vain(bed, jobs, "second")

    # Machines of earlier tests may go meanwhile.
    assert {each["metadata"]["name"] for each in client.list(*NODE_CLAIM)} <= claims
    jobs.command("first", "TerminateJob")
    jobs.wait_for("second", "Completed")


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended")
def test_what_no_queue_has_in_all_never_gets_a_machine(bed: Bed, jobs: Jobs) -> None:
    """A request over the group's whole budget is no reason to buy anything either."""
    jobs.submit("greedy", TEACHING, resources={"cpu": "33"})

    wait_in_vain(bed, jobs, "greedy")


@pytest.mark.usefixtures("pretended")
def test_each_class_finds_all_that_it_requests_in_the_queues(jobs: Jobs, client: Client) -> None:
    """Every class of the catalogue, on demand and on spot, in a group that may use it, runs.

    A resource that the root queue does not list counts as zero while no node has it, so a class
    that requested one more would never start. The capacity type is the submitter's.
    """
    wishes = {}
    for name, each in jobs.catalogue.classes.items():
        group = "gpu-users" if each.gpus else each.groups[0]
        wishes[name] = Wish(group, name)
        if each.job.spot:
            wishes[f"{name}-spot"] = Wish(group, name, interruptible=True)
    for name, wish in wishes.items():
        jobs.submit(name, wish)

    for name, wish in wishes.items():
        pod = jobs.wait_for_pod(name)
        labels = client.get(*NODE, pod["spec"]["nodeName"])["metadata"]["labels"]
        placement = jobs.catalogue.classes[wish.instance_class].job
        assert labels["karpenter.sh/nodepool"] == placement.node_pool
        assert labels["karpenter.sh/capacity-type"] == (
            "spot" if wish.interruptible else "on-demand"
        )


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended")
def test_what_the_root_queue_does_not_list_waits_for_ever(bed: Bed, jobs: Jobs) -> None:
    """Why the root queue lists everything, and why the platform refuses the rest at submission."""
    jobs.submit("odd", resources={"example.com/fpga": "1"})

    wait_in_vain(bed, jobs, "odd")
