"""The set-up: steps in their order and side by side, stamps, and runs that were interrupted."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_config.spawners.examples import PLACE
from images._tool.builds import Builds
from images._tool.environment import Environments, build_steps, choose_steps
from images._tool.stamps import hash_inputs, hash_tree, read_stamp, write_stamp
from images._tool.steps import Step, StepFailed, run_steps, select_steps
from images._tool.tools import Places, find_places, run_program
from tests.platform.checkout import ROOT


def make_step(name: str, *needs: str, make: Callable[[], None], done: bool = False) -> Step:
    return Step(name, needs, lambda: done, make)


def test_a_step_runs_after_what_it_needs_and_only_when_it_is_not_done() -> None:
    order: list[str] = []
    steps = [
        make_step("c", "b", "a", make=lambda: order.append("c")),
        make_step("b", "a", make=lambda: order.append("b"), done=True),
        make_step("a", make=lambda: order.append("a")),
        make_step("other", make=lambda: order.append("other")),
    ]
    assert run_steps(select_steps(steps, ["c"]), workers=4) == 2
    assert order == ["a", "c"]


def test_steps_that_do_not_need_each_other_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet() -> None:
        meeting.wait()

    steps = {name: make_step(name, make=meet) for name in ("a", "b")}
    assert run_steps(steps, workers=2) == 2


def test_a_failure_stops_what_needs_the_step() -> None:
    made: list[str] = []

    def fail() -> None:
        raise StepFailed("no disk")

    steps = [make_step("a", make=fail), make_step("b", "a", make=lambda: made.append("b"))]
    with pytest.raises(StepFailed, match="no disk"):
        run_steps(select_steps(steps, ["b"]), workers=2)
    assert made == []


def test_steps_that_need_each_other_are_refused() -> None:
    steps = {n: make_step(n, m, make=lambda: None) for n, m in (("a", "b"), ("b", "a"))}
    with pytest.raises(StepFailed, match="a, b"):
        run_steps(steps, workers=2)


def test_a_program_that_fails_shows_the_end_of_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"ended with 3:\nline 5") as caught:
        run_program(["sh", "-c", "seq -f 'line %g' 29; exit 3"], tmp_path, os.environ)
    assert str(caught.value).endswith("line 29")
    with pytest.raises(StepFailed, match="cannot be started"):
        run_program([tmp_path / "absent"], tmp_path, os.environ)


def test_a_hash_sees_names_contents_and_places(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "x.ts"
    file.write_text("1")
    seen = {hash_tree(tmp_path, ["**/*.ts"])}
    file.write_text("2")
    seen.add(hash_tree(tmp_path, ["**/*.ts"]))
    file = file.rename(tmp_path / "x.ts")
    seen.add(hash_tree(tmp_path, ["**/*.ts"]))
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "y.ts").write_text("")
    seen.add(hash_tree(tmp_path, ["**/*.ts"]))
    assert len(seen) == 3
    assert hash_inputs("ab", "c") != hash_inputs("a", "bc")


def test_the_command_line_names_steps_that_there_are() -> None:
    steps = build_steps(find_places(os.environ))
    names = {step.name for step in steps}
    for word in ("setup", "platform", "lab", "hub6", "notebook", "stomics"):
        chosen = choose_steps([word], steps)
        assert set(chosen) <= names
        assert select_steps(steps, chosen)
    with pytest.raises(
        StepFailed, match=r"'nonesuch' is not built yet: .* that can be made: gpu, notebook"
    ):
        choose_steps(["nonesuch"], steps)


def test_the_cache_is_where_the_variable_says(tmp_path: Path) -> None:
    assert find_places({"NOTEBOOK_HPC_CACHE": str(tmp_path)}) == Places(ROOT, tmp_path)
    assert find_places({}).cache == Path("~/.cache/notebook-hpc").expanduser()


def read_requirement(package: str) -> str:
    """Read what the real lock says of one package."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    lines = text[text.index(f"\n{package}==") + 1 :].splitlines()
    end = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
    return "\n".join(lines[: end + 1]) + "\n"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A checkout with what the set-up reads, and the real cache."""
    proxy = Path("hub_config") / "embedded" / "proxy"
    shutil.copytree(ROOT / proxy, tmp_path / proxy)
    for name in ("requirements-uv.txt", "requirements-build.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return Places(tmp_path, find_places(os.environ).cache)


def make_small(places: Places, package: str) -> tuple[Step, Path]:
    """Describe an environment of one package."""
    lock = places.root / "requirements.txt"
    lock.write_text(read_requirement(package))
    folder = places.root / "environment"
    return Environments(places, Builds(places)).make_lock_step("small", folder, lock), folder


def can_import(folder: Path, package: str) -> bool:
    """Tell whether a package of the environment can be imported."""
    command = [str(folder / "bin" / "python"), "-c", f"import {package}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_an_environment_that_was_interrupted_is_made_again(places: Places) -> None:
    step, folder = make_small(places, "idna")
    assert not step.is_done()
    step.make()
    assert step.is_done()
    assert can_import(folder, "idna")
    # What an interruption leaves: a package half there, and no stamp.
    (stamp,) = (folder / ".stamps").iterdir()
    stamp.unlink()
    (package,) = folder.glob("lib/python3*/site-packages/idna/core.py")
    package.unlink()
    assert not step.is_done()
    assert not can_import(folder, "idna")
    step.make()
    assert step.is_done()
    assert can_import(folder, "idna")


def test_a_changed_lock_keeps_the_environment_and_changes_its_packages(places: Places) -> None:
    step, folder = make_small(places, "idna")
    step.make()
    kept = (folder / "pyvenv.cfg").stat().st_ino
    changed, _ = make_small(places, "certifi")
    assert not changed.is_done()
    changed.make()
    assert changed.is_done()
    assert can_import(folder, "certifi")
    assert not can_import(folder, "idna")
    assert (folder / "pyvenv.cfg").stat().st_ino == kept


def test_a_stamp_is_whole_or_absent(tmp_path: Path) -> None:
    stamp = tmp_path / "deep" / "stamp"
    assert read_stamp(stamp) == ""
    write_stamp(stamp, "one")
    write_stamp(stamp, "two")
    assert read_stamp(stamp) == "two"
    assert list(stamp.parent.iterdir()) == [stamp]


def test_an_image_brings_packages_of_its_own_as_wheels(places: Places) -> None:
    own = Path("images") / "stomics" / "stereo_seq"
    shutil.copytree(ROOT / own, places.root / own)
    (places.extension / "offline_jobs").mkdir(parents=True)
    builds = Builds(places)
    target = places.root / "wheels"
    assert builds.build_own_wheels("notebook", target) == []
    (wheel,) = builds.build_own_wheels("stomics", target)
    assert wheel.name == "stereo_seq_readers-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as content:
        assert {"stereo_seq/__init__.py", "stereo_seq/gef.py"} <= set(content.namelist())
    before = builds.compute_own_key("stomics")
    assert before != builds.compute_own_key("notebook")
    (places.root / own / "stereo_seq" / "gem.py").write_text("")
    assert builds.compute_own_key("stomics") != before


def test_an_image_has_its_examples_and_those_that_it_begins_from(places: Places) -> None:
    base, folder = make_small(places, "idna")
    base.make()
    (places.build / "wheels").mkdir(parents=True)
    (wheel,) = (ROOT / "build" / "wheels").glob("offline_jobs-*.whl")
    shutil.copy(wheel, places.build / "wheels")
    (places.root / "images" / "jupyter").mkdir(parents=True)
    sources = {name: places.root / "images" / name / "examples" for name in ("notebook", "own")}
    for name, source in sources.items():
        (source / ".ipynb_checkpoints").mkdir(parents=True)
        (source / f"{name}.ipynb").write_text("{}")
    environments = Environments(places, Builds(places))
    # Its folder is named as the image is.
    folder = folder.rename(folder.with_name("own"))
    step = environments.make_image_step("image own", "small", folder)
    step.make()
    examples = folder / PLACE
    assert {path.name for path in examples.iterdir()} == {"notebook.ipynb", "own.ipynb"}
    assert step.is_done()
    (sources["own"] / "own.ipynb").rename(sources["own"] / "new.ipynb")
    assert not step.is_done()
    step.make()
    assert {path.name for path in examples.iterdir()} == {"notebook.ipynb", "new.ipynb"}
