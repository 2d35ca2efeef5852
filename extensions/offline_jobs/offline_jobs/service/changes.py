"""News of jobs: who is told that a stored job changed.

The store publishes after each commit; the event stream, the ETag of lists and the reconciler
listen. Publishing works from any thread and never waits: a subscriber that falls behind loses the
backlog and is told to read everything anew. Nothing here is durable, the store is.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

_QUEUE_LENGTH = 256


@dataclass(frozen=True)
class Change:
    """One news item. ``resync``: items were lost, read everything anew (then ``job`` is empty)."""

    job: str
    owner: str
    version: int
    removed: bool = False
    resync: bool = False


RESYNC = Change(job="", owner="", version=0, resync=True)


class _Subscriber(AsyncIterator[Change]):
    """One listener's bounded queue, living on the loop that subscribed.

    An endless iterator. Not a generator: a wait that is cancelled would end a generator for good.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.queue: asyncio.Queue[Change] = asyncio.Queue(_QUEUE_LENGTH)

    def put(self, change: Change) -> None:
        """Queue a change; on overflow the whole backlog becomes one *resync*."""
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            change = RESYNC
        self.queue.put_nowait(change)

    async def __anext__(self) -> Change:
        return await self.queue.get()


class Changes:
    """The one board on which changes are posted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: set[_Subscriber] = set()
        self._callbacks: list[Callable[[Change], None]] = []

    def publish(self, job: str, owner: str, version: int, removed: bool = False) -> None:
        """Tell everybody; callable from any thread, never waits."""
        change = Change(job, owner, version, removed)
        with self._lock:
            subscribers, callbacks = tuple(self._subscribers), tuple(self._callbacks)
        for subscriber in subscribers:
            try:
                subscriber.loop.call_soon_threadsafe(subscriber.put, change)
            except RuntimeError:  # its loop was closed without leaving the subscription
                with self._lock:
                    self._subscribers.discard(subscriber)
        for callback in callbacks:
            callback(change)

    def listen(self, callback: Callable[[Change], None]) -> None:
        """Call ``callback`` at every change, in the publishing thread; it must return at once."""
        with self._lock:
            self._callbacks.append(callback)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[Change]]:
        """Subscribe for the length of the context; yields an endless iterator of changes."""
        subscriber = _Subscriber(asyncio.get_running_loop())
        with self._lock:
            self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            with self._lock:
                self._subscribers.discard(subscriber)
