"""A state machine over the real rules and the real store, in a world that hypothesis shakes.

The world knows what no part of the service is told: which attempts really began their first cell,
and how often each was started. Whatever happens in whatever order: a job is terminal once, no
attempt is started twice, none follows one whose first cell began, and success means it ran.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from offline_jobs.contract.run import Progress, Termination
from offline_jobs.contract.states import State
from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import AttemptClosed
from offline_jobs.service.model import Evidence, Observation
from offline_jobs.service.rules import steps
from offline_jobs.service.rules.steps import Patience, Slots, View, arrange, decide
from offline_jobs.service.store.store import Store
from tests.database_server import DatabaseServer
from tests.service.core.factories import NOON, create_job, make_new_job, make_record

SLOTS = 2
#: Where a commit costs no wait for a disk, if there is such a place.
MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass
class Thing:
    """One attempt's object, as it truly is."""

    job: str
    number: int
    phase: str = "running"
    cell: int = 0
    evidence: Evidence = field(default_factory=Evidence)


class World(RuleBasedStateMachine):
    make_database: Callable[[], AbstractContextManager[str]]

    def __init__(self) -> None:
        super().__init__()
        self.database = contextlib.ExitStack()
        self.now = NOON
        self.store = Store(self.database.enter_context(self.make_database()), Changes(), self.clock)
        self.store.migrate()
        self.things: dict[str, Thing] = {}
        self.jobs: list[str] = []
        self.terminal: dict[str, State] = {}
        self.asked: set[str] = set()

    def teardown(self) -> None:
        self.store.close()
        self.database.close()

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def alive(self) -> list[Thing]:
        return [thing for thing in self.things.values() if thing.phase == "running"]

    def known(self) -> list[Thing]:
        """Things that the service has heard of.

        Nobody removes one that it never saw: its folder is a moment old, and a removal is a
        person's deed.
        """
        attempts = [
            (thing, self.store.attempt(thing.job, thing.number)) for thing in self.things.values()
        ]
        return [t for t, a in attempts if a is not None and (a.launched or a.contacted)]

    # What people and time do.

    @precondition(lambda self: len(self.jobs) < 6)
    @rule()
    def submit(self) -> None:
        job, _ = create_job(self.store, make_new_job("1"))
        self.jobs.append(job.id)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        self.asked.add(job)
        self.store.request_cancel(job)

    @rule(seconds=st.sampled_from([1, 10, 40, 1000]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    # What runners do; each may be cut short anywhere.

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), told=st.booleans())
    def begin_a_cell(self, data: st.DataObject, told: bool) -> None:
        thing = data.draw(st.sampled_from(self.alive()))
        thing.cell += 1
        if told:
            self.tell(thing, Progress("running", thing.cell, 9))

    @precondition(lambda self: self.alive())
    @rule(data=st.data())
    def start_a_kernel(self, data: st.DataObject) -> None:
        self.tell(data.draw(st.sampled_from(self.alive())), Progress("kernel-start"))

    @precondition(lambda self: self.alive())
    @rule(
        data=st.data(),
        end=st.sampled_from([("succeeded", 0), ("cell-error", 10), ("cancelled", 16)]),
        told=st.booleans(),
        left=st.booleans(),
    )
    def end_by_itself(
        self, data: st.DataObject, end: tuple[str, int], told: bool, left: bool
    ) -> None:
        thing = data.draw(st.sampled_from(self.alive()))
        thing.cell = thing.cell or 1
        outcome, code = end
        record = make_record(job=thing.job, outcome=outcome, exit_code=code, cell=thing.cell)
        if told:
            with contextlib.suppress(AttemptClosed):
                self.store.record_result(thing.job, thing.number, record)
        thing.phase = "ended"
        message = Termination(thing.cell, 9, outcome, code)
        thing.evidence = Evidence(code if left else None, termination=message)

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), code=st.sampled_from([None, -9, 30]))
    def vanish(self, data: st.DataObject, code: int | None) -> None:
        thing = data.draw(st.sampled_from(self.alive()))
        if thing.cell and code == 30:
            code = -9
        self.end(thing, code)

    @precondition(lambda self: self.known())
    @rule(data=st.data())
    def be_removed(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.known())).phase = "absent"

    def tell(self, thing: Thing, progress: Progress) -> None:
        with contextlib.suppress(AttemptClosed):
            self.store.record_progress(thing.job, thing.number, progress)

    def end(self, thing: Thing, code: int | None) -> None:
        thing.phase = "ended"
        thing.evidence = Evidence(code, termination=Termination(thing.cell, 9))

    # What the reconciler does; it may die after any number of its steps.

    @rule(survives=st.integers(0, 8), recorded=st.booleans())
    def reconcile(self, survives: int, recorded: bool) -> None:
        views = [
            View(job, attempt, self.look(attempt.object_name))
            for job, attempt in self.store.open_attempts()
        ]
        steps = {v.attempt.object_name: decide(v, self.clock(), Patience()) for v in views}
        for view, step in arrange(views, steps, Slots(SLOTS))[:survives]:
            self.take(view, step, recorded)

    def look(self, name: str) -> Observation:
        thing = self.things.get(name)
        if thing is None or thing.phase == "absent":
            return Observation("absent")
        return Observation(thing.phase, evidence=thing.evidence if thing.phase == "ended" else None)

    def take(self, view: View, step: steps.Step, recorded: bool) -> None:
        key, name = (view.job.id, view.attempt.number), view.attempt.object_name
        match step:
            case steps.Start():
                assert name not in self.things, "started twice"
                for number in range(1, view.attempt.number):
                    earlier = self.things[f"job-{view.job.id}-{number}"]
                    assert not earlier.cell, "tried again after the first cell began"
                    assert earlier.phase != "running", "two attempts at once"
                assert len(self.alive()) < SLOTS
                self.things[name] = Thing(*key)
                if recorded:
                    self.store.states.mark_launched(*key, {})
            case steps.Adopt():
                self.store.states.mark_launched(*key, {})
            case steps.Stand(standing):
                self.store.states.set_standings({key: standing})
            case steps.Stop(force=True) if self.things[name].phase == "running":
                self.end(self.things[name], -9)
            case steps.Finish(ending):
                self.store.states.finish(*key, ending)
            case steps.TryAgain(ending):
                self.store.states.add_attempt(*key, ending)

    @invariant()
    def a_job_is_terminal_once(self) -> None:
        for job_id in self.jobs:
            job = self.store.job(job_id)
            assert job is not None
            if job_id in self.terminal:
                assert job.state is self.terminal[job_id]
            elif job.state.is_terminal:
                self.terminal[job_id] = job.state
                self.judge(job_id, job.state)

    def judge(self, job_id: str, state: State) -> None:
        mine = [thing for thing in self.things.values() if thing.job == job_id]
        assert not [thing for thing in mine if thing.phase == "running"], "ended while it runs"
        assert len([thing for thing in mine if thing.cell]) <= 1
        if state is State.SUCCEEDED:
            assert [thing for thing in mine if thing.cell]
        if state is State.CANCELLED:
            assert job_id in self.asked


@contextmanager
def file_database() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield f"sqlite:///{Path(folder) / 'jobs.sqlite'}"


def shake(database: Callable[[], AbstractContextManager[str]], examples: int) -> None:
    class Somewhere(World):
        make_database = staticmethod(database)

    run_state_machine_as_test(
        Somewhere,
        settings=settings(
            max_examples=examples,
            phases=[Phase.generate],
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_whatever_happens_on_a_file() -> None:
    shake(file_database, 30)


def test_whatever_happens_on_a_server(database_server: DatabaseServer, template: str) -> None:
    @contextmanager
    def server_database() -> Iterator[str]:
        name = database_server.create(template)
        yield database_server.url(name)
        database_server.drop(name)

    shake(server_database, 6)
