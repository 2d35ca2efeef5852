"""The reconciler: the one loop that makes the world match the store.

At each pass it looks at the objects of all open attempts, reads the store, asks
:mod:`~offline_jobs.service.rules.steps` what is to be done, and does that: start, adopt, stop,
store a state, end, try again. It alone changes a job's state. What it needs is in the store and
in the world; what it remembers beside (launches that failed, since when it listens) may be lost
with a killed service. Whatever is wrong with one job, the others go on. ``app.py`` starts it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.catalogue_rules import amounts_of
from hub_config.platform.choices import Choice
from hub_config.platform.people import build_person
from hub_config.platform.workspace import Kind, Workspace, build_workspace
from offline_jobs.contract.facts import Facts
from offline_jobs.contract.names import RUNS_PREFIX
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.backends.backend import Backend, Launch
from offline_jobs.service.changes import Changes
from offline_jobs.service.crash import crash_at
from offline_jobs.service.errors import (
    BackendError,
    ClusterAway,
    ClusterFull,
    HubAway,
    NotNow,
    ObjectsAway,
    Unavailable,
    find_reason,
)
from offline_jobs.service.metrics import LAUNCHES, counted_pass
from offline_jobs.service.model import Ending, Job, Observation, Standing, build_specification
from offline_jobs.service.publishing import Publishing
from offline_jobs.service.pulse import Pulse
from offline_jobs.service.rules import steps
from offline_jobs.service.rules.steps import (
    Held,
    Patience,
    Shares,
    Slots,
    Step,
    View,
    arrange,
    decide,
)
from offline_jobs.service.rules.tries import Tries
from offline_jobs.service.store.store import Store
from offline_jobs.service.tokens import Tokens

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 5.0
_ALIVE_SECONDS = 0.5
_ENDING_SECONDS = 0.05
_PAUSE_SECONDS = 0.02
#: With passes further apart than this nobody has listened to the runners meanwhile.
_ABSENT_SECONDS = 30.0
_COMPLAINING_SECONDS = 60.0
#: So long one pass may launch; cancels and ends wait for its end.
_LAUNCHING_SECONDS = 5.0
#: So long the object store may take to show what is kept.
_COUNTING_SECONDS = 3.0
#: So long the hub may take to say who is in a group; everything else waits for it.
_ASKING_SECONDS = 3.0
#: So long a hub that was away is not asked again.
_HUB_REST_SECONDS = 15.0
#: Where a job stands whose launch has to wait through nobody's fault.
_PLACES_IN_LINE: Mapping[type[NotNow], Standing] = {
    HubAway: Standing(State.QUEUED, Reason.HUB_UNREACHABLE),
    ClusterAway: Standing(State.QUEUED, Reason.CLUSTER_UNREACHABLE),
    ClusterFull: Standing(State.QUEUED, Reason.QUEUE_QUOTA, {"asking": True}),
}


def build_shares(catalogue: Catalogue) -> Shares:
    """What each group may have at once, and what a job of each class asks of that."""
    return Shares(
        {slug: group.queue.capability for slug, group in catalogue.groups.items()},
        {slug: amounts_of(each) for slug, each in catalogue.classes.items()},
    )


@contextmanager
def _next_one_follows(what: str) -> Iterator[None]:
    """The loop goes on, whatever was wrong with one round of it."""
    try:
        yield
    except Unavailable as e:
        # The store tells in words when it went and came; this would be said twice a second.
        _log.debug("%s failed: %s", what, find_reason(e))
    except Exception:  # noqa: BLE001  (what runs must be seen to its end)
        _log.exception("%s failed; the next one follows", what)


def _name(view: View) -> dict[str, object]:
    """What names an attempt in the log."""
    return {"job": view.job.id, "attempt": view.attempt.number}


class Reconciler:
    """Makes attempts run, and keeps what becomes of them.

    ``internal_url`` is the base of the runner's side of the service, ``http://host:port``.
    ``find_groups`` asks the hub which groups a user is in, by name, at each attempt.
    ``count_kept`` says how many cells are finished in the notebook that is kept of an attempt.
    ``pulse`` is told of each step, so that somebody can see whether the loop is stuck.
    """

    def __init__(  # noqa: PLR0913  (wiring: each is a part that the loop works with)
        self,
        store: Store,
        backend: Backend,
        tokens: Tokens,
        catalogue: Catalogue,
        *,
        internal_url: str,
        changes: Changes,
        find_groups: Callable[[str], Awaitable[frozenset[str]]],
        count_kept: Callable[[str, int], int],
        publishing: Publishing,
        pulse: Pulse,
        patience: Patience | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._backend = backend
        self._tokens = tokens
        self._catalogue = catalogue
        self._shares = build_shares(catalogue)
        self._internal_url = internal_url
        self._find_groups = find_groups
        self._count_kept = count_kept
        self._publishing = publishing
        self._pulse = pulse
        self._patience = patience or Patience()
        self._clock = clock
        self._monotonic = monotonic
        self._tries = Tries()
        self._groups: dict[str, frozenset[str]] = {}
        self._hub_rests = 0.0
        self._stopped: dict[str, datetime] = {}
        self._listening = self._looked = clock()
        self._complained: dict[str, float] = {}
        self._news = asyncio.Event()
        self._passing = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._launching = True
        changes.listen(lambda _: self.wake())

    async def run(self) -> None:
        """Reconcile until cancelled; whatever goes wrong in one pass, the next comes."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            self._pulse.beat()
            pause = _ALIVE_SECONDS
            with _next_one_follows("a pass"), counted_pass():
                pause = await self.reconcile()
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                await asyncio.wait_for(self._news.wait(), pause)
            except TimeoutError:
                continue

    def wake(self) -> None:
        """There is news: pass at once. Callable from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)

    async def end_jobs(self, seconds: float) -> None:
        """End everything that runs: ask at first, kill after two thirds of ``seconds``.

        What lives is killed once in any case, however slow the rounds are. Nothing is launched any
        more; jobs that wait stay in the line for the next start.
        """
        self._launching = False
        loop = asyncio.get_running_loop()
        begin = loop.time()
        force = False
        while (passed := loop.time() - begin) < seconds or not force:
            force = passed >= seconds * 2 / 3
            alive = True
            with _next_one_follows("a round of the ending"):
                alive = await self._end_round(force=force)
            if not alive:
                return
            await asyncio.sleep(_ENDING_SECONDS)

    async def _end_round(self, *, force: bool) -> bool:
        """Stop everything that lives; whether something does."""
        async with self._passing:
            views = await self._look()
            alive = [v for v in views if v.seen.phase in ("waiting", "running")]
            for view in alive:
                with self._others_go_on(view.attempt.object_name, "could not be stopped"):
                    await self._backend.stop(view.attempt.object_name, force=force)
            await self._take(views)
        return bool(alive)

    async def reconcile(self) -> float:
        """One pass; the answer is how long the next may wait, in seconds."""
        async with self._passing:
            views = await self._look()
            await self._take(views)
        if any(v.attempt.result is not None or v.job.cancel_requested for v in views):
            return _ENDING_SECONDS
        return _ALIVE_SECONDS if views else _IDLE_SECONDS

    async def _look(self) -> list[View]:
        """All open attempts with what is seen of them.

        The store is read after the look: what a runner said before its end is then known.
        """
        names = await asyncio.to_thread(self._store.open_names)
        seen = await self._observe(names)
        now = self._clock()
        if now - self._looked > timedelta(seconds=_ABSENT_SECONDS):
            self._listening = now
        self._looked = now
        return [
            View(
                job,
                attempt,
                seen[attempt.object_name],
                self._listening,
                self._stopped.get(attempt.object_name),
            )
            for job, attempt in await asyncio.to_thread(self._store.open_attempts)
            if attempt.object_name in seen
        ]

    async def _observe(self, names: Sequence[str]) -> Mapping[str, Observation]:
        """What is seen of each; one that cannot be looked at is ``unknown``."""
        try:
            return await self._backend.observe(names)
        except Exception:  # noqa: BLE001  (the one at fault is found below)
            _log.debug("a look at all failed", exc_info=True)
        seen = dict.fromkeys(names, Observation("unknown"))
        for name in names:
            with self._others_go_on(name, "could not be looked at"):
                seen |= await self._backend.observe([name])
        return seen

    async def _take(self, views: Sequence[View]) -> None:
        """Take the step of each; launches last, for nothing else shall wait for them."""
        self._remember(views)
        planned = self._plan(views)
        self._keep_ending(planned)
        standings: dict[tuple[str, int], Standing] = {}
        for view, step in planned:
            if isinstance(step, steps.Stand | steps.Stop) and step.standing is not None:
                standings[view.job.id, view.attempt.number] = step.standing
            with self._others_go_on(view.attempt.object_name, "its step failed"):
                await self._do(view, step)
        await self._store_standings(standings)
        await self._launch_all([view for view, step in planned if isinstance(step, steps.Start)])

    async def _store_standings(self, standings: Mapping[tuple[str, int], Standing]) -> None:
        """In one transaction."""
        if standings:
            await asyncio.to_thread(self._store.states.set_standings, standings)

    async def _launch_all(self, views: Sequence[View]) -> None:
        """Launch these, oldest first; what takes too long for one pass is left for the next."""
        begin = self._monotonic()
        self._groups.clear()
        for done, view in enumerate(views):
            if self._monotonic() - begin > _LAUNCHING_SECONDS:
                return
            with self._others_go_on(view.attempt.object_name, "its launch failed"):
                try:
                    await self._try_launch(view)
                except NotNow as e:
                    standing = _PLACES_IN_LINE[type(e)]
                    await self._store_standings(
                        {
                            (each.job.id, each.attempt.number): standing
                            for each in views[done:]
                            if steps.is_new(each.job, standing)
                        }
                    )
                    return

    def _plan(self, views: Sequence[View]) -> list[tuple[View, Step]]:
        now = self._clock()
        decided: dict[str, Step | None] = {}
        for view in views:
            with self._others_go_on(view.attempt.object_name, "no step could be found"):
                decided[view.attempt.object_name] = decide(view, now, self._patience)
        held = Held(self._tries.failed, self._tries.resting(self._monotonic()))
        slots = self._backend.slots
        room = self._shares if slots is None else Slots(slots)
        return arrange(views, decided, room, held)

    async def _do(self, view: View, step: Step) -> None:
        match step:
            case steps.Stop(force, _, overtime):
                if overtime:
                    self._stopped.setdefault(view.attempt.object_name, self._clock())
                await self._backend.stop(view.attempt.object_name, force=force)
            case steps.Adopt():
                await self._mark_launched(view, view.seen.handle)
            case steps.Finish() | steps.TryAgain():
                await self._end(view, step)
            case steps.Stand() | steps.Start():
                return  # those of all attempts are taken together
            case _:
                assert_never(step)

    def _remember(self, views: Sequence[View]) -> None:
        """Forget what no open attempt needs."""
        names = {view.attempt.object_name for view in views}
        self._tries.keep(names)
        self._stopped = {k: v for k, v in self._stopped.items() if k in names}
        self._complained = {k: v for k, v in self._complained.items() if k in names}

    def _keep_ending(self, planned: Sequence[tuple[View, Step]]) -> None:
        """Let be published again of what shall not end any more."""
        self._publishing.keep(
            [
                (view.job.id, view.attempt.number)
                for view, step in planned
                if isinstance(step, steps.Finish | steps.TryAgain)
            ]
        )

    @contextmanager
    def _others_go_on(self, name: str, what: str) -> Iterator[None]:
        """Whatever is wrong with one attempt is complained of; a store that is away is of all."""
        self._pulse.beat()
        try:
            yield
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001  (the others must go on)
            self._complain(name, what)

    def _complain(self, name: str, what: str) -> None:
        """Log the error that is being handled, for each attempt once a minute at most."""
        now = self._monotonic()
        if now >= self._complained.get(name, now):
            self._complained[name] = now + _COMPLAINING_SECONDS
            _log.exception("%s: %s; the others go on", name, what)

    async def _end(self, view: View, step: steps.Finish | steps.TryAgain) -> None:
        states = self._store.states
        write = states.finish if isinstance(step, steps.Finish) else states.add_attempt
        with self._publishing.ending((view.job.id, view.attempt.number)) as can_end:
            if not can_end:
                return  # something of it is being stored: at the next pass
            ending = await self._add_what_is_kept(view, step.ending)
            if not await asyncio.to_thread(write, view.job.id, view.attempt.number, ending):
                return
        _log.info(
            "attempt ended" if isinstance(step, steps.TryAgain) else "job ended",
            extra={**_name(view), "state": ending.state, "cause": ending.cause},
        )

    async def _add_what_is_kept(self, view: View, ending: Ending) -> Ending:
        """Say how much is kept of a run whose runner vanished amid its cells."""
        if ending.state is not State.FAILED or ending.record is not None or not ending.cell:
            return ending
        try:
            async with asyncio.timeout(_COUNTING_SECONDS):
                kept = await asyncio.to_thread(self._count_kept, view.job.id, view.attempt.number)
        except (ObjectsAway, TimeoutError):
            kept = 0  # what cannot be seen is not claimed
        return replace(ending, facts={**ending.facts, "kept_cells": kept})

    async def _mark_launched(self, view: View, handle: Mapping[str, Any]) -> None:
        await asyncio.to_thread(
            self._store.states.mark_launched, view.job.id, view.attempt.number, handle
        )

    async def _try_launch(self, view: View) -> None:
        if not self._launching:
            return
        name = view.attempt.object_name
        try:
            await self._launch(view)
        except Unavailable:
            raise
        except NotNow as e:
            LAUNCHES.labels("later").inc()
            self._tries.postpone(name, self._monotonic())
            self._complain(name, f"{e}; it keeps its place")
            raise
        except Exception as e:  # noqa: BLE001  (whatever it is, it must not be tried for ever)
            LAUNCHES.labels("failed").inc()
            failing = self._tries.note(name, self._monotonic())
            _log.warning(
                "%s; it is tried again",
                e,
                extra=_name(view),
                exc_info=not isinstance(e, BackendError),
            )
            if failing >= self._patience.launch_seconds:
                reason = e.reason if isinstance(e, BackendError) else ""
                facts: Facts = {"never_started": reason or "an error of the service"}
                await self._give_up(view, Cause.INTERNAL, facts)
        else:
            self._tries.forget(name)

    async def _give_up(self, view: View, cause: Cause, facts: Facts) -> None:
        """End a job that shall not be started, once it is sure that it never starts."""
        name = view.attempt.object_name
        await self._backend.stop(name, force=True)
        seen = (await self._backend.observe([name]))[name]
        if seen.phase not in ("absent", "ended"):
            return
        await self._end(view, steps.Finish(Ending(State.FAILED, cause, facts)))

    async def _launch(self, view: View) -> None:
        job, attempt = view.job, view.attempt
        workspace = self._workspace(job)
        if workspace is None:
            await self._give_up(view, Cause.REFUSED, {"not_in_catalogue": self._missing(job)})
            return
        if job.request.group not in await self._ask_groups(job.owner):
            await self._give_up(view, Cause.REFUSED, {"not_member": job.request.group})
            return
        notebook = await asyncio.to_thread(self._store.snapshot, job.id)
        launch = Launch(
            object_name=attempt.object_name,
            specification=build_specification(job, attempt.number, notebook),
            workspace=workspace,
            url=f"{self._internal_url}{RUNS_PREFIX}/{job.id}/{attempt.number}",
            token=self._tokens.make(job.id, attempt.number),
        )
        handle = await self._backend.launch(launch)
        await self._mark_launched(view, handle)
        LAUNCHES.labels("ok").inc()
        _log.info("attempt launched", extra=_name(view))
        crash_at("after-launched-recorded")

    async def _ask_groups(self, owner: str) -> frozenset[str]:
        """The groups that a user is in now, for one round of launches."""
        if self._monotonic() < self._hub_rests:
            raise HubAway("The hub was away a moment ago")
        if owner not in self._groups:
            self._hub_rests = self._monotonic() + _HUB_REST_SECONDS
            try:
                async with asyncio.timeout(_ASKING_SECONDS):
                    self._groups[owner] = await self._find_groups(owner)
            except Unavailable as e:
                raise HubAway(e.message) from e
            except TimeoutError as e:
                raise HubAway("The hub does not answer") from e
            self._hub_rests = 0.0
        return self._groups[owner]

    def _missing(self, job: Job) -> list[str]:
        """What the job names and the catalogue has no more, in words: ``group NAME``."""
        catalogue = self._catalogue
        asked = (
            ("group", job.request.group, catalogue.groups),
            ("image", job.request.image, catalogue.images),
            ("class", job.request.machine_class, catalogue.classes),
        )
        return [f"{kind} {slug}" for kind, slug, known in asked if slug not in known]

    def _workspace(self, job: Job) -> Workspace | None:
        catalogue = self._catalogue
        if self._missing(job):
            return None
        choice = Choice(
            group=catalogue.groups[job.request.group],
            image=catalogue.images[job.request.image],
            instance_class=catalogue.classes[job.request.machine_class],
        )
        person = build_person(job.owner, [job.request.group])
        return build_workspace(
            catalogue, person, choice, Kind.JOB, interruptible=job.request.interruptible
        )
