"""What to run, and with what: the runner's environment and the attempt's specification.

The only place that reads environment variables. The specification comes from the service or from
a file of the same shape; what it says is checked here, once. Used by the execution.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from offline_jobs.contract import run as contract
from offline_jobs.contract.exits import Exit
from offline_jobs.contract.names import notebook_stem
from offline_jobs.contract.run import Specification
from offline_jobs.contract.states import Cause
from offline_jobs.runner import ending
from offline_jobs.runner.ending import RunEnd, RunFailedError
from offline_jobs.runner.service_client import (
    ServiceAwayError,
    ServiceClient,
    ServiceRefusedError,
    retry,
)

NBFORMAT = 4
DEFAULT_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.2
#: What of ours a kernel does not get: it has no use for it, or must not have it.
_NOT_FOR_KERNELS = frozenset(
    {
        contract.ENV_TOKEN,
        contract.ENV_URL,
        contract.ENV_SPECIFICATION,
        contract.ENV_TERMINATION,
        contract.ENV_PATIENCE,
        contract.ENV_CHECKPOINTS,
        # The runner goes without the user's site packages; the kernel has them.
        "PYTHONNOUSERSITE",
    }
)


@dataclass(frozen=True)
class Surroundings:
    """The runner's environment, parsed.

    ``memory_limit_bytes`` 0: not watched. ``checkpoints`` is the folder with those of all the
    person's jobs, if there is one.
    """

    home: Path
    url: str
    token: str
    specification_file: Path | None
    termination_file: Path | None
    memory_limit_bytes: int
    patience_seconds: float
    checkpoints: Path | None
    kernel_environment: Mapping[str, str]

    @property
    def client(self) -> ServiceClient | None:
        """How to reach the service, or None where the run has none."""
        return ServiceClient(self.url, self.token) if self.url else None


def parse_surroundings(environment: Mapping[str, str], token: str) -> Surroundings:
    """Parse the environment; the token was taken out of it before.

    Raises:
        RunFailedError: a value cannot be understood.
    """
    specification = environment.get(contract.ENV_SPECIFICATION)
    termination = environment.get(contract.ENV_TERMINATION)
    checkpoints = environment.get(contract.ENV_CHECKPOINTS)
    termination_file = Path(termination) if termination else ending.DEFAULT_TERMINATION_FILE
    is_written = bool(termination) or termination_file.exists()
    try:
        memory = int(environment.get(contract.ENV_MEMORY) or 0)
        patience = float(environment.get(contract.ENV_PATIENCE) or DEFAULT_PATIENCE_SECONDS)
    except ValueError as error:
        raise ending.bad_specification(f"a number in the environment is wrong: {error}") from error
    return Surroundings(
        home=Path(environment.get("HOME") or os.path.expanduser("~")),
        url=environment.get(contract.ENV_URL, ""),
        token=token,
        specification_file=Path(specification) if specification else None,
        termination_file=termination_file if is_written else None,
        memory_limit_bytes=memory,
        patience_seconds=patience,
        checkpoints=Path(checkpoints) if checkpoints else None,
        kernel_environment={
            name: value for name, value in environment.items() if name not in _NOT_FOR_KERNELS
        },
    )


def load_specification(
    surroundings: Surroundings, wait: Callable[[float], bool] | None = None
) -> Specification:
    """Read the specification from its file, else ask the service until it answers.

    Raises:
        RunFailedError: it cannot be had (exit 30), or cannot be understood (exit 20).
    """
    if surroundings.specification_file is not None:
        return parse_specification(_read_file(surroundings.specification_file))
    client = surroundings.client
    if client is None:
        raise ending.bad_specification(
            f"neither {contract.ENV_SPECIFICATION} nor {contract.ENV_URL} is set"
        )
    try:
        data = retry(client.fetch_specification, surroundings.patience_seconds, wait)
    except ServiceAwayError as error:
        raise RunFailedError(
            RunEnd(
                Cause.INTERNAL.value,
                Exit.INFRASTRUCTURE,
                f"The jobs service could not be reached: {error}",
            )
        ) from error
    except ServiceRefusedError as error:
        raise ending.bad_specification(f"There is no specification: {error}") from error
    return parse_specification(data)


def _read_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ending.bad_specification(f"The specification cannot be read: {error}") from error


def parse_specification(data: Any) -> Specification:
    """Check a specification's shape.

    Raises:
        RunFailedError: it cannot be understood; the message names the field.
    """
    if not isinstance(data, dict):
        raise ending.bad_specification("The specification is no JSON object")
    try:
        specification = Specification.from_json(data)
    except TypeError as error:
        raise ending.bad_specification(f"The specification is incomplete: {error}") from error
    problem = _find_problem(specification)
    if problem:
        raise ending.bad_specification(f"The specification is wrong: {problem}")
    return specification


def _find_problem(specification: Specification) -> str:
    """The first thing that is wrong, in words; nothing of it can be trusted to have its type."""
    notebook: Any = specification.notebook
    kernel: Any = specification.request.kernel
    limit: Any = specification.request.time_limit_seconds
    kept_checkpoints: Any = specification.kept_checkpoints
    if not isinstance(notebook, dict) or notebook.get("nbformat") != NBFORMAT:
        return f"notebook is not of nbformat {NBFORMAT}"
    checks = {
        "notebook has no list of cells": isinstance(notebook.get("cells"), list),
        "path is not inside the home": is_inside_home(specification.request.path),
        "output is not inside the home": is_inside_home(specification.output),
        "kernel has no name or an unknown source": isinstance(kernel, dict)
        and bool(kernel.get("name"))
        and kernel.get("source", "image") in {"image", "home"},
        "kept_checkpoints is not a list of ids": isinstance(kept_checkpoints, list)
        and all(isinstance(each, str) for each in kept_checkpoints),
        "parameters is not an object": isinstance(specification.request.parameters, dict),
        "time_limit_seconds is not a number of at least 0": isinstance(limit, int | float)
        and limit >= 0,
    }
    return next((problem for problem, is_right in checks.items() if not is_right), "")


def is_inside_home(path: object) -> bool:
    """Whether this is a relative path that stays inside the folder it is relative to."""
    if not isinstance(path, str):
        return False
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\0" not in path


def wait_for_home(home: Path, seconds: float, wait: Callable[[float], bool]) -> None:
    """Wait for a home that is away for a moment, as one on a network may be.

    Args:
        home: the user's home.
        seconds: for how long.
        wait: waits some seconds; true when the end is asked for.

    Raises:
        RunFailedError: it does not come; another attempt may find it.
    """
    deadline = time.monotonic() + seconds
    while not home.is_dir():
        if wait(_LOOK_SECONDS):
            return
        if time.monotonic() > deadline:
            raise RunFailedError(
                RunEnd(Cause.INTERNAL.value, Exit.INFRASTRUCTURE, "Your home is not there")
            )


def find_working_folder(home: Path, specification: Specification) -> Path:
    """The notebook's folder.

    Raises:
        RunFailedError: it is not there any more.
    """
    folder = (home / specification.request.path).parent
    if not folder.is_dir():
        shown = PurePosixPath(specification.request.path).parent
        raise ending.refused(
            f"The notebook's folder {shown} is not in your home any more,"
            " so the notebook has nowhere to run"
        )
    return folder


def output_name(specification: Specification) -> str:
    """File name of the executed notebook."""
    return f"{notebook_stem(specification.request.path)}.ipynb"
