"""What the local spawner decides and does besides starting a process."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from hub_config.platform.processes import is_built, measure
from hub_config.spawners.local import choose_cores, is_running
from tests.factories import make_catalogue, make_image
from tests.skips import require


def test_cores_are_shared_out_in_turn() -> None:
    require("Linux")
    mine = os.sched_getaffinity(0)

    assert choose_cores(1, 0) <= mine
    assert len(choose_cores(1, 5)) == 1
    assert {core for turn in range(len(mine)) for core in choose_cores(1, turn)} == mine
    assert choose_cores(len(mine) + 5, 3) == mine


def test_a_process_is_known_by_number_and_start() -> None:
    own = psutil.Process()

    assert is_running(own.pid, own.create_time())
    assert not is_running(own.pid, own.create_time() - 100)


def test_a_process_that_ended_does_not_run_even_if_nobody_reaped_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = psutil.Process(child.pid).create_time()
        assert is_running(child.pid, started)
        assert child.stdin is not None
        child.stdin.close()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert not is_running(child.pid, started)
    assert not is_running(child.pid, started)


def test_a_kernel_that_is_nowhere_on_the_machine_is_missed(tmp_path: Path) -> None:
    catalogue = make_catalogue(images=(make_image(), make_image("r", kernels=("ir", "python3"))))
    environments, system = tmp_path / "environments", tmp_path / "system"

    def look() -> dict[str, str]:
        found = measure(
            catalogue, environments, cores=1, memory_bytes=1, gpus=0, system_kernels=(system,)
        )
        assert found.images == frozenset(path.name for path in environments.glob("*"))
        return dict(found.missing_kernels)

    assert look() == {}
    for slug in ("notebook", "r"):
        (environments / slug / ".stamps").mkdir(parents=True)
        (environments / slug / ".stamps" / "own").touch()
    assert look() == {"r": "ir"}
    for folder in (system, environments / "r" / "share" / "jupyter" / "kernels"):
        (folder / "ir").mkdir(parents=True)
        assert look() == {"r": "ir"}
        (folder / "ir" / "kernel.json").touch()
        assert look() == {}
        (folder / "ir" / "kernel.json").unlink()


def test_an_environment_is_built_when_its_last_stamp_is_there(tmp_path: Path) -> None:
    assert not is_built(tmp_path)
    (tmp_path / ".stamps").mkdir()
    (tmp_path / ".stamps" / "lock").touch()
    assert not is_built(tmp_path)
    (tmp_path / ".stamps" / "own").touch()
    assert is_built(tmp_path)
