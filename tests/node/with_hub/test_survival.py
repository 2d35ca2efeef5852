"""The jobs service killed, as pods die: nothing is lost, nothing runs twice.

What really ran is read in a file in the home, to which each job appends its number. ``--long`` does
the same with more jobs and kills, and at each step of a job's life.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from cluster.driver.charts import NAMESPACE
from offline_jobs.service.crash import CRASH_POINTS
from tests.bed.client import JOB, POD, POD_GROUP, Kind, wait
from tests.bed.hub.stand_in import Hub
from tests.browser.people import JOBS, Visitor
from tests.node.with_hub.site import PodSite
from tests.node.with_hub.survival import Lines, Service, count_objects
from tests.site import wait_until

pytestmark = pytest.mark.usefixtures("real")
#: No step of this backend: a Volcano Job is there as a whole or not at all.
NOT_HERE = ("after-claim",)
#: Steps in the way of a submission, until the store knows that the Job is there.
SUBMISSION = CRASH_POINTS[: CRASH_POINTS.index("after-launched-recorded") + 1]
LAUNCHED = CRASH_POINTS[CRASH_POINTS.index("after-launch") :]
Counts = dict[Kind, Counter[str]]
Record = Callable[[str, object], None]


def list_steps() -> Iterator[object]:
    """All steps, those after a submission's only in the long run."""
    for step in CRASH_POINTS:
        if step not in NOT_HERE:
            yield pytest.param(step, marks=() if step in SUBMISSION else pytest.mark.long)


@pytest.fixture
def service(hub: Hub) -> Service:
    """The jobs service, which answers."""
    hub.wait_until_available()
    return Service(hub)


@pytest.fixture
def lines(ada: Visitor) -> Iterator[Lines]:
    """Jobs that leave a line each in ada's home."""
    made = Lines(ada)
    yield made
    made.cancel()


def count_new(site: PodSite, before: Counts) -> Counts:
    """What is in the namespace of jobs beyond what was there before."""
    return {
        kind: new for kind, c in count_objects(site.client).items() if (new := c - before[kind])
    }


def check(site: PodSite, lines: Lines, jobs: Sequence[str], before: Counts) -> None:
    """What must hold once jobs have ended, whatever was killed when.

    Args:
        site: the platform.
        lines: through which the jobs were submitted.
        jobs: their ids, in the order of their numbers.
        before: what was in the namespace of jobs already.
    """
    ends = lines.list_jobs()
    assert Counter(end["id"] for end in ends) == Counter(jobs)
    states = {(end["state"], end["attempt"], end["has_result"]) for end in ends}
    assert states == {("succeeded", 1, True)}, ends
    assert sorted(lines.read()) == [(number, job, 1) for number, job in enumerate(jobs)]

    # The PodGroups of Jobs that have ended go by themselves.
    new = wait(
        "the PodGroups to go",
        lambda: count_new(site, before),
        until=lambda new: POD_GROUP not in new,
    )
    # Those that ended a while ago are gone, and no job had two.
    assert new.keys() <= {JOB, POD}
    assert all(count <= Counter(jobs) for count in new.values()), new


def test_killed_amid_jobs(
    site: PodSite, lines: Lines, service: Service, long_run: bool, record_property: Record
) -> None:
    count, kills = (60, 12) if long_run else (20, 4)
    before = count_objects(site.client)
    submitted: list[str] = []
    begun: list[int] = []

    def submit_all() -> None:
        for number in range(count):
            submitted.append(lines.submit(number))

    def is_time(kill: int) -> bool:
        """The first kill falls amid the submissions, the others amid the runs."""
        begun[kill:] = [len(lines.read())]
        return begun[kill] >= kill * count // kills and len(submitted) > 2

    with ThreadPoolExecutor(1) as client:
        submissions = client.submit(submit_all)
        for kill in range(kills):
            wait_until(partial(is_time, kill), f"the time of kill {kill}", 240)
            (service.delete_pod if kill % 2 else service.kill_process)()
        submissions.result()
    record_property("submissions without an answer", lines.unanswered)
    record_property("jobs begun at the kills", begun)
    assert begun[-1] < count, "the last kill came too late to hurt"
    lines.wait_for_ends(submitted, 600)
    check(site, lines, submitted, before)


@pytest.mark.parametrize("step", tuple(list_steps()))
def test_killed_at_a_step(site: PodSite, lines: Lines, service: Service, step: str) -> None:
    before = count_objects(site.client)
    with ThreadPoolExecutor(1) as client:
        with service.crashing_at(step):
            submission = client.submit(lines.submit, 0)
            service.wait_for_crash()
            launched = count_new(site, before).get(JOB, Counter()).total()
        job = submission.result()
    # Started again after the commit, it launches what it finds, sooner or later.
    assert step == "after-commit" or launched == (step in LAUNCHED)
    lines.wait_for_ends([job], 120)
    check(site, lines, [job], before)


def test_a_proxy_that_starts_anew_gets_its_routes_back(
    hub: Hub, site: PodSite, ada: Visitor
) -> None:
    ada.user.start_session({"group": ada.group, "image": "notebook", "class": "small"})
    try:
        proxy, running = hub.find_pod("proxy"), hub.find_pod("hub")
        name = proxy["metadata"]["name"]

        site.client.delete(*POD, name, NAMESPACE)
        wait_until(lambda: site.client.find(*POD, name, NAMESPACE) is None, "the proxy to go")
        wait_until(lambda: site.answers("/hub/login"), "another proxy")

        ada.user.wait_for_lab(90)
        wait_until(lambda: ada.user.api.get(JOBS).status_code == 200, "the jobs service")
        assert hub.find_pod("hub")["metadata"]["uid"] == running["metadata"]["uid"]
    finally:
        ada.user.stop_session()
