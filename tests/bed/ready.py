"""Finds programs of the bed that somebody else installed: `KUBEBUILDER_ASSETS`, then the PATH.

Imported by `workshop`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bed import pins
from tests.bed.pins import Family

#: How a program is asked for its version. Volcano's and Karpenter's programs do not know their own.
QUESTIONS = {
    "coredns": ("-version",),
    "etcd": ("--version",),
    "helm": ("version", "--short"),
    "kube-apiserver": ("--version",),
    "kube-controller-manager": ("--version",),
    "kube-proxy": ("--version",),
    "kube-scheduler": ("--version",),
    "kubectl": ("version", "--client"),
    "kubelet": ("--version",),
    "kwok": ("--version",),
}
ANSWER_SECONDS = 20


def find_ready(family: Family, environ: Mapping[str, str]) -> dict[str, Path]:
    """Find programs of a family that somebody else installed and that fit the pinned version."""
    folders = [environ.get("KUBEBUILDER_ASSETS", ""), *environ.get("PATH", "").split(os.pathsep)]
    found = {}
    for name in pins.list_programs(family).keys() & QUESTIONS.keys():
        for folder in filter(os.path.isabs, folders):
            if is_ready(Path(folder) / name, name, pins.get_version(family)):
                found[name] = Path(folder) / name
                break
    return found


def is_ready(program: Path, name: str, pin: str) -> bool:
    """Tell whether a file is a program of that name and fits that version."""
    return os.access(program, os.X_OK) and pins.fits(pin, ask_version(program, name))


def ask_version(program: Path, name: str) -> str:
    """Ask a program for its version; nothing when it cannot say."""
    try:
        done = subprocess.run(
            [program, *QUESTIONS[name]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()
