"""The reconciler over a real store: what is wrong with one job is that job's trouble alone."""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from offline_jobs.contract.run import Progress
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service import reconciler
from offline_jobs.service.backends.backend import Launch
from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import (
    BackendError,
    ClusterAway,
    ClusterFull,
    ObjectsAway,
    Unavailable,
)
from offline_jobs.service.model import Attempt, Evidence, Job, Observation, WatchState
from offline_jobs.service.publishing import Publishing
from offline_jobs.service.pulse import Pulse
from offline_jobs.service.reconciler import Reconciler
from offline_jobs.service.rules.sentences import describe
from offline_jobs.service.store.store import Store
from offline_jobs.service.tokens import Tokens
from tests.service.core.conftest import Clock
from tests.service.core.factories import create_job, make_catalogue, make_new_job


class Place:
    """A backend in memory: what was launched runs until told otherwise."""

    slots: int | None = 1

    def __init__(self) -> None:
        self.seen: dict[str, Observation] = {}
        self.launches: list[str] = []
        self.stops: list[tuple[str, bool]] = []
        #: Attempts at which each call fails, and how.
        self.launch_errors: dict[str, Exception] = {}
        self.observe_errors: dict[str, Exception] = {}
        self.stop_errors: dict[str, Exception] = {}
        self.on_launch: Callable[[], None] = lambda: None

    def start(self, on_change: Callable[[], None]) -> None:
        pass

    def close(self) -> None:
        pass

    async def launch(self, launch: Launch) -> Mapping[str, Any]:
        self.launches.append(launch.object_name)
        self.on_launch()
        fail(self.launch_errors, [launch.object_name])
        self.seen[launch.object_name] = Observation("running")
        return {}

    async def observe(self, object_names: Collection[str]) -> Mapping[str, Observation]:
        fail(self.observe_errors, object_names)
        return {name: self.seen.get(name, Observation("absent")) for name in object_names}

    async def stop(self, object_name: str, *, force: bool) -> None:
        self.stops.append((object_name, force))
        fail(self.stop_errors, [object_name])
        self.seen[object_name] = Observation("ended")

    def watches(self) -> dict[str, WatchState]:
        return {}

    async def list_ended(self) -> list[str]:
        raise AssertionError("nothing is cleared away here")

    async def remove_job(self, job_id: str, attempts: int) -> None:
        raise AssertionError("nothing was deleted")


def fail(errors: Mapping[str, Exception], names: Iterable[str]) -> None:
    for name in names:
        if name in errors:
            raise errors[name]


class World:
    """A store, a place, and time that stands until it is told to pass."""

    def __init__(self, store: Store, changes: Changes) -> None:
        self.store, self.place, self.clock, self.seconds = store, Place(), Clock(), 0.0
        self.changes = changes
        self.kept = 0
        self.objects_are, self.answer = "there", threading.Event()
        self.publishing, self.pulse = Publishing(), Pulse(300, lambda: self.seconds)
        self.groups = {"ada": frozenset({"spatial-lab"}), "ben": frozenset({"spatial-lab"})}
        self.hub_is_away = self.hub_hangs = False
        self.asked: list[str] = []
        self.reconciler = self.make_reconciler()

    def make_reconciler(self) -> Reconciler:
        return Reconciler(
            self.store,
            self.place,
            Tokens(b"k" * 32),
            make_catalogue(),
            internal_url="http://127.0.0.1:9",
            changes=self.changes,
            find_groups=self.find_groups,
            count_kept=self.count_kept,
            publishing=self.publishing,
            pulse=self.pulse,
            clock=self.clock,
            monotonic=lambda: self.seconds,
        )

    def count_kept(self, job_id: str, number: int) -> int:
        if self.objects_are == "away":
            raise ObjectsAway
        if self.objects_are == "silent":
            self.answer.wait(20)
        return self.kept

    async def find_groups(self, name: str) -> frozenset[str]:
        self.asked.append(name)
        if self.hub_hangs:
            await asyncio.Event().wait()
        if self.hub_is_away:
            raise Unavailable("The hub cannot be asked.")
        return self.groups[name]

    def submit(self, **changes: Any) -> str:
        return create_job(self.store, make_new_job("1", **changes))[0].id

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.now += timedelta(seconds=seconds)

    def reconcile(self, seconds: float = 0) -> None:
        self.pass_time(seconds)
        asyncio.run(self.reconciler.reconcile())

    def job(self, job_id: str) -> Job:
        job = self.store.job(job_id)
        assert job is not None
        return job


def name_of(job_id: str) -> str:
    return f"job-{job_id}-1"


@pytest.fixture
def world(store: Store, changes: Changes) -> World:
    return World(store, changes)


AWAY = Unavailable("The jobs' database is locked by another program: try again.")
NO_ROOM = BackendError("/state/jobs/job-x could not be started: no room", "No space left")


def test_a_job_that_cannot_be_launched_lets_the_others_start(world: World) -> None:
    bad, good = world.submit(), world.submit()
    world.place.launch_errors[name_of(bad)] = NO_ROOM
    for _ in range(3):
        world.reconcile()
    assert world.job(good).state is State.STARTING
    assert world.job(bad).state is State.QUEUED


def test_it_is_tried_ever_more_rarely_said_each_time_and_given_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    bad = world.submit()
    world.place.launch_errors[name_of(bad)] = NO_ROOM
    for _ in range(2 * 299):
        world.reconcile(0.5)
    tries = len(world.place.launches)
    assert 10 <= tries <= 16
    assert caplog.text.count("it is tried again") == tries
    assert world.job(bad).state is State.QUEUED
    for _ in range(2 * 40):
        world.reconcile(0.5)
    job = world.job(bad)
    assert (job.state, job.cause) == (State.FAILED, Cause.INTERNAL)
    assert job.facts == {"never_started": "No space left"}
    assert describe(job).sentence == "It could not be started: No space left"


def test_a_claim_that_cannot_be_started_is_prevented_before_it_is_given_up(world: World) -> None:
    bad = world.submit()
    world.place.launch_errors[name_of(bad)] = ValueError("/secret/path")
    world.place.seen[name_of(bad)] = Observation("waiting")
    for _ in range(2 * 340):
        world.reconcile(0.5)
    assert world.place.stops == [(name_of(bad), True)]
    job = world.job(bad)
    assert (job.state, job.cause) == (State.FAILED, Cause.INTERNAL)
    assert "secret" not in describe(job).sentence


@pytest.mark.parametrize(
    ("kept", "words"),
    [(0, "The machine was"), (2, "Cells 1–2 are finished and kept. The machine was")],
)
def test_what_is_said_to_be_kept_of_a_runner_that_vanished_is(
    world: World, kept: int, words: str
) -> None:
    """Its last copy is older than the last that was heard of it."""
    job = world.submit()
    world.reconcile()
    world.store.record_progress(job, 1, Progress("running", 5, 9))
    world.kept = kept
    world.place.seen[name_of(job)] = Observation("ended", evidence=Evidence(exit_code=-9))
    world.reconcile()
    ended = world.job(job)
    assert ended.cause is Cause.INTERRUPTED
    assert str(describe(ended).next_step).startswith(words)


@pytest.mark.parametrize("objects_are", ["away", "silent"])
def test_no_end_waits_for_an_object_store_and_nothing_is_claimed_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, objects_are: str
) -> None:
    monkeypatch.setattr(reconciler, "_COUNTING_SECONDS", 0.2)
    job, other = world.submit(), world.submit(owner="ben")
    world.reconcile()
    world.store.record_progress(job, 1, Progress("running", 5, 9))
    world.kept, world.objects_are = 4, objects_are
    for each in (job, other):
        world.place.seen[name_of(each)] = Observation("ended", evidence=Evidence(exit_code=-9))

    async def reconcile() -> None:
        async with asyncio.timeout(10):
            await world.reconciler.reconcile()
        world.answer.set()

    asyncio.run(reconcile())
    ended = world.job(job)
    assert ended.cause is Cause.INTERRUPTED
    assert "kept" not in str(describe(ended).next_step)
    # The other one never began a cell, so it is tried again.
    assert world.job(other).attempt == 2


def test_an_end_waits_for_what_is_being_published_and_then_nothing_more_is(world: World) -> None:
    job = world.submit()
    world.reconcile()
    world.store.record_progress(job, 1, Progress("running", 5, 9))
    world.place.seen[name_of(job)] = Observation("ended", evidence=Evidence(exit_code=-9))
    with world.publishing.under_way((job, 1)):
        world.reconcile()
        assert not world.job(job).state.is_terminal
        with pytest.raises(Unavailable), world.publishing.under_way((job, 1)):
            pytest.fail("published amid the end")
    world.reconcile()
    assert world.job(job).state is State.FAILED


def test_what_shall_not_end_any_more_may_be_published_again(world: World) -> None:
    job = world.submit()
    world.reconcile()
    name = name_of(job)
    running = world.place.seen[name]
    world.store.record_progress(job, 1, Progress("running", 5, 9))
    world.place.seen[name] = Observation("ended", evidence=Evidence(exit_code=-9))
    with world.publishing.under_way((job, 1)):
        world.reconcile()
    world.place.seen[name] = running
    world.reconcile()
    with world.publishing.under_way((job, 1)):
        assert not world.job(job).state.is_terminal


def test_a_pass_that_fails_is_a_sign_of_life(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on after it by itself."""
    passes = 0

    def open_names() -> list[str]:
        nonlocal passes
        passes += 1
        world.seconds += 200
        raise Unavailable("away")

    monkeypatch.setattr(world.store, "open_names", open_names)
    monkeypatch.setattr(reconciler, "_ALIVE_SECONDS", 0.01)

    async def go() -> None:
        running = asyncio.create_task(world.reconciler.run())
        async with asyncio.timeout(20):
            while passes < 6:  # noqa: ASYNC110  (what is waited for sets no event)
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(go())
    assert world.pulse.find_silence() is None


def test_what_could_be_launched_in_the_end_runs(world: World) -> None:
    job = world.submit()
    world.place.launch_errors[name_of(job)] = NO_ROOM
    world.reconcile()
    world.place.launch_errors.clear()
    world.reconcile(0.4)
    assert world.job(job).state is State.QUEUED
    world.reconcile(0.2)
    assert world.job(job).state is State.QUEUED
    world.reconcile()
    assert (world.job(job).state, world.job(job).reason) == (State.STARTING, Reason.KERNEL_START)


@pytest.mark.parametrize(
    ("error", "reason", "sentence"),
    [
        (
            ClusterAway("the webhook does not answer"),
            Reason.CLUSTER_UNREACHABLE,
            "The cluster cannot be reached now; the job keeps its place",
        ),
        (
            ClusterFull("exceeded quota: jobs"),
            Reason.QUEUE_QUOTA,
            "Asking for room in the share of spatial-lab",
        ),
    ],
)
def test_what_cannot_be_launched_now_keeps_its_place_however_long_it_takes(
    world: World, error: Exception, reason: Reason, sentence: str
) -> None:
    world.place.slots = None
    first = world.submit(time_limit_seconds=3600)
    world.place.launch_errors[name_of(first)] = NO_ROOM
    world.reconcile()
    second = world.submit(time_limit_seconds=3600)
    world.place.launch_errors = dict.fromkeys((name_of(first), name_of(second)), error)
    for _ in range(120):
        world.reconcile(5)
    for job_id in (first, second):
        job = world.job(job_id)
        assert (job.state, job.reason, describe(job).sentence) == (State.QUEUED, reason, sentence)
    assert len(world.place.launches) < 80
    # What could not be done before counts from now on again.
    world.place.launch_errors = {name_of(first): NO_ROOM}
    for _ in range(12):
        world.reconcile(5)
    assert world.job(first).state is State.QUEUED
    assert world.job(second).state is State.STARTING
    world.place.launch_errors.clear()
    for _ in range(12):
        world.reconcile(5)
    assert world.job(first).state is State.STARTING


def test_who_left_the_group_meanwhile_runs_nothing_for_it(world: World) -> None:
    world.place.slots = None
    mine, other = world.submit(), world.submit(owner="ben")
    world.groups["ada"] = frozenset({"another-lab"})
    world.reconcile()
    assert world.place.launches == [name_of(other)]
    job = world.job(mine)
    assert (job.state, job.cause) == (State.FAILED, Cause.REFUSED)
    # What a launch in vain may have left is stopped for good.
    assert world.place.stops == [(name_of(mine), True)]
    assert describe(job).sentence == "Refused: ada is not in group spatial-lab any more"


def test_membership_is_asked_again_at_the_next_attempt(world: World) -> None:
    job = world.submit()
    world.reconcile()
    world.place.seen[name_of(job)] = Observation("ended", evidence=Evidence(exit_code=-9))
    world.groups["ada"] = frozenset()
    for _ in range(3):
        world.reconcile(60)
    assert (world.job(job).attempt, world.job(job).cause) == (2, Cause.REFUSED)
    assert world.place.launches == [name_of(job)]


def test_while_the_hub_is_away_jobs_keep_their_place_and_it_is_asked_once(world: World) -> None:
    world.place.slots = None
    world.hub_is_away = True
    jobs = [world.submit() for _ in range(3)]
    world.reconcile()
    assert world.asked == ["ada"]
    for _ in range(120):
        world.reconcile(5)
    # However many jobs wait, it is not asked in each pass: they would all be slow.
    assert 20 <= len(world.asked) <= 42
    for each in map(world.job, jobs):
        assert (each.state, each.reason) == (State.QUEUED, Reason.HUB_UNREACHABLE)
    world.hub_is_away = False
    world.asked.clear()
    world.reconcile(60)
    assert world.asked == ["ada"]
    world.reconcile()
    assert {world.job(each).state for each in jobs} == {State.STARTING}


def test_a_hub_that_does_not_answer_holds_up_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "_ASKING_SECONDS", 0.01)
    world.place.slots = None
    world.hub_hangs = True
    job = world.submit()
    world.reconcile()
    unwanted = world.submit(owner="ben")
    world.store.request_cancel(unwanted)
    world.reconcile(60)
    assert world.job(unwanted).state is State.CANCELLED
    assert (world.job(job).state, world.job(job).reason) == (
        State.QUEUED,
        Reason.HUB_UNREACHABLE,
    )


def test_one_launch_in_vain_is_enough_for_a_pass_and_all_say_why(world: World) -> None:
    world.place.slots = None
    jobs = [world.submit() for _ in range(3)]
    world.place.launch_errors = {name_of(each): ClusterAway("no answer") for each in jobs}
    world.reconcile()
    assert len(world.place.launches) == 1
    assert {world.job(each).reason for each in jobs} == {Reason.CLUSTER_UNREACHABLE}


def test_slow_launches_are_left_for_the_next_pass(world: World) -> None:
    world.place.slots = None
    jobs = [world.submit() for _ in range(5)]
    world.place.on_launch = lambda: world.pass_time(3)
    world.reconcile()
    assert world.place.launches == [name_of(each) for each in jobs[:2]]
    world.store.request_cancel(jobs[4])
    world.reconcile()
    assert world.place.launches == [name_of(each) for each in jobs[:4]]
    assert world.job(jobs[4]).state is State.CANCELLED


def test_a_job_that_has_not_begun_says_that_its_cluster_cannot_be_looked_at(world: World) -> None:
    job = world.submit()
    world.place.seen[name_of(job)] = Observation("unknown", Reason.CLUSTER_UNREACHABLE)
    world.reconcile()
    assert (world.job(job).state, world.job(job).reason) == (
        State.QUEUED,
        Reason.CLUSTER_UNREACHABLE,
    )
    version = world.job(job).version
    world.reconcile()
    assert world.job(job).version == version
    world.place.seen.clear()
    world.reconcile()
    world.reconcile()
    assert world.job(job).reason is Reason.KERNEL_START
    world.store.record_progress(job, 1, Progress("running", 1, 2))
    world.reconcile()
    world.place.seen[name_of(job)] = Observation("unknown", Reason.CLUSTER_UNREACHABLE)
    world.reconcile()
    assert (world.job(job).state, world.job(job).reason) == (State.RUNNING, None)


@pytest.mark.parametrize("trouble", ["look", "decision", "step"])
def test_trouble_with_one_job_is_not_the_others(
    world: World, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.place.slots = 3
    bad, good = world.submit(), world.submit()
    world.reconcile()
    match trouble:
        case "look":
            world.place.observe_errors[name_of(bad)] = TypeError("a look")
        case "decision":
            world.place.seen[name_of(bad)] = Observation("ended", evidence=7)  # type: ignore[arg-type]
        case "step":
            world.store.request_cancel(bad)
            world.reconcile(40)
            world.place.stop_errors[name_of(bad)] = TypeError("a step")
            world.place.seen[name_of(bad)] = Observation("running")
    world.place.seen[name_of(good)] = Observation("ended")
    late = world.submit()
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            world.reconcile(0.5)
    # The good one went on to its next attempt, the late one began.
    assert world.job(good).attempt == 2
    assert world.job(late).state is State.STARTING
    assert not world.job(bad).state.is_terminal
    assert caplog.text.count("the others go on") == 1


def test_a_job_that_cannot_even_be_given_up_is_not_the_others_trouble(world: World) -> None:
    bad = world.submit()
    world.place.launch_errors[name_of(bad)] = NO_ROOM
    world.place.stop_errors[name_of(bad)] = TypeError("a stop")
    for _ in range(2 * 340):
        world.reconcile(0.5)
    assert world.place.stops
    good = world.submit()
    world.reconcile()
    assert name_of(good) in world.place.launches


@pytest.fixture
def locked_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is away when it is read next, and not again."""
    read = world.store.open_attempts
    failures = iter([AWAY])

    def open_attempts() -> list[tuple[Job, Attempt]]:
        for failure in failures:
            raise failure
        return read()

    monkeypatch.setattr(world.store, "open_attempts", open_attempts)


@pytest.mark.usefixtures("locked_once")
def test_a_pass_that_failed_is_followed_by_the_next(world: World) -> None:
    job = world.submit()

    async def run_until_launched() -> None:
        launched = asyncio.Event()
        world.place.on_launch = launched.set
        running = asyncio.create_task(world.reconciler.run())
        waiting = asyncio.create_task(launched.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, waiting):
            task.cancel()

    asyncio.run(run_until_launched())
    assert world.place.launches == [name_of(job)]


def test_a_round_of_the_ending_that_failed_is_followed_by_the_next(
    world: World, request: pytest.FixtureRequest
) -> None:
    job = world.submit()
    world.reconcile()
    request.getfixturevalue("locked_once")
    asyncio.run(world.reconciler.end_jobs(20))
    assert world.place.stops == [(name_of(job), False)]


def test_while_the_store_is_away_no_other_job_is_tried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.place.slots = None
    world.submit()
    world.submit()
    asked: list[str] = []

    def snapshot(job_id: str) -> str:
        asked.append(job_id)
        raise AWAY

    monkeypatch.setattr(world.store, "snapshot", snapshot)
    with pytest.raises(Unavailable):
        world.reconcile()
    assert len(asked) == 1


def test_trouble_with_one_job_does_not_keep_the_others_from_being_ended(world: World) -> None:
    world.place.slots = 2
    bad, good = world.submit(), world.submit()
    world.reconcile()
    world.place.stop_errors[name_of(bad)] = TypeError("a stop")
    asyncio.run(world.reconciler.end_jobs(0.3))
    assert world.place.seen[name_of(good)].phase == "ended"
    assert (name_of(bad), True) in world.place.stops


def test_what_runs_is_killed_once_even_when_the_time_is_over(world: World) -> None:
    job = world.submit()
    world.reconcile()
    world.place.stop_errors[name_of(job)] = TypeError("a stop")
    asyncio.run(world.reconciler.end_jobs(0))
    assert world.place.stops == [(name_of(job), True)]


def test_what_the_catalogue_has_no_more_is_refused_in_words(world: World) -> None:
    job = world.submit(machine_class="gone", image="older")
    world.reconcile()
    words = describe(world.job(job))
    assert words.sentence == "Refused: image older and class gone can no longer be chosen"
    assert words.next_step is not None
    assert words.next_step.startswith("Choose another group, image or class")


def test_a_runner_that_slept_with_the_machine_is_not_stopped(world: World) -> None:
    world.submit(time_limit_seconds=60)
    world.reconcile()
    world.reconcile(1)
    world.reconcile(3600)
    assert not world.place.stops
    for _ in range(70):
        world.reconcile(1)
    assert world.place.stops


def test_how_long_no_machine_can_be_had_is_known_to_the_next_service(world: World) -> None:
    job = world.submit()
    world.reconcile()
    world.place.seen[name_of(job)] = Observation("waiting", Reason.NO_NODE)
    world.reconcile()
    world.reconcile(1700)
    world.reconciler = world.make_reconciler()
    world.reconcile(50)
    world.reconcile()
    assert not world.place.stops
    assert world.job(job).reason is Reason.NO_NODE
    world.reconcile(50)
    world.reconcile()
    assert world.place.stops == [(name_of(job), True)]
    world.place.seen[name_of(job)] = Observation("ended", evidence=Evidence(removed=True))
    world.reconcile()
    ended = world.job(job)
    assert (ended.state, ended.cause, ended.attempt) == (State.FAILED, Cause.NO_CAPACITY, 1)
    assert describe(ended).sentence == "No machine of class small could be had for 30 min"
    assert world.place.launches == [name_of(job)]
