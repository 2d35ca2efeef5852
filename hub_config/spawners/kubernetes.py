"""The spawner of a cluster: a user's server is a pod that KubeSpawner makes from a profile.

Place in the path: options are checked when they are submitted and again, strictly, when the pod is
made (:mod:`~hub_config.spawners.choosing`); then KubeSpawner, which checks loosely, is handed one
generated profile's slug and nothing else. The profiles are :mod:`hub_config.profiles`'. Only
:mod:`hub_config.apply` imports it.

Source: https://jupyterhub-kubespawner.readthedocs.io/en/7.1.0/spawner.html
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from kubespawner import KubeSpawner
from traitlets import Instance, default

from hub_config.homes import LONGEST_SECONDS, build_retirement
from hub_config.platform.catalogue import Catalogue, NodePool
from hub_config.platform.choices import Choice
from hub_config.platform.pod_starts import explain_pod, has_ended
from hub_config.platform.quantities import format_seconds
from hub_config.platform.sentences import describe_start
from hub_config.platform.waiting import Waiting
from hub_config.profiles import build_profile, build_user_options
from hub_config.shown import ShownError
from hub_config.spawners.choosing import ChoosingSpawner
from hub_config.spawners.cluster import run_briefly
from offline_jobs.contract.facts import Facts
from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Reason

_LOOK_SECONDS, _CHECKED_SECONDS = 1.0, 0.2
#: A start that was cancelled is stopped within this time, or the hub's check stops it.
_STOPPED_SECONDS = 60.0
#: Before the hub itself gives a start up.
_SPARE_SECONDS = 5.0


@dataclass(frozen=True)
class Offering:
    """What all sessions of this cluster share."""

    catalogue: Catalogue

    def __deepcopy__(self, memo: object) -> "Offering":
        """Itself: traitlets copies configured values, and nothing here can change."""
        return self


class KubernetesSpawner(ChoosingSpawner, KubeSpawner):  # type: ignore[misc]  # no types
    """One pod per user."""

    #: KubeSpawner's, of the start that it is at.
    _start_future: Any
    #: JupyterHub's: it looks, after its start, whether this server runs.
    _check_pending: bool
    #: The id of the pod that was there before this start, if one was.
    _earlier_pod = ""
    #: Kept, for the loop itself keeps no task.
    _noting: Any = None

    offering = Instance(Offering, help="What all sessions share.").tag(config=True)

    @property
    def catalogue(self) -> Catalogue:
        """What there is to choose from."""
        return self.offering.catalogue

    def measure(self) -> None:
        """A cluster gives what the catalogue says."""

    def build_profile_list(self) -> list[dict[str, Any]]:
        """The profile of the choice that is being started: there is no other to fall back on."""
        choice = self._choice
        return [build_profile(self.catalogue, self.build_person(), choice)] if choice else []

    async def load_user_options(self) -> None:
        """Check the options once more, and have KubeSpawner load the profile of their choice.

        Raises:
            ShownError: 400, with the sentence that says why not.
        """
        submitted = self.user_options
        choice: Choice = self.check_options(submitted)
        self._choice = choice
        self.user_options = build_user_options(choice)
        try:
            await super().load_user_options()
        finally:
            self.user_options = submitted

    def start(self) -> "asyncio.Future[str]":
        """KubeSpawner's; a pod that is there already says nothing of this start."""
        self._earlier_pod = _get_uid(self.find_pod())
        self.begin_session()
        started: asyncio.Future[str] = super().start()
        self._noting = asyncio.create_task(self._note_start(started))
        return asyncio.ensure_future(self._start_in_time(started))

    async def _start_in_time(self, started: "asyncio.Future[str]") -> str:
        """The start, ended in words shortly before JupyterHub would end it without any.

        Raises:
            ShownError: 500; it took too long, and this is what it waited for.
        """
        patience = max(self.start_timeout - _SPARE_SECONDS, self.start_timeout / 2)
        try:
            async with asyncio.timeout(patience) as limit:
                return await started
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ShownError(500, self._say_given_up()) from error

    def _say_given_up(self) -> str:
        return (
            f"The start was given up after {format_seconds(self.start_timeout)}. Until then:"
            f" {describe_start(self.explain_start())}. Start it again later, or choose another"
            " class; if that does not help, tell an administrator."
        )

    async def _note_start(self, started: "asyncio.Future[Any]") -> None:
        """Note what the start waits for, and that the server runs."""
        while not started.done():
            try:
                self.note_session(SessionState.STARTING, self.explain_start().reason)
            except Exception:
                self.log.exception("What the start of %s waits for is not noted", self._log_name)
            await asyncio.wait([started], timeout=_LOOK_SECONDS)
        if _is_done_well(started):
            self.note_session(SessionState.RUNNING)

    async def get_pod_manifest(self) -> Any:
        """KubeSpawner's, made when it surely knows the pods there are, and before it makes one."""
        self._earlier_pod = _get_uid(self.find_pod())
        return await super().get_pod_manifest()

    def is_pod_running(self, pod: Mapping[str, Any] | None) -> bool:
        """Whether the server's pod runs; a start is not kept waiting for one that never will.

        Raises:
            ShownError: 500, with the reason, where a start asks; whoever else asks gets an answer.
        """
        start = self._start_future
        is_starting = start is not None and asyncio.current_task() is start
        if is_starting and self.is_of_this_start(pod) and has_ended(pod):
            sentence = describe_start(self.explain_start())
            raise ShownError(500, f"{sentence}. Start it again, or tell an administrator.")
        running: bool = super().is_pod_running(pod)
        return running

    # ---- a start that a restart of the hub met

    async def poll(self) -> int | None:
        """KubeSpawner's; a hub that comes back in the middle of a start goes on with it.

        JupyterHub looks whether each server that it knows answers, for as long as one may take that
        runs, and deletes those that do not: a pod that waits for its machine takes longer.
        """
        if self._check_pending and self._start_future is None:
            begun = self.book.current
            if begun is not None and begun.state == SessionState.STARTING:
                return await self._resume()
        status: int | None = await super().poll()
        return status

    async def _resume(self) -> int | None:
        """Wait for the pod as its start did; its status then, ``None`` if it runs.

        Until the hub knows that the server answers, its pages show a start that goes on.
        """
        with suppress(ShownError):
            self._choice = self.check_options(self.orm_spawner.user_options)
        started = self._start_future = asyncio.ensure_future(self._wait_for_server())
        self._spawn_future = asyncio.ensure_future(self._see_it_through(started))
        self._spawn_pending = True
        # Else what is waited for would be judged by nothing.
        await self._start_watching_pods()
        await self._start_watching_events()
        self._noting = asyncio.create_task(self._note_start(started))
        await asyncio.wait([started])
        if started.cancelled():
            # By whoever wants an end and sees to it: nothing is to be stopped twice.
            async with asyncio.timeout(_STOPPED_SECONDS):
                while self.server is not None:  # noqa: ASYNC110  (JupyterHub tells nobody)
                    await asyncio.sleep(_CHECKED_SECONDS)
        return None if _is_done_well(started) else 1

    async def _wait_for_server(self) -> None:
        """Return when the pod runs and the server in it answers.

        Raises:
            ShownError: it ended, is gone, does not answer, or has had all the time of a start.
        """
        begun = self.orm_spawner.started.replace(tzinfo=UTC)
        deadline = begun + timedelta(seconds=self.start_timeout)
        while await super().poll() is None:
            if self.is_pod_running(self.find_pod()):
                await self._wait_for_answer()
                return
            if datetime.now(UTC) > deadline:
                raise ShownError(500, self._say_given_up())
            await asyncio.sleep(_LOOK_SECONDS)
        if self.find_pod() is None:
            raise ShownError(500, "The start was lost as the hub started anew. Start it again.")
        raise ShownError(500, f"{describe_start(self.explain_start())}. Start it again.")

    async def _wait_for_answer(self) -> None:
        """Wait for the server itself, as JupyterHub does after a start.

        Raises:
            ShownError: it does not answer in time.
        """
        try:
            await self.server.wait_up(timeout=self.http_timeout, http=True, extra_path="api")
        except TimeoutError as error:
            raise ShownError(500, "JupyterLab did not answer in time. Start it again.") from error

    async def _see_it_through(self, started: "asyncio.Future[Any]") -> None:
        """Be pending until the hub's check of this server is over, or somebody cancels the start.

        Raises:
            ShownError: the start has failed, with its reason, or was cancelled.
        """
        try:
            await asyncio.wait([started])
            while self._check_pending or self._stop_pending:  # noqa: ASYNC110
                await asyncio.sleep(_CHECKED_SECONDS)
        except asyncio.CancelledError:
            # The hub stops only what nothing else is pending for, and asks for an exception.
            started.cancel()
            self._check_pending = False
            raise ShownError(500, "The start was cancelled.") from None
        finally:
            self._spawn_pending = False
        started.result()

    # KubeSpawner then has news each second, also where the pod changed and no event came.
    @default("slow_spawn_message_threshold")
    def _default_slow_spawn_message_threshold(self) -> int:
        return 1

    @default("slow_spawn_message_frequency")
    def _default_slow_spawn_message_frequency(self) -> int:
        return 1

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """The start in plain words: one line for each thing that is waited for."""
        said, done = "", 0
        async for news in super().progress():
            done = news.get("progress", done)
            sentence = describe_start(self.explain_start())
            if sentence != said:
                said = sentence
                yield {"progress": done, "message": f"{sentence}.", "usual": self.describe_usual()}

    def explain_start(self) -> Waiting:
        """What the pod waits for, from what KubeSpawner's reflectors know of it."""
        pod = self.find_pod()
        if not self.is_of_this_start(pod):
            pod = None
        events = [
            each for each in self.events if each["involvedObject"].get("uid") == _get_uid(pod)
        ]
        return explain_pod(
            pod,
            events,
            None,
            facts=self.describe_facts(),
            started=Reason.JUPYTER_START,
            pool=self._find_pool(),
        )

    def _find_pool(self) -> NodePool | None:
        """Where this start's machine comes from."""
        if self._choice is None:
            return None
        return self.catalogue.node_pools[self._choice.instance_class.session.node_pool]

    async def retire_home(self, name: str) -> None:
        """Let a short pod rename the home: the hub itself sees nobody's."""
        home, image = self.build_person().home, self.catalogue.folders_image.reference
        pod = build_retirement(home, name, image)
        await run_briefly(self.api, self.namespace, pod, LONGEST_SECONDS)

    def find_pod(self) -> Mapping[str, Any] | None:
        """The pod of this server's name, as it was seen last."""
        pods = self.pod_reflector.pods if self.pod_reflector else {}
        pod: Mapping[str, Any] | None = pods.get(f"{self.namespace}/{self.pod_name}")
        return pod

    def is_of_this_start(self, pod: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
        """Whether there is a pod that was not there before this start."""
        return pod is not None and _get_uid(pod) != self._earlier_pod

    def describe_facts(self) -> Facts:
        """What sentences name, as people call it."""
        if self._choice is None:
            return {}
        return {
            "class": self._choice.instance_class.name,
            "image": self._choice.image.name,
            "group": self._choice.group.name,
        }


def _is_done_well(future: "asyncio.Future[Any]") -> bool:
    return not future.cancelled() and future.exception() is None


def _get_uid(pod: Mapping[str, Any] | None) -> str:
    return pod["metadata"]["uid"] if pod else ""
