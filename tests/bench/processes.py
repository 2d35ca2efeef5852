"""Stock programs as somebody who installed them has them: an environment, a home, a port.

A program and all that it starts have a folder of their own in command or variables. By that they
are found: to weigh them, and to end what is left of them however a benchmark ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx
import psutil

from tests.plain import NO_TLS
from tests.platform_fixture import find_processes, names
from tests.site import wait_until

BUILD = Path(__file__).resolve().parents[2] / "build"
LOCK_OF_SCHEDULER = Path(__file__).parent / "scheduler" / "requirements.txt"
LOCK_OF_STOCK = Path(__file__).parent / "stock" / "requirements.txt"
START_SECONDS = 180
END_SECONDS = 20
#: Whoever starts Python with this module in its path is told that there is no such package.
WITHOUT_SLOW_IMPORT = "import sys\n\nsys.modules['rfc3987_syntax'] = None\n"
_KEPT = ("LANG", "LC_ALL", "TZ", "TMPDIR")
_LOOK_SECONDS = 0.2
T = TypeVar("T")


def build_variables(name: str, folder: Path, *, mended: bool) -> dict[str, str]:
    """What somebody has who activated the environment ``name``, in a home below ``folder``.

    Args:
        name: of an environment below ``build``.
        folder: where the home is made.
        mended: the slow import, which our locks leave out, is taken from all its processes.
    """
    environment, home = BUILD / name, folder / "home"
    home.mkdir()
    variables = {each: os.environ[each] for each in _KEPT if each in os.environ} | {
        "HOME": str(home),
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(environment),
    }
    if mended:
        path = folder / "without"
        path.mkdir()
        (path / "sitecustomize.py").write_text(WITHOUT_SLOW_IMPORT)
        variables["PYTHONPATH"] = str(path)
    return variables


@contextmanager
def running(
    command: Sequence[str], folder: Path, variables: dict[str, str], url: str
) -> Iterator[None]:
    """Run a program in ``folder`` until ``url`` answers, and end it with all that it started."""
    log = folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:

        def is_served() -> bool:
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended: {log.read_text()[-2000:]}")
            try:
                return httpx.get(url, verify=NO_TLS, timeout=5).is_success
            except httpx.TransportError:
                return False

        wait_until(is_served, url, START_SECONDS)
        yield
        process.terminate()
        with suppress(subprocess.TimeoutExpired):  # it may wait for what hangs
            process.wait(END_SECONDS)
    finally:
        kill(find_processes(folder))
        process.wait(10)


def kill(processes: Sequence[psutil.Process]) -> None:
    """End processes that are known by their numbers and start times."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)


def end_in_order() -> None:
    """Let SIGTERM do what Ctrl-C does: end this program with all that it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def call_at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at once, each in a thread of its own; what they return, in their order.

    Ctrl-C does not wait for them, as a pool's end would: what they wait for is about to be ended.

    Raises:
        Exception: that of a call that failed, once all have ended.
    """
    done: list[Future[T]] = [Future() for _ in calls]

    def call(number: int) -> None:
        try:
            done[number].set_result(calls[number]())
        except BaseException as error:  # noqa: BLE001  (raised again where it is waited for)
            done[number].set_exception(error)

    for number in range(len(calls)):
        threading.Thread(target=call, args=(number,), daemon=True).start()
    wait(done)
    return [each.result() for each in done]


class Memory:
    """What all processes of a folder had and did together, looked at five times a second."""

    def __init__(self, folder: Path) -> None:
        self.peak_bytes = 0
        self.peak_processes = 0
        #: Seconds of processors that they took until the last look, those that ended included.
        self.work_seconds = 0.0
        self._folder = folder
        self._worked: dict[psutil.Process, float] = {}
        # Each is asked once: what it names it has from its start, or from who started it.
        self._known: dict[psutil.Process, bool] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(_LOOK_SECONDS):
            found = [each for each in psutil.process_iter() if self._is_of_it(each)]
            for each in found:
                self._worked[each] = max(self._worked.get(each, 0.0), count_work(each))
            self.work_seconds = sum(self._worked.values())
            # What has ended and is not taken note of yet has no memory.
            sizes = [size for size in map(weigh, found) if size]
            if sum(sizes) > self.peak_bytes:
                self.peak_bytes, self.peak_processes = sum(sizes), len(sizes)

    def _is_of_it(self, process: psutil.Process) -> bool:
        if process not in self._known:
            self._known[process] = names(process, self._folder)
        return self._known[process]


def weigh(process: psutil.Process) -> int:
    """Resident bytes; of one that is gone none."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def count_work(process: psutil.Process) -> float:
    """Seconds of processors that it took; of one that is gone none."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
