"""A door that lets so many through at a time, of one user and of all; the others wait before it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from offline_jobs.service.errors import Unavailable


class Door:
    """Lets requests through for one application.

    Args:
        most: at a time.
        most_of_one: of one user.
        seconds: that one waits at most, for each of both.
        full: what is said then.
    """

    def __init__(self, most: int, most_of_one: int, seconds: float, full: str) -> None:
        self._all = asyncio.Semaphore(most)
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._most_of_one = most_of_one
        self.seconds = seconds
        self._full = full

    @asynccontextmanager
    async def pass_through(self, user: str) -> AsyncIterator[None]:
        """Wait until there is room; it is taken for as long as the block lasts.

        Raises:
            Unavailable: there was none in time.
        """
        own = self._own.setdefault(user, asyncio.Semaphore(self._most_of_one))
        await self._acquire(own)
        try:
            await self._acquire(self._all)
            try:
                yield
            finally:
                self._all.release()
        finally:
            own.release()

    async def _acquire(self, semaphore: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                await semaphore.acquire()
        except TimeoutError as e:
            raise Unavailable(self._full) from e
