"""Kernels that the session's user installed in the home: which there are, and what is wrong.

Only here can that be said before a job is made: the service sees no home. Called by
:mod:`handlers`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

from offline_jobs.environments.kernels import find_flaw, needs_python_of_image
from offline_jobs.server_extension.notebook import is_own


@dataclass(frozen=True)
class OwnKernel:
    """A kernel of the home. ``flaw`` says what keeps it from running in this session's image."""

    name: str
    display_name: str
    language: str
    flaw: str
    #: The Python of the image that it stands on; empty: on none.
    stands_on: str

    def to_json(self) -> dict[str, str]:
        """A mapping of JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Finding:
    """What is to be said of a job's kernel: what forbids it, or what cannot be known here."""

    problem: str = ""
    doubt: str = ""


def list_own_kernels(
    manager: KernelSpecManager, home: Path, variables: Mapping[str, str]
) -> list[OwnKernel]:
    """List the kernels of the home.

    Args:
        manager: of the server.
        home: the user's home.
        variables: of the server.
    """
    return [
        _read(name, each["spec"], home, variables)
        for name, each in sorted(manager.get_all_specs().items())
        if is_own(each["resource_dir"], home)
    ]


def _read(
    name: str, spec: Mapping[str, Any], home: Path, variables: Mapping[str, str]
) -> OwnKernel:
    argv = [str(word) for word in spec["argv"]]
    return OwnKernel(
        name=name,
        display_name=str(spec["display_name"]),
        language=str(spec["language"]),
        flaw=find_flaw(name, argv, home, variables),
        stands_on=needs_python_of_image(argv, home),
    )


def judge(name: str, kernels: list[OwnKernel], image: str, session_image: str) -> Finding:
    """Judge a kernel of the home for a job in an image.

    Args:
        name: of the kernel.
        kernels: that there are.
        image: slug of the job's.
        session_image: slug of the image that this was looked at in.
    """
    kernel = next((each for each in kernels if each.name == name), None)
    if kernel is None:
        return Finding(problem=f"You have no kernel {name} (any more): choose another one.")
    if image == session_image or not kernel.stands_on:
        return Finding(problem=kernel.flaw)
    if kernel.flaw:
        return Finding(doubt=f"Kernel {name} cannot be tried in this session's image.")
    return Finding(
        doubt=f"Kernel {name} needs {kernel.stands_on}, which {image} may have at another version:"
        " it was looked at in this session's image only."
    )
