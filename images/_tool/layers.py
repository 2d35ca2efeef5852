"""Layers of an image's environment: large packages that seldom change lie beneath all others.

Place in the path: `context` splits an image's lock by its `layers.txt` and writes a step for each
layer into its Dockerfile; `images/_inside/build_environment.sh` makes them. An image without that
file has its environment in one layer. Standard library only. Imported by `context` and by tests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from images._tool.steps import StepFailed

LAYERS = "layers.txt"
#: The step of a Dockerfile that makes an environment, with the `ARG` that stands for its lock.
STEP = re.compile(r"^ARG LOCKS\nRUN (?:.*\\\n)*.*build_environment\.sh .*\n", re.MULTILINE)
#: A package of a lock, with its hashes.
ENTRY = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==.*\n(?:[ \t].*\n)*", re.MULTILINE)


def read_layers(text: str) -> list[list[str]]:
    """Read which packages make layers: a line each, names apart by space, comments after `#`."""
    lines = (line.partition("#")[0].split() for line in text.splitlines())
    return [names for names in lines if names]


def split_lock(lock: str, layers: Sequence[Sequence[str]]) -> list[str]:
    """Split a lock for the layers beneath its last one.

    Args:
        lock: its text.
        layers: for each layer, from the lowest, names as the lock has them; `*` stands for any
            letters. A package is in the first layer that names it.

    Returns:
        for each layer a lock of what it and those below it hold.

    Raises:
        StepFailed: a name is of no package, or of none that is left.
    """
    left = {match["name"]: match[0] for match in ENTRY.finditer(f"{lock.rstrip()}\n")}
    locks, below = [], ""
    for patterns in layers:
        for pattern in patterns:
            taken = [name for name in left if fnmatchcase(name, pattern)]
            if not taken:
                raise StepFailed(
                    f"{LAYERS} names {pattern!r}, which is no package of the lock, or one that was"
                    " named before: correct the name, or take it away"
                )
            below += "".join(left.pop(name) for name in taken)
        locks.append(below)
    return locks


def add_steps(dockerfile: str, count: int) -> str:
    """Add a step to a Dockerfile for each layer beneath the last, before that of the whole lock.

    The first has the variable `LAYER_1` and sees `layers/1` as the last one sees `locks`, so that a
    builder keeps it whatever changes in those above.

    Raises:
        StepFailed: it makes no environment, or in another way than that of `notebook`.
    """
    found = STEP.search(dockerfile)
    if found is None:
        raise StepFailed(f"this Dockerfile has no step that {LAYERS} could be for: remove {LAYERS}")
    steps = [
        found[0]
        .replace("ARG LOCKS", f"ARG LAYER_{n}")
        .replace("source=locks", f"source=layers/{n}")
        for n in range(1, count + 1)
    ]
    return dockerfile[: found.start()] + "".join(steps) + dockerfile[found.start() :]
