"""Each change of a session is told to the jobs service, whose ledger keeps it.

Place in the path: the spawners note a start, what it waits for, and the end (:class:`SessionBook`);
what was noted lies in the hub's own row of the spawner, in the same database as the session itself,
until the service has it (:class:`Courier`). So nothing is lost while either is away or restarts.
"""

import asyncio
import logging
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from jupyterhub import orm

from hub_config.jobs_service import JobsService, ServiceAway
from hub_config.platform.choices import Choice
from offline_jobs.contract.session import MOST_TURNS, PATH_SESSIONS, SessionState, SessionTurn
from offline_jobs.contract.states import Reason

#: Our entry in the state of a spawner.
KEY = "sessions"
#: So many turns of one user wait for the service at most; then the oldest go.
MOST_KEPT = 1_000
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0

log = logging.getLogger("jupyterhub.sessions")


@dataclass(frozen=True)
class SessionBook:
    """What is noted of one user's sessions.

    Attributes:
        row: the hub's, of the spawner (``jupyterhub.orm.Spawner``).
        db: the hub's session of its database.
    """

    row: Any
    db: Any

    @property
    def current(self) -> SessionTurn | None:
        """The last turn of the session that has not ended, if there is one."""
        return next(iter(_parse([self._read().get("current")])), None)

    @property
    def unsent(self) -> list[SessionTurn]:
        """What the service does not have yet, in order."""
        return _parse(self._read().get("unsent", ()))

    def begin(self, owner: str, choice: Choice) -> None:
        """Note that a session starts; one that was never seen to end had ended before."""
        if (lost := self.current) is not None:
            # When is not known: it is charged for as long as it was surely there.
            self._write(replace(lost, number=lost.number + 1, state=SessionState.ENDED, reason=""))
        first = SessionTurn(
            session=uuid.uuid4().hex,
            number=1,
            at=_now(),
            owner=owner,
            group=choice.group.slug,
            image=choice.image.slug,
            machine_class=choice.instance_class.slug,
            state=SessionState.STARTING,
        )
        self._write(first)

    def note(self, state: SessionState, reason: Reason | None = None) -> bool:
        """Note where the session is now.

        Returns:
            whether that is news: there is a session, and it was elsewhere.
        """
        last = self.current
        if last is None or (last.state, last.reason) == (state, reason or ""):
            return False
        number = last.number + 1
        self._write(replace(last, number=number, at=_now(), state=state, reason=reason or ""))
        return True

    def forget(self, sent: Sequence[SessionTurn]) -> None:
        """Forget what the service has."""
        unsent = [turn.to_json() for turn in self.unsent if turn not in sent]
        self._store({**self._read(), "unsent": unsent})

    def _write(self, turn: SessionTurn) -> None:
        unsent = [*self._read().get("unsent", ()), turn.to_json()]
        if len(unsent) > MOST_KEPT:
            log.error("A change of a session of %s is lost: too many are unsent", turn.owner)
        current = None if turn.state == SessionState.ENDED else turn.to_json()
        self._store({"current": current, "unsent": unsent[-MOST_KEPT:]})

    def _read(self) -> dict[str, Any]:
        noted: dict[str, Any] = (self.row.state or {}).get(KEY, {})
        return noted

    def _store(self, noted: dict[str, Any]) -> None:
        self.row.state = {**(self.row.state or {}), KEY: noted}
        try:
            self.db.commit()
        except Exception:
            # The hub's own session of its database: others go on with it.
            self.db.rollback()
            raise


@dataclass
class Courier:
    """Brings what is noted to the service, in order, again and again until it has it."""

    service: JobsService
    #: How long starts usually take, in seconds by class, as the service has learned.
    usual: dict[str, float] = field(default_factory=dict, init=False, compare=False)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, compare=False)
    _running: asyncio.Task[None] | None = field(default=None, init=False, compare=False)
    #: Rows with news.
    _rows: set[int] = field(default_factory=set, init=False, compare=False)
    _knows_what_was_left: bool = field(default=False, init=False, compare=False)

    def __deepcopy__(self, memo: object) -> "Courier":
        """Itself: traitlets copies configured values, and all sessions share this one."""
        return self

    def send_soon(self, book: SessionBook) -> None:
        """Have what is noted in a book sent, and what an earlier hub left; returns at once."""
        self._rows.add(book.row.id)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._send_all(book.db))

    async def send(self, book: SessionBook) -> None:
        """Send what is noted in one book, now.

        Raises:
            ServiceAway: the service did not say that it has it.
        """
        async with self._one_at_a_time:
            while turns := book.unsent[:MOST_TURNS]:
                body = {"turns": [turn.to_json() for turn in turns]}
                answer = await self.service.post(PATH_SESSIONS, body)
                self.usual = answer.get("usual_seconds", self.usual)
                book.forget(turns)

    async def _send_all(self, db: Any) -> None:
        if not self._knows_what_was_left:
            self._knows_what_was_left = True
            left = (row.id for row in db.query(orm.Spawner) if SessionBook(row, db).unsent)
            self._rows.update(left)
        pause = _FIRST_PAUSE
        while self._rows:
            # One that is refused keeps nobody else's waiting.
            away = [each for each in [await self._try(db, n) for n in list(self._rows)] if each]
            if away:
                log.warning("Changes of sessions wait for the jobs service: %s", away[-1])
                await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE) if away else _FIRST_PAUSE

    async def _try(self, db: Any, number: int) -> Exception | None:
        """Send what is noted in a row; why that was not possible."""
        try:
            row = db.get(orm.Spawner, number)
            if row is not None:
                await self.send(SessionBook(row, db))
        except ServiceAway as away:
            return away
        except Exception as error:
            log.exception("Changes of a session cannot be sent")
            return error
        self._rows.discard(number)
        return None


def _parse(noted: Iterable[dict[str, Any] | None]) -> list[SessionTurn]:
    """Turns as they were noted; what a hub of another version noted otherwise is left out."""
    turns = []
    for each in noted:
        with suppress(TypeError):
            turns += [SessionTurn.from_json(each)] if each else []
    return turns


def _now() -> str:
    return datetime.now(UTC).isoformat()
