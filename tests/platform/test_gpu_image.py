"""Image `gpu` without building it: what its verification says of a machine, and what it locks."""

from __future__ import annotations

import re

import pytest

from images._inside.checks import Wrong
from images._tool.lock import read_pins
from images.gpu.verify import describe, find_variables
from tests.platform.checkout import ROOT

LOCK = ROOT / "images" / "gpu" / "requirements.txt"


def test_a_machine_without_a_gpu_is_told_in_words() -> None:
    said = describe("13.0", [], 27.0)
    assert said == "PyTorch for CUDA 13.0 finds no GPU here and computes on the CPU"


def test_the_gpus_that_compute_are_named() -> None:
    assert describe("13.0", ["Tesla T4"], 27.0) == "PyTorch for CUDA 13.0 computes on Tesla T4"


@pytest.mark.parametrize(("cuda", "computed"), [(None, 27.0), ("13.0", 26.0)])
def test_a_pytorch_that_is_of_no_use_is_refused(cuda: str | None, computed: float) -> None:
    with pytest.raises(Wrong, match=r"without CUDA|instead of 27"):
        describe(cuda, ["Tesla T4"], computed)


def test_an_image_that_would_take_all_gpus_is_refused() -> None:
    with pytest.raises(Wrong, match="NVIDIA_VISIBLE_DEVICES"):
        find_variables({"NVIDIA_VISIBLE_DEVICES": "all"})
    assert find_variables({"PATH": "/bin", "NVIDIA_DRIVER_CAPABILITIES": "compute"})


def test_its_lock_has_pytorch_and_rapids_for_one_cuda() -> None:
    pins = read_pins(LOCK)
    assert {"torch", "cupy-cuda13x", "cuml-cu13", "cudf-cu13", "cuvs-cu13"} <= pins.keys()
    assert pins.keys() >= read_pins(ROOT / "images" / "notebook" / "requirements.txt").keys()
    others = re.compile(r"-cu1[^3]|cuda1[^3]")
    assert not [name for name in pins if others.search(name)]


def test_it_installs_on_other_systems_without_what_is_for_linux_only() -> None:
    text = LOCK.read_text(encoding="utf-8")
    for name in ("torch", "nvidia-cublas", "cuml-cu13", "cupy-cuda13x"):
        (line,) = re.findall(rf"^{name}==.*$", text, re.M)
        assert "sys_platform == 'linux'" in line, line
