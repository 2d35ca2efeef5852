"""Layers of an image's environment: what is in which, and what a change makes anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from images._inside.checks import compare_files
from images._tool.build import build_arguments
from images._tool.context import fill_context, fill_verification
from images._tool.layers import add_steps, read_layers, split_lock
from images._tool.lock import read_pins
from images._tool.steps import StepFailed
from tests.platform.checkout import ROOT

LOCK = """\
cuda-blas==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:ab \\
    --hash=sha256:cd
cuda-fft==1.0 \\
    --hash=sha256:ef
lab==4.6 \\
    --hash=sha256:01
torch==2.9 \\
    --hash=sha256:23
"""
LAYERS = "# Large ones.\ncuda-fft\n\ncuda-* torch  # more\n"
COMPILE = ROOT / "images" / "_inside" / "compile.sh"


def read_names(lock: Path) -> set[str]:
    return {*read_pins(lock)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with an image `large`, in layers, and `larger`, which begins from it."""
    root = tmp_path / "root"
    for name in ("notebook", "_inside", "jupyter"):
        shutil.copytree(ROOT / "images" / name, root / "images" / name)
    shutil.copy(ROOT / "requirements-uv.txt", root)
    for name, base in (("large", "notebook"), ("larger", "large")):
        folder = root / "images" / name
        folder.mkdir()
        (folder / "requirements.in").write_text(f"-r ../{base}/requirements.in\n")
        (folder / "requirements.txt").write_text(LOCK)
        (folder / "verify.py").touch()
    (root / "images" / "large" / "layers.txt").write_text(LAYERS)
    (root / "images" / "large" / "left-out.txt").write_text("blas/*.a\n")
    return root


def fill(root: Path, image: str, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    fill_context(root, image, [], folder)
    return folder


def test_a_package_is_in_the_first_layer_that_names_it() -> None:
    layers = read_layers(LAYERS)
    assert layers == [["cuda-fft"], ["cuda-*", "torch"]]
    lowest, second = split_lock(LOCK, layers)
    assert lowest == "cuda-fft==1.0 \\\n    --hash=sha256:ef\n"
    # A layer's lock has what lies below it, too: `uv pip sync` removes what it does not name.
    assert second.startswith(lowest)
    assert "cuda-blas==2.0 ; sys_platform == 'linux' \\\n    --hash=sha256:ab \\\n" in second
    assert sorted(line for line in second.splitlines() if "==" in line and line[0] != " ") == [
        "cuda-blas==2.0 ; sys_platform == 'linux' \\",
        "cuda-fft==1.0 \\",
        "torch==2.9 \\",
    ]


@pytest.mark.parametrize("text", ["cupy\n", "cuda-*\ncuda-fft\n"])
def test_a_layer_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(StepFailed, match=r"layers\.txt names '(cupy|cuda-fft)', which is no"):
        split_lock(LOCK, read_layers(text))


def test_an_images_dockerfile_gets_a_step_for_each_layer(root: Path, tmp_path: Path) -> None:
    context = fill(root, "large", tmp_path / "context")
    steps = (context / "Dockerfile").read_text().split("ARG ")
    made = [step.split("\n")[0] for step in steps if "build_environment.sh" in step]
    assert made == ["LAYER_1", "LAYER_2", "LOCKS"]
    seen = ["layers/1", "layers/2", "locks"]
    for step, source in zip(steps[-3:], seen, strict=True):
        assert f"--mount=type=bind,source={source},target=/locks" in step
        assert {path.name for path in (context / source).iterdir()} == {
            "left-out.txt",
            "requirements.txt",
            "requirements-uv.txt",
        }
    assert read_names(context / "layers" / "2" / "requirements.txt") == {
        "cuda-blas",
        "cuda-fft",
        "torch",
    }
    # No file of this goes into the image.
    assert not list((context / "image").glob("l*.txt"))


def test_a_dockerfile_that_makes_no_environment_has_no_layers() -> None:
    with pytest.raises(StepFailed, match=r"no step that layers\.txt could be for"):
        add_steps("FROM scratch\n", 1)


def test_layers_stay_when_what_lies_above_them_changes(root: Path, tmp_path: Path) -> None:
    def read() -> dict[str, str]:
        arguments = build_arguments(fill(root, "large", tmp_path / "context"), "")
        return {name: arguments[name] for name in ("LAYER_1", "LAYER_2", "LOCKS")}

    def find_changed(before: dict[str, str]) -> set[str]:
        return {name for name, value in read().items() if before[name] != value}

    before, lock = read(), root / "images" / "large" / "requirements.txt"
    assert len({*before.values()}) == len(before)
    lock.write_text(LOCK.replace("lab==4.6", "lab==4.7"))
    assert find_changed(before) == {"LOCKS"}
    lock.write_text(LOCK.replace("torch==2.9", "torch==2.10"))
    assert find_changed(before) == {"LAYER_2", "LOCKS"}
    lock.write_text(LOCK)
    (root / "images" / "large" / "left-out.txt").write_text("fft/*.a\n")
    assert find_changed(before) == {*before}


def test_an_image_has_the_layers_of_the_one_that_it_begins_from(root: Path, tmp_path: Path) -> None:
    own = root / "images" / "larger"
    (own / "layers.txt").write_text("lab\n")
    (own / "left-out.txt").write_text("lab/tests\n")
    context = fill(root, "larger", tmp_path / "context")
    names = [read_names(context / "layers" / str(n) / "requirements.txt") for n in (1, 2, 3)]
    assert names[1] - names[0] == {"cuda-blas", "torch"}
    assert names[2] - names[1] == {"lab"}
    verification = tmp_path / "verification"
    verification.mkdir()
    fill_verification(root, "larger", verification)
    left_out = "blas/*.a\nlab/tests\n"
    assert (verification / "left-out.txt").read_text() == left_out
    assert (context / "locks" / "left-out.txt").read_text() == left_out


def test_image_gpu_has_what_is_large_beneath_what_changes_often(tmp_path: Path) -> None:
    context = fill(ROOT, "gpu", tmp_path / "context")
    beneath: set[str] = set()
    for folder in (context / "layers").iterdir():
        beneath |= read_names(folder / "requirements.txt")
    whole = read_names(context / "locks" / "requirements.txt")
    large = {name for name in whole if name.startswith(("nvidia-", "lib"))}
    assert large | {"torch", "triton"} <= beneath
    assert not beneath & read_names(ROOT / "images" / "notebook" / "requirements.txt")


@pytest.mark.skipif(sys.platform != "linux", reason="images are built on Linux")
def test_what_lies_in_a_lower_layer_is_not_touched(tmp_path: Path) -> None:
    # A file that is only touched is stored again, whole, in the layer of the step that did so.
    library = tmp_path / "lib" / "module.py"
    library.parent.mkdir()
    library.write_text("it = 1\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)

    def compile_all() -> dict[Path, int]:
        subprocess.run(["sh", COMPILE, tmp_path, tmp_path], check=True)
        found = [library, *library.parent.rglob("*.pyc")]
        return {path: os.lstat(path).st_ctime_ns for path in found}

    first = compile_all()
    assert len(first) == 2
    times = {path: int(path.stat().st_mtime) for path in (*first, library.parent)}
    assert len({*times.values()}) == 1
    (library.parent / "other.py").write_text("it = 2\n")
    os.utime(library.parent / "other.py", (1, 1))
    second = compile_all()
    assert first.items() <= second.items()
    assert (library.parent / "other.py").stat().st_mtime == library.stat().st_mtime


@pytest.mark.parametrize(
    ("files", "left_out", "wrong"),
    [
        ({"a/b.py": True, "a/lib/c.a": False}, "a/lib/*.a  # static\n", []),
        ({"a/b.py": False}, "", ["a/b.py is missing"]),
        ({"a/lib/c.a": True}, "a/lib/*.a", ["a/lib/c.a is there, and was to be left out"]),
        ({"a/lib/c.a": False}, "a/*.a", ["a/lib/c.a is missing", "no package brings a/*.a"]),
        ({"a/lib.so": False}, "a/lib?so", ["a/lib.so is missing", "no package brings a/lib?so"]),
    ],
)
def test_packages_are_whole_but_for_what_the_image_does_without(
    files: dict[str, bool], left_out: str, wrong: list[str]
) -> None:
    said = [
        each.removesuffix(", which is to be left out")
        for each in compare_files(files.items(), left_out)
    ]
    assert said == wrong
