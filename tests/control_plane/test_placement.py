"""Sessions and jobs stay on their own pools, whatever has room.

Two schedulers that place pods on one node both believe in the same free cores; the kubelet then
refuses a pod, and a job has failed for nothing that its owner did.
"""

from __future__ import annotations

import pytest

from tests.bed.client import NODE, POD, Client, Object, wait
from tests.bed.jobs import Jobs, Wish, build_session, get_phase

POOL = "karpenter.sh/nodepool"


def wait_for_pool(client: Client, namespace: str, name: str) -> str:
    """Wait until a pod runs, and return its node's pool."""
    pod: Object = wait(
        f"pod {name} to run",
        lambda: client.get(*POD, name, namespace),
        until=lambda pod: get_phase(pod) == "Running",
    )
    labels: dict[str, str] = client.get(*NODE, pod["spec"]["nodeName"])["metadata"]["labels"]
    return labels[POOL]


@pytest.mark.usefixtures("pretended")
def test_session_and_job_pods_never_share_a_pool(jobs: Jobs, client: Client) -> None:
    """One after another, so that the other pool's machine always stands there with room.

    The last two lost their node selector, as by a mistake in a template: the pool's taint alone
    still keeps each from the other's machines.
    """
    session = build_session(jobs.catalogue, "session", Wish("spatial-lab", "small"))
    client.create(session, jobs.namespace)
    assert wait_for_pool(client, jobs.namespace, "session") == "sessions-general"

    jobs.submit("job", Wish("spatial-lab", "small"))
    job = jobs.wait_for_pod("job")
    assert wait_for_pool(client, jobs.namespace, job["metadata"]["name"]) == "jobs-general"

    stray = build_session(jobs.catalogue, "stray", Wish("spatial-lab", "small"))
    stray["spec"]["nodeSelector"] = {}
    client.create(stray, jobs.namespace)
    assert wait_for_pool(client, jobs.namespace, "stray") == "sessions-general"

    jobs.submit("stray-job", Wish("spatial-lab", "small"), selector={})
    job = jobs.wait_for_pod("stray-job")
    assert wait_for_pool(client, jobs.namespace, job["metadata"]["name"]) == "jobs-general"
    schedulers = {
        pod["metadata"]["name"]: pod["spec"]["schedulerName"]
        for pod in client.list(*POD, jobs.namespace)
    }
    assert schedulers == {
        "session": "default-scheduler",
        "stray": "default-scheduler",
        "job-run-0": "volcano",
        "stray-job-run-0": "volcano",
    }
