"""Image `notebook` against a stock one: from a container's start to Lab, and to a job's first cell.

Both are built upon the same base and run by the same containerd with the same options, from a warm
cache, in turn. The stock image has jupyterhub, jupyterlab and papermill as anybody would install
them (`stock/`); a second time the import that we leave out is taken from it too, so that the rest
of the gain is told apart. Needs what builds images for tests, and root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import nbformat

from images._tool.build import name_image
from images._tool.tools import find_places
from tests.bed import nodes
from tests.bed.image_store import NAMESPACE, load, running_containerd
from tests.bench.figures import Figure, median, report
from tests.images.building import Workshop, get_archive, why_not
from tests.images.saved import SavedImage
from tests.ports import find_free_port
from tests.runner.attempts import make_specification

ROOT = Path(__file__).resolve().parents[2]
STOCK = Path(__file__).parent / "stock"
STOCK_NAME = "localhost/notebook-hpc/stock:bench"
#: Our seconds as a share of the stock image's.
GOAL = 0.60
PATIENCE = 120
#: What a whole start of Lab's page needs, and nothing that differs between the two.
LAB = ("jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--IdentityProvider.token=")
CELL = "import time\nwith open('/job/first', 'w') as file:\n    _ = file.write(str(time.time()))"
SLOW_IMPORT = "/opt/stock/lib/python3.11/site-packages/rfc3987_syntax"
_USER, _GROUP = 1000, 100


@dataclass(frozen=True)
class Side:
    """An image, and how it is run.

    Attributes:
        start: what its entry point puts before a command.
        job: runs the notebook of `/job`.
        hidden: a folder that the container finds empty.
    """

    name: str
    image: str
    start: Sequence[str]
    job: Sequence[str]
    hidden: str = ""


PAPERMILL = ("papermill", "--no-progress-bar", "/job/in.ipynb", "/job/out.ipynb")
RUNNER = ("python", "-s", "-P", "-m", "offline_jobs.runner")
OURS = Side("ours", name_image(ROOT, "notebook"), ("/usr/local/bin/start",), RUNNER)
THEIRS = Side("stock", STOCK_NAME, (), PAPERMILL)
MENDED = Side("stock-without-slow-import", STOCK_NAME, (), PAPERMILL, SLOW_IMPORT)


class Machine:
    """A containerd with both images."""

    def __init__(self, address: Path, folder: Path) -> None:
        self._address, self._folder = address, folder
        self._empty = folder / "empty"
        self._empty.mkdir()
        self._number = 0

    @contextmanager
    def running(
        self,
        side: Side,
        command: Sequence[str],
        mounts: Mapping[str, Path],
        *,
        environ: Sequence[str],
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command in a container, until the block ends."""
        self._number += 1
        name = f"bench-{self._number}"
        shown = {**mounts, **({side.hidden: self._empty} if side.hidden else {})}
        words = [*self._ctr("run", "--rm", "--net-host", "--snapshotter=overlayfs")]
        words += [f"--env={each}" for each in environ]
        words += [
            f"--mount=type=bind,src={source},dst={place},options=rbind:rw"
            for place, source in shown.items()
        ]
        log = (self._folder / "log").open("w")
        with (
            log,
            subprocess.Popen(
                [*words, side.image, name, *side.start, *command], stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield process
            finally:
                if process.poll() is None:
                    kill = self._ctr("task", "kill", "--signal=SIGKILL", "--all", name)
                    subprocess.run(kill, check=False, capture_output=True)

    def say(self) -> str:
        """What the last container printed."""
        return (self._folder / "log").read_text(errors="replace")[-2000:]

    def _ctr(self, *words: str) -> list[str]:
        return ["ctr", f"--address={self._address}", f"--namespace={NAMESPACE}", *words]


def start_lab(machine: Machine, side: Side) -> float:
    """Start Lab in a container; the seconds until its page is there."""
    port = find_free_port()
    command = (*LAB, f"--port={port}", "--ServerApp.port_retries=0")
    begun = time.time()
    with machine.running(side, command, {}, environ=()) as process:
        while True:
            try:
                page = httpx.get(f"http://127.0.0.1:{port}/lab", timeout=5)
                break
            except httpx.TransportError:
                if process.poll() is not None or time.time() > begun + PATIENCE:
                    raise SystemExit(f"Lab of {side.name} did not start: {machine.say()}") from None
                time.sleep(0.01)
        seconds = time.time() - begun
    if page.status_code != httpx.codes.OK or "jupyter-config-data" not in page.text:
        raise SystemExit(f"Lab of {side.name} shows another page: {page.status_code}")
    return seconds


def run_job(machine: Machine, side: Side) -> float:
    """Run a notebook in a container; the seconds until its first cell runs."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        specification = make_specification(CELL, "print(6 * 7)")
        (place / "home" / "work").mkdir(parents=True)
        (place / "specification.json").write_text(json.dumps(specification))
        (place / "in.ipynb").write_text(json.dumps(specification["notebook"]))
        for path in (place, *place.rglob("*")):
            os.chown(path, _USER, _GROUP)
        environ = (
            "HOME=/job/home",
            f"OFFLINE_JOB_ID={specification['job']}",
            "OFFLINE_JOB_ATTEMPT=1",
            "OFFLINE_JOB_SPECIFICATION=/job/specification.json",
            "OFFLINE_JOB_TERMINATION_MESSAGE=/job/termination",
        )
        begun = time.time()
        with machine.running(side, side.job, {"/job": place}, environ=environ) as process:
            code = process.wait(PATIENCE)
        written = [*place.glob("home/offline-jobs/**/*.ipynb"), *place.glob("out.ipynb")]
        if code or len(written) != 1:
            raise SystemExit(f"the job of {side.name} ended with {code}: {machine.say()}")
        check_result(nbformat.read(written[0], as_version=4))
        return float((place / "first").read_text()) - begun


def check_result(notebook: Any) -> None:
    """See that both cells ran."""
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    if outputs[0] or outputs[1][0]["text"] != "42\n":
        raise SystemExit(f"the executed notebook is another one: {outputs}")


def measure(
    name: str, run: Callable[[Machine, Side], float], machine: Machine, rounds: int
) -> list[Figure]:
    """All sides in turn, ``rounds`` times, after one that does not count."""
    sides = (OURS, THEIRS, MENDED)
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(rounds + 1):
        for side in sides:
            taken = run(machine, side)
            if number:
                seconds[side.name].append(taken)
    return [
        Figure(
            "B9",
            f"{name}, {side.name}",
            median(seconds[OURS.name]) / median(seconds[side.name]),
            goal,
            {OURS.name: seconds[OURS.name], side.name: seconds[side.name]},
        )
        for side, goal in ((THEIRS, GOAL), (MENDED, None))
    ]


def get_stock() -> Path:
    """The archive of the stock image, built once for each state of its lock."""
    workshop = Workshop(find_places(os.environ))
    files = (STOCK / "Dockerfile", STOCK / "requirements.txt")

    def make(folder: Path) -> Path:
        for file in files:
            shutil.copy(file, folder)
        return workshop.build_folder(folder, STOCK_NAME)

    return workshop.get("stock", files, make)


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when a figure is short."""
    parser = argparse.ArgumentParser(prog="bench_images", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    if reason := why_not() or nodes.why_not():
        sys.stdout.write(f"B9 is left out: {reason}\n")
        return 0
    archives = (get_archive("notebook"), get_stock())
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "disk"
        disk.mkdir()
        with running_containerd(disk) as address:
            for archive in archives:
                load(address, disk, archive)
            machine = Machine(address, Path(folder))
            figures = [
                *measure("lab answers", start_lab, machine, options.rounds),
                *measure("first cell of a job", run_job, machine, options.rounds),
            ]
    megabytes = len(SavedImage(archives[0]).compress_last_layer()) / 1e6
    sys.stdout.write(f"after a change of our code a machine fetches {megabytes:.1f} MB\n")
    return report("B9", figures, ("jupyterlab", "jupyterhub", "papermill", "ipykernel"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
