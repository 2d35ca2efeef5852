"""The reconciler: the one loop that makes the world match the store.

At each pass it looks at the objects of all open attempts, reads the store, asks
:mod:`~offline_jobs.service.rules.steps` what is to be done, and does that: start, adopt, stop,
store a state, end, try again. It alone changes a job's state. It keeps nothing that a killed
service would lose: everything it needs is in the store and in the world. ``app.py`` starts it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hub_config.catalogue import Catalogue
from hub_config.choices import Choice
from hub_config.people import build_person
from hub_config.workspace import Kind, Workspace, build_workspace
from offline_jobs.contract.names import RUNS_PREFIX
from offline_jobs.contract.states import Cause, State
from offline_jobs.service.backends.backend import Backend, Launch
from offline_jobs.service.changes import Changes
from offline_jobs.service.crash import crash_at
from offline_jobs.service.errors import BackendError
from offline_jobs.service.model import Ending, Job, Standing, build_specification
from offline_jobs.service.rules import steps
from offline_jobs.service.rules.steps import Patience, View, plan_steps
from offline_jobs.service.store.store import Store
from offline_jobs.service.tokens import Tokens

_log = logging.getLogger(__name__)
_IDLE_SECONDS = 5.0
_ALIVE_SECONDS = 0.5
_ENDING_SECONDS = 0.05
_PAUSE_SECONDS = 0.02


class Reconciler:
    """Makes attempts run, and keeps what becomes of them.

    ``internal_url`` is the base of the runner's side of the service, ``http://host:port``.
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
        patience: Patience | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._backend = backend
        self._tokens = tokens
        self._catalogue = catalogue
        self._internal_url = internal_url
        self._patience = patience or Patience()
        self._clock = clock
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
            pause = _ALIVE_SECONDS
            try:
                pause = await self.reconcile()
            except Exception:  # noqa: BLE001  (the loop must go on)
                _log.exception("a pass failed; the next one follows")
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

        Nothing is launched any more; jobs that wait stay in the line for the next start.
        """
        self._launching = False
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while (passed := loop.time() - begin) < seconds:
            async with self._passing:
                views = await self._look()
                alive = [v for v in views if v.seen.phase in ("waiting", "running")]
                for view in alive:
                    await self._backend.stop(
                        view.attempt.object_name, force=passed > seconds * 2 / 3
                    )
                await self._take(views)
            if not alive:
                return
            await asyncio.sleep(_ENDING_SECONDS)

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
        names = [a.object_name for _, a in await asyncio.to_thread(self._store.open_attempts)]
        seen = await self._backend.observe(names)
        return [
            View(job, attempt, seen[attempt.object_name])
            for job, attempt in await asyncio.to_thread(self._store.open_attempts)
            if attempt.object_name in seen
        ]

    async def _take(self, views: Sequence[View]) -> None:
        """Take the step of each; standings are stored in one transaction."""
        standings: dict[tuple[str, int], Standing] = {}
        planned = plan_steps(views, self._backend.slots, self._clock(), self._patience)
        for view, step in planned:
            if isinstance(step, steps.Stand | steps.Stop) and step.standing is not None:
                standings[view.job.id, view.attempt.number] = step.standing
            match step:
                case steps.Stop(force):
                    await self._backend.stop(view.attempt.object_name, force=force)
                case steps.Launch():
                    await self._launch(view)
                case steps.Adopt():
                    await self._mark_launched(view, view.seen.handle)
                case steps.Finish() | steps.TryAgain():
                    await self._end(view, step)
        if standings:
            await asyncio.to_thread(self._store.states.set_standings, standings)

    async def _end(self, view: View, step: steps.Finish | steps.TryAgain) -> None:
        states = self._store.states
        write = states.finish if isinstance(step, steps.Finish) else states.add_attempt
        if await asyncio.to_thread(write, view.job.id, view.attempt.number, step.ending):
            _log.info(
                "%s: %s%s%s",
                view.attempt.object_name,
                step.ending.state,
                f" ({step.ending.cause})" if step.ending.cause else "",
                ", another attempt follows" if isinstance(step, steps.TryAgain) else "",
            )

    async def _mark_launched(self, view: View, handle: Mapping[str, Any]) -> None:
        await asyncio.to_thread(
            self._store.states.mark_launched, view.job.id, view.attempt.number, handle
        )

    async def _launch(self, view: View) -> None:
        if not self._launching:
            return
        job, attempt = view.job, view.attempt
        workspace = self._workspace(job)
        if workspace is None:
            facts = {"message": "Group, image or class is not in the catalogue any more."}
            await self._end(view, steps.Finish(Ending(State.FAILED, Cause.REFUSED, facts)))
            return
        notebook = await asyncio.to_thread(self._store.snapshot, job.id)
        launch = Launch(
            object_name=attempt.object_name,
            specification=build_specification(job, attempt.number, notebook),
            workspace=workspace,
            url=f"{self._internal_url}{RUNS_PREFIX}/{job.id}/{attempt.number}",
            token=self._tokens.make(job.id, attempt.number),
        )
        try:
            handle = await self._backend.launch(launch)
        except BackendError as e:
            _log.warning("%s; it is tried again", e)
            return
        await self._mark_launched(view, handle)
        crash_at("after-launched-recorded")

    def _workspace(self, job: Job) -> Workspace | None:
        catalogue = self._catalogue
        try:
            choice = Choice(
                group=catalogue.groups[job.group],
                image=catalogue.images[job.image],
                instance_class=catalogue.classes[job.machine_class],
            )
        except KeyError:
            return None
        person = build_person(job.owner, [job.group])
        return build_workspace(catalogue, person, choice, Kind.JOB, interruptible=job.interruptible)
