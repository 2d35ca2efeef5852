"""What is noted of sessions reaches the jobs service in order, also one that is away or refuses."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from hub_config import sessions
from hub_config.departures import depart
from hub_config.jobs_service import JobsService, ServiceAway
from hub_config.platform.choices import Choice
from hub_config.sessions import KEY, Courier, SessionBook
from hub_config.shown import ShownError
from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Reason

CHOICE = Choice(*(SimpleNamespace(slug=slug) for slug in ("lab", "notebook", "gpu")))  # type: ignore[arg-type]


@dataclass
class Service:
    """Listens as the jobs service does; refuses as often as it is told to."""

    refusals: int = 0
    #: Whose turns it always refuses.
    never: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def told(self) -> list[tuple[str, int, str]]:
        """Owner, number and state of each turn that it took, in order."""
        turns = [turn for path, body in self.calls for turn in body.get("turns", ())]
        return [(turn["owner"], turn["number"], turn["state"]) for turn in turns]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[JobsService]:
        """Where the hub finds it meanwhile."""
        service = self

        class Handler(RequestHandler):
            def post(self, path: str) -> None:
                body = json.loads(self.request.body)
                owners = {turn["owner"] for turn in body.get("turns", ())}
                if service.refusals or service.never in owners:
                    service.refusals -= bool(service.refusals)
                    self.send_error(503)
                    return
                service.calls.append((path, body))
                self.write({"kept": 1, "open": 0, "usual_seconds": {"gpu": 172.0}})

        socket, port = bind_unused_port()
        server = HTTPServer(Application([("/services/offline-jobs/api/v1/(.*)", Handler)]))
        server.add_socket(socket)
        try:
            yield JobsService(f"http://127.0.0.1:{port}", "token")
        finally:
            server.stop()


@pytest.fixture
def db() -> Any:
    return orm.new_session_factory("sqlite:///:memory:")()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_FIRST_PAUSE", 0.01)


def make_book(db: Any, name: str) -> SessionBook:
    user = orm.User(name=name)
    row = orm.Spawner(name="", user=user)
    db.add(row)
    db.commit()
    return SessionBook(row, db)


def play(book: SessionBook, name: str) -> None:
    """A whole session."""
    book.begin(name, CHOICE)
    book.note(SessionState.RUNNING)
    book.note(SessionState.ENDED)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (the database tells nobody)
            await asyncio.sleep(0.01)


async def send_behind(first: SessionBook, book: SessionBook, service: Service) -> None:
    """Have two books sent, until the second one is."""
    async with service.listening() as jobs:
        courier = Courier(jobs)
        courier.send_soon(first)
        courier.send_soon(book)
        await until(lambda: not book.unsent)


WHOLE = [(1, "starting"), (2, "running"), (3, "ended")]


def test_what_is_noted_is_in_the_hubs_own_database_with_the_rest_of_the_state(db: Any) -> None:
    book = make_book(db, "ada")
    book.row.state = {"pid": 7}
    book.begin("ada", CHOICE)
    assert book.note(SessionState.STARTING, Reason.NO_NODE)
    assert not book.note(SessionState.STARTING, Reason.NO_NODE)
    db.expire_all()

    assert book.row.state["pid"] == 7
    assert [(t.number, t.state, t.reason) for t in book.unsent] == [
        (1, "starting", ""),
        (2, "starting", "no-node"),
    ]
    assert book.current == book.unsent[-1]
    assert {(t.owner, t.group, t.image, t.machine_class) for t in book.unsent} == {
        ("ada", "lab", "notebook", "gpu")
    }


def test_a_session_that_was_never_seen_to_end_ends_where_the_next_begins(db: Any) -> None:
    book = make_book(db, "ada")
    book.begin("ada", CHOICE)
    book.begin("ada", CHOICE)

    turns = book.unsent
    assert [(t.number, t.state) for t in turns] == [(1, "starting"), (2, "ended"), (1, "starting")]
    # Nobody knows when: no time is charged in which it was not surely there.
    assert turns[0].at == turns[1].at
    assert turns[0].session == turns[1].session != turns[2].session


def test_without_a_session_there_is_nothing_to_note(db: Any) -> None:
    book = make_book(db, "ada")
    assert not book.note(SessionState.RUNNING)
    play(book, "ada")
    assert not book.note(SessionState.RUNNING)
    assert len(book.unsent) == 3
    assert book.current is None


def test_a_service_that_refuses_is_asked_again_by_itself(db: Any) -> None:
    book, service = make_book(db, "ada"), Service(refusals=3)
    play(book, "ada")

    async def run() -> None:
        async with service.listening() as jobs:
            Courier(jobs).send_soon(book)
            await until(lambda: not book.unsent)

    asyncio.run(run())
    assert service.told == [("ada", *turn) for turn in WHOLE]


def test_what_an_earlier_hub_left_is_sent_with_the_first_news(db: Any) -> None:
    left, book, service = make_book(db, "ben"), make_book(db, "ada"), Service()
    play(left, "ben")
    play(book, "ada")

    async def run() -> None:
        async with service.listening() as jobs:
            Courier(jobs).send_soon(book)
            await until(lambda: not left.unsent and not book.unsent)

    asyncio.run(run())
    assert sorted(service.told) == [(who, *turn) for who in ("ada", "ben") for turn in WHOLE]


def test_one_that_is_refused_for_ever_keeps_nobody_else_waiting(db: Any) -> None:
    stuck, book, service = make_book(db, "ben"), make_book(db, "ada"), Service(never="ben")
    play(stuck, "ben")
    play(book, "ada")

    asyncio.run(send_behind(stuck, book, service))
    assert len(stuck.unsent) == 3


def test_many_turns_go_in_several_messages_and_none_twice(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_TURNS", 2)
    book, service = make_book(db, "ada"), Service()
    play(book, "ada")

    async def run() -> None:
        async with service.listening() as jobs:
            courier = Courier(jobs)
            await asyncio.gather(courier.send(book), courier.send(book))

            assert courier.usual == {"gpu": 172.0}

    asyncio.run(run())
    assert [len(body["turns"]) for _, body in service.calls] == [2, 1]
    assert service.told == [("ada", *turn) for turn in WHOLE]


def test_of_too_many_the_oldest_go(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_KEPT", 4)
    book = make_book(db, "ada")
    for _ in range(2):
        play(book, "ada")
    assert [turn.number for turn in book.unsent] == [3, 1, 2, 3]
    assert len(book.row.state[KEY]["unsent"]) == 4


def test_a_service_that_is_not_there_is_away() -> None:
    socket, port = bind_unused_port()
    socket.close()
    with pytest.raises(ServiceAway, match="refused"):
        asyncio.run(JobsService(f"http://127.0.0.1:{port}", "token").post("sessions", {}))


def test_who_departs_has_told_all_before_the_records_are_anothers(db: Any) -> None:
    book, service = make_book(db, "ada"), Service()
    play(book, "ada")

    async def run() -> None:
        async with service.listening() as jobs:

            async def retire(name: str) -> None:
                """The home is elsewhere."""

            spawner = SimpleNamespace(
                pending=None,
                build_person=lambda: SimpleNamespace(home="ada"),
                retire_home=retire,
                send_turns=lambda: Courier(jobs).send(book),
            )
            await depart(SimpleNamespace(name="ada", spawner=spawner), jobs)

    asyncio.run(run())
    paths = [path for path, _ in service.calls]
    assert paths == ["departures", "sessions", "departures/complete"]


def test_who_has_a_start_in_progress_does_not_depart(db: Any) -> None:
    spawner = SimpleNamespace(pending="spawn")
    with pytest.raises(ShownError, match="is starting or stopping"):
        asyncio.run(
            depart(SimpleNamespace(name="ada", spawner=spawner), JobsService("http://x", "token"))
        )


def test_notes_of_another_version_keep_nobody_elses_waiting(db: Any) -> None:
    odd, book, service = make_book(db, "ben"), make_book(db, "ada"), Service()
    odd.row.state = {KEY: {"current": {"new": 1}, "unsent": [{"new": 1}]}}
    play(book, "ada")

    asyncio.run(send_behind(odd, book, service))
    assert odd.current is None
    assert service.told == [("ada", *turn) for turn in WHOLE]
