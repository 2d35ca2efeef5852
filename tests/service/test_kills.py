"""Kills: whatever dies at whatever moment, nothing is lost, nothing runs twice, the cause is right.

The real service, runners and kernels. ``pytest --long`` runs the same at full size. The seed and
how many kills fell into each phase are recorded (``tests/rings.py`` prints what was); the seed is
taken from ``NOTEBOOK_HPC_SEED`` where that is set.
"""

import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from offline_jobs.service.crash import CRASH_POINTS
from tests.database_server import running_server
from tests.platform_fixture import Platform
from tests.service.killing import API, GATED, HOLD, PHASES, Account, Target, target, wait_at_random
from tests.site import wait_until
from tests.skips import require

pytestmark = pytest.mark.timeout(3600)

PHASE_OF_STEP = {
    "before-commit": "before commit",
    "after-commit": "committed",
    "before-launch": "committed",
    "after-claim": "committed",
    "after-launch": "started, not recorded",
    "after-launched-recorded": "running",
    "on-first-contact": "running",
    "on-progress": "running",
    "on-result": "ending",
    "after-result": "ending",
    "before-final": "ending",
    "after-final": "ended",
}
STARTING_SHARE = 0.2
STARTING_SECONDS, WORKING_SECONDS = 3, 4
UNDER_WAY = 3
Record = Callable[[str, object], None]
#: Kills per phase, as measured after each, of the tests of this file that ran.
kills: Counter[str] = Counter()
tests_that_kill: set[str] = set()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    platform = Platform(tmp_path_factory.mktemp("kills") / "platform")
    with platform.running():
        yield Account.on(platform)


@pytest.fixture
def service(tmp_path: Path, account: Account) -> Iterator[Target]:
    with target(tmp_path, account) as made:
        yield made
        say(made.log())  # shown where the test failed


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def describe(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{phase}: {counts[phase]}" for phase in PHASES)


def submit_or_die(service: Target, key: str, source: str) -> None:
    """Submit until the service answers, or has died of it."""
    wait_until(
        lambda: service.submit_once(key, source) or service.is_dead(), "an answer or the death"
    )


def has_ended(service: Target, job: str) -> bool:
    return service.attempt_folder(job).phase() == "ended"


def test_killed_at_each_step(service: Target, record_property: Record) -> None:
    assert set(PHASE_OF_STEP) == set(CRASH_POINTS)
    keys = [f"step-{step}" for step in CRASH_POINTS]
    sources = dict.fromkeys(keys, "1")
    # A run that is over within half a second tells of itself once, and then its result.
    sources["step-on-progress"] = "import time; time.sleep(2)"
    counts: Counter[str] = Counter()
    for step, key in zip(CRASH_POINTS, keys, strict=True):
        service.start(OFFLINE_JOBS_CRASH_AT=step)
        submit_or_die(service, key, sources[key])
        service.wait_for_its_death()
        # The step may have been that of an earlier key's job, which goes on at every start.
        phases = {key: service.phase(key) for key in keys[: keys.index(key) + 1]}
        expected = {PHASE_OF_STEP[step]}
        if "running" in expected:
            # A runner goes on without the service, and may be through by now.
            expected.add("ending")
        assert expected & {*phases.values()}, f"{step}: {phases}"
        counts[PHASE_OF_STEP[step]] += 1
    tests_that_kill.add("steps")
    kills.update(counts)
    record_property("kills per phase", describe(counts))
    service.start_and_wait()
    # Whoever got no answer asks again with the same key.
    jobs = [service.submit(source, key=key) for key, source in sources.items()]
    ends = {job: service.wait_for_end(job) for job in jobs}
    assert len(ends) == len(CRASH_POINTS)
    assert {end["state"] for end in ends.values()} == {"succeeded"}, ends
    service.check(ends)


def test_a_database_server_that_comes_and_goes(service: Target, tmp_path: Path) -> None:
    """It is stopped in order and as in a crash, while jobs are submitted, launched and run."""
    require("PostgreSQL")
    rounds = (signal.SIGINT, signal.SIGQUIT)
    over = threading.Event()
    jobs: list[str] = []

    def submit_all() -> None:
        while not over.is_set() or len(jobs) < UNDER_WAY:
            wait_until(lambda: over.is_set() or count_open(service, jobs) < UNDER_WAY, "its turn")
            jobs.append(service.submit("1"))

    with running_server() as server:
        (tmp_path / "url").write_text(server.url(server.create()))
        service.start_and_wait(OFFLINE_JOBS_DATABASE_URL_FILE=str(tmp_path / "url"))
        with ThreadPoolExecutor(1) as threads:
            client = threads.submit(submit_all)
            try:
                for how in rounds:
                    known = len(jobs)
                    wait_until(lambda known=known: len(jobs) > known, "a submission", 60)  # type: ignore[misc]
                    server.stop(how)
                    wait_until(service.is_without_database, "the service to say so")
                    server.start()
            finally:
                over.set()
            client.result(120)
        ends = {job: service.wait_for_end(job) for job in jobs}
        assert {end["state"] for end in ends.values()} == {"succeeded"}, ends
        service.check(ends)
        assert service.terminate() == 0
    assert "Traceback" not in (service.folder / "service.log").read_text()


def count_open(service: Target, jobs: Sequence[str]) -> int:
    """How many of these have not ended; while nobody can say, as many as there may be."""
    states = [service.state_of(job) for job in tuple(jobs)]
    return sum(state not in ("succeeded", "failed", "cancelled") for state in states)


def test_killed_at_random_moments_of_submissions(
    service: Target, long_run: bool, seed: int, record_property: Record
) -> None:
    rounds, submissions = (100, 60) if long_run else (10, 6)
    counts: Counter[str] = Counter()
    chance = random.Random(seed)
    jobs: dict[str, str] = {}
    sent: list[str] = []
    over = threading.Event()

    def is_turn() -> bool:
        """A few submissions are under way at any time, so that every kill can hurt."""
        return over.is_set() or sum(service.phase(key) != "ended" for key in sent) < UNDER_WAY

    def submit_all() -> None:
        while not over.is_set() or len(sent) < submissions:
            wait_until(is_turn, "its turn", 3600)
            key = f"random-{seed}-{len(sent)}"
            sent.append(key)
            jobs[key] = service.submit("1", key=key)

    service.start_and_wait()
    client = threading.Thread(target=submit_all)
    client.start()
    done = 0
    try:
        while done < rounds:
            wait_at_random(chance, STARTING_SECONDS if service.is_starting() else WORKING_SECONDS)
            service.kill()
            phases = [service.phase(key) for key in tuple(sent)]
            service.start()
            if chance.random() > STARTING_SHARE:  # some are killed while they start, most later
                wait_until(service.answers, "the service", 60)
            open_phases = [phase for phase in phases if phase != "ended"]
            if open_phases:
                counts[chance.choice(open_phases)] += 1
                done += 1
    finally:
        over.set()
        wait_until(service.answers, "the service", 60)
        client.join(600)
    ends = {job: service.wait_for_end(job) for job in jobs.values()}
    tests_that_kill.add("random")
    kills.update(counts)
    record_property("kills per phase", describe(counts))
    record_property("submissions", len(jobs))
    assert len(ends) == len(sent) >= submissions
    assert {end["state"] for end in ends.values()} == {"succeeded"}, ends
    service.check(ends)


def test_kills_fell_into_every_phase(record_property: Record) -> None:
    if tests_that_kill != {"steps", "random"}:
        pytest.skip("sums up what the tests before it measured: select the whole file")
    record_property("kills per phase", describe(kills))
    assert all(kills[phase] for phase in PHASES), kills


def test_killed_amid_running_jobs(tmp_path: Path, account: Account, long_run: bool) -> None:
    count = 20 if long_run else 8
    with target(tmp_path, account, slots=count) as service:
        service.start_and_wait()
        jobs = [service.submit(HOLD) for _ in range(count)]
        for job in jobs:
            service.wait_for(job, "running", seconds=300)
        runners = {job: service.attempt_folder(job).handle() for job in jobs}
        service.kill()
        service.start_and_wait()
        for job in jobs:
            assert service.job(job)["state"] == "running"
            assert service.attempt_folder(job).handle() == runners[job]
        service.kill()
        (service.home / "go").touch()
        service.start_and_wait()
        ends = {job: service.wait_for_end(job) for job in jobs}
        assert {end["state"] for end in ends.values()} == {"succeeded"}, ends
        assert {end["has_result"] for end in ends.values()} == {True}
        service.check(ends)


def kill_everything(service: Target, job: str, number: int = 1) -> None:
    """SIGKILL shim, runner, kernel and all, as one: what they start meanwhile, too."""
    suspended: set[psutil.Process] = set()
    while new := set(service.processes(job, number)) - suspended:
        for process in new:
            process.suspend()
        suspended |= new
    for process in suspended:
        process.kill()


@pytest.mark.parametrize("service_dies", [False, True], ids=["service lives", "service dies too"])
def test_a_killed_runner_is_interrupted_and_not_tried_again(
    service: Target, service_dies: bool
) -> None:
    service.start_and_wait()
    job = service.submit("print('kept')", HOLD)
    result = partial(service.client.get, f"{API}jobs/{job}/result")
    # The first copy may be of a moment before the cell was done.
    # A slow one makes the next wait for fifty times as long.
    wait_until(lambda: r"kept\n" in result().text, "a copy of what is done", 300)
    if service_dies:
        service.kill()
    kill_everything(service, job)
    if service_dies:
        service.start_and_wait()
    end = service.wait_for_end(job)
    assert (end["state"], end["cause"], end["attempt"]) == ("failed", "interrupted", 1)
    assert end["next_step"].startswith("Cells 1–2 are finished and kept.")
    printed = [cell["outputs"] for cell in result().json()["cells"]]
    assert [len(outputs) for outputs in printed] == [0, 1, 0]
    assert printed[1][0]["text"] in ("kept\n", ["kept\n"])
    log = service.client.get(f"{API}jobs/{job}/log").text
    assert log.startswith("[cell 1 of 3]\n[cell 2 of 3]\nkept\n")
    service.check({job: end})


def test_a_first_cell_that_the_service_never_heard_of_is_not_tried_again(service: Target) -> None:
    service.start_and_wait(OFFLINE_JOBS_CRASH_AT="on-first-contact")
    job = service.submit(HOLD)
    service.wait_for_its_death()
    wait_until(service.lines, "the first cell")
    kill_everything(service, job)
    service.start_and_wait()
    end = service.wait_for_end(job)
    assert (end["state"], end["cause"], end["attempt"]) == ("failed", "interrupted", 1)
    service.check({job: end})


def test_a_runner_killed_before_its_first_cell_is_tried_again(service: Target) -> None:
    service.install_gated_kernel()
    service.start_and_wait()
    job = service.submit("1", kernel=GATED)
    wait_until(lambda: service.attempt_folder(job).handle(), "the runner's start")
    kill_everything(service, job)
    (service.home / "boot").touch()
    end = service.wait_for_end(job)
    assert (end["state"], end["attempt"]) == ("succeeded", 2)
    assert list(service.lines()) == [(job, 2)]
    service.check({job: end})


def test_a_job_that_never_gets_to_its_first_cell_is_given_up_after_three(service: Target) -> None:
    service.install_gated_kernel()
    service.start_and_wait()
    job = service.submit("1", kernel=GATED)
    for number in (1, 2, 3):
        folder = service.attempt_folder(job, number)
        wait_until(folder.handle, f"attempt {number}")
        kill_everything(service, job, number)
    end = service.wait_for_end(job)
    assert (end["state"], end["cause"], end["attempt"]) == ("failed", "interrupted", 3)
    assert not service.lines()
    service.check({job: end})


def test_cancelled_in_the_line_it_never_starts(tmp_path: Path, account: Account) -> None:
    with target(tmp_path, account, slots=1) as service:
        service.start_and_wait()
        first, second, third = (service.submit(HOLD) for _ in range(3))
        service.wait_for(first, "running")
        waiting = service.job(third)
        assert (waiting["state"], waiting["reason"], waiting["facts"]) == (
            "queued",
            "local-slots",
            {"ahead": 1},
        )
        for job in (second, third):
            answer = service.client.post(
                f"/services/offline-jobs/api/v1/jobs/{job}/cancel", json={}
            )
            assert answer.status_code == 202, answer.text
        ends = {job: service.wait_for_end(job) for job in (second, third)}
        assert {end["state"] for end in ends.values()} == {"cancelled"}
        assert [service.attempts(job) for job in ends] == [[], []]
        (service.home / "go").touch()
        ends[first] = service.wait_for_end(first)
        assert ends[first]["state"] == "succeeded"
        service.check(ends)


@pytest.mark.parametrize("service_dies", [False, True], ids=["service lives", "service dies"])
def test_cancelled_while_running_it_saves_and_ends(service: Target, service_dies: bool) -> None:
    service.start_and_wait()
    job = service.submit(HOLD)
    service.wait_for(job, "running")
    answer = service.client.post(f"/services/offline-jobs/api/v1/jobs/{job}/cancel", json={})
    assert answer.status_code == 202, answer.text
    if service_dies:
        service.kill()
        service.start_and_wait()
    end = service.wait_for_end(job)
    assert (end["state"], end["cause"]) == ("cancelled", None)
    assert end["has_result"]
    service.check({job: end})


def test_a_deaf_runner_is_killed_after_the_grace(service: Target) -> None:
    service.start_and_wait(OFFLINE_JOBS_CANCEL_PATIENCE_SECONDS="1")
    job = service.submit(HOLD)
    service.wait_for(job, "running")
    # The shim must live to bury the dead; the runner and its kernel are deaf.
    shim = service.attempt_folder(job).handle()["pid"]
    for process in service.processes(job):
        if process.pid != shim:
            process.suspend()
    service.client.post(f"/services/offline-jobs/api/v1/jobs/{job}/cancel", json={})
    end = service.wait_for_end(job)
    assert end["state"] == "cancelled"
    service.check({job: end})


def test_ended_in_order_with_its_jobs(service: Target) -> None:
    service.slots = 1
    service.start_and_wait(OFFLINE_JOBS_END_JOBS_ON_TERM="1")
    running, queued = service.submit(HOLD), service.submit("1")
    service.wait_for(running, "running")
    assert service.terminate() == 0
    assert not service.processes(running)
    assert service.attempts(queued) == []
    service.start_and_wait()
    end = service.job(running)
    assert (end["state"], end["cause"], end["attempt"]) == ("failed", "interrupted", 1)
    assert end["has_result"]
    ends = {running: end, queued: service.wait_for_end(queued)}
    assert ends[queued]["state"] == "succeeded"
    service.check(ends)


def test_ended_in_order_it_leaves_its_jobs_alone(service: Target) -> None:
    service.start_and_wait()
    job = service.submit(HOLD)
    service.wait_for(job, "running")
    assert service.terminate() == 0
    assert service.processes(job)
    service.start_and_wait()
    (service.home / "go").touch()
    end = service.wait_for_end(job)
    assert end["state"] == "succeeded"
    service.check({job: end})


def test_a_job_that_ended_while_nobody_listened_hands_over_its_result(service: Target) -> None:
    """The service comes back before the runner's patience ends."""
    service.start_and_wait()
    job = service.submit(HOLD, "print('the last word')")
    service.wait_for(job, "running")
    service.kill()
    (service.home / "go").touch()
    termination = service.attempt_folder(job).termination
    wait_until(lambda: (said := termination()) is not None and said.outcome, "its end", 60)
    assert service.processes(job), "it waits for the service"
    service.start_and_wait()
    end = service.wait_for_end(job)
    assert end["state"] == "succeeded"
    for part in ("result", "log"):
        answer = service.client.get(f"/services/offline-jobs/api/v1/jobs/{job}/{part}")
        assert answer.status_code == 200
        assert "the last word" in answer.text
    service.check({job: end})


def test_a_job_that_ended_while_nobody_listened_is_known_afterwards(service: Target) -> None:
    """The runner's patience is shorter than the service's absence: files alone tell."""
    service.start_and_wait(OFFLINE_JOBS_LOCAL_PATIENCE_SECONDS="2")
    good = service.submit(HOLD)
    bad = service.submit(HOLD, "raise KeyError('bin50')")
    for job in (good, bad):
        service.wait_for(job, "running")
    service.kill()
    (service.home / "go").touch()
    for job in (good, bad):
        wait_until(partial(has_ended, service, job), "its end", 180)
    service.start_and_wait()
    ends = {job: service.wait_for_end(job) for job in (good, bad)}
    assert ends[good]["state"] == "succeeded"
    assert (ends[bad]["state"], ends[bad]["cause"]) == ("failed", "cell-error")
    assert ends[bad]["cell"] == {"number": 3, "total": 3}
    assert ends[bad]["facts"]["error_name"] == "KeyError"
    service.check(ends)
