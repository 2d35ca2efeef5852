"""What this machine can give: cores, memory and GPUs, as far as we may use them.

Used by the supervisor, which hands the numbers on to hub and jobs service. Reads the system.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Found:
    """What was found on this machine."""

    cores: int
    memory_bytes: int
    gpus: int


def look() -> Found:
    """Look at this machine; the limits of a container count as the machine."""
    cores, memory_bytes = count_cores(), psutil.virtual_memory().total
    for folder in list_cgroups():
        cores = min(cores, parse_cpu_limit(_read(folder / "cpu.max")) or cores)
        memory_bytes = min(
            memory_bytes, parse_memory_limit(_read(folder / "memory.max")) or memory_bytes
        )
    return Found(cores=cores, memory_bytes=memory_bytes, gpus=count_gpus())


def count_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def list_cgroups() -> Iterator[Path]:
    """This process's control group and all above it (version 2; none elsewhere)."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        hierarchy, _, path = line.partition("::")
        if hierarchy == "0":
            folder = CGROUPS / path.lstrip("/")
            yield folder
            yield from (parent for parent in folder.parents if parent.is_relative_to(CGROUPS))


def parse_cpu_limit(text: str) -> int | None:
    """Whole cores of a ``cpu.max``, at least one; ``None`` without a limit.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
    """
    match text.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
            return max(1, int(quota) // int(period))
        case _:
            return None


def parse_memory_limit(text: str) -> int | None:
    """Bytes of a ``memory.max``; ``None`` without a limit."""
    return int(text) if text.strip().isdecimal() else None


def count_gpus() -> int:
    """NVIDIA GPUs, by the driver's own tool or by its device files."""
    tool = shutil.which("nvidia-smi")
    if tool:
        try:
            listed = subprocess.run(
                [tool, "-L"], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            pass  # a tool without a working driver; the device files tell
        else:
            return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def _read(path: Path) -> str:
    """The text of a file of the kernel's, nothing where it is not there."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
