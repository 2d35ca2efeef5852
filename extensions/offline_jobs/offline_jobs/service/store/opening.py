"""Opening the store at the service's start, and keeping it: what is waited for, what is refused.

``app.py`` calls it.
"""

import asyncio
import logging
import time
from contextlib import suppress

from offline_jobs.service.errors import (
    Damaged,
    StartRefused,
    StateInUse,
    Unavailable,
    find_reason,
)
from offline_jobs.service.store.store import Store

log = logging.getLogger(__name__)

#: A server that is starting, or cannot be reached, is waited for so long; a lock whose holder may
#: just be ending for less.
_AWAY_SECONDS, _IN_USE_SECONDS = 60.0, 5.0
_TRYING_SECONDS = 1.0
#: How often a service looks whether a database on a server is still its own to write.
_KEEPING_SECONDS = 2.0


async def open_store(store: Store, stop: asyncio.Event) -> bool:
    """Bring the database to its newest form; ``False`` where ``stop`` was set meanwhile.

    A server may still be starting, and whoever held the database may just be ending.

    Raises:
        StartRefused: it cannot be used.
    """
    begin = time.monotonic()
    is_told = False
    while not stop.is_set():
        passed = time.monotonic() - begin
        try:
            await asyncio.to_thread(store.migrate)
            await asyncio.to_thread(store.open_attempts)
        except Damaged as e:
            raise StartRefused(
                f"The jobs' database {store.name} is damaged: put its last good copy there, or "
                "move it away to begin without the records of earlier jobs."
            ) from e
        except StateInUse:
            if passed > _IN_USE_SECONDS:
                raise
        except Unavailable as e:
            if passed > _AWAY_SECONDS:
                raise StartRefused(
                    f"The jobs' database {store.name} could not be used for {passed:.0f} s "
                    f"({find_reason(e)}): end what holds it, start its server, or mend the "
                    "address in OFFLINE_JOBS_DATABASE_URL_FILE."
                ) from e
            if not is_told:
                log.warning("waiting for the database: %s", find_reason(e))
            is_told = True
        else:
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _TRYING_SECONDS)
    return False


async def keep_store(store: Store) -> None:
    """Look now and then whether the database is ours to write.

    Raises:
        StateInUse: another service has it now.
    """
    while True:
        await asyncio.sleep(_KEEPING_SECONDS)
        with suppress(Unavailable):
            await asyncio.to_thread(store.keep)
