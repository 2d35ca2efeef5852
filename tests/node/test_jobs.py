"""A real job's end: what Volcano makes of it, and what can still be read of its pod."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bed.client import POD, Client, Object, wait
from tests.bed.jobs import Jobs, Wish, build_job, get_phase
from tests.bed.overlay import load_catalogue
from tests.node.pods import IMAGE, Pods, get_end

pytestmark = [pytest.mark.upstream, pytest.mark.usefixtures("real")]

#: Keeps a pod that was deleted until somebody has read how it ended.
FINALIZER = "notebook-hpc.test/seen"
Start = Callable[..., None]


@pytest.fixture
def jobs(client: Client, namespace: str) -> Jobs:
    """The jobs of the test's namespace, with the small classes of real nodes."""
    return Jobs(client, namespace, load_catalogue(real=True))


@pytest.fixture
def start(jobs: Jobs, pods: Pods) -> Start:
    """Starts a job as the product makes it, but for the image and what it does."""

    def start(name: str, *arguments: str) -> None:
        job = build_job(jobs.catalogue, name, Wish(instance_class="small"))
        template = job["spec"]["tasks"][0]["template"]
        (container,) = template["spec"]["containers"]
        container |= {"image": IMAGE, "imagePullPolicy": "Never", "args": list(arguments)}
        container.pop("command", None)
        jobs.client.create(job, jobs.namespace)

    return start


def test_a_job_that_ends_by_itself_keeps_its_pod_and_its_last_words(
    jobs: Jobs, start: Start
) -> None:
    start("good", "message", "all done", "0")
    start("bad", "message", "cell 3 of 7", "3")

    assert get_phase(jobs.wait_for("good")) == "Completed"
    assert get_phase(jobs.wait_for("bad")) == "Terminated"
    (good,), (bad,) = jobs.list_pods("good"), jobs.list_pods("bad")
    assert (get_end(good)["exitCode"], get_end(good)["message"]) == (0, "all done")
    assert (get_end(bad)["exitCode"], get_end(bad)["message"]) == (3, "cell 3 of 7")
    assert good["spec"]["nodeName"] == bad["spec"]["nodeName"] == "real-jobs"


def test_an_eviction_ends_the_attempt_and_takes_the_last_words_unless_the_pod_is_held(
    jobs: Jobs, start: Start, pods: Pods, client: Client
) -> None:
    for name in ("loose", "held"):
        start(name, "term", "1", "143")
    for name in ("loose", "held"):
        jobs.wait_for_pod(name)
        pods.wait_for_line(f"{name}-run-0", "waiting for SIGTERM")
    hold(client, jobs.namespace, "held-run-0", FINALIZER)

    for name in ("loose", "held"):
        client.evict(jobs.namespace, f"{name}-run-0")
    pod = pods.wait("held-run-0", lambda pod: get_phase(pod) == "Failed")
    loose = jobs.wait_for("loose")

    assert get_phase(loose) == "Terminated"
    wait("the loose pod to go", lambda: jobs.list_pods("loose"), until=lambda all: not all)
    assert (get_end(pod)["exitCode"], get_end(pod)["message"]) == (143, "terminated")
    # As long as the pod is there, Volcano waits with it.
    assert get_phase(jobs.get("held")) == "Terminating"
    hold(client, jobs.namespace, "held-run-0", None)
    assert get_phase(jobs.wait_for("held")) == "Terminated"
    # Nothing has started in its place.
    assert jobs.list_pods("held") == jobs.list_pods("loose") == []


def hold(client: Client, namespace: str, pod: str, finalizer: str | None) -> Object:
    """Give a pod a finalizer, or take all away."""
    finalizers = [finalizer] if finalizer else None
    return client.patch(*POD, pod, {"metadata": {"finalizers": finalizers}}, namespace)
