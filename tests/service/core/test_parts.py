"""The small parts that need a process or a database: the state's lock, objects, housekeeping."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from offline_jobs.contract.states import State
from offline_jobs.service.backends.local.backend import LocalBackend
from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import BackendError, StateInUse
from offline_jobs.service.housekeeping import Housekeeping
from offline_jobs.service.model import Ending
from offline_jobs.service.object_store import FolderStore, log_key, result_key
from offline_jobs.service.store.lock import hold_state
from offline_jobs.service.store.store import Store
from tests.factories import make_machine
from tests.files import largest_file, reading
from tests.service.core.conftest import Clock
from tests.service.core.factories import create_job, make_new_job

LARGE = 2 * 2**20


def test_a_reader_sees_the_whole_old_or_the_whole_new_object(tmp_path: Path) -> None:
    objects = FolderStore(tmp_path)
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
    objects = FolderStore(tmp_path)
    key = result_key("k3j9x0a1b2c3", 1)
    objects.put(key, b"earlier")
    for name in (key, log_key("k3j9x0a1b2c3", 1)):
        with largest_file(LARGE), pytest.raises(OSError, match="File too large"):
            objects.put(name, b"n" * (2 * LARGE))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [tmp_path / key]
    assert files[0].read_bytes() == b"earlier"


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


def make_housekeeping(
    store: Store, changes: Changes, folder: Path
) -> tuple[FolderStore, Housekeeping]:
    backend = LocalBackend(
        slots=1, state=folder, environments=folder / "none", machine=make_machine()
    )
    objects = FolderStore(folder / "objects")
    return objects, Housekeeping(store, backend, objects, changes)


def test_housekeeping_goes_on_after_whatever_went_wrong(
    changes: Changes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that cannot be used for a moment ends neither it nor the service."""
    store = Store(f"sqlite:///{tmp_path / 'later' / 'jobs.sqlite'}", changes)
    objects, housekeeping = make_housekeeping(store, changes, tmp_path)

    async def go() -> str:
        running = asyncio.create_task(housekeeping.run())
        await _until(lambda: "it is tried again" in caplog.text or running.done())
        assert not running.done()
        (tmp_path / "later").mkdir()
        store.migrate()
        job = create_job(store, make_new_job("1"))[0].id
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
    assert objects.open(result_key(job, 1)) is None


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (what is waited for sets no event)
            await asyncio.sleep(0.01)


def test_what_an_owner_deleted_goes_also_after_a_crash(
    store: Store, changes: Changes, tmp_path: Path
) -> None:
    objects, housekeeping = make_housekeeping(store, changes, tmp_path)
    kept, gone = (create_job(store, make_new_job("1"))[0].id for _ in range(2))
    for job in (kept, gone):
        objects.put(result_key(job, 1), b"result")
        (tmp_path / "jobs" / f"job-{job}-1").mkdir(parents=True)
        (tmp_path / "checkpoints" / job).mkdir(parents=True)
        store.states.finish(job, 1, Ending(State.SUCCEEDED))
    store.delete_job(gone)  # and the service died here
    asyncio.run(housekeeping.clear_removed())
    assert objects.open(result_key(gone, 1)) is None
    assert (tmp_path / "objects" / result_key(kept, 1)).read_bytes() == b"result"
    left = {path.name for path in (*tmp_path.glob("jobs/*"), *tmp_path.glob("checkpoints/*"))}
    assert left == {f"job-{kept}-1", kept}
    assert store.states.removals() == []


class Crowded(LocalBackend):
    """Says that objects of attempts are in the way of others, as a cluster's quota makes them."""

    def __init__(self, folder: Path, ended: list[str], stubborn: str) -> None:
        super().__init__(
            slots=1, state=folder, environments=folder / "none", machine=make_machine()
        )
        self.ended, self.stubborn = ended, stubborn
        self.stopped: list[str] = []

    async def list_ended(self) -> list[str]:
        return self.ended

    async def stop(self, object_name: str, *, force: bool) -> None:
        if object_name == self.stubborn:
            raise BackendError("the cluster is away")
        self.stopped.append(object_name)


def test_objects_go_once_their_end_is_stored_and_one_that_stays_holds_up_no_other(
    changes: Changes, tmp_path: Path
) -> None:
    clock = Clock()
    store = Store(f"sqlite:///{tmp_path / 'jobs.sqlite'}", changes, clock)
    store.migrate()
    jobs = [create_job(store, make_new_job("1"))[0].id for _ in range(4)]
    for job in jobs[:3]:
        store.states.finish(job, 1, Ending(State.SUCCEEDED))
    clock.now += timedelta(minutes=1)
    names = [f"job-{job}-1" for job in jobs]
    # The first one's end is stored and it cannot go now; the last one's is not stored yet.
    backend = Crowded(tmp_path, names, names[0])
    objects = FolderStore(tmp_path / "objects")

    asyncio.run(Housekeeping(store, backend, objects, changes).clear_ended())
    store.close()

    assert sorted(backend.stopped) == sorted(names[1:3])


def test_a_removal_is_noted_only_when_all_is_gone_and_holds_up_no_other(
    store: Store, changes: Changes, tmp_path: Path
) -> None:
    objects, housekeeping = make_housekeeping(store, changes, tmp_path)
    stuck, half, free = (create_job(store, make_new_job("1"))[0].id for _ in range(3))
    for job in (stuck, half, free):
        store.states.finish(job, 1, Ending(State.SUCCEEDED))
        store.delete_job(job)
    objects.put(result_key(free, 1), b"result")
    # No folder, so that what deletes folders cannot delete it.
    in_the_way = [tmp_path / "objects" / stuck, tmp_path / "checkpoints" / half]
    for path in in_the_way:
        path.parent.mkdir(exist_ok=True)
        path.write_text("no folder")
    asyncio.run(housekeeping.clear_removed())
    assert {job for job, _ in store.states.removals()} == {stuck, half}
    assert objects.open(result_key(free, 1)) is None
    for path in in_the_way:
        path.unlink()
    asyncio.run(housekeeping.clear_removed())
    assert store.states.removals() == []
