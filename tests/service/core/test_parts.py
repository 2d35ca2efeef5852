"""The small parts: news, tokens, objects, the state's lock, fail-points, housekeeping."""

import asyncio
import hmac
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from offline_jobs.contract.states import State
from offline_jobs.service import crash
from offline_jobs.service.backends.local.backend import LocalBackend
from offline_jobs.service.changes import RESYNC, Change, Changes
from offline_jobs.service.errors import StartRefused, StateInUse
from offline_jobs.service.housekeeping import Housekeeping
from offline_jobs.service.model import Ending
from offline_jobs.service.object_store import ObjectStore, log_key, result_key
from offline_jobs.service.store.lock import hold_state
from offline_jobs.service.store.store import Store
from offline_jobs.service.tokens import Tokens
from tests.factories import make_machine
from tests.files import largest_file, reading
from tests.service.core.factories import make_new_job

LARGE = 2 * 2**20


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


def test_an_object_is_whole_or_not_there(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path / "objects")
    key = result_key("k3j9x0a1b2c3", 1)
    assert objects.open(key) is None
    assert objects.size(key) is None
    objects.put(key, b"first")
    objects.put(key, b"second one")
    objects.put(log_key("k3j9x0a1b2c3", 2), b"log")
    opened = objects.open(key)
    assert opened is not None
    with opened:
        assert opened.read() == b"second one"
    assert objects.size(key) == 10
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    objects.delete_prefix("k3j9x0a1b2c3")
    objects.delete_prefix("k3j9x0a1b2c3")
    assert objects.size(key) is None


def test_a_reader_sees_the_whole_old_or_the_whole_new_object(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    key = result_key("k3j9x0a1b2c3", 1)
    versions = [letter * LARGE for letter in (b"a", b"b")]
    objects.put(key, versions[1])
    opened = objects.open(key)
    assert opened is not None
    with opened as earlier, reading(tmp_path / key, versions) as seen:
        for turn in range(10):
            objects.put(key, versions[turn % 2])
        assert earlier.read() == versions[1]
    assert seen.reads
    assert seen.torn == []


def test_a_full_disk_amid_a_write_leaves_the_earlier_object_whole(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    key = result_key("k3j9x0a1b2c3", 1)
    objects.put(key, b"earlier")
    for name in (key, log_key("k3j9x0a1b2c3", 1)):
        with largest_file(LARGE), pytest.raises(OSError, match="File too large"):
            objects.put(name, b"n" * (2 * LARGE))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [tmp_path / key]
    assert files[0].read_bytes() == b"earlier"


@pytest.mark.parametrize("key", ["", "../secrets", "a/../b", "/etc/passwd", "a//b", "A", "a\0b"])
def test_a_key_stays_inside(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not an object key"):
        ObjectStore(tmp_path / "objects").put(key, b"")


def test_the_state_has_one_holder_and_is_free_after_its_death(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from offline_jobs.service.store.lock import hold_state\n"
        "with hold_state(Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateInUse, match=rf"process {holder.pid}"), hold_state(tmp_path):
            pytest.fail("two holders")
        holder.kill()
    with hold_state(tmp_path):
        pass


@pytest.mark.parametrize(
    ("step", "demonstration", "words"),
    [("after-commit", False, "unset it"), ("nowhere", True, "choose one of before-commit")],
)
def test_fail_points_are_refused(step: str, demonstration: bool, words: str) -> None:
    with pytest.raises(StartRefused, match=words):
        crash.arm(step, demonstration=demonstration)
    crash.arm("", demonstration=False)
    crash.crash_at("after-commit")


def test_housekeeping_goes_on_after_whatever_went_wrong(
    changes: Changes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that cannot be used for a moment ends neither it nor the service."""
    backend = LocalBackend(
        slots=1, state=tmp_path, environments=tmp_path / "none", machine=make_machine()
    )
    objects = ObjectStore(tmp_path / "objects")
    store = Store(f"sqlite:///{tmp_path / 'later' / 'jobs.sqlite'}", changes)
    housekeeping = Housekeeping(store, backend, objects, changes)

    async def go() -> str:
        running = asyncio.create_task(housekeeping.run())
        await _until(lambda: "it is tried again" in caplog.text or running.done())
        assert not running.done()
        (tmp_path / "later").mkdir()
        store.migrate()
        job = store.create_job(make_new_job("1"), open_limit=9)[0].id
        objects.put(result_key(job, 1), b"result")
        store.states.finish(job, 1, Ending(State.SUCCEEDED))
        store.delete_job(job)
        await _until(lambda: not store.states.removals())
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return job

    job = asyncio.run(go())
    store.close()
    assert objects.size(result_key(job, 1)) is None


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (what is waited for sets no event)
            await asyncio.sleep(0.01)


def test_what_an_owner_deleted_goes_also_after_a_crash(
    store: Store, changes: Changes, tmp_path: Path
) -> None:
    objects = ObjectStore(tmp_path / "objects")
    backend = LocalBackend(
        slots=1, state=tmp_path, environments=tmp_path / "none", machine=make_machine()
    )
    housekeeping = Housekeeping(store, backend, objects, changes)
    kept, gone = (store.create_job(make_new_job("1"), open_limit=9)[0].id for _ in range(2))
    for job in (kept, gone):
        objects.put(result_key(job, 1), b"result")
        (tmp_path / "jobs" / f"job-{job}-1").mkdir(parents=True)
        (tmp_path / "checkpoints" / job).mkdir(parents=True)
        store.states.finish(job, 1, Ending(State.SUCCEEDED))
    store.delete_job(gone)  # and the service died here
    asyncio.run(housekeeping.clear_removed())
    assert objects.size(result_key(gone, 1)) is None
    assert objects.size(result_key(kept, 1)) == 6
    left = {path.name for path in (*tmp_path.glob("jobs/*"), *tmp_path.glob("checkpoints/*"))}
    assert left == {f"job-{kept}-1", kept}
    assert store.states.removals() == []
