"""Many small jobs of many users at once: all complete, each once, on few machines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import pytest

from tests.bed.client import JOB, NODE_CLAIM, POD, Client, wait
from tests.bed.jobs import FINAL, Jobs, Wish, get_phase

USERS = 20


@pytest.mark.upstream
@pytest.mark.usefixtures("pretended", "no_nodes")
@pytest.mark.timeout(400)
def test_all_jobs_of_a_burst_complete_once(
    jobs: Jobs, client: Client, long_run: bool, record_property: Callable[[str, object], None]
) -> None:
    """20 jobs, 200 in the long run, of 20 users in three groups; each had one pod and no more."""
    count = 200 if long_run else 20
    users = islice(cycle(range(USERS)), count)
    wishes = [
        Wish(group, "small", f"user-{user}")
        for user, group in zip(users, cycle(jobs.catalogue.groups), strict=False)
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        stages = {"bed/complete-after": "5s"}
        names = [f"job-{number}" for number in range(count)]
        list(threads.map(lambda n, w: jobs.submit(n, w, stages=stages), names, wishes))
    record_property("seconds to submit", round(time.monotonic() - started, 1))
    claims: dict[str, str] = {}
    pods: set[str] = set()

    def look() -> Counter[str]:
        for claim in client.list(*NODE_CLAIM):
            labels = claim["metadata"]["labels"]
            claims[claim["metadata"]["uid"]] = labels.get("node.kubernetes.io/instance-type", "")
        pods.update(pod["metadata"]["uid"] for pod in client.list(*POD, jobs.namespace))
        return Counter(get_phase(job) for job in client.list(*JOB, jobs.namespace))

    phases = wait(
        f"all {count} jobs to end",
        look,
        300.0,
        until=lambda phases: sum(phases[phase] for phase in FINAL) == count,
        every=0.5,
    )

    record_property("seconds", round(time.monotonic() - started, 1))
    record_property("machines", dict(Counter(claims.values())))
    assert phases == {"Completed": count}
    assert len(pods) == count
    # One machine per job would mean that nothing is packed.
    assert len(claims) < count / 2
