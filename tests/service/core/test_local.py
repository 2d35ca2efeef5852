"""The local backend's launch protocol with real processes.

In place of an image's Python stands a script of the test, so that each of its moments can be held;
``tests/service/test_kills.py`` runs the real runner under the same protocol.
"""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from hub_config.platform.choices import Choice, Machine
from hub_config.platform.people import build_person
from hub_config.platform.workspace import Kind, build_workspace
from offline_jobs.contract.names import object_name
from offline_jobs.contract.run import ENV_TOKEN, ResultRecord, Termination
from offline_jobs.contract.states import State
from offline_jobs.service.backends.backend import Launch
from offline_jobs.service.backends.local import folder, shim
from offline_jobs.service.backends.local.backend import LocalBackend, choose_cores
from offline_jobs.service.backends.local.folder import AttemptFolder
from offline_jobs.service.backends.local.tree import kill_processes, list_processes
from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import BackendError
from offline_jobs.service.housekeeping import Housekeeping
from offline_jobs.service.model import Ending, Job, Observation, build_specification
from offline_jobs.service.object_store import FolderStore
from offline_jobs.service.store.store import Store, make_job_id
from tests.service.core.factories import (
    create_job,
    make_catalogue,
    make_job,
    make_new_job,
    make_notebook,
    make_record,
)

TOKEN = "token-of-the-attempt"
HEAD = f"""#!{sys.executable}
import json, os, pathlib, signal, subprocess, sys, time
home = pathlib.Path(os.environ["HOME"])
with (home / "starts").open("a") as file:
    file.write("started\\n")
def hold():
    while not (home / "go").exists():
        time.sleep(0.01)
"""


class Place:
    """A backend on a state folder, and how its runner behaves.

    The job's id is its own: processes are found by it on the whole machine.
    """

    def __init__(self, path: Path, job: str = "") -> None:
        self.job = make_job(id=job or make_job_id())
        self.name = object_name(self.job.id, 1)
        self.state = path / "state"
        self.environments = path / "environments"
        self.home = self.state / "homes" / "ada"
        self.backend = self.make_backend()
        self.folder = AttemptFolder(self.state / "jobs" / self.name, self.job.id, 1)

    def make_backend(self) -> LocalBackend:
        machine = Machine(2, 8 * 1024**3, 0, frozenset({"notebook"}))
        return LocalBackend(
            slots=2, state=self.state, environments=self.environments, machine=machine
        )

    def behave(self, script: str) -> None:
        python = self.environments / "notebook" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(HEAD + script)
        python.chmod(0o700)

    def make_launch(self, job: Job | None = None) -> Launch:
        job = job or self.job
        catalogue = make_catalogue()
        choice = Choice(
            catalogue.groups["spatial-lab"],
            catalogue.images["notebook"],
            catalogue.classes["small"],
        )
        person = build_person("ada", ["spatial-lab"])
        return Launch(
            object_name=object_name(job.id, 1),
            specification=build_specification(job, 1, json.dumps(make_notebook("1"))),
            workspace=build_workspace(catalogue, person, choice, Kind.JOB),
            url="http://127.0.0.1:9",
            token=TOKEN,
        )

    def make_record(self, **changes: Any) -> ResultRecord:
        return make_record(**{"job": self.job.id} | changes)

    def launch(self) -> dict[str, Any]:
        return dict(asyncio.run(self.backend.launch(self.make_launch())))

    def see(self) -> Observation:
        return asyncio.run(self.backend.observe([self.name]))[self.name]

    def stop(self, *, force: bool) -> None:
        asyncio.run(self.backend.stop(self.name, force=force))

    def wait_for(self, condition: Callable[[], Any], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"still not: {condition}"
            time.sleep(0.01)

    def wait_for_end(self) -> Observation:
        self.wait_for(lambda: self.see().phase == "ended")
        return self.see()

    def starts(self) -> int:
        path = self.home / "starts"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    if place.folder.path.exists():
        place.wait_for(lambda: is_cleared(place))


def is_cleared(place: Place) -> bool:
    """Kill what runs, again and again: one that was just forked is not known as the job's yet."""
    kill_processes(place.job.id, 1)
    return place.see().phase != "running"


def test_names_are_spelt_alike_in_the_shim() -> None:
    for name in ("LOCK", "STARTED", "LAUNCH", "EXIT", "LOG"):
        assert getattr(shim, name) == getattr(folder, name)


def test_absent_then_running_then_ended_with_all_evidence(place: Place) -> None:
    place.behave(
        "hold()\n"
        "pathlib.Path(os.environ['OFFLINE_JOB_TERMINATION_MESSAGE']).write_text("
        "json.dumps({'cell': 2, 'total': 9, 'memory_bytes': 5}))\n"
        "sys.exit(10)"
    )
    assert place.see() == Observation("absent")
    handle = place.launch()
    assert psutil.pid_exists(handle["pid"])
    seen = place.see()
    assert (seen.phase, seen.handle) == ("running", handle)
    output = place.home / place.job.output
    output.mkdir(parents=True)
    record = place.make_record(outcome="cell-error", exit_code=10)
    (output / "run.json").write_text(record.dumps())
    (place.home / "go").touch()
    evidence = place.wait_for_end().evidence
    assert evidence is not None
    assert evidence.exit_code == 10
    assert evidence.termination == Termination(2, 9, memory_bytes=5)
    assert evidence.result == record


def test_a_record_of_another_attempt_or_a_broken_one_is_no_evidence(place: Place) -> None:
    place.behave("")
    place.launch()
    place.wait_for_end()
    output = place.home / place.job.output
    output.mkdir(parents=True)
    for text in (
        place.make_record(attempt=2).dumps(),
        place.make_record(job="abcabcabcabc").dumps(),
        json.dumps({"job": place.job.id, "attempt": 1}),
        "[1]",
        place.make_record().dumps()[:40],
        "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"),
    ):
        (output / "run.json").write_text(text)
        seen = place.see()
        assert seen.evidence is not None
        assert (seen.evidence.exit_code, seen.evidence.result) == (0, None), text


BAD_RECORDS: dict[str, dict[str, Any]] = {
    "error": {"error": "boom"},
    "error's value": {"error": {"name": "KeyError", "value": {}}},
    "message": {"message": 7},
    "outcome": {"outcome": ["succeeded"]},
    "unending outcome": {"outcome": "x" * 10_000},
    "cell": {"cell": "x"},
    "negative cell": {"cell": -1},
    "huge total": {"total": 10**30},
    "seconds": {"cell_seconds": [None]},
    "exit code": {"exit_code": 10**9},
    "started": {"started": 5},
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_record_of_wrong_types_or_bounds_is_no_evidence(place: Place, name: str) -> None:
    place.behave("")
    place.launch()
    place.wait_for_end()
    record = place.home / place.job.output / "run.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps(place.make_record().to_json() | BAD_RECORDS[name]))
    seen = place.see()
    assert seen.evidence is not None
    assert seen.evidence.result is None


@pytest.mark.parametrize(
    "text",
    [
        '{"cell": "x"}',
        '{"cell": -3}',
        '{"cell": 1e400}',
        '{"memory_bytes": []}',
        '{"outcome": ["succeeded"]}',
        '{"outcome": "' + "x" * 1000 + '"}',
        "[" * 4000,
        "7",
        "",
        '{"cell": 1',
    ],
)
def test_a_termination_message_of_wrong_types_or_bounds_is_none(place: Place, text: str) -> None:
    place.behave("")
    place.launch()
    place.wait_for_end()
    (place.folder.path / folder.TERMINATION).write_text(text)
    seen = place.see()
    assert seen.evidence is not None
    assert seen.evidence.termination is None


def test_a_record_of_endless_texts_is_shortened_and_one_of_endless_depth_none(place: Place) -> None:
    place.behave("")
    place.launch()
    place.wait_for_end()
    record = place.home / place.job.output / "run.json"
    record.parent.mkdir(parents=True)
    record.write_text(place.make_record(message="x" * 10**6).dumps())
    evidence = place.see().evidence
    assert evidence is not None
    assert evidence.result is not None
    assert len(evidence.result.message) == 10_000
    whole = place.make_record(git={"deep": 0}).dumps()
    for value in ("[" * 100_000 + "]" * 100_000, "9" * 5000, "NaN"):
        record.write_text(whole.replace('{"deep":0}', f'{{"deep":{value}}}'))
        evidence = place.see().evidence
        assert evidence is not None
        assert evidence.result is None, value[:10]


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "device"])
@pytest.mark.parametrize("which", ["record", "termination"])
def test_what_is_no_file_is_neither_read_nor_waited_for(
    place: Place, kind: str, which: str, tmp_path: Path
) -> None:
    place.behave("")
    place.launch()
    place.wait_for_end()
    path = {
        "record": place.home / place.job.output / "run.json",
        "termination": place.folder.path / folder.TERMINATION,
    }[which]
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link":
            (tmp_path / "elsewhere").write_text(place.make_record().dumps())
            path.symlink_to(tmp_path / "elsewhere")
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(place.see)
        try:
            evidence = looking.result(10).evidence
        finally:
            if kind == "pipe":  # a reader that waits after all must not keep the test
                os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    assert evidence is not None
    assert (evidence.result, evidence.termination) == (None, None)


def test_the_runner_gets_the_contracts_environment_and_no_secret_of_ours(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret of the service")
    place.behave(
        "(home / 'environment').write_text(json.dumps(dict(os.environ)))\n"
        "(home / 'arguments').write_text(json.dumps(sys.argv[1:]))"
    )
    place.launch()
    place.wait_for_end()
    environment = json.loads((place.home / "environment").read_text())
    arguments = json.loads((place.home / "arguments").read_text())
    assert arguments == ["-s", "-P", "-m", "offline_jobs.runner"]
    assert "JUPYTERHUB_API_TOKEN" not in environment
    expected = {
        "OFFLINE_JOB_ID": place.job.id,
        "OFFLINE_JOB_ATTEMPT": "1",
        "OFFLINE_JOB_URL": "http://127.0.0.1:9",
        "OFFLINE_JOB_TOKEN": TOKEN,
        "OFFLINE_JOB_MEMORY_BYTES": str(2 * 1024**3),
        "OFFLINE_JOB_PATIENCE_SECONDS": "600",
        "CHECKPOINT_DIR": str(place.state / "checkpoints" / place.job.id),
        "HOME": str(place.home),
    }
    assert environment.items() >= expected.items()
    specification = json.loads(Path(environment["OFFLINE_JOB_SPECIFICATION"]).read_text())
    assert specification["notebook"] == make_notebook("1")
    assert Path(environment["CHECKPOINT_DIR"]).is_dir()
    assert Path(environment["SCRATCH"]).is_dir()


def test_the_token_is_on_no_command_line_and_in_no_file_that_others_can_read(place: Place) -> None:
    place.behave("hold()")
    shim_process = psutil.Process(place.launch()["pid"])
    place.wait_for(lambda: len(list_processes(place.job.id, 1)) == 1)
    for process in (shim_process, *list_processes(place.job.id, 1)):
        assert TOKEN not in " ".join(process.cmdline())
    assert TOKEN not in shim_process.environ().get(ENV_TOKEN, "")
    with_token = [
        path
        for path in place.state.rglob("*")
        if path.is_file() and TOKEN in path.read_text(errors="replace")
    ]
    assert [path.name for path in with_token] == ["launch.json"]
    assert stat.S_IMODE(with_token[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(place.folder.path.stat().st_mode) == 0o700


def test_launching_again_adopts_whatever_the_attempt_is_at(place: Place) -> None:
    place.behave("hold()")
    handle = place.launch()
    place.backend = place.make_backend()
    assert place.launch() == handle
    (place.home / "go").touch()
    place.wait_for_end()
    assert place.launch() == handle
    assert place.see().phase == "ended"
    assert place.starts() == 1


def test_many_launches_at_once_start_one_runner(place: Place) -> None:
    place.behave("hold()")
    backends = [place.make_backend() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda b: asyncio.run(b.launch(place.make_launch())), backends))
    place.wait_for(place.starts)
    place.wait_for(lambda: _shims(place) == 1)
    (place.home / "go").touch()
    place.wait_for_end()
    for backend in backends:
        asyncio.run(backend.observe([place.name]))
    assert place.starts() == 1


def _shims(place: Place) -> int:
    found = 0
    for process in psutil.process_iter(["cmdline", "status"]):
        if str(place.folder.path) in (process.info["cmdline"] or []):
            found += process.info["status"] != psutil.STATUS_ZOMBIE
    return found


def test_a_claim_whose_service_died_is_taken_up(place: Place) -> None:
    place.behave("hold()")
    place.home.mkdir(parents=True)
    assert place.folder.claim(_launch_of(place), "{}")
    assert place.see().phase == "waiting"
    place.launch()
    assert place.see().phase == "running"


def test_a_claim_that_was_stopped_is_never_started(place: Place) -> None:
    place.behave("")
    place.home.mkdir(parents=True)
    assert place.folder.claim(_launch_of(place), "{}")
    place.stop(force=True)
    seen = place.see()
    assert seen.phase == "ended"
    assert seen.evidence is not None
    assert seen.evidence.exit_code is None
    _run_shim(place)  # that of the service that died comes late
    place.launch()
    assert place.starts() == 0


def test_a_shim_that_comes_after_the_end_starts_nothing(place: Place) -> None:
    place.behave("sys.exit(3)")
    place.launch()
    before = place.wait_for_end()
    _run_shim(place)
    assert place.starts() == 1
    assert place.see() == before


def _run_shim(place: Place) -> None:
    """Run a shim to its end, as a service starts it."""
    read, write = os.pipe()
    late = subprocess.run(
        [sys.executable, "-I", "-S", shim.__file__, place.folder.path, str(write)],
        pass_fds=(write,),
        check=True,
        timeout=60,
        capture_output=True,
    )
    os.close(read)
    os.close(write)
    assert (late.stdout, late.stderr) == (b"", b"")


def _launch_of(place: Place) -> dict[str, Any]:
    return {
        "command": [str(place.environments / "notebook" / "bin" / "python")],
        "environment": {
            "HOME": str(place.home),
            "OFFLINE_JOB_ID": place.job.id,
            "OFFLINE_JOB_ATTEMPT": "1",
        },
        "folder": "/",
        "cores": [min(os.sched_getaffinity(0))],
    }


def test_the_runner_outlives_the_service_that_started_it(place: Place) -> None:
    place.behave("hold()\nsys.exit(3)")
    script = (
        "import asyncio, os, signal, sys; from pathlib import Path\n"
        "from tests.service.core.test_local import Place\n"
        "Place(Path(sys.argv[1]), sys.argv[2]).launch()\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run(
        [sys.executable, "-c", script, str(place.state.parent), place.job.id],
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert died.returncode == -signal.SIGKILL
    assert place.see().phase == "running"
    (place.home / "go").touch()
    evidence = place.wait_for_end().evidence
    assert evidence is not None
    assert evidence.exit_code == 3


def test_asked_to_end_the_runner_ends_by_itself(place: Place) -> None:
    place.behave(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(13))\n(home / 'ready').touch()\nhold()"
    )
    place.launch()
    place.wait_for((place.home / "ready").exists)
    place.stop(force=False)
    evidence = place.wait_for_end().evidence
    assert evidence is not None
    assert evidence.exit_code == 13


KERNEL = (
    "kernel = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
    " start_new_session=True)\n"
    "(home / 'kernel').write_text(str(kernel.pid))\n"
)


def _kernel(place: Place) -> psutil.Process:
    place.wait_for(lambda: (place.home / "kernel").exists() and (place.home / "kernel").read_text())
    return psutil.Process(int((place.home / "kernel").read_text()))


def _is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_force_kills_the_runner_and_its_kernel_of_another_session(place: Place) -> None:
    place.behave(f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{KERNEL}hold()")
    place.launch()
    kernel = _kernel(place)
    place.stop(force=True)
    evidence = place.wait_for_end().evidence
    assert evidence is not None
    assert evidence.exit_code == -signal.SIGKILL
    assert _is_gone(kernel)


def test_a_kernel_left_behind_by_its_runner_is_ended_before_the_attempt(place: Place) -> None:
    place.behave(f"{KERNEL}hold()\nos.kill(os.getpid(), signal.SIGKILL)")
    place.launch()
    kernel = _kernel(place)
    (place.home / "go").touch()
    place.wait_for_end()
    assert _is_gone(kernel)


def test_when_shim_and_runner_are_killed_the_kernel_goes_before_the_attempt_ended(
    place: Place,
) -> None:
    place.behave(f"{KERNEL}hold()")
    handle = place.launch()
    kernel = _kernel(place)
    os.killpg(handle["pid"], signal.SIGKILL)
    evidence = place.wait_for_end().evidence
    assert evidence is not None
    assert evidence.exit_code is None
    assert _is_gone(kernel)


def test_a_runner_whose_shim_was_killed_still_runs(place: Place) -> None:
    place.behave("hold()")
    handle = place.launch()
    place.wait_for(place.starts)
    os.kill(handle["pid"], signal.SIGKILL)
    place.wait_for(lambda: _shims(place) == 0)
    assert place.see().phase == "running"
    assert place.launch() == handle
    (place.home / "go").touch()
    place.wait_for_end()
    assert place.starts() == 1


def test_a_runner_that_cannot_be_started_is_a_fault_of_the_infrastructure(place: Place) -> None:
    place.launch()
    evidence = place.wait_for_end().evidence
    assert evidence is not None
    assert evidence.exit_code == 30
    assert "could not be started" in evidence.message


def test_a_folder_that_cannot_be_made_is_a_backend_error(place: Place) -> None:
    place.state.mkdir(parents=True)
    (place.state / "jobs").write_text("in the way")
    with pytest.raises(BackendError):
        place.launch()


def test_a_deleted_jobs_folders_go(place: Place) -> None:
    place.behave("")
    place.launch()
    place.wait_for_end()
    for _ in range(2):
        asyncio.run(place.backend.remove_job(place.job.id, 1))
        assert place.see().phase == "absent"
        assert not (place.state / "checkpoints" / place.job.id).exists()


def test_what_a_deleted_job_left_in_the_home_stays(place: Place, tmp_path: Path) -> None:
    """Not even a link from what goes with the job leads to it."""
    changes = Changes()
    store = Store(f"sqlite:///{tmp_path / 'jobs.sqlite'}", changes)
    store.migrate()
    job, _ = create_job(store, make_new_job("1"))
    output = place.home / job.output
    place.behave(
        f"output = pathlib.Path({str(output)!r})\n"
        "output.mkdir(parents=True)\n"
        "for name in ('markers.ipynb', 'run.json', 'mine.csv'):\n"
        "    (output / name).write_text(name)\n"
        "(pathlib.Path(os.environ['CHECKPOINT_DIR']) / 'home').symlink_to(output)"
    )
    asyncio.run(place.backend.launch(place.make_launch(job)))
    name = object_name(job.id, 1)
    place.wait_for(lambda: asyncio.run(place.backend.observe([name]))[name].phase == "ended")
    store.states.finish(job.id, 1, Ending(State.SUCCEEDED))
    store.delete_job(job.id)
    objects = FolderStore(tmp_path / "objects")
    asyncio.run(Housekeeping(store, place.backend, objects, changes).clear_removed())
    store.close()
    left = [*place.state.glob("jobs/*"), *place.state.glob("checkpoints/*")]
    assert left == []
    files = {path.name: path.read_text() for path in output.iterdir()}
    assert files == {name: name for name in ("markers.ipynb", "run.json", "mine.csv")}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no core affinity on this system")
def test_the_runner_has_the_classs_cores(place: Place) -> None:
    place.behave("(home / 'cores').write_text(str(len(os.sched_getaffinity(0))))")
    place.launch()
    place.wait_for_end()
    assert (place.home / "cores").read_text() == "1"


@pytest.mark.parametrize(
    ("used", "count", "expected"),
    [
        ([], 1, [0]),
        ([[0]], 1, [1]),
        ([[0], [1]], 1, [2]),
        ([[0], [1], [2], [3], [0]], 1, [1]),
        ([[0, 1]], 2, [2, 3]),
        ([[0]], 3, [1, 2, 3]),
        ([[9]], 9, [0, 1, 2, 3]),
    ],
)
def test_the_least_used_cores_are_taken(
    used: list[list[int]], count: int, expected: list[int]
) -> None:
    assert choose_cores({0, 1, 2, 3}, used, count) == expected
