"""A copy of what the API server has of one kind, kept up to date by list and watch.

Place in the path: ``volcano/backend.py`` keeps a :class:`Watch` of Jobs, pod groups, pods, events
and node claims, and reads their objects at each look; ``on_change`` wakes the reconciler. A watch
is resumed where it broke; where the server has forgotten that point (410) everything is listed
again; between failures there is a growing pause. Objects that went are kept as they were seen last
until :meth:`Watch.forget`: a pod's last words come with its end.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Collection

from offline_jobs.service.backends.kubernetes.client import Client, Object, Resource, Stream
from offline_jobs.service.errors import ClusterAway, ClusterRefused

_log = logging.getLogger(__name__)
#: The server ends a watch after so long; also how long a dead connection stays unnoticed.
WATCH_SECONDS = 60
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 30.0
_SHORT_SECONDS = 1.0
#: The failure, of those in a row, that an administrator should hear of.
_TOLD_AT = 4
_GONE = 410


class Copy:
    """The objects of one kind, by uid; what a list or a change makes of them. No I/O.

    ``version`` is where a watch may go on; empty: everything must be listed.
    """

    def __init__(self) -> None:
        self.version = ""
        self._there: dict[str, Object] = {}
        self._gone: dict[str, Object] = {}
        #: Objects that we made, until the server tells of them.
        self._learnt: set[str] = set()

    @property
    def there(self) -> list[Object]:
        """What there is."""
        return list(self._there.values())

    @property
    def gone(self) -> list[Object]:
        """What went, as it was seen last."""
        return list(self._gone.values())

    def begin_list(self) -> None:
        """A list is asked for: what is learnt from now on may be newer than it."""
        self._learnt.clear()

    def replace(self, items: Collection[Object], version: str) -> None:
        """Take a list's answer."""
        listed = {get_uid(each): each for each in items}
        for uid in self._there.keys() - listed.keys() - self._learnt:
            self._gone[uid] = self._there[uid]
        learnt = {uid: self._there[uid] for uid in self._learnt if uid in self._there}
        # What is deleted never comes back: its uid is not given twice.
        self._there = {
            uid: each for uid, each in (learnt | listed).items() if uid not in self._gone
        }
        self.version = version

    def change(self, kind: str, found: Object) -> bool:
        """Take a change; whether it says anything new.

        Raises:
            ClusterRefused: it is an error, such as that the server has forgotten our version.
        """
        if kind == "ERROR":
            said = str(found.get("message", ""))
            status, word = int(found.get("code") or 0), str(found.get("reason", ""))
            raise ClusterRefused(f"the watch ended: {status} {word}: {said}", status, word, said)
        self.version = found["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            return False
        uid = get_uid(found)
        self._learnt.discard(uid)
        if kind == "DELETED":
            self._there.pop(uid, None)
            self._gone[uid] = found
        elif uid not in self._gone:
            self._there[uid] = found
        return True

    def learn(self, found: Object) -> None:
        """Take an object that we have just made, of which no watch has told yet."""
        uid = get_uid(found)
        if uid not in self._gone and uid not in self._there:
            self._there[uid] = found
            self._learnt.add(uid)

    def forget(self, is_needed: Callable[[Object], bool]) -> None:
        """Let go of what went and is not needed."""
        self._gone = {uid: each for uid, each in self._gone.items() if is_needed(each)}


def get_uid(found: Object) -> str:
    """An object's uid, which no other object ever has."""
    uid: str = found["metadata"]["uid"]
    return uid


class Watch:
    """Keeps the :class:`Copy` of one kind in one namespace, in a thread of its own.

    ``on_change`` is called by that thread.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespace: str = "",
        *,
        on_change: Callable[[], None] = lambda: None,
        watch_seconds: int = WATCH_SECONDS,
    ) -> None:
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._on_change = on_change
        self._watch_seconds = watch_seconds
        self._lock = threading.Lock()
        self._copy = Copy()
        self._stream: Stream | None = None
        self._stopping = threading.Event()
        self._synced = threading.Event()
        self._heard = time.monotonic()
        self._failures = 0
        self._all_failures = 0
        self._thread = threading.Thread(
            target=self._run, name=f"watch-{resource.plural}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """End, and wait for that."""
        self._stopping.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()
        self._thread.join(seconds)

    def wait_until_synced(self, seconds: float) -> bool:
        """Wait for the first whole list; whether it came."""
        return self._synced.wait(seconds)

    @property
    def is_synced(self) -> bool:
        """Whether there was a whole list since the start."""
        return self._synced.is_set()

    def silent_seconds(self) -> float:
        """For how long the server could not be heard; 0 while a watch is open."""
        with self._lock:
            return 0.0 if self._stream is not None else time.monotonic() - self._heard

    def count_failures(self) -> int:
        """How often it ended otherwise than it should, since the start."""
        return self._all_failures

    def there(self) -> list[Object]:
        """What there is, as far as we know."""
        with self._lock:
            return self._copy.there

    def gone(self) -> list[Object]:
        """What went, as it was seen last."""
        with self._lock:
            return self._copy.gone

    def learn(self, found: Object) -> None:
        """Take an object that we have just made."""
        with self._lock:
            self._copy.learn(found)

    def forget(self, is_needed: Callable[[Object], bool]) -> None:
        """Let go of what went and is not needed."""
        with self._lock:
            self._copy.forget(is_needed)

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._follow()
                # A server that ends its watches at once must not be asked without pause.
                if time.monotonic() - began >= _SHORT_SECONDS:
                    self._failures = 0
                    continue
                self._failures += 1
            except ClusterRefused as e:
                if e.status == _GONE:
                    self._copy.version = ""
                self._note(e)
            except ClusterAway as e:
                self._note(e)
            except Exception:  # noqa: BLE001  (a watch must not end as long as there is a service)
                self._copy.version = ""
                self._failures += 1
                _log.exception("the watch of %s failed; it begins anew", self._resource.plural)
            self._all_failures += 1
            self._stopping.wait(self._pause())

    def _follow(self) -> None:
        """List if that is needed, then watch until the server ends it."""
        if not self._copy.version:
            with self._lock:
                self._copy.begin_list()
            items, version = self._client.list(self._resource, self._namespace)
            with self._lock:
                self._copy.replace(items, version)
                self._heard = time.monotonic()
            self._synced.set()
            self._on_change()
        stream = self._client.watch(
            self._resource, self._namespace, self._copy.version, self._watch_seconds
        )
        with self._lock:
            self._stream = stream
            if self._stopping.is_set():
                stream.close()
        try:
            for kind, found in stream:
                with self._lock:
                    is_news = self._copy.change(kind, found)
                self._failures = 0
                if is_news:
                    self._on_change()
        finally:
            with self._lock:
                self._stream = None
                self._heard = time.monotonic()
            stream.release()

    def _note(self, error: ClusterAway | ClusterRefused) -> None:
        self._failures += 1
        # A server that forgets a version or is restarted is everyday life; and that a kind is not
        # served, or not shown to us, need not be said for ever.
        level = {1: logging.INFO, _TOLD_AT: logging.WARNING}.get(self._failures, logging.DEBUG)
        if not self._stopping.is_set():
            _log.log(level, "%s; it is tried again", error)

    def _pause(self) -> float:
        """Growing, and never the same for all, so that they do not come back together."""
        doubled = _FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 10)
        return min(doubled, _LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1)
