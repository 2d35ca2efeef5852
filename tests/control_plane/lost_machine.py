"""A machine that vanishes under a job: Kubernetes needs a minute to give its pods up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bed.client import NODE, POD, Client, Object
from tests.bed.jobs import Jobs

NAME = "bereft"
#: Kubernetes looks every 20 s, and waits for 40 s after it has missed a node.
SECONDS = 110


@dataclass(frozen=True)
class LostMachine:
    """A job whose machine is gone since `started`; `states` gets all that its pod went through."""

    jobs: Jobs
    states: Future[list[Object]]
    started: float


@contextmanager
def lost_machine(jobs: Jobs) -> Iterator[LostMachine]:
    """Let a job run, take its node away at once, and follow its pod in the background."""
    jobs.submit(NAME)
    pod = jobs.wait_for_pod(NAME)
    with ThreadPoolExecutor(1) as threads:
        states = threads.submit(follow_to_the_end, jobs.client, pod)
        node = pod["spec"]["nodeName"]
        started = time.monotonic()
        jobs.client.delete(*NODE, node)
        # Nobody drains what is not there.
        jobs.client.patch(*NODE, node, {"metadata": {"finalizers": None}})
        yield LostMachine(jobs, states, started)


def follow_to_the_end(client: Client, pod: Object) -> list[Object]:
    """Every state of a pod since it was read, up to the last before it was gone."""
    metadata = pod["metadata"]
    namespace, since = metadata["namespace"], metadata["resourceVersion"]
    states = []
    for change, found in client.watch(*POD, namespace, since=since, seconds=SECONDS):
        if found["metadata"]["uid"] == metadata["uid"]:
            states.append(found)
            if change == "DELETED":
                return states
    raise AssertionError(f"{metadata['name']} was not deleted; last: {states[-1:]}")
