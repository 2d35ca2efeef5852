"""Situations of jobs on real nodes, for the recorder: what a kubelet writes of a pod.

The image is the probe's alone; it exits, fails, grows and ends at SIGTERM as told. All else is as
the product makes it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub_config.platform.workspace import SCRATCH_PATH
from offline_jobs.contract.exits import Exit
from tests.bed import archive, nodes
from tests.bed.bed import Bed
from tests.bed.client import JOB, NODE, POD, Object, wait
from tests.bed.jobs import Jobs, Wish, build_job, build_message
from tests.bed.situations import (
    INTERRUPTED,
    NAME,
    Objects,
    build_objects,
    lose_pod,
    wait_for_event,
)

IMAGE = "localhost/probe:recorded"
_GRACE_SECONDS = 5


@contextmanager
def load_probe(bed: Bed) -> Iterator[None]:
    """Put the probe's image onto the node for jobs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.tar"
        archive.write_image(
            path, IMAGE, {"probe": bed.programs.path("probe")}, entrypoint=["/probe"]
        )
        nodes.load_image(bed, nodes.JOBS, path)
    yield


def complete(jobs: Jobs) -> Objects:
    """A job that ended well."""
    return _end(jobs, "succeeded", Exit.SUCCEEDED)


def fail(jobs: Jobs) -> Objects:
    """A job whose notebook raised an error."""
    return _end(jobs, "cell-error", Exit.CELL_FAILED)


def lose_kernel(jobs: Jobs) -> Objects:
    """A job whose kernel died."""
    return _end(jobs, "kernel-died", Exit.KERNEL_DIED)


def reach_limit(jobs: Jobs) -> Objects:
    """A job that its runner ended at its time limit."""
    return _end(jobs, "time-limit", Exit.TIME_LIMIT)


def _end(jobs: Jobs, outcome: str, code: Exit) -> Objects:
    _submit(jobs, "message", build_message(outcome, code), str(int(code)))
    jobs.wait_for(NAME)
    return build_objects(jobs)


def run_out_of_memory(jobs: Jobs) -> Objects:
    """A job over its memory limit, killed in the cell that it had named before."""
    _submit(jobs, "allocate", "256", build_message("", 0), memory="64Mi")
    jobs.wait_for(NAME)
    return build_objects(jobs)


def lose_kernel_for_memory(jobs: Jobs) -> Objects:
    """A job whose kernel alone was killed for memory, as with cgroup v1; its runner lived."""
    words = build_message("kernel-died", Exit.KERNEL_DIED)
    _submit(jobs, "outlive", "256", words, str(int(Exit.KERNEL_DIED)), memory="64Mi")
    jobs.wait_for(NAME)
    return build_objects(jobs)


def outlive_child(jobs: Jobs) -> Objects:
    """A job that ended well after a child of its was killed for memory."""
    words = build_message("succeeded", Exit.SUCCEEDED)
    _submit(jobs, "outlive", "256", words, str(int(Exit.SUCCEEDED)), memory="64Mi")
    jobs.wait_for(NAME)
    return build_objects(jobs)


def fill_scratch(jobs: Jobs) -> Objects:
    """A job that wrote more to its scratch folder than its class has, and was evicted for it."""
    file, code = f"{SCRATCH_PATH}/all", str(int(Exit.INTERRUPTED))
    _submit(jobs, "fill", "8", file, code, INTERRUPTED, scratch="4Mi")
    jobs.wait_for(NAME)
    return build_objects(jobs)


def fail_to_make_folders(jobs: Jobs) -> Objects:
    """A job whose first container could not make folders."""
    _submit(jobs, "exit", "0", first=("exit", "1"))
    jobs.wait_for(NAME)
    return build_objects(jobs)


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


def delete_job(jobs: Jobs) -> Objects:
    """The pod of a job that was deleted, in its last state before it went."""
    pod = _run_until_stopped(jobs)
    jobs.client.delete(*JOB, NAME, jobs.namespace)
    return lose_pod(jobs, pod)


def _run_until_stopped(jobs: Jobs) -> Object:
    _submit(jobs, "term", "0", str(int(Exit.INTERRUPTED)), INTERRUPTED)
    pod = jobs.wait_for_pod(NAME)
    wait(
        "the probe to await SIGTERM",
        lambda: jobs.client.read_log(jobs.namespace, pod["metadata"]["name"]),
        until=lambda log: "waiting" in log,
    )
    return pod


def pull_image(jobs: Jobs) -> Objects:
    """A pod whose image is being pulled; nobody has answered yet."""
    _submit(jobs, image=_name_missing_image(jobs))
    wait_for_event(jobs, "Pulling")
    wait(
        "the kubelet to say so in the pod, too",
        lambda: jobs.list_pods(NAME),
        until=lambda pods: "ContainerCreating" in str(pods),
        every=0.02,
    )
    objects = build_objects(jobs)
    assert "ErrImagePull" not in str(objects)
    return objects


def miss_image(jobs: Jobs) -> Objects:
    """A pod whose image cannot be pulled, as nobody answers."""
    _submit(jobs, image=_name_missing_image(jobs))
    wait(
        "the pod to lack its image",
        lambda: jobs.list_pods(NAME),
        60.0,
        until=lambda pods: "ImagePullBackOff" in str(pods),
    )
    return build_objects(jobs)


def _name_missing_image(jobs: Jobs) -> str:
    """An image of a registry that nobody hears of for seconds: at an address beside the nodes'."""
    addresses = jobs.client.get(*NODE, nodes.JOBS)["status"]["addresses"]
    node = next(each["address"] for each in addresses if each["type"] == "InternalIP")
    return f"{node.rpartition('.')[0]}.250/notebook:missing"


def make_folders(jobs: Jobs) -> Objects:
    """A pod whose first container makes folders."""
    _submit(jobs, "exit", "0", first=("wait", "/never"))
    wait(
        "the first container to run",
        lambda: jobs.list_pods(NAME),
        60.0,
        until=lambda pods: any(
            "running" in each["state"]
            for pod in pods
            for each in pod["status"].get("initContainerStatuses", [])
        ),
    )
    return build_objects(jobs)


#: File name -> what brings it about, on real nodes.
REAL_SITUATIONS: Mapping[str, Callable[[Jobs], Objects]] = {
    "real-pulling": pull_image,
    "real-image-missing": miss_image,
    "real-making-folders": make_folders,
    "real-completed": complete,
    "real-failed": fail,
    "real-kernel-died": lose_kernel,
    "real-time-limit": reach_limit,
    "real-out-of-memory": run_out_of_memory,
    "real-kernel-out-of-memory": lose_kernel_for_memory,
    "real-child-out-of-memory": outlive_child,
    "real-scratch-full": fill_scratch,
    "real-folders-failed": fail_to_make_folders,
    "real-evicted": evict,
    "real-pod-deleted": delete_pod,
    "real-job-deleted": delete_job,
}


def _submit(
    jobs: Jobs,
    *arguments: str,
    image: str = IMAGE,
    memory: str = "",
    scratch: str = "",
    first: tuple[str, ...] = (),
) -> None:
    """Submit a job as the product makes it, but for its image and what that does.

    Args:
        jobs: of an empty namespace.
        arguments: of the probe.
        image: of its pod.
        memory: all that it may have, where that is less than its class has.
        scratch: all that it may write to its scratch folder, where that is less.
        first: arguments of the probe in a first container.
    """
    amounts = {"memory": memory} if memory else None
    job = build_job(jobs.catalogue, NAME, Wish(instance_class="small"), resources=amounts)
    spec: dict[str, Any] = job["spec"]["tasks"][0]["template"]["spec"]
    spec["terminationGracePeriodSeconds"] = _GRACE_SECONDS
    if scratch:
        (volume,) = (each for each in spec["volumes"] if each["name"] == "scratch")
        volume["emptyDir"] = {"sizeLimit": scratch}
    (container,) = spec["containers"]
    container |= {"image": image, "imagePullPolicy": "IfNotPresent", "args": list(arguments)}
    container.pop("command", None)
    if first:
        spec["initContainers"] = [{**container, "name": "folders", "args": list(first)}]
    jobs.client.create(job, jobs.namespace)
