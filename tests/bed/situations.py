"""Situations that whoever reads the API has to understand, brought about in a bed and looked at.

Each gives the objects as the API server has them at the decisive moment, whole and by role. The
recorder (`record.py`) keeps them for tests of pure functions; the control-plane ring brings some
about again and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cluster.driver.queues import build_root_queue
from offline_jobs.contract.exits import Exit
from tests.bed.client import (
    JOB,
    NODE,
    NODE_CLAIM,
    POD,
    POD_GROUP,
    QUEUE,
    ApiError,
    Object,
    find_condition,
    wait,
)
from tests.bed.jobs import Jobs, Wish, build_message, get_phase
from tests.bed.worlds import closed_pools, limited_pool, remove_pretended_nodes

#: Role -> object: ``job``, ``pod``, ``pod_group``, ``node``, ``node_claim``, ``queue``, ``status``;
#: or a list of them: ``events`` (all of the namespace, oldest first), ``pod_groups``.
Objects = Mapping[str, Any]
NAME = "analysis"
#: What the probe and the pretended kubelet are told that the runner says when it is stopped.
INTERRUPTED = build_message("interrupted", Exit.INTERRUPTED)


def build_objects(jobs: Jobs, **others: Object | list[Object] | None) -> Objects:
    """What the jobs service judges from: the job, its pod and pod group, and all events.

    ``others`` are laid over that; None takes away.
    """
    pods = jobs.list_pods(NAME)
    found = {
        "job": jobs.client.find(*JOB, NAME, jobs.namespace),
        "pod": pods[0] if pods else None,
        "pod_group": jobs.find_group(NAME),
        "events": jobs.client.list_events(jobs.namespace),
        **others,
    }
    return {role: each for role, each in found.items() if each}


def wait_for_event(jobs: Jobs, reason: str, words: str = "", about: str = NAME) -> Object:
    """Wait until something whose name begins so has an event, and return that."""

    def find() -> Object | None:
        return next(
            (
                each
                for each in jobs.client.list_events(jobs.namespace)
                if each["reason"] == reason
                and words in each["message"]
                and each["involvedObject"]["name"].startswith(about)
            ),
            None,
        )

    found = wait(f"the event {reason} of {about}", find, 60.0, every=0.02)
    assert found
    return found


def wait_for_machine(jobs: Jobs) -> Objects:
    """A pod that no machine has room for, and the claim for a machine that was made for it."""
    jobs.submit(NAME, Wish("gpu-users", "gpu"))

    def find_claim() -> Object | None:
        claims = jobs.client.list(*NODE_CLAIM, labels="karpenter.sh/nodepool=jobs-gpu")
        return next((each for each in claims if not each.get("status", {}).get("nodeName")), None)

    claim = wait("a claim without a node", find_claim, every=0.02)
    wait_for_event(jobs, "Nominated")
    objects = build_objects(jobs, node_claim=claim)
    assert find_condition(objects["pod"], "PodScheduled")["reason"] == "Unschedulable"
    return objects


def run(jobs: Jobs) -> Objects:
    """A pod that runs, with its machine."""
    jobs.submit(NAME)
    pod = jobs.wait_for_pod(NAME)
    jobs.wait_for(NAME, "Running")
    node = pod["spec"]["nodeName"]
    claims = jobs.client.list(*NODE_CLAIM)
    claim = next(each for each in claims if each.get("status", {}).get("nodeName") == node)
    return build_objects(
        jobs,
        node=jobs.client.get(*NODE, node),
        node_claim=claim,
    )


def complete(jobs: Jobs) -> Objects:
    """A job that ended well, with the runner's last words."""
    message = build_message("succeeded", 0)
    stages = {"bed/complete-after": "1s", "bed/termination-message": message}
    jobs.submit(NAME, stages=stages)
    jobs.wait_for(NAME, "Completed")
    return build_objects(jobs)


def fail(jobs: Jobs) -> Objects:
    """A job whose notebook raised an error."""
    return _fail(jobs, "cell-error", Exit.CELL_FAILED)


def lose_kernel(jobs: Jobs) -> Objects:
    """A job whose kernel died."""
    return _fail(jobs, "kernel-died", Exit.KERNEL_DIED)


def reach_limit(jobs: Jobs) -> Objects:
    """A job that its runner ended at its time limit."""
    return _fail(jobs, "time-limit", Exit.TIME_LIMIT)


def _fail(jobs: Jobs, outcome: str, code: Exit) -> Objects:
    message = build_message(outcome, code)
    stages = {"bed/fail-after": "1s", "bed/exit-code": str(int(code))}
    jobs.submit(NAME, stages={**stages, "bed/termination-message": message})
    jobs.wait_for(NAME, "Terminated")
    return build_objects(jobs)


def run_out_of_memory(jobs: Jobs) -> Objects:
    """A job whose container the kernel killed."""
    stages = {"bed/fail-after": "1s", "bed/exit-code": "137", "bed/exit-reason": "OOMKilled"}
    jobs.submit(NAME, stages={**stages, "bed/termination-message": build_message("", 0)})
    jobs.wait_for(NAME, "Terminated")
    return build_objects(jobs)


def exceed_quota(jobs: Jobs) -> Objects:
    """A job over its group's budget: no pod; why is told by an event of the pod group only."""
    _submit_too_large(jobs, NAME)
    return build_objects(jobs, queue=jobs.client.get(*QUEUE, "teaching"))


def stand_in_line(jobs: Jobs) -> Objects:
    """A job over its group's budget, behind another."""
    first = _submit_too_large(jobs, "earlier")
    created = datetime.fromisoformat(first["metadata"]["creationTimestamp"])
    # Objects' times are whole seconds.
    wait("the next second", lambda: (datetime.now(UTC) - created).total_seconds() > 1)
    _submit_too_large(jobs, NAME)
    return build_objects(jobs, pod_groups=jobs.client.list(*POD_GROUP, jobs.namespace))


def _submit_too_large(jobs: Jobs, name: str) -> Object:
    jobs.submit(name, Wish("teaching", "standard"), resources={"cpu": "33"})
    wait_for_event(jobs, "Unschedulable", "quota", about=name)
    group = jobs.find_group(name)
    assert group
    return group


def find_no_machine(jobs: Jobs) -> Objects:
    """A pod for which Karpenter may buy no machine."""
    with closed_pools(jobs.client):
        remove_pretended_nodes(jobs.client)
        jobs.submit(NAME, Wish("gpu-users", "gpu"))
        jobs.wait_for_pod(NAME, "Pending")
        wait_for_event(jobs, "FailedScheduling", "limits")
        return build_objects(jobs)


def fill_pool(jobs: Jobs) -> Objects:
    """A pod that may have no machine beside the one that runs."""
    return _wait_beside(jobs, "standard", {"cpu": "2", "memory": "8Gi"})


def nearly_fill_pool(jobs: Jobs) -> Objects:
    """A pod that may have none of its size; smaller machines than it needs there might be."""
    return _wait_beside(jobs, "large-memory", {"cpu": "36", "memory": "300Gi"})


def _wait_beside(jobs: Jobs, instance_class: str, limits: Mapping[str, str]) -> Objects:
    pool = jobs.catalogue.classes[instance_class].job.node_pool
    wish = Wish("spatial-lab", instance_class)
    remove_pretended_nodes(jobs.client)
    with limited_pool(jobs.client, pool, limits):
        jobs.submit("earlier", wish)
        jobs.wait_for("earlier", "Running")
        jobs.submit(NAME, wish)
        wait_for_event(jobs, "FailedScheduling", "Failed to schedule pod")
        (claim,) = jobs.client.list(*NODE_CLAIM)
        return build_objects(jobs, node_claim=claim)


def pull_image(jobs: Jobs) -> Objects:
    """A pod whose machine pulls its image."""
    jobs.submit(NAME, stages={"bed/pull": "30s"})
    wait_for_event(jobs, "Pulling")
    return build_objects(jobs)


def change_root_queue(jobs: Jobs) -> Objects:
    """The answer to whoever changes the root queue's capability."""
    root = build_root_queue(jobs.catalogue)
    root["spec"]["capability"]["cpu"] = "1"
    try:
        jobs.client.apply(root)
    except ApiError as error:
        return {"status": error.body, "queue": jobs.client.get(*QUEUE, "root")}
    raise AssertionError("the root queue was changed")


def evict(jobs: Jobs) -> Objects:
    """A pod that was evicted, in its last state before it went, and its job."""
    pod = _run_until_stopped(jobs)
    jobs.client.evict(jobs.namespace, pod["metadata"]["name"])
    return lose_pod(jobs, pod)


def delete_pod(jobs: Jobs) -> Objects:
    """A pod that somebody deleted, in its last state before it went, and its job."""
    pod = _run_until_stopped(jobs)
    jobs.client.delete(*POD, pod["metadata"]["name"], jobs.namespace)
    return lose_pod(jobs, pod)


def begin_to_delete_job(jobs: Jobs) -> Objects:
    """A pod that still ends after its job was deleted."""
    pod = _run_until_stopped(jobs, {"bed/stop-after": "20s"})
    jobs.client.delete(*JOB, NAME, jobs.namespace)
    metadata = pod["metadata"]
    ending = wait(
        "the pod to be told",
        lambda: jobs.client.get(*POD, metadata["name"], jobs.namespace),
        until=lambda found: "deletionTimestamp" in found["metadata"],
    )
    return build_objects(jobs, pod=ending)


def delete_job(jobs: Jobs) -> Objects:
    """The pod of a job that was deleted, in its last state before it went."""
    pod = _run_until_stopped(jobs)
    jobs.client.delete(*JOB, NAME, jobs.namespace)
    return lose_pod(jobs, pod)


def delete_ended_job(jobs: Jobs) -> Objects:
    """The pod of a job that was deleted after its notebook had raised an error."""
    fail(jobs)
    (pod,) = jobs.list_pods(NAME)
    jobs.client.delete(*JOB, NAME, jobs.namespace)
    return lose_pod(jobs, pod)


def delete_waiting_job(jobs: Jobs) -> Objects:
    """The pod of a job that was deleted while no machine could be had, as it was seen last."""
    with closed_pools(jobs.client):
        remove_pretended_nodes(jobs.client)
        jobs.submit(NAME, Wish("gpu-users", "gpu"))
        pod = jobs.wait_for_pod(NAME, "Pending")
        wait_for_event(jobs, "FailedScheduling", "limits")
        jobs.client.delete(*JOB, NAME, jobs.namespace)
        return lose_pod(jobs, pod)


def lose_node(jobs: Jobs) -> Objects:
    """A pod whose machine vanished, in its last state before Kubernetes removed it, and its job."""
    jobs.submit(NAME)
    pod = jobs.wait_for_pod(NAME)
    node = pod["spec"]["nodeName"]
    jobs.client.delete(*NODE, node)
    jobs.client.patch(*NODE, node, {"metadata": {"finalizers": None}})
    return lose_pod(jobs, pod, seconds=110)


def miss_image(jobs: Jobs) -> Objects:
    """A pod whose image cannot be pulled."""
    jobs.submit(NAME, stages={"bed/image-missing": "true"})
    wait(
        "the pod to wait for its image",
        lambda: jobs.list_pods(NAME),
        until=lambda pods: pods and get_waiting_reason(pods[0]) == "ImagePullBackOff",
    )
    return build_objects(jobs)


def refuse(jobs: Jobs) -> Objects:
    """A pod that the kubelet refused: another scheduler's pod was faster."""
    jobs.submit(NAME, stages={"bed/refuse": "OutOfcpu"})
    jobs.wait_for(NAME, "Terminated")
    return build_objects(jobs)


#: File name -> what brings it about, on pretended nodes.
SITUATIONS: Mapping[str, Callable[[Jobs], Objects]] = {
    "over-quota": exceed_quota,
    "second-in-line": stand_in_line,
    "no-machine": find_no_machine,
    "pool-full": fill_pool,
    "pool-nearly-full": nearly_fill_pool,
    "waiting-for-machine": wait_for_machine,
    "pulling": pull_image,
    "image-missing": miss_image,
    "running": run,
    "completed": complete,
    "failed": fail,
    "kernel-died": lose_kernel,
    "time-limit": reach_limit,
    "out-of-memory": run_out_of_memory,
    "refused": refuse,
    "evicted": evict,
    "node-lost": lose_node,
    "pod-deleted": delete_pod,
    "job-being-deleted": begin_to_delete_job,
    "job-deleted": delete_job,
    "job-deleted-after-end": delete_ended_job,
    "job-deleted-unscheduled": delete_waiting_job,
    "root-queue-refused": change_root_queue,
}


def get_waiting_reason(pod: Object) -> str:
    """Why a pod's first container waits; empty if it does not."""
    containers = pod.get("status", {}).get("containerStatuses") or [{}]
    reason: str = containers[0].get("state", {}).get("waiting", {}).get("reason", "")
    return reason


def lose_pod(jobs: Jobs, pod: Object, seconds: int = 60) -> Objects:
    """Wait until a pod went; its last state, and what is left of its job."""
    last = next(
        found
        for change, found in _follow(jobs, pod, seconds)
        if change == "DELETED" and found["metadata"]["uid"] == pod["metadata"]["uid"]
    )
    if jobs.client.find(*JOB, NAME, jobs.namespace):
        assert get_phase(jobs.wait_for(NAME)) == "Terminated"
    wait("no pod group", lambda: jobs.find_group(NAME), until=lambda group: group is None)
    return build_objects(jobs, pod=last)


def _follow(jobs: Jobs, pod: Object, seconds: int) -> Iterator[tuple[str, Object]]:
    since = pod["metadata"]["resourceVersion"]
    return jobs.client.watch(*POD, jobs.namespace, since=since, seconds=seconds)


def _run_until_stopped(jobs: Jobs, stages: Mapping[str, str] | None = None) -> Object:
    """A pod that runs and, told to stop, says so as the runner does."""
    code = str(int(Exit.INTERRUPTED))
    words = {"bed/termination-message": INTERRUPTED, "bed/stop-exit-code": code}
    jobs.submit(NAME, stages={**words, **(stages or {})})
    return jobs.wait_for_pod(NAME)
