"""Verifies image `gpu` from inside, on a machine with or without a GPU.

Place in the path: run by `images/_tool/build.py` in the built image; its test imports it.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from images._inside.checks import Wrong, import_all, run, run_checks
from images._inside.session_checks import OF_A_SESSION

LIBRARIES = ("torch", "cupy", "cudf", "cuml", "cuvs", "pylibraft", "scanpy")
#: With one of these in the image, NVIDIA's runtime hands a pod GPUs that it did not ask for.
#: Source: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
OF_THE_RUNTIME = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_REQUIRE_CUDA", "CUDA_VISIBLE_DEVICES")
#: Compiles for a GPU, which nothing of it needs: for a T4, the least of those that CUDA 13 knows.
COMPILES = """\
import triton
import triton.language as tl
from cuda.pathfinder import find_nvidia_header_directory
from cupy_backends.cuda.libs import nvrtc
from numba import cuda, float32
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

@triton.jit
def add_one(x, n: tl.constexpr):
    place = x + tl.arange(0, n)
    tl.store(place, tl.load(place) + 1)

def add_two(x):
    x[cuda.threadIdx.x] += 2

source = ASTSource(add_one, signature={"x": "*fp32", "n": "constexpr"}, constexprs={"n": 64})
if triton.compile(source, target=GPUTarget("cuda", 75, 32)).asm["cubin"]:
    print("Triton")
if ".target sm_75" in cuda.compile_ptx(add_two, (float32[:],), cc=(7, 5))[0]:
    print("Numba")
add_three = '''
#include <cuda_fp16.h>
#include <cuda/std/complex>
extern "C" __global__ void add_three(float* x) { x[threadIdx.x] += 3; }
'''
program = nvrtc.createProgram(add_three, "add_three.cu", (), ())
folders = ["-I" + find_nvidia_header_directory(name) for name in ("cudart", "cccl")]
nvrtc.compileProgram(program, ("-arch=sm_75", *folders))
if nvrtc.getCUBIN(program):
    print("CuPy")
"""
OF_THE_COMPILERS = ("Triton", "Numba", "CuPy")
#: What PyTorch generates for a CPU is in C++; a launcher of what it generates for a GPU is in C.
IS_COMPILED = """\
import torch

def compute(x):
    return (2 * x).sin().sum()

x = torch.arange(8.0)
print(bool(torch.isclose(torch.compile(compute)(x), compute(x))))
"""


def check_libraries() -> str:
    """What the image promises can be imported, on a machine without a driver, too."""
    import_all(LIBRARIES)
    return f"can be imported: {', '.join(LIBRARIES)}"


def check_variables() -> str:
    """A pod's GPUs are those that the device plugin gave it."""
    return find_variables(os.environ)


def find_variables(environ: Mapping[str, str]) -> str:
    """See that an environment leaves the choice of GPUs to the device plugin.

    Raises:
        Wrong: it does not.
    """
    if found := [name for name in OF_THE_RUNTIME if name in environ]:
        raise Wrong(f"the image sets {', '.join(found)}: a pod would get GPUs that are not its own")
    return "the image leaves the choice of GPUs to the device plugin"


def check_computation() -> str:
    """PyTorch says whether it finds a GPU, and computes either way."""
    torch = importlib.import_module("torch")
    cuda = torch.cuda
    names = [cuda.get_device_name(each) for each in range(cuda.device_count())]
    device = "cuda" if cuda.is_available() else "cpu"
    ones = torch.ones(3, 3, device=device)
    computed = float((ones @ ones).sum())
    return describe(torch.version.cuda, names if device == "cuda" else [], computed)


def check_compilers() -> str:
    """What is written in Python or CUDA is translated for a GPU, as far as that needs none."""
    said = run_script(COMPILES)
    if missing := [name for name in OF_THE_COMPILERS if name not in said.splitlines()]:
        raise Wrong(f"{', '.join(missing)} compiled nothing for a GPU: {said}")
    return f"compile for a GPU: {', '.join(OF_THE_COMPILERS)}"


def check_generated_code() -> str:
    """What PyTorch generates is compiled, and computes the same."""
    said = run_script(IS_COMPILED)
    if "True" not in said.splitlines():
        raise Wrong(f"torch.compile computes something else: {said}")
    return "torch.compile generates code and computes the same"


def run_script(text: str) -> str:
    """Run a script with caches of its own, and return what it printed.

    Raises:
        Wrong: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(text, encoding="utf-8")
        return run(sys.executable, "-s", str(script), environ={"HOME": folder, "TMPDIR": folder})


def describe(cuda: str | None, gpus: Sequence[str], computed: float) -> str:
    """Say what PyTorch found and computed.

    Args:
        cuda: version that PyTorch was built for, None for a build without it.
        gpus: names of those that it can use.
        computed: the sum of a product of two matrices of 3 x 3 ones.

    Raises:
        Wrong: PyTorch was built without CUDA, or computes wrongly.
    """
    if cuda is None:
        raise Wrong("this PyTorch was built without CUDA")
    if computed != 3**3:
        raise Wrong(f"PyTorch computed {computed:g} instead of {3**3}")
    if not gpus:
        return f"PyTorch for CUDA {cuda} finds no GPU here and computes on the CPU"
    return f"PyTorch for CUDA {cuda} computes on {', '.join(gpus)}"


if __name__ == "__main__":
    checks = (check_libraries, check_variables, check_computation)
    compilers = (check_compilers, check_generated_code)
    sys.exit(run_checks([*OF_A_SESSION, *checks, *compilers]))
