"""Verifies image `gpu` from inside, on a machine with or without a GPU.

Place in the path: run by `images/_tool/build.py` in the built image; its test imports it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from images._inside.checks import Wrong, import_all, run_checks
from images._inside.session_checks import OF_A_SESSION

LIBRARIES = ("torch", "cupy", "cudf", "cuml", "cuvs", "pylibraft", "scanpy")
#: With one of these in the image, NVIDIA's runtime hands a pod GPUs that it did not ask for.
#: Source: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
OF_THE_RUNTIME = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_REQUIRE_CUDA", "CUDA_VISIBLE_DEVICES")


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
    sys.exit(run_checks([*OF_A_SESSION, check_libraries, check_variables, check_computation]))
