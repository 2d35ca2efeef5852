"""The small parts: news, tokens, objects, fail-points."""

import asyncio
import hmac
import threading
from pathlib import Path

import pytest

from offline_jobs.service import crash
from offline_jobs.service.changes import RESYNC, Change, Changes
from offline_jobs.service.errors import StartRefused
from offline_jobs.service.object_store import FolderStore
from offline_jobs.service.tokens import Tokens


@pytest.fixture
def changes() -> Changes:
    return Changes()


def test_every_subscriber_gets_news_from_any_thread_in_order(changes: Changes) -> None:
    def publish() -> None:
        for number in range(20):
            changes.publish("job", "ada", number)

    async def listen() -> None:
        async with changes.subscribe() as first, changes.subscribe() as second:
            thread = threading.Thread(target=publish)
            thread.start()
            for news in (first, second):
                got = [(await asyncio.wait_for(anext(news), 10)).version for _ in range(20)]
                assert got == list(range(20))
            thread.join()

    asyncio.run(listen())


def test_a_slow_subscriber_is_told_to_read_anew(changes: Changes) -> None:
    async def listen() -> None:
        async with changes.subscribe() as news:
            for number in range(1000):
                changes.publish("job", "ada", number)
            await asyncio.sleep(0)
            got: list[Change] = []
            while not got or got[-1].version != 999:
                got.append(await asyncio.wait_for(anext(news), 10))
            assert RESYNC in got
            assert len(got) <= 256
            after = [item.version for item in got[got.index(RESYNC) + 1 :]]
            assert after == list(range(1000))[-len(after) :]

    asyncio.run(listen())


def test_a_wait_that_ran_out_of_time_does_not_end_the_subscription(changes: Changes) -> None:
    async def listen() -> None:
        async with changes.subscribe() as news:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(news), 0.01)
            changes.publish("job", "ada", 7)
            assert (await asyncio.wait_for(anext(news), 10)).version == 7

    asyncio.run(listen())


def test_who_left_hears_nothing_and_hinders_nobody(changes: Changes) -> None:
    heard: list[Change] = []
    changes.listen(heard.append)

    async def leave() -> None:
        async with changes.subscribe():
            pass

    asyncio.run(leave())
    changes.publish("job", "ada", 1)
    assert len(heard) == 1


def test_a_token_opens_its_attempt_only() -> None:
    tokens = Tokens(b"k" * 32)
    token = tokens.make("k3j9x0a1b2c3", 1)
    assert tokens.check(token, "k3j9x0a1b2c3", 1)
    assert not tokens.check(token, "k3j9x0a1b2c3", 2)
    assert not tokens.check(token, "k3j9x0a1b2c4", 1)
    assert not Tokens(b"l" * 32).check(token, "k3j9x0a1b2c3", 1)
    for wrong in ("", token[:-1], token.upper(), "é" * 64):
        assert not tokens.check(wrong, "k3j9x0a1b2c3", 1)
    with pytest.raises(ValueError, match="too short"):
        Tokens(b"")


@pytest.mark.parametrize("where", ["nowhere", "first", "last", "length"])
def test_a_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """What decides is the library's comparison, which is given all of both sides."""
    tokens = Tokens(b"k" * 32)
    right = tokens.make("k3j9x0a1b2c3", 1)
    given = {"nowhere": right, "first": f"x{right[1:]}", "last": f"{right[:-1]}x", "length": "x"}
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append({one, other})
        return compare_digest(one, other)

    compare_digest = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert tokens.check(given[where], "k3j9x0a1b2c3", 1) == (where == "nowhere")
    assert compared == [{given[where].encode(), right.encode()}]


@pytest.mark.parametrize("key", ["", "../secrets", "a/../b", "/etc/passwd", "a//b", "A", "a\0b"])
def test_a_key_stays_inside(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        FolderStore(tmp_path / "objects").put(key, b"")


@pytest.mark.parametrize(
    ("step", "demonstration", "words"),
    [("after-commit", False, "unset it"), ("nowhere", True, "choose one of before-commit")],
)
def test_fail_points_are_refused(step: str, demonstration: bool, words: str) -> None:
    with pytest.raises(StartRefused, match=words):
        crash.arm(step, demonstration=demonstration)
    crash.arm("", demonstration=False)
    crash.crash_at("after-commit")
