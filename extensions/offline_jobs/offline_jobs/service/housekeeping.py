"""Clears away what owners deleted (results, logs, folders), and what the cluster need not keep.

A deletion is noted in the store with the record's removal; here it is carried out, as often as it
takes. Objects of attempts whose end is stored have nothing more to say, and count in the quota of
their namespace. ``app.py`` starts it.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

from offline_jobs.service.backends.backend import Backend
from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import BackendError, ObjectsAway, Unavailable, find_reason
from offline_jobs.service.object_store import ObjectStore
from offline_jobs.service.store.store import Store

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 60.0
#: So long an object stays for whoever looks by hand.
_SHOWN = timedelta(minutes=1)


class Housekeeping:
    """Makes deleted jobs' files go."""

    def __init__(
        self, store: Store, backend: Backend, objects: ObjectStore, changes: Changes
    ) -> None:
        self._store = store
        self._backend = backend
        self._objects = objects
        self._changes = changes

    async def run(self) -> None:
        """Clear at the start, after each deletion and once a minute, until cancelled."""
        async with self._changes.subscribe() as news:
            while True:
                for clear in (self.look_after_objects, self.clear_removed, self.clear_ended):
                    try:
                        await clear()
                    except Unavailable as e:
                        _log.warning("clearing failed; it is tried again: %s", find_reason(e))
                    except Exception:  # noqa: BLE001  (the loop must go on)
                        _log.exception("clearing failed; it is tried again")
                try:
                    async with asyncio.timeout(_AGAIN_SECONDS):
                        async for change in news:
                            if change.removed or change.resync:
                                break
                except TimeoutError:
                    continue

    async def look_after_objects(self) -> None:
        """Find out whether objects can be had again, where they could not."""
        if self._objects.trouble:
            with suppress(Unavailable):
                await asyncio.to_thread(self._objects.look)

    async def clear_removed(self) -> None:
        """Clear away what is left of deleted jobs; what cannot go now stays noted."""
        for job_id, attempts in await asyncio.to_thread(self._store.states.removals):
            try:
                await asyncio.to_thread(self._objects.delete_prefix, job_id)
                await self._backend.remove_job(job_id, attempts)
            except (OSError, BackendError, ObjectsAway) as error:
                _log.warning("%s is not cleared away yet: %s", job_id, error)
                continue
            await asyncio.to_thread(self._store.states.note_removed, job_id)

    async def clear_ended(self) -> None:
        """Let objects go whose end has been stored for a while."""
        ended = await self._backend.list_ended()
        for name in await asyncio.to_thread(self._store.states.find_closed, ended, _SHOWN):
            try:
                await self._backend.stop(name, force=True)
            except BackendError as error:
                _log.warning("%s is not cleared away yet: %s", name, error)
