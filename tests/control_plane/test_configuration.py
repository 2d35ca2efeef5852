"""Why Volcano is configured as it is: what happens without, and that ours is the cure.

Two beds beside the ring's own: one with the scheduler configuration of Volcano's chart, one with
ours but without a root queue that has a capability, as a cluster gets it where Volcano was
installed before the queues. Both have their job from the start, so that they wait at one time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cluster.driver.queues import build_root_queue
from hub_config.platform.catalogue import Catalogue
from tests.bed import volcano_chart
from tests.bed.bed import Bed
from tests.bed.client import NODE_CLAIM, QUEUE, ApiError
from tests.bed.files import write_atomically
from tests.bed.jobs import Jobs, Wish
from tests.control_plane.cycles import read_cycles, wait_in_vain
from tests.control_plane.protection import change_root_queue

pytestmark = pytest.mark.upstream

#: Cycles of the scheduler after which a job that still has no pod counts as stuck.
STUCK = 20


@dataclass(frozen=True)
class Stuck:
    """A bed with a wrong configuration, and a job in it since then."""

    bed: Bed
    jobs: Jobs
    cycles: int

    def check(self) -> int:
        """See that nothing happens in many cycles, and return how many there were."""
        wait_in_vain(self.bed, self.jobs, "job", STUCK)
        assert self.jobs.look_at("job")["claims"] == []
        return read_cycles(self.bed) - self.cycles


@pytest.fixture(scope="module")
def start(own_bed: Callable[..., tuple[Bed, str]], catalogue: Catalogue) -> Callable[..., Stuck]:
    """Starts a bed of its own and submits the job."""

    def run(wish: Wish, **options: object) -> Stuck:
        bed, namespace = own_bed(**options)
        jobs = Jobs(bed.client, namespace, catalogue)
        jobs.submit("job", wish, stages={"bed/complete-after": "1s"})
        return Stuck(bed, jobs, read_cycles(bed))

    return run


@pytest.fixture(scope="module")
def without_capability(start: Callable[..., Stuck]) -> Stuck:
    """Our configuration, and a root queue that Volcano made by itself; a job with a GPU."""
    return start(Wish("gpu-users", "gpu"), has_root_queue=False)


@pytest.fixture(scope="module")
def chart_default(start: Callable[..., Stuck], tmp_path_factory: pytest.TempPathFactory) -> Stuck:
    """The chart's own configuration of the scheduler; a job that needs nothing special."""
    values = yaml.safe_load(volcano_chart.VALUES.read_text(encoding="utf-8"))
    del values["custom"]["scheduler_config_override"]
    path: Path = tmp_path_factory.mktemp("values") / "volcano.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return start(Wish(), values=path)


def test_the_charts_default_starts_nothing_where_nothing_is(
    chart_default: Stuck,
    without_capability: Stuck,
    record_property: Callable[[str, object], None],
) -> None:
    """The default counts machines that are there; with none there, no job ever gets a pod.

    Karpenter sees pods only, so nothing ever changes. With our configuration the same job runs.
    """
    record_property("cycles of the scheduler in vain", chart_default.check())

    bed = chart_default.bed
    chart = volcano_chart.render(bed.programs)
    ours = volcano_chart.get_scheduler_configuration(chart)
    write_atomically(bed.control_plane.scheduler_file, ours)
    bed.daemons.restart("vc-scheduler")
    chart_default.jobs.wait_for("job", "Completed")


def test_without_a_root_capability_no_gpu_comes_and_it_can_be_given_later(
    without_capability: Stuck, record_property: Callable[[str, object], None]
) -> None:
    """Where Volcano started before the root queue was made, it makes one that lists nothing.

    A resource that no machine has yet then counts as zero, so the first job with a GPU waits for
    ever. The webhook refuses to mend it; while the webhook for queues is away, it can be mended,
    and Volcano needs no restart.
    """
    bed, jobs = without_capability.bed, without_capability.jobs
    record_property("cycles of the scheduler in vain", without_capability.check())
    assert "capability" not in bed.client.get(*QUEUE, "root")["spec"]
    root = build_root_queue(jobs.catalogue)
    with pytest.raises(ApiError, match="cannot be modified") as caught:
        bed.client.apply(root)
    record_property("error", str(caught.value))

    change_root_queue(bed.client, root)

    jobs.wait_for("job", "Completed")
    assert [each["metadata"]["name"] for each in bed.client.list(*NODE_CLAIM)] != []
