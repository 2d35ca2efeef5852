"""Situations that whoever reads the API has to understand, brought about in a bed and looked at.

Each gives the objects as the API server has them at the decisive moment, whole and by role. The
recorder (`record.py`) keeps them for tests of pure functions; the control-plane ring brings some
about again and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cluster.driver.queues import build_root_queue
from tests.bed.client import NODE, NODE_CLAIM, POD, QUEUE, ApiError, Object, find_condition, wait
from tests.bed.jobs import Jobs, Wish, build_message, get_phase

#: Role -> object: ``job``, ``pod``, ``pod_group``, ``node``, ``node_claim``, ``queue``, ``event``,
#: ``status``.
Objects = Mapping[str, Object]
NAME = "analysis"


def _build_objects(jobs: Jobs, **others: Object | None) -> Objects:
    """The job and its pod as they are, and others."""
    pods = jobs.list_pods(NAME)
    found = {"job": jobs.get(NAME), "pod": pods[0] if pods else None, **others}
    return {role: each for role, each in found.items() if each}


def wait_for_machine(jobs: Jobs) -> Objects:
    """A pod that no machine has room for, and the claim for a machine that was made for it."""
    jobs.submit(NAME, Wish("gpu-users", "gpu"))

    def find_claim() -> Object | None:
        claims = jobs.client.list(*NODE_CLAIM, labels="karpenter.sh/nodepool=jobs-gpu")
        return next((each for each in claims if not each.get("status", {}).get("nodeName")), None)

    claim = wait("a claim without a node", find_claim, every=0.02)
    objects = _build_objects(jobs, node_claim=claim, pod_group=jobs.find_group(NAME))
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
    return _build_objects(
        jobs,
        node=jobs.client.get(*NODE, node),
        node_claim=claim,
        pod_group=jobs.find_group(NAME),
    )


def complete(jobs: Jobs) -> Objects:
    """A job that ended well, with the runner's last words."""
    message = build_message("succeeded", 0)
    stages = {"bed/complete-after": "1s", "bed/termination-message": message}
    jobs.submit(NAME, stages=stages)
    jobs.wait_for(NAME, "Completed")
    return _build_objects(jobs)


def fail(jobs: Jobs) -> Objects:
    """A job whose notebook raised an error."""
    message = build_message("cell-error", 1)
    stages = {"bed/fail-after": "1s", "bed/termination-message": message}
    jobs.submit(NAME, stages=stages)
    jobs.wait_for(NAME, "Terminated")
    return _build_objects(jobs)


def run_out_of_memory(jobs: Jobs) -> Objects:
    """A job whose container the kernel killed."""
    stages = {"bed/fail-after": "1s", "bed/exit-code": "137", "bed/exit-reason": "OOMKilled"}
    jobs.submit(NAME, stages={**stages, "bed/termination-message": build_message("", 0)})
    jobs.wait_for(NAME, "Terminated")
    return _build_objects(jobs)


def exceed_quota(jobs: Jobs) -> Objects:
    """A job over its group's budget: no pod; why is told by an event of the pod group only."""
    jobs.submit(NAME, Wish("teaching", "standard"), resources={"cpu": "33"})

    def find_event() -> Object | None:
        events = jobs.client.list_events(jobs.namespace)
        return next((each for each in events if "quota" in each["message"]), None)

    event = wait("an event that says why", find_event)
    return _build_objects(
        jobs,
        event=event,
        pod_group=jobs.find_group(NAME),
        queue=jobs.client.get(*QUEUE, "teaching"),
    )


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
    message = build_message("", 143)
    jobs.submit(NAME, stages={"bed/termination-message": message})
    pod = jobs.wait_for_pod(NAME)
    jobs.client.evict(jobs.namespace, pod["metadata"]["name"])
    return _lose(jobs, pod)


def lose_node(jobs: Jobs) -> Objects:
    """A pod whose machine vanished, in its last state before Kubernetes removed it, and its job."""
    jobs.submit(NAME)
    pod = jobs.wait_for_pod(NAME)
    node = pod["spec"]["nodeName"]
    jobs.client.delete(*NODE, node)
    jobs.client.patch(*NODE, node, {"metadata": {"finalizers": None}})
    return _lose(jobs, pod, seconds=110)


def miss_image(jobs: Jobs) -> Objects:
    """A pod whose image cannot be pulled."""
    jobs.submit(NAME, stages={"bed/image-missing": "true"})
    wait(
        "the pod to wait for its image",
        lambda: jobs.list_pods(NAME),
        until=lambda pods: pods and get_waiting_reason(pods[0]) == "ImagePullBackOff",
    )
    return _build_objects(jobs)


def refuse(jobs: Jobs) -> Objects:
    """A pod that the kubelet refused: another scheduler's pod was faster."""
    jobs.submit(NAME, stages={"bed/refuse": "OutOfcpu"})
    jobs.wait_for(NAME, "Terminated")
    return _build_objects(jobs)


#: File name -> what brings it about, on pretended nodes.
SITUATIONS: Mapping[str, Callable[[Jobs], Objects]] = {
    "waiting-for-machine": wait_for_machine,
    "running": run,
    "completed": complete,
    "failed": fail,
    "out-of-memory": run_out_of_memory,
    "over-quota": exceed_quota,
    "root-queue-refused": change_root_queue,
    "evicted": evict,
    "node-lost": lose_node,
    "image-missing": miss_image,
    "refused": refuse,
}


def get_waiting_reason(pod: Object) -> str:
    """Why a pod's first container waits; empty if it does not."""
    containers = pod.get("status", {}).get("containerStatuses") or [{}]
    reason: str = containers[0].get("state", {}).get("waiting", {}).get("reason", "")
    return reason


def _lose(jobs: Jobs, pod: Object, seconds: int = 60) -> Objects:
    metadata = pod["metadata"]
    since = metadata["resourceVersion"]
    last = next(
        found
        for change, found in jobs.client.watch(*POD, jobs.namespace, since=since, seconds=seconds)
        if change == "DELETED" and found["metadata"]["uid"] == metadata["uid"]
    )
    job = jobs.wait_for(NAME)
    assert get_phase(job) == "Terminated"
    return {"job": job, "pod": last}
