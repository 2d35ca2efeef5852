"""Attempts as Volcano Jobs, one each, in one namespace of a cluster.

Place in the path: the reconciler asks it; ``build.py`` says what is made, ``client.py`` makes it,
``watch.py`` keeps a copy of what there is, and ``explain.py`` says what is seen of an attempt. No
request is sent for a look. What it remembers may be lost with the service: Jobs have deterministic
names and say whose they are.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from hub_config.platform.catalogue import NodePool
from offline_jobs.contract.names import object_name
from offline_jobs.contract.states import Reason
from offline_jobs.service.backends.backend import Launch
from offline_jobs.service.backends.kubernetes.client import (
    EVENTS,
    JOBS,
    NODE_CLAIMS,
    POD_GROUPS,
    PODS,
    Client,
    Object,
    Resource,
)
from offline_jobs.service.backends.kubernetes.objects import (
    get_attempt,
    get_name,
    get_phase,
    sort_out,
)
from offline_jobs.service.backends.kubernetes.watch import Watch
from offline_jobs.service.backends.volcano.build import build_job
from offline_jobs.service.backends.volcano.explain import (
    FINAL_PHASES,
    count_ahead,
    observe,
    read_facts,
)
from offline_jobs.service.crash import crash_at
from offline_jobs.service.errors import BackendError
from offline_jobs.service.model import Observation, WatchState

#: With a server that could not be heard for so long, nobody knows what there is.
_SILENT_SECONDS = 10.0
#: A pod that went is remembered as long as somebody has asked for its attempt within this time.
_REMEMBERED_SECONDS = 3600.0


class VolcanoBackend:
    """Runs attempts as Volcano Jobs; they are left alone when the service ends."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        pools: Mapping[str, NodePool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the pool of each class of machines, by its slug."""
        self.slots: int | None = None
        self._client = client
        self._namespace = namespace
        self._pools = pools
        self._clock = clock
        self._watches: dict[Resource, Watch] = {}
        self._asked: dict[str, float] = {}

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin to watch."""
        for resource in (JOBS, POD_GROUPS, PODS, EVENTS, NODE_CLAIMS):
            namespace = self._namespace if resource.namespaced else ""
            watch = Watch(self._client, resource, namespace, on_change=on_change)
            self._watches[resource] = watch
            watch.start()

    def close(self) -> None:
        """End the watches."""
        for watch in self._watches.values():
            watch.stop()
        self._client.close()

    async def launch(self, launch: Launch) -> Mapping[str, Any]:
        """Create the attempt's Job, or adopt the one that is there."""
        return await asyncio.to_thread(self._launch, launch)

    async def observe(self, object_names: Collection[str]) -> Mapping[str, Observation]:
        """What is seen of these attempts."""
        return await asyncio.to_thread(self._observe, object_names)

    async def stop(self, object_name: str, *, force: bool) -> None:
        """Delete the Job; its pod has its grace to save and report, whatever ``force`` says.

        A runner that was asked to end has been asked through the service; to end a pod sooner than
        its grace would need a right over pods, which the service does not have.
        """
        await asyncio.to_thread(self._delete, object_name)

    def watches(self) -> Mapping[str, WatchState]:
        """How the watches are, by the plural of what they watch."""
        return {
            resource.plural: WatchState(watch.silent_seconds(), watch.count_failures())
            for resource, watch in self._watches.items()
        }

    async def list_ended(self) -> Collection[str]:
        """Jobs that have ended: each counts in the namespace's quota."""
        return [
            name
            for job in self._there(JOBS)
            if get_phase(job) in FINAL_PHASES and get_attempt(job) == (name := get_name(job))
        ]

    async def remove_job(self, job_id: str, attempts: int) -> None:
        """Delete the Jobs of a deleted record."""
        for number in range(1, attempts + 1):
            await asyncio.to_thread(self._delete, object_name(job_id, number))

    def _launch(self, launch: Launch) -> Mapping[str, Any]:
        crash_at("before-launch")
        made = self._client.create(JOBS, self._namespace, build_job(launch, self._namespace))
        if made is None:
            made = self._find_own(launch)
        # The copy may be behind: without this the next look would not find what was just made.
        self._watches[JOBS].learn(made)
        crash_at("after-launch")
        return {"uid": made["metadata"]["uid"]}

    def _find_own(self, launch: Launch) -> Object:
        """The Job that has the attempt's name already, if it is the attempt's."""
        found = self._client.find(JOBS, self._namespace, launch.object_name)
        if found is None:
            raise BackendError(f"{launch.object_name} was there and went", "it was removed")
        if get_attempt(found) != launch.object_name:
            raise BackendError(
                f"a Job that is not ours has the name {launch.object_name}",
                "its name in the cluster is taken",
            )
        return found

    def _observe(self, names: Collection[str]) -> dict[str, Observation]:
        if not self._is_informed():
            away = Observation("unknown", Reason.CLUSTER_UNREACHABLE)
            return dict.fromkeys(names, away)
        self._remember(names)
        groups = self._there(POD_GROUPS)
        # Pods before Jobs: a pod whose Job is not known yet would count as one whose Job went.
        pods, gone_pods = self._there(PODS), self._watches[PODS].gone()
        seen = sort_out(
            jobs=self._there(JOBS),
            pod_groups=groups,
            pods=pods,
            gone_pods=gone_pods,
            events=self._there(EVENTS),
        )
        ahead = count_ahead(groups)
        # Without Karpenter, or the right to look at its machines, this never becomes true.
        claims = self._there(NODE_CLAIMS) if self._watches[NODE_CLAIMS].is_synced else None
        facts = {name: read_facts(seen.get(name)) for name in names}
        return {
            name: observe(
                seen.get(name),
                claims=claims,
                ahead=ahead,
                facts=facts[name],
                pool=self._pools.get(facts[name].get("class", "")),
            )
            for name in names
        }

    def _there(self, resource: Resource) -> list[Object]:
        return self._watches[resource].there()

    def _delete(self, name: str) -> None:
        found = self._client.find(JOBS, self._namespace, name)
        if found is not None and get_attempt(found) == name:
            self._client.delete(JOBS, self._namespace, name, uid=found["metadata"]["uid"])

    def _is_informed(self) -> bool:
        """Whether the copies tell how things are now."""
        return all(
            watch.is_synced and watch.silent_seconds() < _SILENT_SECONDS
            for resource, watch in self._watches.items()
            if resource != NODE_CLAIMS
        )

    def _remember(self, names: Collection[str]) -> None:
        """Let go of what went and of which nobody asks any more."""
        now = self._clock()
        self._asked |= dict.fromkeys(names, now)
        self._asked = {k: v for k, v in self._asked.items() if now - v < _REMEMBERED_SECONDS}
        needed = frozenset(self._asked)
        for watch in self._watches.values():
            watch.forget(lambda found: get_attempt(found) in needed)
