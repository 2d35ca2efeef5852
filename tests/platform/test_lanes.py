"""Rings run side by side, each waiting one in a process of its own, with what it shares."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests import lanes
from tests.nested import run_pytest
from tests.rings import ORDER

TEST = """
import os
from pathlib import Path

import pytest

FOLDER, NAME = Path(__file__).parents[2], Path(__file__).relative_to(Path(__file__).parents[2])

def note(what):
    with (FOLDER / f"{what}-{os.environ['PYTEST_XDIST_WORKER']}").open("a") as file:
        file.write(f"{NAME.as_posix()}\\n")

note("found")

@pytest.mark.parametrize("number", range(3))
def test_it(number):
    note("ran")
    fatal = FOLDER / "fatal"
    if number == 1 and fatal.exists() and fatal.read_text() == NAME.parent.name:
        fatal.unlink()
        os._exit(1)
"""


def write(folder: Path, rings: tuple[str, ...]) -> None:
    """Write two files of each ring."""
    for ring in rings:
        for name in ("test_a.py", "test_b.py"):
            file = folder / "tests" / ring / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(TEST)


def run(folder: Path, rings: tuple[str, ...], processes: int) -> dict[str, list[str]]:
    """Run two files of each ring; process -> files whose tests it ran, in this order."""
    write(folder, rings)
    said = run_lanes(folder, processes)
    assert f"{6 * len(rings)} passed" in said
    return read(folder, "ran")


def run_lanes(folder: Path, processes: int) -> str:
    options = ("-p", "tests.lanes", "-p", "xdist", "-n", str(processes))
    done = run_pytest(folder, "tests.rings", *options)
    return done.stdout + done.stderr


def read(folder: Path, what: str) -> dict[str, list[str]]:
    """Read what each process found, or ran."""
    return {
        file.name.partition("-")[2]: file.read_text().splitlines()
        for file in folder.glob(f"{what}-*")
    }


def find_lanes(files: list[str]) -> set[int]:
    return {lanes.get_lane(file.split("/")[1]) for file in files}


def test_what_waits_has_a_process_of_its_own(tmp_path: Path) -> None:
    ran = run(tmp_path, ORDER, 5)

    lanes_of = {process: find_lanes(files) for process, files in ran.items()}
    assert sorted(map(sorted, lanes_of.values())) == [[0], [0], [1], [2], [3]]
    for process, files in ran.items():
        if lanes_of[process] != {lanes.COMPUTING}:
            rings = list(dict.fromkeys(file.split("/")[1] for file in files))
            assert tuple(rings) in lanes.WAITING
    # What takes long and stays together is not left for the end.
    firsts = {files[0].split("/")[1] for process, files in ran.items() if 0 in lanes_of[process]}
    assert firsts == {"hub", "clone"}
    # To find the tests of other lanes would take each of them half a minute.
    found = read(tmp_path, "found")
    assert {process: find_lanes(files) for process, files in found.items()} == lanes_of


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_fewer_processes_run_all_the_same(tmp_path: Path, processes: int) -> None:
    ran = run(tmp_path, ("unit", "node", "control_plane", "browser"), processes)

    assert len(ran) == processes
    for files in ran.values():
        # Nothing that needs an event loop comes after Chromium.
        rings = [file.split("/")[1] for file in files]
        assert "browser" not in rings[: -rings.count("browser")]


def test_what_shares_something_stays_together(tmp_path: Path) -> None:
    ran = run(tmp_path, ("unit", "hub", "runner"), 3)

    processes = defaultdict(set)
    for process, files in ran.items():
        for file in files:
            ring = file.split("/")[1]
            processes[ring if ring in lanes.WHOLE else file].add(process)
    assert {len(found) for found in processes.values()} == {1}
    assert processes.keys() == {
        *("hub", "tests/unit/test_a.py", "tests/unit/test_b.py"),
        *("tests/runner/test_a.py", "tests/runner/test_b.py"),
    }


def test_of_a_process_that_died_another_runs_the_rest(tmp_path: Path) -> None:
    write(tmp_path, ORDER)
    (tmp_path / "fatal").write_text("node")
    said = run_lanes(tmp_path, 5)
    # The one that it died of is run again.
    assert f"1 failed, {6 * len(ORDER)} passed" in said, said
