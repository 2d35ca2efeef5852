"""What a session or a job really has, told from inside by a cell.

``PROBE`` is Python that prints one JSON object; :func:`parse_probe` makes a :class:`Probe` of it.
Control groups of version 1 and 2 are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub_config.platform.pods import SHARED_MEMORY_PATH

PROBE = r"""
import json, os, pathlib, sys

def read(*paths):
    for path in paths:
        try:
            return pathlib.Path(path).read_text().strip()
        except OSError:
            pass

groups = pathlib.Path("/sys/fs/cgroup")
quota = read(groups / "cpu/cpu.cfs_quota_us")
period = read(groups / "cpu/cpu.cfs_period_us")
cores = [quota, period] if quota else (read(groups / "cpu.max") or "max 1").split()
status = dict(line.split(":\t", 1) for line in read("/proc/self/status").splitlines())
print(json.dumps({
    "ids": [os.getuid(), os.getgid(), sorted(os.getgroups())],
    "rights": {name: status[name] for name in ("CapEff", "NoNewPrivs", "Seccomp")},
    "environment": dict(os.environ),
    "mounts": read("/proc/self/mountinfo").splitlines(),
    "memory_bytes": int(read(groups / "memory/memory.limit_in_bytes", groups / "memory.max")),
    "cores": int(cores[0]) / int(cores[1]),
    "shared_memory_bytes": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
    "cgroup": read("/proc/self/cgroup"),
    "folder": os.getcwd(),
    "python": [sys.version, sys.executable],
    "secrets": os.path.exists("/var/run/secrets/kubernetes.io"),
    "first": [read("/proc/1/comm"), read("/proc/1/environ")],
}))
"""
_OURS = ("/home", "/shared", "/data", "/scratch", "/checkpoints", SHARED_MEMORY_PATH)
_POD = re.compile(r"/kubepods.*?/pod([0-9a-f]{8}[-_0-9a-f]{28})/")
_NODE = re.compile(r"\.([a-z0-9-]+)/kubepods")


@dataclass(frozen=True)
class Probe:
    """What was found inside.

    Attributes:
        ids: user, group, further groups.
        rights: capabilities, whether new privileges can be had, the filter of system calls.
        environment: of the kernel.
        mounts: place -> "ro" or "rw", of what is mounted below our own places.
        memory_bytes, cores, shared_memory_bytes: the limits.
        pod, node: whose control group this is.
        folder: the working directory.
        python: version and program.
        has_secrets: whether a token of Kubernetes could be there.
        first: name of the first process, and its variables if they can be read.
    """

    ids: list[Any]
    rights: Mapping[str, str]
    environment: Mapping[str, str]
    mounts: Mapping[str, str]
    memory_bytes: int
    cores: float
    shared_memory_bytes: int
    pod: str
    node: str
    folder: str
    python: list[str]
    has_secrets: bool
    first: list[str | None]


def parse_probe(text: str) -> Probe:
    """Parse what ``PROBE`` printed."""
    said = json.loads(text)
    pod, node = _POD.search(said["cgroup"] + "/"), _NODE.search(said["cgroup"])
    assert pod, said["cgroup"]
    assert node, said["cgroup"]
    return Probe(
        ids=said["ids"],
        rights=said["rights"],
        environment=said["environment"],
        mounts=dict(_parse_mount(line) for line in said["mounts"] if _is_ours(line)),
        memory_bytes=said["memory_bytes"],
        cores=said["cores"],
        shared_memory_bytes=said["shared_memory_bytes"],
        pod=pod[1].replace("_", "-"),
        node=node[1],
        folder=said["folder"],
        python=said["python"],
        has_secrets=said["secrets"],
        first=said["first"],
    )


def _parse_mount(line: str) -> tuple[str, str]:
    fields = line.split()
    return fields[4], fields[5].split(",")[0]


def _is_ours(line: str) -> bool:
    return line.split()[4].startswith(_OURS)
